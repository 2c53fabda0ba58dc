"""The numbers of a report, by a second path; and the same bytes again."""

from __future__ import annotations

import csv
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
from backend.reports import (
    exporting,
    reading_sections,
    render,
    reporting,
    services,
    shown,
)
from backend.reports.models import Report
from backend.store import store
from backend.version import RESEARCH_NOTICE
from tests.reports.conftest import document_of, file_of, rows_of
from tests.reports.room import SHAPE, SPACING, Room, offered, wanted


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


def test_the_reader_s_account_balances(room: Room, report: Report):
    books = document_of(report)["numbers"]["accounts"][str(room.reading.pk)]
    assert books["identity"] == "5 = 5 − 1 + 1 + 0 − 0"
    assert (books["rejected"], books["added"], books["reshaped"]) == ([3], [6], [2, 5])
    assert books["reasons"] == [{"reason": "vessel", "count": 1}]


def test_the_untouched_share_and_the_time_a_reshape_took_follow_from_the_log(
    room: Room, report: Report
):
    ai, final = offered(), wanted()
    kept = [n for n in np.unique(ai) if n and (final == n).any()]
    untouched = [n for n in kept if np.array_equal(ai == n, final == n)]
    (told,) = document_of(report)["numbers"]["readings"]
    hands = told["hands"]
    assert (hands["kept"], hands["untouched"]) == (len(kept), len(untouched))
    assert hands["untouched_share"] == len(untouched) / len(kept)
    assert hands["reshaped"] == len(kept) - len(untouched)
    row = next(csv.DictReader(io.StringIO(file_of(report, "readings").decode("utf-8-sig"))))
    assert row["untouched_share"] == str(hands["untouched_share"])
    assert row["reshape_seconds_median"] == str(hands["reshape_seconds_median"])
    assert (row["newer_offered"], row["newer_taken"]) == ("0", "0")
    page = file_of(report, "html").decode()
    assert f"{len(untouched)} of {len(kept)} kept" in page


def test_every_node_has_its_history_and_picture(room: Room, report: Report):
    found = rows_of(report, room)
    rows = {row["number"]: row for row in found}
    assert [row["number"] for row in found] == [1, 2, 4, 5, 6, 3]
    assert [step["what"] for step in rows[3]["history"]] == ["proposed", "rejected, vessel"]
    added = (wanted() == 2) & (offered() != 2)
    removed = (offered() == 2) & (wanted() != 2)
    assert rows[2]["history"][1]["what"] == f"reshaped (+{added.sum()} −{removed.sum()} voxels)"
    assert rows[2]["history"][1]["sad_before"] == pytest.approx(rows[2]["ai_sad_mm"])
    assert rows[2]["history"][2]["what"] == "doubt raised"
    assert rows[1]["history"][-1]["what"] == "impression metastatic, confidence 80"
    assert rows[6]["history"][0]["what"] == "added"
    keys = {f"{room.reading.pk}/{node}" for node in room.nodes.values()}
    assert set(document_of(report)["pictures"]) == keys


def test_slices_are_counted_from_the_top_as_in_the_viewer(room: Room, report: Report):
    html = file_of(report, "html").decode()
    rows = {row["number"]: row for row in rows_of(report, room)}
    index = 5  # The ball of node 1 is widest there; slice 0 lies lowest, at −100 mm.
    assert (rows[1]["slice"], rows[1]["slice_z_mm"]) == (SHAPE[0] - index, pytest.approx(-90))
    assert rows[1]["slice_shown"] == "15 of 20, z −90.0 mm"
    assert "<dt>Slice</dt><dd>15 of 20, z −90.0 mm</dd>" in html
    assert rows[4]["lad_mm"] > rows[4]["sad_mm"]
    assert rows[4]["axes_shown"] == shown.axes(rows[4]["lad_mm"], rows[4]["sad_mm"])
    assert f"<dt>Long × short</dt><dd>{rows[4]['axes_shown']} mm</dd>" in html


def test_the_size_table_sums_up(report: Report):
    sizes = next(part for part in document_of(report)["sections"] if part["id"] == "sizes")
    rows = {row["id"]: row for row in sizes["blocks"][0]["rows"]}
    assert rows["total"]["cells"][1::4] == ["4", "1", "0", "5"]
    assert rows["total"]["strong"]
    *apart, total, overlapping = rows
    assert (total, overlapping) == ("total", "ge10")
    assert rows["ge10"]["apart"]
    counts = [[int(n) for n in rows[name]["cells"][1::4]] for name in apart]
    assert [sum(column) for column in zip(*counts, strict=True)] == [4, 1, 0, 5]


def test_a_reading_that_fits_stays_on_one_sheet(report: Report):
    parts = {part["id"]: part for part in document_of(report)["sections"]}
    assert [name for name, part in parts.items() if part["together"]] == ["reading-R1"]
    rows = next(b["rows"] for b in parts["reading-R1"]["blocks"] if b["kind"] == "table")
    assert len(rows) <= reading_sections.MOST_ON_A_SHEET


def test_what_was_not_reached_is_said_in_one_line(report: Report):
    parts = {part["id"]: part for part in document_of(report)["sections"]}
    for name in ("reading-R2", "agreement", "discrepancies", "consensus"):
        assert [block["kind"] for block in parts[name]["blocks"]] == ["text"]
    assert (
        "assigned, not signed. What it holds is sealed" in parts["reading-R2"]["blocks"][0]["text"]
    )


def test_the_page_says_what_it_must(room: Room, report: Report):
    html = file_of(report, "html").decode()
    for text in (
        RESEARCH_NOTICE,
        "Test net 1.2",
        "Made for tests.",
        "ab" * 32,
        "LN-CT-BLIND version",
        "Dr Reader1",
        report.manifest["chain"]["hash"],
        "The chain holds",
        "correcting the proposal of Test net 1.2",
        "not “proven benign”",
        room.reading.effective.hash,
        *room.nodes.values(),
    ):
        assert text in html, text


def test_the_page_needs_nothing_but_itself(report: Report):
    html = file_of(report, "html").decode()
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
    for _ in range(2):
        found = reporting.rebuild_report(str(report.pk))
        assert found.same
        assert {name: digest for name, digest, _ in found.files} == report.files


def test_the_pdf_names_the_time_of_the_manifest_and_no_other(report: Report):
    pdf = file_of(report, "pdf")
    assert pdf.startswith(b"%PDF-")
    day = report.manifest["created"][:10].replace("-", "").encode()
    assert {m[:8] for m in re.findall(rb"D:(\d{14})", pdf)} == {day}


def test_later_events_do_not_change_a_report(room: Room, report: Report):
    reporting.note_look(report=report, actor=room.users["auditor"])
    room.users["reader1"].display_name = "Renamed"
    room.users["reader1"].save()
    assert reporting.rebuild_report(str(report.pk)).same


def test_tables_do_not_matter_to_a_report(room: Room, report: Report):
    room.case.subject.pseudonym = "S-9999"
    room.case.subject.save()
    assert reporting.rebuild_report(str(report.pk)).same


def test_the_command_says_same(report: Report):
    said = io.StringIO()
    call_command("rebuild_report", str(report.pk), stdout=said)
    files = ("html", "pdf", "document", "csv", "steps", "readings")
    names = ("page", "PDF", "JSON", "CSV", "CSV of steps", "CSV of readings")
    assert said.getvalue().splitlines() == [
        f"same {report.files[file]} {name}" for file, name in zip(files, names, strict=True)
    ]


def test_the_command_says_where_it_differs(report: Report, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shown, "share", lambda value, threshold=None: "0.99")
    with pytest.raises(CommandError, match=r"shown: was '0\.40', is '0\.99'"):
        call_command("rebuild_report", str(report.pk))


def test_a_missing_blob_is_named(room: Room, report: Report):
    blob = next(iter(room.reading.effective.manifest.slices.values()))
    path = next(store().root.rglob(f"{blob}*"))
    away = path.rename(path.with_name("away"))
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
    try:
        with pytest.raises(CommandError, match="is not what its hash says"):
            call_command("rebuild_report", str(report.pk))
    finally:
        path.write_bytes(whole)


def test_an_unknown_report_is_a_sentence(db: None):
    with pytest.raises(CommandError, match="There is no report"):
        call_command("rebuild_report", "not a uuid")


def test_the_event_names_the_files(room: Room, report: Report):
    event = Event.objects.get(action="report.made", subject_id=str(report.pk))
    assert event.chain == room.case.chain
    assert event.facts["files"] == report.files
    assert json.loads(store().read(event.facts["manifest"])) == report.manifest
    assert event.position > report.manifest["chain"]["position"]


def test_a_report_that_fails_says_why_and_is_made_on_asking_again(
    room: Room, monkeypatch: pytest.MonkeyPatch
):
    asked = reporting.request_report(case=room.case, actor=room.users["auditor"])
    with monkeypatch.context() as patch:
        patch.setattr(reporting.case_report, "build", lambda *_: 1 / 0)
        failed = reporting.make_report(asked.pk)
    assert (failed.state, failed.message) == ("failed", "division by zero")
    page = room.client("auditor").get(f"/reports/{asked.pk}/").content.decode()
    assert "division by zero" in page
    assert "Try again" in page
    answer = room.client("auditor").get(f"/api/reports/{asked.pk}.pdf")
    assert (answer.status_code, answer.json()["possible"]) == (409, ["retry"])
    assert room.client("auditor").post(f"/reports/{asked.pk}/retry").status_code == 302
    waiting = room.client("auditor").get(f"/reports/{asked.pk}/").content.decode()
    assert 'hx-trigger="every 1s"' in waiting
    assert reporting.make_report(asked.pk).state == "ready"
    assert reporting.make_report(asked.pk).state == "ready"  # Twice does no harm.


def test_the_shape_of_the_made_case_is_what_the_tests_assume(room: Room):
    assert room.case.grid.shape == SHAPE
    assert room.case.grid.spacing_mm == pytest.approx(SPACING)
