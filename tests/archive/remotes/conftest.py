"""A PACS shared by the tests of a module, empty for each; a coordinator; a named remote."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from backend.accounts.models import User
from backend.archive import visibility
from backend.archive.remotes import patience
from backend.archive.remotes.asking import Wanted, request_pull
from backend.archive.remotes.carrying import carry_out
from backend.archive.remotes.doers import DOERS
from backend.archive.remotes.managing import RemoteFacts, add_remote
from backend.archive.remotes.models import Remote, Transfer
from tests.archive.remotes.pacs import Pacs, orthanc


@pytest.fixture(scope="module")
def running_pacs(
    orthanc_installed: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pacs]:
    with orthanc(tmp_path_factory.mktemp("pacs")) as running:
        yield running


@pytest.fixture
def pacs(running_pacs: Pacs) -> Pacs:
    """An empty Orthanc."""
    running_pacs.clear()
    return running_pacs


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create(username="the-admin", is_superuser=True)


@pytest.fixture
def coordinator(alone: None, person: User) -> User:
    """Somebody who may upload, and is no administrator."""
    visibility.register_uploader(lambda user: user == person)
    return person


@pytest.fixture
def named(admin: User) -> Callable[..., Remote]:
    """Name a remote."""

    def name(url: str, name: str = "pacs", **facts: object) -> Remote:
        return add_remote(name=name, facts=RemoteFacts(url=url, **facts), actor=admin)  # type: ignore[arg-type]

    return name


@pytest.fixture
def pulled(coordinator: User) -> Callable[..., Transfer]:
    """Pull a study, or some of its series, in this process; the transfer as it ended."""

    def pull(remote: Remote, study: str, series: list[str] | None = None) -> Transfer:
        transfer = request_pull(remote=remote, wanted=Wanted(study, series), actor=coordinator)
        carry_out(transfer.pk, DOERS)
        transfer.refresh_from_db()
        return transfer

    return pull


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between tries are short."""
    monkeypatch.setattr(patience, "FIRST_PAUSE_SECONDS", 0.01)
