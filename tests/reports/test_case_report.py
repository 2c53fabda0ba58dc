"""The numbers of a report, by a second path; and the same bytes again."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
import zstandard
from django.core.management import CommandError, call_command
from scipy.spatial import cKDTree

from backend.audit.models import Event
from backend.reading import maskstore
from backend.reports import exporting, render, services, shown
from backend.reports.models import Report
from backend.store import store
from tests.reports.room import SHAPE, SPACING, Room, offered, wanted


def document_of(report: Report) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(store().read(report.document_blob))
    return found


def metrics_of(report: Report) -> dict[str, Any]:
    return {row["id"]: row["value"] for row in document_of(report)["metrics"]}


def exported_truth(room: Room, folder: Path) -> np.ndarray[Any, Any]:
    """The signed mask as someone else's software reads it from the exported NIfTI."""
    export = services.request_export(reading=room.reading, file_format="nifti", actor=None)
    export = exporting.make_export(export.pk)
    path = folder / "truth.nii.gz"
    path.write_bytes(store().read(export.blob))
    image = SimpleITK.ReadImage(str(path))
    assert np.allclose(image.GetSpacing(), SPACING[::-1])
    return SimpleITK.GetArrayFromImage(image)


def border(mask: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Border voxel centres in mm, by SimpleITK's erosion with a cross."""
    image = SimpleITK.GetImageFromArray(np.pad(mask, 1).astype(np.uint8))
    core = SimpleITK.BinaryErode(image, [1, 1, 1], SimpleITK.sitkCross)
    edge = np.pad(mask, 1) & ~SimpleITK.GetArrayFromImage(core).astype(bool)
    return np.argwhere(edge) * np.array(SPACING)


def test_the_numbers_are_those_of_the_exported_mask(room: Room, report: Report, tmp_path: Path):
    truth = exported_truth(room, tmp_path)
    assert np.array_equal(truth, wanted())
    ai = offered()
    kept = [n for n in (1, 2, 3, 4, 5) if (ai == n).sum() > 10]  # Node 4 has two voxels: < 4.5 mm.
    under = np.isin(ai, kept)
    names = [int(n) for n in np.unique(truth) if n]
    share = {n: float(under[truth == n].mean()) for n in names}
    found = [n for n in names if share[n] >= 0.4]
    hits = [n for n in kept if set(np.unique(truth[ai == n])) & set(found)]
    false = [n for n in kept if not (truth[ai == n] > 0).any()]
    partial = [n for n in kept if n not in hits and n not in false]
    assert (found, hits, false, partial) == ([1, 2], [1, 2], [3], [5])
    a, b = np.isin(truth, found), np.isin(ai, hits)
    to_b, to_a = cKDTree(border(b)).query(border(a))[0], cKDTree(border(a)).query(border(b))[0]
    recall, precision = len(found) / len(names), len(hits) / (len(hits) + 2)
    expected = {
        "recall": recall,
        "precision": precision,
        "precision_lenient": len(hits) / (len(hits) + 1),
        "precision_truth": len(found) / (len(found) + 2),
        "f1": 2 * precision * recall / (precision + recall),
        "fp": 2,
        "fp_lenient": 1,
        "fp_large": 1,
        "dice": 2 * (a & b).sum() / (a.sum() + b.sum()),
        "dice_unfiltered": 2 * ((truth > 0) & under).sum() / ((truth > 0).sum() + under.sum()),
        "assd_mm": (to_a.sum() + to_b.sum()) / (to_a.size + to_b.size),
        "hd95_mm": max(np.percentile(to_a, 95), np.percentile(to_b, 95)),
        "sensitivity_localised": np.mean([share[n] for n in found]),
        "sensitivity_all": np.mean(list(share.values())),
    }
    values = metrics_of(report)
    assert {name: values[name] for name in expected} == pytest.approx(expected, rel=1e-6)


def test_the_reader_s_account_balances(report: Report):
    books = document_of(report)["correction"]
    assert books["shown"]["identity"] == "5 = 5 − 1 + 1 + 0 − 0"
    assert (books["rejected"], books["added"], books["reshaped"]) == ([3], [6], [2, 5])
    assert books["reasons"] == [{"reason": "vessel", "count": 1}]


def test_every_node_has_its_history_and_picture(room: Room, report: Report):
    rows = {row["number"]: row for row in document_of(report)["nodes"]}
    assert [row["number"] for row in document_of(report)["nodes"]] == [1, 2, 4, 5, 6, 3]
    assert [step["what"] for step in rows[3]["history"]] == ["proposed", "rejected, vessel"]
    added = (wanted() == 2) & (offered() != 2)
    removed = (offered() == 2) & (wanted() != 2)
    assert rows[2]["history"][1]["what"] == f"reshaped (+{added.sum()} −{removed.sum()} voxels)"
    assert rows[2]["history"][1]["sad_before"] == pytest.approx(rows[2]["ai_sad_mm"])
    assert rows[2]["history"][2]["what"] == "doubt raised"
    assert rows[1]["history"][-1]["what"] == "impression metastatic, confidence 80"
    assert rows[6]["history"][0]["what"].startswith("added")
    assert set(document_of(report)["pictures"]) == set(room.nodes.values())


def test_slices_are_counted_from_the_top_as_in_the_viewer(report: Report):
    html = store().read(report.html_blob).decode()
    rows = {row["number"]: row for row in document_of(report)["nodes"]}
    index = 5  # The ball of node 1 is widest there; slice 0 lies lowest, at −100 mm.
    assert (rows[1]["slice"], rows[1]["slice_z_mm"]) == (SHAPE[0] - index, pytest.approx(-90))
    assert rows[1]["slice_shown"] == "15 of 20, z −90.0 mm"
    assert "<dt>Slice</dt><dd>15 of 20, z −90.0 mm</dd>" in html
    assert '<td class="num">15</td><td class="num">−90.0</td>' in html
    assert rows[4]["lad_mm"] > rows[4]["sad_mm"]
    axes = f"{rows[4]['lad_shown']} × {rows[4]['sad_shown']} mm"
    assert f"<dt>Axes, long × short</dt><dd>{axes}</dd>" in html


def test_no_two_rows_of_the_account_have_one_name(report: Report):
    names = [fact["name"] for fact in document_of(report)["correction"]["shown"]["facts"]]
    assert len(names) == len(set(names))
    assert {name for name in names if name.startswith("Initial")} == {
        "Initial sensitivity, AI-origin nodes",
        "Initial sensitivity, all nodes",
    }


def test_the_size_table_sums_up(report: Report):
    table = {row["id"]: row["cells"] for row in document_of(report)["size_groups"]["rows"]}
    assert [cell["n"] for cell in table["total"]] == [4, 1, 5]
    groups = ("lt5", "5-9", "10-14", "ge15")
    assert sum(table[name][2]["n"] for name in groups) == 5
    assert table["ge15"][2]["recall"] is None
    assert table["ge15"][2]["recall_shown"] == shown.DASH


def test_it_prints_chain_head_record_hash_model_and_notices(room: Room, report: Report):
    html = store().read(report.html_blob).decode()
    signature = room.reading.signatures.get()
    head = report.manifest["chain"]
    event = Event.objects.get(chain=room.case.chain, position=head["position"])
    assert bytes(event.hash).hex() == head["hash"]
    for text in (
        head["hash"],
        signature.record_hash,
        "ab" * 32,
        "Test net 1.2",
        "Made for tests.",
        "The chain holds",
        "Research use only",
        "made by correcting the proposal of Test net 1.2",
        "does not mean proven benign",
        room.reading.effective.hash,
        report.manifest["inputs"]["instances"],
        *room.nodes.values(),
    ):
        assert text in html, text


def test_the_page_needs_nothing_but_itself(report: Report):
    html = store().read(report.html_blob).decode()
    text = re.sub(r'"data:image/png;base64,[^"]+"', '"data:"', html)
    text = text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?://|//[a-z]|@import|<script|<link|<iframe|javascript:", text)
    assert set(re.findall(r'src="(.{5})', html)) == {"data:"}
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', html))
    assert "url(" not in html
    assert not re.search(r'\sstyle="|\son[a-z]+="', html)
    style = re.search(r"<style>(.*?)</style>", html, re.S)
    assert style
    assert style.group(1) == render._styles()


def test_the_same_manifest_gives_the_same_bytes(report: Report):
    first, second = services.rebuild_report(report=report), services.rebuild_report(report=report)
    assert first.same
    assert second.same
    assert first.sha256 == report.html_blob


def test_later_events_do_not_change_a_report(room: Room, report: Report):
    services.note_look(report=report, actor=room.users["auditor"])
    room.users["reader1"].display_name = "Renamed"
    room.users["reader1"].save()
    again = Report.objects.select_related("reading__reader").get(pk=report.pk)
    assert services.rebuild_report(report=again).same


def test_the_command_says_same(report: Report):
    said = io.StringIO()
    call_command("rebuild_report", str(report.pk), stdout=said)
    assert said.getvalue() == f"same {report.html_blob}\n"


def test_the_command_says_where_it_differs(report: Report, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shown, "share", lambda value, threshold=None: "0.99")
    with pytest.raises(CommandError, match=r"metrics\[0\]\.shown: was '0\.40', is '0\.99'"):
        call_command("rebuild_report", str(report.pk))


def test_a_missing_blob_is_named(room: Room, report: Report):
    blob = next(iter(room.reading.effective.manifest.slices.values()))
    path = next(store().root.rglob(f"{blob}*"))
    away = path.rename(path.with_name("away"))
    maskstore._read_slice.cache_clear()
    try:
        with pytest.raises(CommandError, match=blob):
            call_command("rebuild_report", str(report.pk))
    finally:
        away.rename(path)


def test_a_mask_that_is_not_what_its_hash_says_is_refused(room: Room, report: Report):
    blob = next(iter(room.reading.effective.manifest.slices.values()))
    path = next(store().root.rglob(f"{blob}*"))
    whole = path.read_bytes()
    plane = np.zeros(SHAPE[1:], "<u2")
    path.write_bytes(zstandard.ZstdCompressor().compress(plane.tobytes()))
    maskstore._read_slice.cache_clear()
    try:
        with pytest.raises(CommandError, match="is not what its hash says"):
            call_command("rebuild_report", str(report.pk))
    finally:
        path.write_bytes(whole)
        maskstore._read_slice.cache_clear()


def test_an_unknown_report_is_a_sentence(db: None):
    with pytest.raises(CommandError, match="There is no report"):
        call_command("rebuild_report", "not a uuid")


def test_the_event_names_the_files(room: Room, report: Report):
    event = Event.objects.get(action="report.made", subject_id=str(report.pk))
    assert event.chain == room.case.chain
    assert event.facts["html"] == report.html_blob
    assert event.position > report.manifest["chain"]["position"]


def test_the_shape_of_the_made_case_is_what_the_tests_assume(room: Room):
    assert room.case.grid.shape == SHAPE
    assert room.case.grid.spacing_mm == pytest.approx(SPACING)
