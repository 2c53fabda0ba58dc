"""The segmentation of a published consensus, pushed to a real PACS and retrieved from it."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient

from backend.archive.remotes.carrying import carry_out
from backend.archive.remotes.doers import DOERS
from backend.archive.remotes.managing import RemoteFacts, add_remote
from backend.archive.remotes.models import Transfer
from backend.audit.models import Event
from backend.imaging.seg import read_seg_labels, tracking_uid
from backend.reading.models import Consensus
from backend.reports import exporting, services
from backend.reports.models import Export
from backend.store import store
from tests.archive.remotes.pacs import Pacs, orthanc
from tests.reports import agreed
from tests.reports.room import Room

JSON = {"Accept": "application/json"}


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
def consensus(room: Room) -> Consensus:
    return agreed.published(room)


def made(room: Room, consensus: Consensus, file_format: str = "seg") -> Export:
    export = services.request_consensus_export(
        consensus=consensus, file_format=file_format, actor=room.users["auditor"]
    )
    return exporting.make_export(export.pk)


def name_remote(room: Room, url: str) -> None:
    add_remote(name="hospital", facts=RemoteFacts(url=url), actor=room.users["admin"])


def form_of(export: Export) -> dict[str, str]:
    """What the button on the case's page sends."""
    case = str(export.case.pk)
    return {"kind": "export", "id": str(export.pk), "back": "1", "case": case}


def test_a_pushed_segmentation_comes_back_from_the_pacs_as_it_was_published(
    room: Room, consensus: Consensus, pacs: Pacs, tmp_path: Path, dciodvfy: str
) -> None:
    export = made(room, consensus)
    name_remote(room, pacs.url)
    desk = room.client("coordinator")
    page = desk.get(f"/cases/{room.case.pk}/").content.decode()
    assert page.count('data-push="hospital"') == 1
    answer = desk.post("/archive/remotes/hospital/push", form_of(export))
    assert (answer.status_code, answer["Location"]) == (302, f"/cases/{room.case.pk}/")
    transfer = Transfer.objects.get()
    carry_out(transfer.pk, DOERS)
    transfer.refresh_from_db()
    assert (transfer.state, transfer.message) == ("done", "")

    sent = store().read(export.blob)
    here = pydicom.dcmread(io.BytesIO(sent))
    uids = (here.StudyInstanceUID, here.SeriesInstanceUID, here.SOPInstanceUID)
    back = DICOMwebClient(pacs.url).retrieve_instance(*uids)
    assert back == here, "element by element, pixels too"
    assert back.file_meta.TransferSyntaxUID == here.file_meta.TransferSyntaxUID
    told = {segment.SegmentLabel: segment for segment in back.SegmentSequence}
    agreed_on = list(consensus.nodes.all())
    assert len(told) == len(agreed_on) == 5
    for node in agreed_on:
        segment = told[f"Lymph node {node.number}"]
        assert segment.TrackingUID == tracking_uid(str(node.node_id))
        assert segment.TrackingID
    buffer = io.BytesIO()
    back.save_as(buffer, enforce_file_format=True)
    labels = {node.number: str(node.node_id) for node in agreed_on}
    volume = read_seg_labels(buffer.getvalue(), room.case.grid, labels)
    assert np.array_equal(volume, agreed.agreed_volume(consensus))
    path = tmp_path / "back.dcm"
    path.write_bytes(buffer.getvalue())
    said = subprocess.run([dciodvfy, str(path)], capture_output=True, text=True, check=False)
    assert "Segmentation" in said.stderr
    assert [line for line in said.stderr.splitlines() if line.startswith("Error")] == []

    chain = Event.objects.filter(chain=room.case.chain, action__startswith="push.")
    assert [event.action for event in chain.order_by("number")] == ["push.requested", "push.done"]
    assert {event.facts["of"]["file"] for event in chain} == {export.blob}


@pytest.mark.parametrize(
    "who", ["reader1", "reader2", "adjudicator", "abstractor", "auditor", "scientist", "outsider"]
)
def test_nobody_else_pushes_it_or_is_offered_to(room: Room, consensus: Consensus, who: str) -> None:
    export = made(room, consensus)
    name_remote(room, "http://127.0.0.1:9/dicom-web")
    client = room.client(who)
    answer = client.post("/archive/remotes/hospital/push", form_of(export), headers=JSON)
    assert answer.status_code in (403, 404)
    assert not Transfer.objects.exists()
    page = client.get(f"/cases/{room.case.pk}/")
    assert page.status_code != 200 or b"data-push" not in page.content


@pytest.mark.parametrize("file_format", ["nifti", "csv"])
def test_what_is_no_dicom_stays_here(room: Room, consensus: Consensus, file_format: str) -> None:
    export = made(room, consensus, file_format)
    name_remote(room, "http://127.0.0.1:9/dicom-web")
    for who in ("coordinator", "admin"):
        client = room.client(who)
        answer = client.post("/archive/remotes/hospital/push", form_of(export), headers=JSON)
        assert answer.status_code in (404, 409), who
        assert b"data-push" not in client.get(f"/cases/{room.case.pk}/").content
    assert not Transfer.objects.exists()


def test_one_readers_segmentation_stays_here(room: Room) -> None:
    export = services.request_export(
        reading=room.reading, file_format="seg", actor=room.users["coordinator"]
    )
    export = exporting.make_export(export.pk)
    assert export.state == "ready"
    name_remote(room, "http://127.0.0.1:9/dicom-web")
    answer = room.client("admin").post(
        "/archive/remotes/hospital/push", form_of(export), headers=JSON
    )
    assert answer.status_code in (404, 409)
    assert not Transfer.objects.exists()
