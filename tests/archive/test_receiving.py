"""What becomes of files that arrive, good and bad."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.archive import services
from backend.archive.models import Instance, KeptAside, Receipt, Series
from backend.audit.models import Event
from backend.store import store
from tests.archive.made import ct_series, ct_slice, encoded, written

Receive = Callable[..., Receipt]
pytestmark = pytest.mark.django_db


def only_kept(receipt: Receipt) -> KeptAside:
    return receipt.kept.get()


def counts(receipt: Receipt) -> tuple[int, int, int, int]:
    return receipt.stored, receipt.already_here, receipt.kept_aside, receipt.ignored


def test_a_folder_is_stored_whole_and_becomes_a_volume(
    tmp_path: Path, receive: Receive, ready: list[Series]
) -> None:
    slices = ct_series(5)
    (tmp_path / "neck" / "deep").mkdir(parents=True)
    written(tmp_path / "neck" / "deep", slices)
    seen: list[tuple[int, int, str]] = []
    receipt = receive(tmp_path / "neck", progress=lambda *step: seen.append(step))
    assert counts(receipt) == (5, 0, 0, 0)
    assert seen[-1] == (5, 5, "neck/deep/04.dcm")
    series = Series.objects.get()
    assert series.volume_state == "volume"
    assert series.grid["shape"] == [5, 12, 16]
    assert ready == [series]
    assert (series.contrast, series.contrast_agent) == (True, "Iomeron")
    assert series.patient_age_years == 63  # The birthday is a day after the study.
    assert series.slice_thickness_mm == 2.5
    first = Instance.objects.get(sop_uid=slices[0].SOPInstanceUID)
    assert store().read(first.blob) == encoded(slices[0])
    assert [e.action for e in Event.objects.order_by("number")][-2:] == [
        "receipt.closed",
        "series.judged",
    ]


def test_the_same_files_again_change_nothing(
    tmp_path: Path, receive: Receive, ready: list[Series]
) -> None:
    folder = written(tmp_path / "neck", ct_series(4))
    receive(folder)
    before = Series.objects.values().get()
    receipt = receive(folder)
    assert counts(receipt) == (0, 4, 0, 0)
    assert Series.objects.values().get() == before
    assert len(ready) == 1


def test_a_text_file_is_kept_aside_and_harms_nothing(tmp_path: Path, receive: Receive) -> None:
    folder = written(tmp_path / "neck", ct_series(4))
    (folder / "notes.txt").write_text("Dear colleague, please find enclosed …")
    receipt = receive(folder)
    assert counts(receipt) == (4, 0, 1, 0)
    kept = only_kept(receipt)
    assert kept.code == "NOT_DICOM"
    assert kept.message == "neck/notes.txt is not a DICOM file."
    assert kept.cure
    assert kept.blob == ""
    assert Series.objects.get().volume_state == "volume"


@pytest.mark.parametrize("cut", [50, 300, 700, 1100])
def test_a_cut_off_file_is_kept_aside(tmp_path: Path, receive: Receive, cut: int) -> None:
    slices = ct_series(4)
    folder = written(tmp_path / "neck", slices)
    extra = encoded(
        ct_slice(9, study=slices[0].StudyInstanceUID, series=slices[0].SeriesInstanceUID)
    )
    (folder / "broken.dcm").write_bytes(extra[: len(extra) - 50 if cut == 50 else cut])
    receipt = receive(folder)
    assert counts(receipt) == (4, 0, 1, 0)
    kept = only_kept(receipt)
    assert kept.code in {"TRUNCATED", "UNREADABLE", "NO_PIXELS", "MISSING_UID"}
    assert "broken.dcm" in kept.message
    assert Series.objects.get().volume_state == "volume"


def test_how_much_of_the_pixels_is_missing_is_said(tmp_path: Path, receive: Receive) -> None:
    data = encoded(ct_series(1)[0])
    (tmp_path / "half.dcm").write_bytes(data[:-100])
    kept = only_kept(receive(tmp_path / "half.dcm"))
    assert kept.message == "half.dcm is cut off: 284 of 384 bytes of its pixels are there."


def test_pixels_shorter_than_the_header_promises_are_truncated(
    tmp_path: Path, receive: Receive
) -> None:
    folder = written(tmp_path / "x", ct_series(1, Rows=13))
    assert only_kept(receive(folder)).code == "TRUNCATED"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("../../outside.dcm", "ZIP_PATH_OUTSIDE"),
        ("/etc/outside.dcm", "ZIP_PATH_OUTSIDE"),
        ("C:\\outside.dcm", "ZIP_PATH_OUTSIDE"),
        ("a/..\\..\\outside.dcm", "ZIP_PATH_OUTSIDE"),
    ],
)
def test_a_path_that_climbs_out_of_its_zip_is_not_read(
    tmp_path: Path, receive: Receive, content: Path, name: str, code: str
) -> None:
    slices = ct_series(5)
    place = tmp_path / "in"
    place.mkdir()
    with zipfile.ZipFile(place / "study.zip", "w") as archive:
        for number, ds in enumerate(slices[:4]):
            archive.writestr(f"deep/er/{number}.dcm", encoded(ds))
        info = zipfile.ZipInfo("x")
        info.filename = name
        archive.writestr(info, encoded(slices[4]))
    receipt = receive(place / "study.zip")
    assert counts(receipt) == (4, 0, 1, 0)
    assert only_kept(receipt).code == code
    assert "climbs out" in only_kept(receipt).message
    everything = {p.name for p in tmp_path.rglob("*") if p.is_file()}
    assert everything == {"study.zip"}
    assert Series.objects.get().volume_state == "volume"


def test_links_encrypted_and_oversized_entries_of_a_zip_are_not_read(
    tmp_path: Path, receive: Receive, settings: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "odd.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        link = zipfile.ZipInfo("link.dcm")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("locked.dcm", b"x" * 40)
        archive.writestr("inner.zip", b"PK\x03\x04" + b"0" * 30)
        archive.writestr("DICOMDIR", b"")
        archive.writestr("__MACOSX/._a.dcm", b"junk")
    raw = path.read_bytes().replace(b"locked.dcm", b"LOCKED.dcm")
    place = raw.rindex(b"LOCKED.dcm") - 46
    raw = raw[: place + 8] + b"\x01" + raw[place + 9 :]
    path.write_bytes(raw)
    receipt = receive(path)
    assert {k.code for k in receipt.kept.all()} == {"ZIP_LINK", "ZIP_ENCRYPTED", "ZIP_IN_ZIP"}
    assert receipt.ignored == 2
    assert Instance.objects.count() == 0


def test_a_zip_bomb_is_kept_aside_unopened(
    tmp_path: Path, receive: Receive, settings: pytest.FixtureRequest
) -> None:
    settings.MAX_UPLOAD_BYTES = 1 << 20  # type: ignore[attr-defined]
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"{number}.dcm", bytes(1 << 19))
    kept = only_kept(receive(path))
    assert kept.code == "ZIP_TOO_LARGE"
    assert "CONCORD_MAX_UPLOAD_BYTES" in kept.cure


def test_a_damaged_zip_has_its_sentence(tmp_path: Path, receive: Receive) -> None:
    (tmp_path / "half.zip").write_bytes(b"PK\x03\x04" + b"\x00" * 40)
    assert only_kept(receive(tmp_path / "half.zip")).code == "ZIP_DAMAGED"


def test_a_link_that_leads_out_of_the_folder_is_not_followed(
    tmp_path: Path, receive: Receive
) -> None:
    written(tmp_path / "secret", ct_series(1))
    folder = written(tmp_path / "neck", ct_series(1))
    (folder / "zz.dcm").symlink_to(tmp_path / "secret" / "00.dcm")
    receipt = receive(folder)
    assert counts(receipt) == (1, 0, 1, 0)
    assert only_kept(receipt).code == "LINK_OUTSIDE"


def test_a_path_that_is_not_there_has_its_sentence(tmp_path: Path, receive: Receive) -> None:
    assert only_kept(receive(tmp_path / "nothing")).code == "NOT_A_FILE"


def test_the_same_uids_with_other_pixels_are_refused_and_shown(
    tmp_path: Path, receive: Receive
) -> None:
    slices = ct_series(4)
    receive(written(tmp_path / "first", slices))
    before = list(Instance.objects.order_by("sop_uid").values("sop_uid", "blob"))
    for ds in slices:
        ds.PixelData = bytes(len(ds.PixelData))
    receipt = receive(written(tmp_path / "second", slices))
    assert counts(receipt) == (0, 0, 4, 0)
    kept = receipt.kept.first()
    assert kept is not None
    assert kept.code == "SAME_UID_OTHER_PIXELS"
    assert "already here" in kept.message
    assert "other pixels" in kept.message
    assert store().exists(kept.blob)
    assert list(Instance.objects.order_by("sop_uid").values("sop_uid", "blob")) == before
    assert Series.objects.get().volume_state == "volume"


def test_the_same_image_in_other_encoding_is_already_here(tmp_path: Path, receive: Receive) -> None:
    slices = ct_series(3)
    receive(written(tmp_path / "first", slices))
    for ds in slices:
        ds.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
    assert counts(receive(written(tmp_path / "second", slices))) == (0, 3, 0, 0)


def test_the_same_pixels_under_another_header_are_kept_aside(
    tmp_path: Path, receive: Receive
) -> None:
    slices = ct_series(3)
    receive(written(tmp_path / "first", slices))
    slices[1].PatientPosition = "FFS"
    receipt = receive(written(tmp_path / "second", slices))
    assert counts(receipt) == (0, 2, 1, 0)
    assert only_kept(receipt).code == "SAME_UID_OTHER_HEADER"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"StudyInstanceUID": "1.2.3.4"}, "SERIES_ELSEWHERE"),
        ({"PatientID": "PID-2"}, "STUDY_PATIENT"),
        ({"Modality": "MR"}, "SERIES_MODALITY"),
    ],
)
def test_an_image_that_claims_another_series_is_kept_aside(
    tmp_path: Path, receive: Receive, change: dict[str, str], code: str
) -> None:
    slices = ct_series(4)
    receive(written(tmp_path / "first", slices))
    stranger = ct_slice(
        7,
        **{
            "study": slices[0].StudyInstanceUID,
            "series": slices[0].SeriesInstanceUID,
            **change,
        },
    )
    receipt = receive(written(tmp_path / "second", [stranger]))
    assert only_kept(receipt).code == code
    series = Series.objects.get()
    assert series.volume_state == "volume"
    assert series.instances.count() == 4


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        ({"SOPInstanceUID": None}, "MISSING_UID", "SOP Instance UID"),
        ({"StudyInstanceUID": None}, "MISSING_UID", "Study Instance UID"),
        ({"SeriesInstanceUID": "1.2.3/../4"}, "BAD_UID", "Series Instance UID"),
        ({"PixelData": None}, "NO_PIXELS", "without pixels"),
        ({"BitsAllocated": None}, "PIXELS_UNREADABLE", "laid out"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_what_is_missing_is_named(
    tmp_path: Path, receive: Receive, change: dict[str, str | None], code: str, named: str
) -> None:
    ds = ct_slice(0, study="1.2.3", series="1.2.3.4")
    ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.1"
    for keyword, value in change.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    kept = only_kept(receive(written_leniently(tmp_path, ds)))
    assert kept.code == code
    assert named in kept.message


def written_leniently(folder: Path, ds: object) -> Path:
    import pydicom

    path = folder / "odd.dcm"
    pydicom.dcmwrite(path, ds)  # type: ignore[arg-type]
    data = path.read_bytes()
    if data[128:132] != b"DICM":
        path.write_bytes(data)
    return path


def test_an_object_without_preamble_is_stored_with_one(tmp_path: Path, receive: Receive) -> None:
    data = encoded(ct_slice(0, study="1.2.3", series="1.2.3.4"))
    length = int.from_bytes(data[140:144], "little")
    (tmp_path / "bare.dcm").write_bytes(data[144 + length :])
    assert counts(receive(tmp_path / "bare.dcm")) == (1, 0, 0, 0)
    assert store().read(Instance.objects.get().blob)[128:132] == b"DICM"


def test_images_that_come_late_are_kept_aside(tmp_path: Path, receive: Receive) -> None:
    slices = ct_series(5)
    receive(written(tmp_path / "first", slices[:4]))
    Series.objects.update(bound=True)
    before = Series.objects.values().get()
    receipt = receive(written(tmp_path / "all", slices))
    assert counts(receipt) == (0, 4, 1, 0)
    kept = only_kept(receipt)
    assert kept.code == "LATE_IMAGE"
    assert kept.sop_uid == slices[4].SOPInstanceUID
    assert Series.objects.values().get() == before


def test_images_that_come_before_a_case_is_bound_are_judged_again(
    tmp_path: Path, receive: Receive, ready: list[Series]
) -> None:
    slices = ct_series(5)
    receive(written(tmp_path / "first", slices[:4]))
    receive(written(tmp_path / "rest", slices[4:]))
    assert [s.grid["shape"][0] for s in ready] == [4, 5]


def test_stow_parts_wait_until_the_series_is_quiet(
    settings: pytest.FixtureRequest, ready: list[Series]
) -> None:
    files = [lambda ds=ds: encoded(ds) for ds in ct_series(4)]
    services.store_instances(files=files, actor=None, source="stow")
    assert Series.objects.get().volume_state == "pending"
    assert services.judge_quiet_series() == []
    settings.QUIET_SECONDS = 0  # type: ignore[attr-defined]
    assert [s.volume_state for s in services.judge_quiet_series()] == ["volume"]
    assert len(ready) == 1


def test_a_link_that_leads_to_itself_stops_no_batch(tmp_path: Path, receive: Receive) -> None:
    folder = written(tmp_path / "neck", ct_series(1))
    (folder / "zz.dcm").symlink_to("zz.dcm")
    receipt = receive(folder)
    assert counts(receipt) == (1, 0, 1, 0)
    assert only_kept(receipt).code == "NOT_A_FILE"


def test_names_no_person_would_give_stop_no_batch(tmp_path: Path, receive: Receive) -> None:
    for name in (b"\xff\xfe.dcm", "ü".encode() * 120, b"a\nb.dcm"):
        (tmp_path / os.fsdecode(name)).write_bytes(b"x")
    assert counts(receive(tmp_path)) == (0, 0, 3, 0)


def test_a_zip_with_nothing_in_it_has_its_sentence(tmp_path: Path, receive: Receive) -> None:
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    assert only_kept(receive(tmp_path / "empty.zip")).code == "ZIP_EMPTY"


@pytest.mark.parametrize(
    "packing",
    [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA],
)
def test_a_damaged_entry_of_any_packing_harms_no_other(
    tmp_path: Path, receive: Receive, packing: int
) -> None:
    first, second = (encoded(ds) for ds in ct_series(2))
    path = tmp_path / "neck.zip"
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("1.dcm", first)
        archive.writestr("2.dcm", second)
    data = bytearray(path.read_bytes())
    start = data.find(b"1.dcm") + 5 + 20
    data[start : start + 60] = bytes(range(100, 160))
    path.write_bytes(data)
    receipt = receive(path)
    assert counts(receipt) == (1, 0, 1, 0)
    assert only_kept(receipt).code == "ZIP_DAMAGED"


def test_a_sentence_that_quotes_a_nul_can_be_kept(tmp_path: Path, receive: Receive) -> None:
    data = encoded(ct_series(1)[0])
    syntax = b"1.2.840.10008.1.2.1\x00"
    assert syntax in data
    (tmp_path / "odd.dcm").write_bytes(data.replace(syntax, b"1.2\x00840\x0010008.1.2.1\x00"))
    assert only_kept(receive(tmp_path / "odd.dcm")).code == "UNSUPPORTED_SYNTAX"
