"""A large upload is never in the web process's memory: a few pieces and one batch of images are."""

from __future__ import annotations

import os
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.archive.made import ct_series, encoded
from tests.stack import Stack

pytestmark = pytest.mark.deep

SIDE = 2048  # 8 MiB an image.
PIECE = 4 << 20
# One batch of 64 MiB of images (receiving.BATCH_BYTES), each there as bytes and as a data set
# while it is parsed, hashed and written.
ROOM = 320 << 20


@pytest.fixture
def web() -> Iterator[Stack]:
    """A web process alone."""
    stack = Stack()
    stack.as_is("upload", "upload page")
    try:
        stack.start_web()
        yield stack
    finally:
        stack.close()


def packed(path: Path, count: int) -> int:
    """A zip of images of 8 MiB, not compressed; its length."""
    noise = np.random.default_rng(1).integers(0, 4000, (SIDE, SIDE), dtype=np.int16)
    slices = ct_series(count)
    with zipfile.ZipFile(path, "w") as archive:
        for ds in slices:
            ds.Rows = ds.Columns = SIDE
            ds.PixelData = np.roll(noise, ds.InstanceNumber).tobytes()
            archive.writestr(f"{ds.InstanceNumber}.dcm", encoded(ds))
    return path.stat().st_size


def memory(stack: Stack, what: str) -> int:
    """`VmRSS` (now) or `VmHWM` (at most so far) of the web process, in bytes."""
    assert stack.web.process is not None
    for line in Path(f"/proc/{stack.web.process.pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) << 10
    raise AssertionError(what)


def send(client: httpx.Client, path: Path) -> dict[str, int]:
    """Upload a file in pieces, as the page does; what became of it."""
    headers = {"Accept": "application/json"}
    said = {"receipt": str(uuid.uuid4()), "name": path.name, "size": str(path.stat().st_size)}
    told = client.post("/archive/upload/begin", data=said, headers=headers).json()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            address = f"/archive/upload/files/{told['file']}?offset={told['received']}"
            told = client.post(address, content=piece, headers=headers).json()
    address = f"/archive/upload/files/{told['file']}/take"
    answer = client.post(address, data={"name": path.name}, headers=headers, timeout=500)
    counts: dict[str, int] = answer.json()["counts"]
    return counts


@pytest.mark.parametrize(
    "count", [64, pytest.param(130, marks=pytest.mark.long)], ids=["512 MiB", "1 GiB"]
)
def test_a_large_zip_is_never_in_the_web_process_memory(
    web: Stack, tmp_path: Path, count: int
) -> None:
    client = web.client("coordinator")
    packed(tmp_path / "small.zip", 2)
    assert send(client, tmp_path / "small.zip") == {"stored": 2}
    before = memory(web, "VmRSS")
    size = packed(tmp_path / "large.zip", count)
    assert size > count * 8 << 20
    assert web.web.process is not None
    Path(f"/proc/{web.web.process.pid}/clear_refs").write_text("5")  # Begin VmHWM anew.
    assert send(client, tmp_path / "large.zip") == {"stored": count}
    grown = memory(web, "VmHWM") - before
    assert grown < ROOM, f"{grown >> 20} MiB more for a zip of {size >> 20} MiB"
    assert os.listdir(web.state / "spool") == []
