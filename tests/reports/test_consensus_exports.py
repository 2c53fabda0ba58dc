"""A published consensus as SEG, NIfTI with its labels, and CSV; nothing less than published."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK
from django.db import IntegrityError, transaction

from backend.audit.models import Event
from backend.errors import WrongState
from backend.imaging.seg import tracking_uid
from backend.reading.models import Consensus
from backend.reports import exporting, formats, services, tables
from backend.reports.consensus_sections import NOT_BENIGN
from backend.reports.models import Export
from backend.store import store
from backend.version import RESEARCH_NOTICE
from tests.reports import agreed
from tests.reports.room import Room


@pytest.fixture
def consensus(room: Room) -> Consensus:
    return agreed.published(room)


def made(room: Room, consensus: Consensus, file_format: str) -> Export:
    export = services.request_consensus_export(
        consensus=consensus, file_format=file_format, actor=room.users["auditor"]
    )
    return exporting.make_export(export.pk)


def rows_of(export: Export) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(store().read(export.blob).decode("utf-8-sig"))))


def test_each_file_is_read_back_and_equal(room: Room, consensus: Consensus):
    volume = agreed.agreed_volume(consensus)
    for file_format in ("seg", "nifti", "csv"):
        export = made(room, consensus, file_format)
        assert (export.state, export.message) == ("ready", "")
        assert export.verification["equal"] is True
        assert export.verification["sha256"] == export.blob
        assert export.mask_hash == consensus.mask.hash
        assert export.filename.startswith(f"LN-0001_consensus-1_{consensus.mask.hash[:12]}.")
        if file_format != "csv":
            assert export.verification["foreground"] == int((volume > 0).sum())
            assert export.verification["segments"] == 5
        events = Event.objects.filter(subject_id=str(export.pk))
        assert [e.action for e in events] == ["export.requested", "export.made"]
        assert {e.facts["consensus"] for e in events} == {str(consensus.pk)}


def test_the_segmentation_has_a_tracked_segment_per_node_and_no_label(
    room: Room, consensus: Consensus
):
    data = store().read(made(room, consensus, "seg").blob)
    dataset = pydicom.dcmread(io.BytesIO(data))
    assert dataset.SegmentationType == "BINARY"
    segments = {segment.SegmentLabel: segment for segment in dataset.SegmentSequence}
    assert set(segments) == {f"Lymph node {number}" for number in (1, 2, 4, 5, 6)}
    for node in consensus.nodes.all():
        segment = segments[f"Lymph node {node.number}"]
        assert segment.TrackingUID == tracking_uid(str(node.node_id))
        assert segment.SegmentAlgorithmType == "SEMIAUTOMATIC"
        assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "59441001"
    region = segments["Lymph node 1"].AnatomicRegionSequence[0]
    assert region.CodeValue == "245321008"  # II, for IIA
    assert region.AnatomicRegionModifierSequence[0].CodeValue == "24028007"
    assert dataset.StudyInstanceUID == room.case.study_uid
    assert "research use only" in dataset.SeriesDescription.lower()
    assert b"etasta" not in data


def test_dciodvfy_finds_no_error_in_the_segmentation(
    room: Room, consensus: Consensus, tmp_path: Path, dciodvfy: str
):
    path = tmp_path / "consensus.dcm"
    path.write_bytes(store().read(made(room, consensus, "seg").blob))
    said = subprocess.run([dciodvfy, str(path)], capture_output=True, text=True, check=False)
    errors = [line for line in said.stderr.splitlines() if line.startswith("Error")]
    assert errors == []
    assert "Segmentation" in said.stderr


def test_other_software_reads_the_nifti_and_its_labels(
    room: Room, consensus: Consensus, tmp_path: Path
):
    export = made(room, consensus, "nifti")
    path = tmp_path / "mask.nii.gz"
    path.write_bytes(store().read(export.blob))
    image = SimpleITK.ReadImage(str(path))
    voxels = SimpleITK.GetArrayFromImage(image)
    assert np.array_equal(voxels, agreed.agreed_volume(consensus))
    assert np.allclose(image.GetOrigin(), room.case.grid.origin_mm)
    assert RESEARCH_NOTICE in image.GetMetaData("descrip")
    told = json.loads(store().read(export.sidecar_blob))
    assert told["file_sha256"] == export.blob
    assert (told["notice"], told["note"]) == (RESEARCH_NOTICE, NOT_BENIGN)
    assert set(told["labels"]) == {str(n) for n in np.unique(voxels) if n}
    one = told["labels"]["1"]
    assert one["tracking_uid"] == tracking_uid(room.nodes[1])
    assert (one["side"], one["level"], one["label"]) == ("R", "IIA", "metastatic")
    assert "evidence_kinds" not in one


def test_the_table_says_of_every_node_what_was_agreed(room: Room, consensus: Consensus):
    rows = rows_of(made(room, consensus, "csv"))
    assert [row["number"] for row in rows] == ["1", "2", "4", "5", "6"]
    by_number = {int(row["number"]): row for row in rows}
    for node in consensus.nodes.all():
        row = by_number[node.number]
        assert row["tracking_uid"] == tracking_uid(str(node.node_id))
        assert float(row["sad_mm"]) == node.measures["sad_mm"]
        assert float(row["volume_mm3"]) == node.measures["volume_mm3"]
        assert (row["version"], row["provenance"]) == ("1", "identical")
        assert row["signed_by"].count("Dr Reader") == 2
        assert row["protocol"].startswith("LN-CT-BLIND version")
        assert row["model"] == "Test net 1.2"
        assert row["model_sha256"] == "ab" * 32
        assert row["mask"] == consensus.mask.hash
        assert (row["note"], row["research_use"]) == (NOT_BENIGN, RESEARCH_NOTICE)
    assert by_number[1]["evidence_kinds"] == "HIST; PET"
    assert (by_number[1]["label"], by_number[1]["rests_on_necrosis_alone"]) == ("metastatic", "no")
    assert (by_number[2]["evidence_kinds"], by_number[2]["rests_on_necrosis_alone"]) == (
        "NECR",
        "yes",
    )
    assert by_number[5]["label"] == "non_metastatic"
    # What a spreadsheet would take for a formula is kept from being one.
    assert by_number[4]["label_reason"] == "'@streaks, from teeth"


def test_the_table_says_nothing_of_what_evidence_holds(room: Room, consensus: Consensus):
    data = store().read(made(room, consensus, "csv").blob)
    assert b"report of the ward" not in data
    assert b"2026-03-10" not in data


@pytest.mark.parametrize("file_format", ["seg", "nifti", "csv"])
def test_a_draft_is_refused_in_a_sentence(room: Room, file_format: str):
    consensus = agreed.draft(room)
    body = {"consensus": str(consensus.pk), "format": file_format}
    answer = room.client("auditor").post("/api/exports", body, content_type="application/json")
    told = answer.json()
    assert (answer.status_code, told["error"]) == (409, "NOT_PUBLISHED")
    assert told["message"].endswith("and only what all have signed is exported.")
    assert not Export.objects.exists()


@pytest.mark.parametrize("state", ["labelling", "ready", "signing"])
def test_what_is_not_published_is_refused(room: Room, state: str):
    consensus = agreed.settle(agreed.draft(room))
    for step in ("ready", "signing")[: ("labelling", "ready", "signing").index(state)]:
        consensus.state = step
        consensus.save()
    with pytest.raises(WrongState, match=f"is {state}"):
        services.request_consensus_export(consensus=consensus, file_format="nifti", actor=None)


def test_a_superseded_version_keeps_its_files(room: Room, consensus: Consensus):
    consensus.state = "superseded"
    consensus.save()
    assert made(room, consensus, "csv").state == "ready"


def _one_cell_other(data: bytes) -> bytes:
    return data.replace(b"non_metastatic", b"metastatic", 1)


def _one_row_less(data: bytes) -> bytes:
    return b"\r\n".join(data.split(b"\r\n")[:-2]) + b"\r\n"


@pytest.mark.parametrize("spoil", [_one_cell_other, _one_row_less])
def test_a_table_that_differs_is_never_handed_out(
    room: Room, consensus: Consensus, monkeypatch: pytest.MonkeyPatch, spoil: Any
):
    whole = formats.FORMATS["csv"]
    bad = dataclasses.replace(whole, write=lambda *args: spoil(whole.write(*args)))
    monkeypatch.setitem(formats.FORMATS, "csv", bad)
    export = made(room, consensus, "csv")
    assert export.state == "failed"
    assert "differs from what was signed" in export.message
    assert export.blob == ""


def test_a_sidecar_that_names_another_node_is_never_handed_out(
    room: Room, consensus: Consensus, monkeypatch: pytest.MonkeyPatch
):
    whole = tables.write_sidecar

    def spoiled(rows: Any, facts: Any, sha256: str) -> bytes:
        return whole([{**rows[0], "tracking_uid": "2.25.1"}, *rows[1:]], facts, sha256)

    monkeypatch.setattr(tables, "write_sidecar", spoiled)
    export = made(room, consensus, "nifti")
    assert (export.state, export.sidecar_blob) == ("failed", "")
    assert "table of labels" in export.message


def test_only_auditors_and_administrators_get_the_table(room: Room, consensus: Consensus):
    body = {"consensus": str(consensus.pk), "format": "csv"}
    ready = made(room, consensus, "csv")
    for who, status in (("auditor", 202), ("admin", 202), ("coordinator", 403)):
        client = room.client(who)
        answer = client.post("/api/exports", body, content_type="application/json")
        assert answer.status_code == status, who
        seen = client.get(f"/api/exports/{ready.pk}/file").status_code
        assert seen == (200 if status == 202 else 404), who
    page = room.client("coordinator").get(f"/cases/{room.case.pk}/").content.decode()
    assert str(ready.pk) not in page
    assert 'data-export="seg"' in page
    assert 'data-export="csv"' not in page


@pytest.mark.parametrize(
    "who",
    ["reader1", "reader2", "adjudicator", "abstractor", "scientist", "outsider"],
)
def test_everyone_else_sees_no_export_of_a_consensus(room: Room, consensus: Consensus, who: str):
    client = room.client(who)
    ready = made(room, consensus, "nifti")
    for file_format in ("seg", "nifti", "csv"):
        body = {"consensus": str(consensus.pk), "format": file_format}
        answer = client.post("/api/exports", body, content_type="application/json")
        assert answer.status_code == 404
        assert client.post(f"/consensus/{consensus.pk}/exports/{file_format}").status_code == 404
    for path in ("", "/file", "/sidecar"):
        assert client.get(f"/api/exports/{ready.pk}{path}").status_code == 404


def test_the_case_page_offers_the_files_and_says_why_there_are_none_yet(room: Room):
    client = room.client("auditor")
    consensus = agreed.draft(room)
    page = client.get(f"/cases/{room.case.pk}/").content.decode()
    assert "Its readers have not settled it yet" in page
    assert "data-export" not in page
    agreed.settle(consensus)
    agreed.label(room, consensus)
    agreed.publish(room, consensus)
    page = client.get(f"/cases/{room.case.pk}/").content.decode()
    assert page.count("data-export=") == 3
    answer = client.post(f"/consensus/{consensus.pk}/exports/nifti")
    assert answer.status_code == 302
    export = Export.objects.get()
    export = exporting.make_export(export.pk)
    page = client.get(f"/cases/{room.case.pk}/").content.decode()
    assert f"/api/exports/{export.pk}/sidecar" in page
    answer = client.get(f"/api/exports/{export.pk}/sidecar")
    assert answer.headers["Content-Disposition"].endswith('.json"')
    assert Event.objects.get(action="export.downloaded").facts["file"] == export.sidecar_blob


def test_an_export_is_asked_of_one_thing(room: Room, consensus: Consensus):
    client = room.client("auditor")
    for body in ({}, {"consensus": str(consensus.pk), "reading": str(room.reading.pk)}):
        answer = client.post(
            "/api/exports", {**body, "format": "seg"}, content_type="application/json"
        )
        assert (answer.status_code, answer.json()["error"]) == (400, "BAD_INPUT")
    body = {"reading": str(room.reading.pk), "format": "csv"}
    answer = client.post("/api/exports", body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]) == (400, "UNKNOWN_FORMAT")
    with pytest.raises(IntegrityError), transaction.atomic():
        Export.objects.create(format="seg", mask_hash="a" * 64)


def test_a_consensus_without_nodes_is_no_segmentation(
    room: Room, consensus: Consensus, monkeypatch: pytest.MonkeyPatch
):
    from backend.reports import agreed as content

    monkeypatch.setattr(Consensus, "nodes", property(lambda self: Consensus.objects.none()))
    with pytest.raises(WrongState, match="No node was agreed on"):
        content.require_exportable(consensus, "seg")
    assert content.require_exportable(consensus, "csv") == consensus.mask
