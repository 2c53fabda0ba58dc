"""One reader, one CT, one signed reading: from the file that arrives to the verified export."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from playwright.sync_api import Browser, expect

from backend.imaging.seg import read_seg_labels
from tests.browser.accessibility import keeps_nobody_out
from tests.journey.files import export_of, grid_of, read_nifti
from tests.journey.room import SLOW_MS, Person, ReadingRoom
from tests.journey.second_path import numbers
from tests.stack import Stack, until


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A worker that takes its time, so that the run can be watched on the way."""
    stack = Stack()
    try:
        stack.start(worker=False)
        stack.start_worker("--pause-before", "infer=6")
        yield stack
    finally:
        stack.close()


@pytest.mark.deep
@pytest.mark.browser
@pytest.mark.timeout(900)
def test_one_reader_reads_a_phantom_and_signs(chrome: Browser, stack: Stack, phantom: Path) -> None:
    _journey(chrome, stack, phantom, prefix="phantom", excluded=[])


@pytest.mark.long
@pytest.mark.browser
@pytest.mark.timeout(1800)
def test_one_reader_reads_the_real_ct_and_signs(
    chrome: Browser, stack: Stack, test_data: Path
) -> None:
    """3 mm, no contrast, no age: excluded from cohorts, and read like any other."""
    _journey(
        chrome,
        stack,
        test_data / "headneck_ct" / "cerr_head_neck_ex1.zip",
        prefix="real",
        excluded=["thickness", "contrast", "age"],
    )


def _journey(
    chrome: Browser, stack: Stack, study: Path, *, prefix: str, excluded: list[str]
) -> None:
    reader = ReadingRoom(chrome, stack, "reader1")
    label, reading = _arrives(reader, stack, study, prefix, excluded)
    kept = _reads(reader, prefix)
    _signs(reader, prefix)
    _is_blind(ReadingRoom(chrome, stack, "reader2"), reading, kept)
    _is_reported(Person(chrome, stack, "auditor"), stack, reader, label, prefix)
    assert reader.foreign == []
    assert reader.complaints == []


def _arrives(
    reader: ReadingRoom, stack: Stack, study: Path, prefix: str, excluded: list[str]
) -> tuple[str, str]:
    """The worklist shows the study, and its run's progress, without a reload."""
    reader.sign_in()
    before = reader.page.locator("tr[data-reading]").count()
    reader.picture(f"{prefix}-1-worklist-before")
    summary = stack.manage("receive", str(study)).stdout
    assert "1 series became volumes" in summary
    rows = reader.page.locator("tr[data-reading]")
    expect(rows).to_have_count(before + 1, timeout=SLOW_MS)
    row = reader.page.locator("tr[data-reading]:not([data-state='submitted'])").first
    reading = row.get_attribute("data-reading") or ""
    seen = set()

    def ready() -> bool:
        state = row.get_attribute("data-ai")
        if state not in seen:
            seen.add(state)
            reader.picture(f"{prefix}-2-worklist-{state}")
        return state in {"ready", "failed", "none"}

    until(ready, "the run to end", 240, reader.words)
    assert "ready" in seen, reader.words()
    assert seen & {"queued", "running"}, f"the worklist jumped: {seen}"
    for word in excluded:
        assert word in (row.inner_text() + (row.locator(".tag").get_attribute("title") or ""))
    reader.open(row)
    reader.wait("window.__concord.nodes.length > 0")
    reader.picture(f"{prefix}-3-opened")
    label = reader.page.get_by_test_id("case-label").inner_text()
    return label, reading


def _reads(reader: ReadingRoom, prefix: str) -> dict[str, Any]:
    """Accept one, reject one, reshape one, add one; impressions; look through all slices."""
    accepted, rejected, reshaped = (n["uuid"] for n in _largest_three(reader))
    reader.select(accepted)
    reader.press("a")
    reader.wait(_decision(accepted, "accepted"))
    reader.select(rejected)
    reader.press("r")
    expect(reader.page.get_by_test_id("reasons")).to_be_visible()
    reader.picture(f"{prefix}-4-reasons")
    reader.press("1")
    reader.wait(_decision(rejected, "rejected"))
    reader.saved()

    _reshape(reader, reshaped)
    reader.picture(f"{prefix}-5-reshaped")
    added = _add(reader)
    reader.picture(f"{prefix}-6-added")

    reader.select(accepted)
    reader.press("1")
    reader.select(added)
    reader.press("2")
    reader.saved()
    by_uuid = {n["uuid"]: n for n in reader.detail()["nodes"]}
    assert by_uuid[accepted]["impression"]["value"] == "metastatic"
    assert by_uuid[added]["impression"]["value"] == "non_metastatic"
    assert by_uuid[rejected]["reason"] == "vessel"
    assert by_uuid[reshaped]["decision"] == "reshaped"
    assert by_uuid[added]["decision"] == "added"

    while any(n["decision"] == "undecided" for n in reader.nodes):
        undecided = sum(n["decision"] == "undecided" for n in reader.nodes)
        reader.press("d")
        reader.press("a")
        reader.wait(
            f"window.__concord.nodes.filter(n => n.decision === 'undecided').length < {undecided}"
        )
    reader.saved()
    reader.look_through()
    return {"added": added, "head": reader.detail()["head"], "nodes": len(reader.nodes)}


def _largest_three(reader: ReadingRoom) -> list[dict[str, Any]]:
    nodes = [n for n in reader.nodes if n["measures"]]
    assert len(nodes) >= 3, "the AI offered too few nodes to read"
    return sorted(nodes, key=lambda n: -n["measures"]["volume_mm3"])[:3]


def _decision(node: str, decision: str) -> str:
    return (
        f"window.__concord.nodes.find(n => n.uuid === {json.dumps(node)})?.decision"
        f" === {json.dumps(decision)}"
    )


def _reshape(reader: ReadingRoom, node: str) -> None:
    """Brush outwards from the node's centre; the server has exactly what is on screen."""
    reader.select(node)
    slice_ = reader.hook("focus")[0]
    labels, before = reader.server_mask()
    inside = np.argwhere(before[slice_] == labels[node])
    row, column = (float(v) for v in np.median(inside, axis=0))
    reader.press("b")
    reader.drag(slice_, [(row, column), (row - 6, column), (row - 10, column)])
    reader.wait(_decision(node, "reshaped"))
    reader.saved()
    _, after = reader.server_mask()
    painted = [int(after[slice_, r, round(column)]) for r in range(round(row) - 10, round(row) + 1)]
    others = {n for n in np.unique(before[slice_]) if n not in (0, labels[node])}
    assert set(painted) - others == {labels[node]}, "the brush's path is not in the mask"
    changed = np.argwhere(before != after)
    assert set(changed[:, 0]) == {slice_}, "the brush changed another slice"
    assert (before[before != after] == 0).all(), "the brush ran over another node"
    assert np.abs(changed[:, 2] - column).max() < 20, "the brush reached far from its path"
    _same_on_screen(reader, after, slice_)


def _add(reader: ReadingRoom) -> str:
    """Start a node where there is none and paint it."""
    slice_ = reader.hook("focus")[0]
    _, before = reader.server_mask()
    row, column = reader.free_place(before, slice_)
    known = {n["uuid"] for n in reader.nodes}
    reader.press("n")
    reader.drag(slice_, [(row, column), (row, column + 3)])
    reader.wait(f"window.__concord.nodes.length > {len(known)}")
    reader.saved()
    (added,) = {n["uuid"] for n in reader.nodes} - known
    labels, after = reader.server_mask()
    assert labels[added] == max(labels.values())
    assert after[slice_, round(row), round(column)] == labels[added]
    assert set(np.unique(after[before != after])) == {labels[added]}
    (node,) = (n for n in reader.detail()["nodes"] if n["uuid"] == added)
    voxel_mm3 = float(np.prod(reader.detail()["grid"]["spacing_mm"]))
    assert node["measures"]["volume_mm3"] == pytest.approx(
        (after == labels[added]).sum() * voxel_mm3
    )
    _same_on_screen(reader, after, slice_)
    return added


def _same_on_screen(reader: ReadingRoom, mask: Any, slice_: int) -> None:
    """The labelmap that the viewer draws agrees with the server's mask, voxel by voxel."""
    rows, columns = np.nonzero(mask[slice_])
    points = [[int(r), int(c)] for r, c in zip(rows, columns, strict=True)]
    shown = reader.page.evaluate(
        "([slice, points]) => points.map(([r, c]) => window.__concord.shownAt(slice, r, c))",
        [slice_, points],
    )
    truth = mask[slice_][rows, columns]
    pairs = {(int(t), int(s)) for t, s in zip(truth, shown, strict=True)}
    assert all(s > 0 for _, s in pairs), "a voxel of the mask is not drawn"
    assert len({t for t, _ in pairs}) == len({s for _, s in pairs}) == len(pairs)


def _signs(reader: ReadingRoom, prefix: str) -> None:
    """A wrong password signs nothing; the right one seals the reading."""
    reader.page.get_by_test_id("submit").click()
    password = reader.page.get_by_test_id("submit-password")
    reader.type_into(password, "not my password")
    reader.page.get_by_test_id("submit-sign").click()
    expect(reader.page.get_by_test_id("submit-error")).to_contain_text("not your password")
    assert reader.detail()["state"] == "open"
    reader.picture(f"{prefix}-7-submit")
    reader.type_into(password, reader.stack.users["reader1"])
    reader.press("Enter")
    expect(reader.page.get_by_test_id("signed")).to_be_visible(timeout=SLOW_MS)
    reader.picture(f"{prefix}-8-signed")
    detail = reader.detail()
    assert detail["state"] == "submitted"
    assert detail["signature"]["name"] == "Rita Reader"


def _is_blind(reader2: ReadingRoom, reading: str, kept: dict[str, Any]) -> None:
    """The second reader starts from the AI's proposal and finds nothing of the first's."""
    reader2.sign_in()
    with reader2.http() as client:
        own = [r["reading"] for r in client.get("/api/worklist").json()["results"]]
        assert reading not in own
        absent = "00000000-0000-4000-8000-000000000000"
        for address in (
            "/api/readings/{}",
            "/dicom-web/readings/{}/studies",
            "/cases/{}/",
        ):
            hidden, nothing = (client.get(address.format(i)) for i in (reading, absent))
            assert (hidden.status_code, len(hidden.content)) == (404, len(nothing.content))
        assert client.get(f"/api/masks/{kept['head']}").status_code == 404
        for own_reading in own:
            text = client.get(f"/api/readings/{own_reading}").text
            assert kept["added"] not in text
            assert kept["head"] not in text


def _is_reported(
    auditor: Person, stack: Stack, reader: ReadingRoom, label: str, prefix: str
) -> None:
    """Report, its numbers by a second path, exports that say what was signed, a whole chain."""
    auditor.sign_in("/cases/")
    auditor.picture(f"{prefix}-9-cases")
    keeps_nobody_out(auditor.page)
    auditor.page.get_by_role("link", name=label).first.click()
    auditor.page.get_by_role("button", name="Make report").first.click()
    auditor.page.wait_for_url("**/reports/**")
    auditor.page.wait_for_selector("iframe", timeout=120_000)  # The page follows the making.
    auditor.picture(f"{prefix}-10-report")
    keeps_nobody_out(auditor.page)
    report = auditor.page.url.rstrip("/").rsplit("/", 1)[-1]
    detail = reader.detail()
    with auditor.http() as client:
        document = client.get(f"/api/reports/{report}.json").json()
        files = {f: export_of(client, detail["id"], f) for f in ("seg", "nifti")}
        ai = _mask(client, detail["ai_mask"])
        head = _mask(client, detail["head"])
    rejected = [n["label"] for n in detail["nodes"] if n["decision"] == "rejected"]
    signed = np.where(np.isin(head, rejected), 0, head).astype(np.uint16)

    nifti = read_nifti(files["nifti"])
    assert np.array_equal(nifti, signed), "the NIfTI is not what was signed"
    grid = grid_of(stack, detail["case"]["id"])
    seg = read_seg_labels(files["seg"], grid)
    assert np.array_equal(seg > 0, signed > 0), "the SEG is not what was signed"
    dataset = pydicom.dcmread(io.BytesIO(files["seg"]))
    tracked = {s.TrackingUID for s in dataset.SegmentSequence}
    living = {n["uuid"] for n in detail["nodes"] if n["label"] in np.unique(signed)}
    assert tracked == {f"2.25.{int(u.replace('-', ''), 16)}" for u in living}

    metrics = {m["id"]: m["value"] for m in document["metrics"]}
    ours = numbers(ai, nifti, tuple(detail["grid"]["spacing_mm"]))
    assert metrics["recall"] == pytest.approx(ours.recall)
    assert metrics["precision"] == pytest.approx(ours.precision)
    assert metrics["f1"] == pytest.approx(ours.f1)
    assert metrics["sensitivity_localised"] == pytest.approx(ours.mean_sensitivity)
    assert metrics["fp"] == ours.false_proposals
    assert metrics["dice"] == pytest.approx(ours.dice)
    assert metrics["assd_mm"] == pytest.approx(ours.assd_mm, rel=1e-4)

    rebuilt = stack.manage("rebuild_report", report, check=False)
    assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr
    verified = stack.manage("verify_audit", check=False)
    assert verified.returncode == 0, verified.stdout


def _mask(client: Any, name: str) -> Any:
    from backend.imaging.masks import unpack_mask

    return unpack_mask(client.get(f"/api/masks/{name}/volume").content).to_volume()
