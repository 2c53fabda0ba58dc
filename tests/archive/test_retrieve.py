"""WADO in full: compressed frames, whole objects in other syntaxes, ranges, pictures, WADO-URI."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from django.test import Client
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from backend.accounts.models import User
from backend.archive.models import Instance
from backend.store import store
from tests.archive.made import address, ct_series, encoded, values, written

pytestmark = pytest.mark.django_db
Receive = Callable[..., Any]
HTJ2K, RLE = "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.5"
EXPLICIT = "1.2.840.10008.1.2.1"


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)


def parts_of(answer: Any) -> list[tuple[str, bytes]]:
    """Type and bytes of each part of a multipart answer."""
    boundary = answer["Content-Type"].partition("boundary=")[2].strip('"').encode()
    found = []
    for piece in body_of(answer).split(b"--" + boundary)[1:-1]:
        head, _, rest = piece.partition(b"\r\n\r\n")
        kind = head.partition(b":")[2].strip().decode()
        found.append((kind, rest.removesuffix(b"\r\n")))
    return found


@pytest.fixture
def packed(tmp_path: Path, receive: Receive) -> list[Dataset]:
    """Three slices in RLE."""
    made = ct_series(3)
    for ds in made:
        ds.compress(RLE, generate_instance_uid=False)
    receive(written(tmp_path / "packed", made))
    return made


# Frames, compressed.


@pytest.mark.parametrize(
    "accept",
    [
        "image/jphc",
        f"image/jphc; transfer-syntax={HTJ2K}",
        f"application/octet-stream; transfer-syntax={HTJ2K}",
        'multipart/related; type="image/jphc"',
        f'multipart/related; type="image/jphc"; transfer-syntax={HTJ2K}',
        f"multipart/related; type=application/octet-stream; transfer-syntax={HTJ2K}",
        'multipart/related; type="image/jphc";q=0.9, application/octet-stream;q=0.1',
    ],
)
def test_frames_come_as_htj2k(
    slices: list[Dataset], coordinator: User, browser: Client, accept: str
) -> None:
    answer = browser.get(f"{address(slices[2])}/frames/1", headers={"Accept": accept})
    assert answer.status_code == 200
    kind, data = answer["Content-Type"], body_of(answer)
    if kind.startswith("multipart/"):
        assert 'type="image/jphc"' in kind
        ((kind, data),) = parts_of(answer)
    assert kind == f"image/jphc; transfer-syntax={HTJ2K}"
    assert np.array_equal(imagecodecs.htj2k_decode(data), values(2))
    known = {"Accept": accept, "If-None-Match": answer["ETag"]}
    assert browser.get(f"{address(slices[2])}/frames/1", headers=known).status_code == 304
    plain = browser.get(f"{address(slices[2])}/frames/1")
    assert plain["ETag"] != answer["ETag"]


def test_frames_come_as_they_are_stored(
    packed: list[Dataset], coordinator: User, browser: Client
) -> None:
    path = f"{address(packed[1])}/frames/1"
    stored = next(generate_frames(packed[1].PixelData, number_of_frames=1))
    answer = browser.get(path, headers={"Accept": "image/dicom-rle"})
    assert body_of(answer) == stored
    assert answer["Cache-Control"].endswith("immutable")
    ((kind, data),) = parts_of(
        browser.get(path, headers={"Accept": 'multipart/related; type="image/dicom-rle"'})
    )
    assert (kind, data) == (f"image/dicom-rle; transfer-syntax={RLE}", stored)
    refused = browser.get(path, headers={"Accept": "image/jls"})
    assert refused.status_code == 406
    forms = refused.json()["possible"]
    assert any("image/dicom-rle" in form for form in forms)
    for form in forms:
        assert browser.get(path, headers={"Accept": form}).status_code == 200, form


def test_any_syntax_means_the_uncompressed_one(
    packed: list[Dataset], coordinator: User, browser: Client
) -> None:
    accept = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
    ((kind, data),) = parts_of(browser.get(f"{address(packed[1])}/frames/1", headers=accept))
    assert kind == f"application/octet-stream; transfer-syntax={EXPLICIT}"
    assert data == values(1).tobytes()


# Whole objects.


@pytest.mark.parametrize("syntax", [HTJ2K, EXPLICIT, RLE])
def test_objects_come_in_another_syntax(
    packed: list[Dataset], coordinator: User, browser: Client, syntax: str
) -> None:
    accept = {"Accept": f"application/dicom; transfer-syntax={syntax}"}
    answer = browser.get(address(packed[1]), headers=accept)
    assert answer["Content-Type"] == f"application/dicom; transfer-syntax={syntax}"
    back = pydicom.dcmread(io.BytesIO(body_of(answer)))
    assert back.file_meta.TransferSyntaxUID == syntax
    if syntax == HTJ2K:
        (data,) = generate_frames(back.PixelData, number_of_frames=1)
        assert np.array_equal(imagecodecs.htj2k_decode(data), values(1))
    assert np.array_equal(back.pixel_array, values(1))
    assert back.SOPInstanceUID == packed[1].SOPInstanceUID
    whole = browser.get(
        address(packed[1], deep=False),
        headers={
            "Accept": f'multipart/related; type="application/dicom"; transfer-syntax={syntax}'
        },
    )
    kinds = [kind for kind, _ in parts_of(whole)]
    assert kinds == [f"application/dicom; transfer-syntax={syntax}"] * 3


def test_a_syntax_that_cannot_be_given_is_refused_with_those_that_can(
    slices: list[Dataset], coordinator: User, browser: Client
) -> None:
    accept = {"Accept": "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90"}
    refused = browser.get(address(slices[0]), headers=accept)
    assert refused.status_code == 406
    assert {form.rpartition("=")[2] for form in refused.json()["possible"]} == {
        "*",
        EXPLICIT,
        HTJ2K,
    }


def test_one_bit_pixels_keep_their_place_in_another_syntax(
    tmp_path: Path, receive: Receive, coordinator: User, browser: Client
) -> None:
    """Frames of one bit follow one another without a gap: 5 × 5 pixels are no whole bytes."""
    bits = np.random.default_rng(4).integers(0, 2, (3, 5, 5)).astype(np.uint8)
    (seg,) = ct_series(1, Modality="SEG", SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4")
    seg.Rows, seg.Columns, seg.NumberOfFrames = 5, 5, 3
    seg.BitsAllocated, seg.BitsStored, seg.HighBit, seg.PixelRepresentation = 1, 1, 0, 0
    data = np.packbits(bits.ravel(), bitorder="little").tobytes()
    seg.PixelData = data + b"\x00" * (len(data) % 2)
    seg.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    receive(written(tmp_path / "seg", [seg]))
    accept = {"Accept": f"application/dicom; transfer-syntax={EXPLICIT}"}
    back = pydicom.dcmread(io.BytesIO(body_of(browser.get(address(seg), headers=accept))))
    assert np.array_equal(back.pixel_array, bits)
    bulk = browser.get(
        f"{address(seg)}/bulkdata/7FE00010", headers={"Accept": "application/octet-stream"}
    )
    assert body_of(bulk)[: len(data)] == data
    frame = browser.get(f"{address(seg)}/frames/2", headers={"Accept": "application/octet-stream"})
    assert np.array_equal(
        np.unpackbits(np.frombuffer(frame.content, np.uint8), bitorder="little")[:25],
        bits[1].ravel(),
    )


# Conditions and ranges.


def single_bodies(ds: Dataset) -> dict[str, tuple[str, bytes]]:
    """Addresses of one body each: what to accept, and the bytes."""
    pixels = bytes(ds.PixelData)
    return {
        address(ds): ("application/dicom", encoded(ds)),
        f"{address(ds)}/frames/1": ("application/octet-stream", pixels),
        f"{address(ds)}/bulkdata/7FE00010": ("application/octet-stream", pixels),
    }


def test_single_bodies_have_an_etag_and_give_ranges(
    slices: list[Dataset], coordinator: User, browser: Client
) -> None:
    for path, (accept, data) in single_bodies(slices[1]).items():
        kind = {"Accept": accept}
        whole = browser.get(path, headers=kind)
        assert body_of(whole) == data
        assert whole["Accept-Ranges"] == "bytes"
        assert whole["Cache-Control"] == "private, max-age=31536000, immutable"
        assert whole["ETag"].startswith('"')
        for wanted, start, stop in (
            ("bytes=0-9", 0, 10),
            ("bytes=10-", 10, len(data)),
            ("bytes=-7", len(data) - 7, len(data)),
            (f"bytes=5-{len(data) * 9}", 5, len(data)),
        ):
            some = browser.get(path, headers={**kind, "Range": wanted})
            assert some.status_code == 206
            assert body_of(some) == data[start:stop]
            assert some["Content-Range"] == f"bytes {start}-{stop - 1}/{len(data)}"
        for wanted in (f"bytes={len(data)}-", "bytes=-0", "bytes=9-5"):
            none = browser.get(path, headers={**kind, "Range": wanted})
            assert none.status_code == 416
            assert none["Content-Range"] == f"bytes */{len(data)}"
            assert none.json()["cure"]
        for wanted in ("bytes=0-1,4-5", "lines=1-2", "bytes=-"):
            assert browser.get(path, headers={**kind, "Range": wanted}).status_code == 200
        part = {**kind, "Range": "bytes=0-1"}
        assert browser.get(path, headers={**part, "If-Range": whole["ETag"]}).status_code == 206
        assert browser.get(path, headers={**part, "If-Range": '"other"'}).status_code == 200
        for tag in (whole["ETag"], f'"x", {whole["ETag"]}', f"W/{whole['ETag']}", "*"):
            same = browser.get(path, headers={**kind, "If-None-Match": tag})
            assert same.status_code == 304
            assert same["ETag"] == whole["ETag"]
        head = browser.head(path, headers=kind)
        assert (head.status_code, head["Content-Length"]) == (200, str(len(data)))


def test_only_bytes_that_cannot_change_are_kept_for_ever(
    slices: list[Dataset], person: User, sees_all: None, browser: Client
) -> None:
    """Somebody who does not see the patient gets a file made for them, by the code of today."""
    made = browser.get(address(slices[0]), headers={"Accept": "application/dicom"})
    assert made["Cache-Control"] == "private, no-cache"
    again = browser.get(
        address(slices[0]),
        headers={"Accept": "application/dicom", "If-None-Match": made["ETag"]},
    )
    assert again.status_code == 304
    for path in ("/metadata", "/rendered", "/thumbnail"):
        first = browser.get(f"{address(slices[0])}{path}")
        assert first["Cache-Control"] == "private, no-cache"
        same = {"If-None-Match": first["ETag"]}
        assert browser.get(f"{address(slices[0])}{path}", headers=same).status_code == 304
    assert "immutable" not in browser.get(address(slices[0], deep=False))["Cache-Control"]
    assert browser.get(address(slices[0], deep=False))["Cache-Control"] == "private, no-cache"


def test_bytes_that_are_lost_are_said_to_be(
    slices: list[Dataset], coordinator: User, browser: Client
) -> None:
    store().path(Instance.objects.get(sop_uid=slices[0].SOPInstanceUID).blob).unlink()
    for path in (f"{address(slices[0])}/frames/1", f"{address(slices[0])}/rendered"):
        answer = browser.get(path)
        assert answer.status_code == 503
        assert "verify_store" in answer.json()["cure"]


# Pictures.


def pixels_of(answer: Any) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(body_of(answer)))).astype(int)


def test_windows_are_those_of_the_standard(
    slices: list[Dataset], coordinator: User, browser: Client
) -> None:
    path = f"{address(slices[0])}/rendered"
    hu = values(0).astype(float) - 1024
    linear = ((hu - (-950 - 0.5)) / (200 - 1) + 0.5) * 255
    exact = ((hu - -950) / 200 + 0.5) * 255
    sigmoid = 255 / (1 + np.exp(-4 * (hu - -950) / 200))
    for function, expected in (("linear", linear), ("linear-exact", exact), ("sigmoid", sigmoid)):
        shown = pixels_of(browser.get(path, {"window": f"-950,200,{function}"}))
        assert np.array_equal(shown, np.rint(np.clip(expected, 0, 255)))
    assert np.array_equal(
        pixels_of(browser.get(path)), np.rint(np.clip((hu - 59.5) / 349 + 0.5, 0, 1) * 255)
    )
    narrow = pixels_of(browser.get(path, {"window": "-950,1,linear"}))
    assert set(np.unique(narrow)) <= {0, 255}


def test_a_picture_is_cut_scaled_and_turned(
    slices: list[Dataset], coordinator: User, browser: Client
) -> None:
    path = f"{address(slices[0])}/rendered"
    whole = pixels_of(browser.get(path, {"window": "-900,300,linear"}))
    part = {"window": "-900,300,linear", "viewport": "4,3,2,1,4,3"}
    assert np.array_equal(pixels_of(browser.get(path, part)), whole[1:4, 2:6])
    part["viewport"] = "4,3,2,1,-4,-3"
    assert np.array_equal(pixels_of(browser.get(path, part)), whole[1:4, 2:6][::-1, ::-1])
    half = browser.get(path, {"viewport": "8,100"})
    assert Image.open(io.BytesIO(body_of(half))).size == (8, 6)
    twice = browser.get(path, {"viewport": "32,24"})
    assert Image.open(io.BytesIO(body_of(twice))).size == (32, 24)
    huge = browser.get(path, {"viewport": "1e300,1e300"})
    assert max(Image.open(io.BytesIO(body_of(huge))).size) == 4096


@pytest.mark.parametrize(
    "query",
    [
        {"window": "1"},
        {"window": "1,0,linear"},
        {"window": "1,2,cubic"},
        {"window": "nan,2,linear"},
        {"viewport": "0,10"},
        {"viewport": "-5,10"},
        {"viewport": "1,2,3"},
        {"viewport": "inf,2"},
        {"quality": "0"},
        {"quality": "101"},
        {"quality": "high"},
    ],
)
def test_a_picture_that_cannot_be_is_refused_with_a_cure(
    slices: list[Dataset], coordinator: User, browser: Client, query: dict[str, str]
) -> None:
    answer = browser.get(f"{address(slices[0])}/rendered", query)
    assert answer.status_code == 400
    assert next(iter(query)) in answer.json()["cure"]


def test_quality_and_annotation_are_heeded_or_said_not_to_be(
    slices: list[Dataset], coordinator: User, browser: Client
) -> None:
    path = f"{address(slices[0])}/rendered"
    sizes = [
        len(body_of(browser.get(path, {"quality": quality}, headers={"Accept": "image/jpeg"})))
        for quality in ("5", "95")
    ]
    assert sizes[0] < sizes[1]
    assert "annotation" in browser.get(path, {"annotation": "patient"})["Warning"]
    assert "Warning" not in browser.get(path)
    assert browser.get(path, headers={"Accept": "image/gif"}).status_code == 406


def test_a_series_is_rendered_in_parts(
    slices: list[Dataset], coordinator: User, browser: Client
) -> None:
    for path in (address(slices[0], deep=False), address(slices[0]).partition("/series/")[0]):
        answer = browser.get(f"{path}/rendered", headers={"Accept": "image/png"})
        assert answer.status_code == 406
        for accept in ("*/*", 'multipart/related; type="image/jpeg"'):
            shown = parts_of(browser.get(f"{path}/rendered", headers={"Accept": accept}))
            assert len(shown) == 4
            assert {kind for kind, _ in shown} == {
                "image/jpeg" if "jpeg" in accept else "image/png"
            }


def test_many_frames_have_pictures_of_their_own_windows(
    tmp_path: Path, receive: Receive, coordinator: User, browser: Client
) -> None:
    (ds,) = ct_series(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1", NumberOfFrames=3)
    ds.PixelData = b"".join(values(i).tobytes() for i in range(3))
    for keyword in ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"):
        delattr(ds, keyword)
    shared, ds.PerFrameFunctionalGroupsSequence = Dataset(), []
    rescale = Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept = 2, -10
    shared.PixelValueTransformationSequence = [rescale]
    ds.SharedFunctionalGroupsSequence = [shared]
    for index in range(3):
        window, group = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = 100 * (index + 1), 101
        group.FrameVOILUTSequence = [window]
        ds.PerFrameFunctionalGroupsSequence.append(group)
    receive(written(tmp_path / "enhanced", [ds]))
    for index in range(3):
        expected = (values(index) * 2.0 - 10 - (100 * (index + 1) - 0.5)) / 100 + 0.5
        shown = pixels_of(browser.get(f"{address(ds)}/frames/{index + 1}/rendered"))
        assert np.array_equal(shown, np.rint(np.clip(expected, 0, 1) * 255))
    several = browser.get(f"{address(ds)}/frames/1,3/rendered")
    assert len(parts_of(several)) == 2
    accept = {"Accept": 'multipart/related; type="image/png"'}
    assert len(parts_of(browser.get(f"{address(ds)}/rendered", headers=accept))) == 3
    assert browser.get(f"{address(ds)}/frames/4/rendered").status_code == 404
    assert browser.get(f"{address(ds)}/frames/3/thumbnail").status_code == 200


# WADO-URI.


def old(ds: Dataset, **more: str) -> dict[str, str]:
    return {
        "requestType": "WADO",
        "studyUID": ds.StudyInstanceUID,
        "seriesUID": ds.SeriesInstanceUID,
        "objectUID": ds.SOPInstanceUID,
        **more,
    }


def test_old_clients_get_files_and_pictures(
    slices: list[Dataset], coordinator: User, browser: Client
) -> None:
    for root in ("/wado", "/dicom-web/wado"):
        file = browser.get(root, old(slices[1], contentType="application/dicom"))
        assert body_of(file) == encoded(slices[1])
        usual = browser.get(root, old(slices[1]))
        assert usual["Content-Type"] == "image/jpeg"
        asked = old(
            slices[0], contentType="image/png", windowCenter="-900", windowWidth="300", rows="6"
        )
        small = Image.open(io.BytesIO(body_of(browser.get(root, asked))))
        assert (small.format, small.size) == ("PNG", (8, 6))
    recoded = browser.get(
        "/wado", old(slices[1], contentType="application/dicom", transferSyntax=HTJ2K)
    )
    back = pydicom.dcmread(io.BytesIO(body_of(recoded)))
    assert back.file_meta.TransferSyntaxUID == HTJ2K
    region = browser.get("/wado", old(slices[0], contentType="image/png", region="0,0,0.5,0.5"))
    assert Image.open(io.BytesIO(body_of(region))).size == (8, 6)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"requestType": "QIDO"}, 400),
        ({"objectUID": ""}, 400),
        ({"objectUID": "1.2.3"}, 404),
        ({"frameNumber": "2", "contentType": "image/png"}, 404),
        ({"frameNumber": "x"}, 400),
        ({"contentType": "text/html"}, 406),
        ({"windowCenter": "40"}, 400),
        ({"rows": "-3"}, 400),
        ({"region": "0,0,2,2"}, 400),
    ],
)
def test_old_requests_that_cannot_be_are_refused_with_a_cure(
    slices: list[Dataset], coordinator: User, browser: Client, more: dict[str, str], status: int
) -> None:
    answer = browser.get("/wado", old(slices[0], **more))
    assert answer.status_code == status
    assert answer.json()["cure"].endswith(".")
