"""The DICOM listener, spoken to by dcmtk's own programs."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pynetdicom.dsutils import encode

from backend.archive.dimse import BadSenders, Sender, senders_of
from backend.database import free_port
from tests.archive.made import ct_series, values, written
from tests.archive.remotes.pacs import orthanc
from tests.archive.rough_sender import RoughSender
from tests.archive.test_live import web_of
from tests.stack import Stack, until


@pytest.fixture(scope="module")
def listening() -> Iterator[tuple[Stack, int]]:
    """Web and work, and a listener for SCANNER from anywhere and PACS from another address."""
    port = free_port()
    stack = Stack(
        CONCORD_DIMSE_PORT=str(port),
        CONCORD_DIMSE_SENDERS="SCANNER, PACS@192.0.2.7",
    )
    stack.as_is("dimse", "SCANNER")
    stack.start(worker=False)
    listener = stack._child("dimse", sys.executable, "manage.py", "dimse")
    listener.start()
    log = stack.state / "logs" / "dimse.log"
    try:
        until(lambda: "listens on" in log.read_text(), "the listener", 60, stack.words)
        yield stack, port
    finally:
        listener.stop()
        stack.close()


def dcmtk(program: str, port: int, title: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """storescu or echoscu, as `title`."""
    return subprocess.run(
        [program, "-v", "-aet", title, "-aec", "CONCORD", "127.0.0.1", str(port), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def last_receipt(stack: Stack) -> tuple[object, ...]:
    """Source, door, stored, already here, kept aside, and whether it ended; of the last batch."""
    columns = "source, door, stored, already_here, kept_aside"
    until(
        lambda: (
            stack.query("select count(*) from archive_receipt where closed_at is null") == [(0,)]
        ),
        "the batch to end",
        30,
        stack.words,
    )
    return stack.query(
        f"select {columns}, closed_at is not null from archive_receipt "  # noqa: S608 - our names
        "order by started_at desc limit 1"
    )[0]


def test_a_known_sender_is_answered_and_its_images_become_a_volume(
    listening: tuple[Stack, int], dcmtk_installed: None, tmp_path: Path
) -> None:
    stack, port = listening
    assert dcmtk("echoscu", port, "SCANNER").returncode == 0
    slices = ct_series(5)
    folder = written(tmp_path / "neck", slices)
    done = dcmtk("storescu", port, "SCANNER", "+sd", str(folder))
    assert done.returncode == 0, done.stderr
    uid = slices[0].SeriesInstanceUID
    state = "select volume_state from archive_series where uid = %s"
    until(lambda: stack.query(state, uid) == [("volume",)], "a volume", 60, stack.words)
    assert last_receipt(stack) == ("SCANNER at 127.0.0.1", "dimse", 5, 0, 0, True)
    back = web_of(stack, "coordinator").retrieve_series(slices[0].StudyInstanceUID, uid)
    for index, ds in enumerate(back):
        assert ds.PixelData == values(index).tobytes()
    again = dcmtk("storescu", port, "SCANNER", "+sd", str(folder))
    assert again.returncode == 0
    assert last_receipt(stack) == ("SCANNER at 127.0.0.1", "dimse", 0, 5, 0, True)


@pytest.mark.parametrize("title", ["STRANGER", "PACS"])
def test_who_is_not_on_the_list_is_turned_away(
    listening: tuple[Stack, int], dcmtk_installed: None, tmp_path: Path, title: str
) -> None:
    stack, port = listening
    before = stack.query("select count(*) from archive_receipt")
    assert dcmtk("echoscu", port, title).returncode != 0
    folder = written(tmp_path / "neck", ct_series(2))
    done = dcmtk("storescu", port, title, "+sd", str(folder))
    assert done.returncode != 0
    assert "Calling AE Title Not Recognized" in done.stderr + done.stdout
    assert stack.query("select count(*) from archive_receipt") == before


def test_a_bad_object_is_refused_by_name_and_harms_no_other(
    listening: tuple[Stack, int], dcmtk_installed: None, tmp_path: Path
) -> None:
    stack, port = listening
    slices = ct_series(4)
    folder = written(tmp_path / "neck", slices)
    assert dcmtk("storescu", port, "SCANNER", "+sd", str(folder)).returncode == 0
    changed = pydicom.dcmread(sorted(folder.iterdir())[1])
    changed.PixelData = bytes(len(changed.PixelData))
    other = written(tmp_path / "other", [changed, *ct_series(2)])
    done = dcmtk("storescu", port, "SCANNER", "-nh", "+sd", str(other))
    assert "Status: 0x111" in done.stderr
    assert last_receipt(stack)[2:5] == (2, 0, 1)
    kept = stack.query("select code, message from archive_keptaside order by at desc limit 1")
    assert kept[0][0] == "SAME_UID_OTHER_PIXELS"


def test_two_senders_at_once_make_one_study(
    listening: tuple[Stack, int], dcmtk_installed: None, tmp_path: Path
) -> None:
    stack, port = listening
    slices = ct_series(8)
    folder = written(tmp_path / "neck", slices)
    command = ["storescu", "-aet", "SCANNER", "-aec", "CONCORD", "127.0.0.1", str(port)]
    both = [subprocess.Popen([*command, "+sd", str(folder)]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    count = "select count(*) from archive_instance i join archive_series s on s.id = i.series_id"
    assert stack.query(f"{count} where s.uid = %s", slices[0].SeriesInstanceUID) == [(8,)]


SYNTAXES = {
    "-xe": "1.2.840.10008.1.2.1",
    "-xb": "1.2.840.10008.1.2.2",
    "-xi": "1.2.840.10008.1.2",
    "-xd": "1.2.840.10008.1.2.1.99",
    "-xs": "1.2.840.10008.1.2.4.70",
    "-xt": "1.2.840.10008.1.2.4.80",
    "-xv": "1.2.840.10008.1.2.4.90",
    "-xr": "1.2.840.10008.1.2.5",
}


@pytest.mark.parametrize("proposed", list(SYNTAXES))
def test_each_transfer_syntax_is_taken_as_it_is_sent(
    listening: tuple[Stack, int], dcmtk_installed: None, tmp_path: Path, proposed: str
) -> None:
    stack, port = listening
    slices, syntax = ct_series(2), SYNTAXES[proposed]
    for ds in slices:
        recode(ds, syntax)
    folder = written(tmp_path / "neck", slices)
    done = dcmtk("storescu", port, "SCANNER", proposed, "+sd", str(folder))
    assert done.returncode == 0, done.stderr
    rows = stack.query(
        "select transfer_syntax from archive_instance where sop_uid = any(%s)",
        [ds.SOPInstanceUID for ds in slices],
    )
    assert rows == [(syntax,)] * 2
    web = web_of(stack, "coordinator")
    for index, ds in enumerate(slices):
        uids = ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID
        frame = web.retrieve_instance_frames(*uids, [1])[0]
        assert frame == values(index).tobytes()


def recode(ds: pydicom.Dataset, syntax: str) -> None:
    """The same pixels in another transfer syntax, losslessly."""
    uid = pydicom.uid.UID(syntax)
    if not uid.is_compressed or uid.is_deflated:
        ds.file_meta.TransferSyntaxUID = uid
        if not uid.is_little_endian:
            ds.PixelData = np.frombuffer(ds.PixelData, "<i2").astype(">i2").tobytes()
        return
    plane = np.frombuffer(ds.PixelData, "<i2").reshape(ds.Rows, ds.Columns)
    encoders = {
        "1.2.840.10008.1.2.4.70": lambda p: imagecodecs.ljpeg_encode(p.view(np.uint16)),
        "1.2.840.10008.1.2.4.80": lambda p: imagecodecs.jpegls_encode(p.view(np.uint16)),
        "1.2.840.10008.1.2.4.90": lambda p: imagecodecs.jpeg2k_encode(
            p.view(np.uint16), level=0, reversible=True, codecformat="j2k"
        ),
    }
    if syntax in encoders:
        ds.PixelRepresentation = 0  # These are all above zero.
        ds.PixelData = encapsulate([encoders[syntax](plane)])
        ds["PixelData"].is_undefined_length = True
        ds["PixelData"].VR = "OB"
        ds.file_meta.TransferSyntaxUID = uid
    else:
        ds.compress(uid, encoding_plugin="pydicom", generate_instance_uid=False)


def test_a_query_is_not_answered_and_the_listener_lives_on(
    listening: tuple[Stack, int], dcmtk_installed: None
) -> None:
    _stack, port = listening
    asked = dcmtk(
        "findscu", port, "SCANNER", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID"
    )
    assert asked.returncode != 0
    assert "No Acceptable Presentation Contexts" in asked.stderr + asked.stdout
    assert dcmtk("echoscu", port, "SCANNER").returncode == 0


def test_two_associations_of_one_study_at_once_end_whole(
    listening: tuple[Stack, int], dcmtk_installed: None, tmp_path: Path
) -> None:
    stack, port = listening
    slices = ct_series(24)
    halves = [
        written(tmp_path / name, part) for name, part in (("a", slices[::2]), ("b", slices[1::2]))
    ]
    command = ["storescu", "-aet", "SCANNER", "-aec", "CONCORD", "127.0.0.1", str(port), "+sd"]
    both = [subprocess.Popen([*command, str(folder)]) for folder in halves]
    assert [process.wait(60) for process in both] == [0, 0]
    uid = slices[0].SeriesInstanceUID
    state = "select volume_state from archive_series where uid = %s"
    until(lambda: stack.query(state, uid) == [("volume",)], "a volume", 60, stack.words)
    count = "select count(*) from archive_instance i join archive_series s on s.id = i.series_id"
    assert stack.query(f"{count} where s.uid = %s", uid) == [(24,)]


def test_orthanc_sends_a_study_by_c_store(
    listening: tuple[Stack, int], orthanc_installed: None, tmp_path: Path
) -> None:
    stack, port = listening
    slices = ct_series(6)
    there = {"concord": ["CONCORD", "127.0.0.1", port], "other": ["WRONG", "127.0.0.1", port]}
    with orthanc(tmp_path, DicomAet="SCANNER", DicomModalities=there) as pacs:
        pacs.store(slices)
        study = pacs.rest.get("/studies").json()[0]
        assert pacs.rest.post("/modalities/concord/echo", content="{}").status_code == 200
        sent = pacs.rest.post("/modalities/concord/store", content=study)
        assert (sent.status_code, sent.json()["FailedInstancesCount"]) == (200, 0)
        assert pacs.rest.post("/modalities/other/echo", content="{}").status_code >= 500
        kept = pacs.files()
    uid = slices[0].SeriesInstanceUID
    state = "select volume_state from archive_series where uid = %s"
    until(lambda: stack.query(state, uid) == [("volume",)], "a volume", 60, stack.words)
    back = web_of(stack, "coordinator").retrieve_series(slices[0].StudyInstanceUID, uid)
    for ds in back:
        sent_one = pydicom.dcmread(io.BytesIO(kept[ds.SOPInstanceUID]))
        del ds.file_meta, sent_one.file_meta
        assert ds == sent_one


def test_bytes_that_are_no_dicom_are_refused_each_and_harm_no_other(
    listening: tuple[Stack, int],
) -> None:
    stack, port = listening
    (good,) = ct_series(1)
    whole = bytes_of(good)
    rubbish = [b"Dear colleague,\n" * 50, bytes(5000), bytes(range(256)) * 40, whole[:-100], None]
    with RoughSender(port) as sender:
        for number, data in enumerate(rubbish):
            assert sender.store(data, f"{good.SeriesInstanceUID}.9{number}") in REFUSALS, data
        assert sender.store(whole, good.SOPInstanceUID) == 0x0000
    assert last_receipt(stack) == ("SCANNER at 127.0.0.1", "dimse", 1, 0, len(rubbish), True)
    assert kept_of(stack, good.SeriesInstanceUID) == [good.SOPInstanceUID]


@pytest.mark.parametrize("end", ["abort", "cut"])
def test_an_association_that_ends_in_mid_transfer_leaves_no_half_instance(
    listening: tuple[Stack, int], end: str
) -> None:
    stack, port = listening
    slices = ct_series(3)
    sender = RoughSender(port)
    assert sender.store(bytes_of(slices[0]), slices[0].SOPInstanceUID) == 0x0000
    sender.begin(bytes_of(slices[1]), slices[1].SOPInstanceUID)
    getattr(sender, end)()
    assert last_receipt(stack) == ("SCANNER at 127.0.0.1", "dimse", 1, 0, 0, True)
    assert kept_of(stack, slices[0].SeriesInstanceUID) == [slices[0].SOPInstanceUID]
    assert list((stack.state / "content").rglob(".incoming-*")) == []
    with RoughSender(port) as again:
        assert again.echo() == 0x0000
        for one in slices:
            assert again.store(bytes_of(one), one.SOPInstanceUID) == 0x0000
    assert last_receipt(stack)[2:5] == (2, 1, 0)


def test_who_calls_for_another_title_is_turned_away(listening: tuple[Stack, int]) -> None:
    _, port = listening
    assert not RoughSender(port, called="WRONG").accepted
    with RoughSender(port) as sender:
        assert sender.echo() == 0x0000


# Out of resources, data set does not match, cannot understand, processing failure.
REFUSALS = (0xA700, 0xA900, 0xC000, 0x0110)


def bytes_of(slice_: pydicom.Dataset) -> bytes:
    """A data set as it is sent: without preamble and file meta information."""
    sent = encode(slice_, False, True)
    assert sent is not None
    return sent


def kept_of(stack: Stack, series: str) -> list[object]:
    """The SOP Instance UIDs that the archive has of a series."""
    rows = stack.query(
        "select i.sop_uid from archive_instance i join archive_series s on s.id = i.series_id "
        "where s.uid = %s order by 1",
        series,
    )
    return [row[0] for row in rows]


def test_senders_are_titles_with_or_without_an_address() -> None:
    assert senders_of(" A , B@10.0.0.5 ,") == (Sender("A"), Sender("B", "10.0.0.5"))
    assert senders_of("") == ()
    for bad in ("@10.0.0.5", "A_TITLE_THAT_IS_TOO_LONG"):
        with pytest.raises(BadSenders):
            senders_of(bad)


def test_a_listener_without_senders_says_what_to_set(listening: tuple[Stack, int]) -> None:
    stack, _ = listening
    stack.environment = {**stack.environment, "CONCORD_DIMSE_SENDERS": ""}
    done = stack.manage("dimse", check=False)
    assert done.returncode != 0
    assert "CONCORD_DIMSE_SENDERS" in done.stderr
