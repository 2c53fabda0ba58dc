"""What all tests share: the migrated database, whole stacks, the real data's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadFileScheduling

from tests import postgres
from tests.stack import Stack

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = Path("/usr/bin/chromium")
DCIODVFY = Path("/usr/bin/dciodvfy")
STORESCU = Path("/usr/bin/storescu")
ORTHANC = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")

# `make test-long` asks for this one.
hypothesis_settings.register_profile("long", max_examples=1000, deadline=None)


def pytest_configure() -> None:
    """In-process tests make many people; hashing a password as the product does takes 0.5 s."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def _required(name: str) -> bool:
    return os.environ.get(name, "") == "1"


BROWSER = ("tests/browser", "tests/journey", "tests/faults/test_chaos.py")
# What takes minutes begins first, so that nothing is waited for alone at the end.
LONGEST = (*BROWSER, "tests/faults", "tests/reading/test_canaries.py")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest; the order stays random, but for what drives Chromium.

    The tests of such a file tell one story in one Concord: as written, the later find what the
    earlier left. A Concord for each would cost half a minute a test.
    """
    told: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.nodeid.startswith(BROWSER):
            told.setdefault(item.nodeid.split("::")[0], []).append(item)
    stories = {file: iter(sorted(tests, key=_written)) for file, tests in told.items()}
    items[:] = [next(stories.get(item.nodeid.split("::")[0], iter([item]))) for item in items]
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def _written(item: pytest.Item) -> int:
    """The line a test begins in."""
    return item.location[1] or 0


class OneBrowserAtATime(LoadFileScheduling):
    """The tests of one file stay together, and all that drive Chromium are one queue.

    Software GL takes every core: three browsers at once take longer than one after the other.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "browser" if file.startswith(BROWSER) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneBrowserAtATime:
    """What `-n` shares the tests out by."""
    return OneBrowserAtATime(config, log)


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: Any) -> None:
    """In-process tests run as the web role on a copy of the really migrated database."""
    postgres.copy_database("concord_tests")


@pytest.fixture
def transactional_db() -> None:
    """Never: it truncates, which the audit log refuses. Use `stack`, or `db`."""
    raise RuntimeError(transactional_db.__doc__)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Web, work and one inference worker; shared by the tests of a module."""
    stack = Stack()
    try:
        yield stack.start()
    finally:
        stack.close()


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real images (`CONCORD_TEST_DATA`); the test is left out where it is absent."""
    folder = Path(os.environ.get("CONCORD_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        if _required("CONCORD_REQUIRE_DATA"):
            pytest.fail(f"CONCORD_REQUIRE_DATA=1, but there is no {folder}")
        pytest.skip(f"no real test data at {folder}; set CONCORD_TEST_DATA")  # noqa: TID251
    return folder


def _program(path: Path, package: str) -> str:
    """A program that `make system` installs; the test is left out where it is not."""
    if not path.exists():
        if _required("CONCORD_REQUIRE_BROWSER"):
            pytest.fail(f"CONCORD_REQUIRE_BROWSER=1, but there is no {path}: make system")
        pytest.skip(f"no {package}; run `make system`")  # noqa: TID251
    return str(path)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's Chromium."""
    return _program(CHROMIUM, "Chromium")


@pytest.fixture(scope="session")
def dciodvfy() -> str:
    """Debian's checker of DICOM objects."""
    return _program(DCIODVFY, "dicom3tools")


@pytest.fixture(scope="session")
def dcmtk_installed() -> None:
    """dcmtk's storescu and echoscu."""
    _program(STORESCU, "dcmtk")


@pytest.fixture(scope="session")
def orthanc_installed() -> None:
    """Orthanc with its DICOMweb plugin, a PACS to speak to."""
    _program(ORTHANC, "Orthanc")
