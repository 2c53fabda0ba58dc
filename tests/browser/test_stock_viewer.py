"""Stock OHIF, the npm package as it is, opens a study of the archive as of any PACS."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Route

from backend.reading.benchmarks.stock import FILES
from fixtures.phantom_dicom import write_series
from fixtures.small import small_phantom
from tests.journey.room import Person, browser
from tests.stack import Stack, until

pytestmark = [pytest.mark.browser, pytest.mark.deep]

# The configuration that OHIF's documentation gives for a DICOMweb server.
CONFIGURATION = """
window.config = {
  routerBasename: "/",
  extensions: [],
  modes: [],
  showStudyList: true,
  maxNumberOfWebWorkers: 2,
  investigationalUseDialog: { option: "never" },
  defaultDataSourceName: "dicomweb",
  dataSources: [{
    namespace: "@ohif/extension-default.dataSourcesModule.dicomweb",
    sourceName: "dicomweb",
    configuration: {
      friendlyName: "a PACS",
      name: "pacs",
      qidoRoot: "/dicom-web",
      wadoRoot: "/dicom-web",
      wadoUriRoot: "/dicom-web/wado",
      qidoSupportsIncludeField: true,
      imageRendering: "wadors",
      thumbnailRendering: "wadors",
      enableStudyLazyLoad: true,
      supportsFuzzyMatching: true,
      supportsWildcard: true,
      bulkDataURI: { enabled: true },
    },
  }],
};
"""


@pytest.fixture(scope="module")
def chrome(chromium: str) -> Iterator[Browser]:
    with browser(chromium) as running:
        yield running


@pytest.fixture(scope="module")
def archive() -> Iterator[Stack]:
    """Web and work, without an inference worker."""
    stack = Stack()
    try:
        yield stack.start(worker=False)
    finally:
        stack.close()


def test_stock_ohif_lists_and_opens_a_study(
    archive: Stack, chrome: Browser, tmp_path: Path
) -> None:
    folder = write_series(small_phantom(), tmp_path / "dicom", patient_id="PHANTOM-7")
    archive.manage("receive", "--as-is", str(folder))
    with closing(archive.client("coordinator")) as web:
        (study,) = web.get("/dicom-web/studies").json()
    uid = study["0020000D"]["Value"][0]
    person = Person(chrome, archive, "coordinator")
    person.sign_in("/archive/")
    person.page.route(_is_of_the_viewer, _from_the_package)
    person.page.goto("/")
    person.page.get_by_text("PHANTOM-7").first.wait_for()
    person.page.goto(f"/viewer?StudyInstanceUIDs={uid}")
    canvas = person.page.locator("canvas.cornerstone-canvas").first
    canvas.wait_for()
    until(lambda: _grey_levels(canvas.screenshot()) > 20, "an image on the canvas", 90)
    assert person.foreign == []


def _is_of_the_viewer(url: str) -> bool:
    """The archive answers what is below its own address; all else is the package's."""
    return not urlsplit(url).path.startswith("/dicom-web")


def _from_the_package(route: Route) -> None:
    name = urlsplit(route.request.url).path.lstrip("/")
    if name == "app-config.js":
        route.fulfill(body=CONFIGURATION, content_type="text/javascript")
    elif (FILES / name).is_file():
        route.fulfill(path=FILES / name)
    else:
        route.fulfill(path=FILES / "index.html")


def _grey_levels(picture: bytes) -> int:
    return len(np.unique(np.asarray(Image.open(io.BytesIO(picture)).convert("L"))))
