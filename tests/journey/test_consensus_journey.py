"""Four people and one case: two read blind, they settle, the adjudicator decides, all sign.

Then the auditor reads it all, takes it home, and has the report made again where nothing else is.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from playwright.sync_api import Browser, expect

from backend.imaging.masks import unpack_mask
from backend.imaging.seg import read_seg_labels
from tests.browser.accessibility import keeps_nobody_out
from tests.journey.files import grid_of, read_nifti
from tests.journey.room import SLOW_MS, Person
from tests.journey.settling import Settler
from tests.stack import Stack, until

WHY = {
    "take": "the border to the vessel is clear on the coronal plane",
    "union": "both have a part of it",
    "redraw": "neither follows the hilum; drawn anew",
    "cannot": "streaks of metal hide it",
    "defer": "we see this differently; please decide",
    "decide": "a fatty hilum in all three planes: it is a node",
    "evidence": "the marked node of this level",
}


@dataclass
class Case:
    """What the journey knows of its case."""

    label: str = ""
    id: str = ""
    plan: dict[str, int] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)


@pytest.mark.browser
@pytest.mark.timeout(900)
def test_two_readers_an_adjudicator_and_an_auditor_take_a_case_to_its_report(
    chrome: Browser, stack: Stack, short_neck: Path
) -> None:
    first, second = Settler(chrome, stack, "reader1"), Settler(chrome, stack, "reader2")
    case = Case()
    _arrives(first, stack, short_neck, case)
    nodes = _reads_first(first)
    _signs(first)
    second.sign_in()
    _sees_nothing(second, first.reading)
    second.open(second.page.locator("tr[data-reading]").first)
    _reads_second(second, nodes)
    _signs(second)
    _are_compared(first, second, stack, case, nodes)
    _settle(first, second, case)
    adjudicator = Settler(chrome, stack, "adjudicator")
    _decides(adjudicator, first, case)
    abstractor = Person(chrome, stack, "abstractor")
    _enters_evidence(abstractor, first, case)
    _label(first, second, case)
    _sign(first, second, adjudicator)
    auditor = Person(chrome, stack, "auditor")
    _is_on_record(auditor, stack, case)
    _goes_home(auditor, first, stack, case)
    _is_reopened(chrome, first, second, adjudicator, stack, case)
    _is_made_again_elsewhere(auditor, stack, case)
    for person in (first, second, adjudicator, abstractor, auditor):
        assert person.foreign == [], person.name
        assert person.complaints == [], person.name


# Two read.


def _arrives(reader: Settler, stack: Stack, study: Path, case: Case) -> None:
    reader.sign_in()
    stack.manage("receive", str(study))
    row = reader.page.locator("tr[data-reading]").first
    expect(row).to_have_attribute("data-ai", "ready", timeout=240_000)
    ((case.id,),) = stack.query("select id::text from reading_case")
    reader.open(row)
    reader.wait("window.__concord.nodes.length > 0")
    case.label = reader.page.get_by_test_id("case-label").inner_text()


def _reads_first(reader: Settler) -> dict[str, str]:
    """Reject one, doubt one, call one metastatic, add one; accept the rest, and look through."""
    large = [n for n in reader.nodes if n["measures"] and n["measures"]["sad_mm"] > 5]
    assert len(large) >= 5, "the AI offered too few nodes to differ on"
    large.sort(key=lambda n: -n["measures"]["volume_mm3"])
    names = ("gone", "said", "doubted", "kept", "grown")
    nodes = {name: n["uuid"] for name, n in zip(names, large, strict=False)}
    reader.select(nodes["gone"])
    reader.press("r")
    reader.press("1")
    reader.select(nodes["said"])
    reader.press("1")
    reader.select(nodes["doubted"])
    reader.press("f")
    reader.saved()
    _grow(reader, nodes["grown"])
    nodes["added"] = _add(reader)
    _accept_the_rest(reader)
    reader.look_through()
    return nodes


def _sees_nothing(reader: Settler, hidden: str) -> None:
    """Of the other reader's signed reading (all of it: tests/reading/test_canaries.py)."""
    expect(reader.page.locator("[data-settle]")).to_have_count(0)
    with reader.http() as client:
        found, absent = (client.get(f"/api/readings/{one}") for one in (hidden, uuid.uuid4()))
    assert (found.status_code, found.content) == (404, absent.content)


def _reads_second(reader: Settler, nodes: dict[str, str]) -> None:
    """Reject another, call the same node something else; accept the rest, and look through."""
    assert nodes["added"] not in {n["uuid"] for n in reader.nodes}
    reader.select(nodes["kept"])
    reader.press("r")
    reader.press("2")
    reader.select(nodes["said"])
    reader.press("2")
    reader.saved()
    _accept_the_rest(reader)
    reader.look_through()


def _grow(reader: Settler, node: str) -> None:
    """Brush outwards from a node's centre, far enough that the short axis is another."""
    reader.select(node)
    slice_, row, column = reader.hook("focus")
    reader.press("b")
    path = [(0, 0), (-9, 0), (-9, 6), (0, 9), (7, 6), (7, -4), (0, -9), (-7, -6)]
    reader.drag(slice_, [(row + down, column + right) for down, right in path])
    reader.wait(
        f"window.__concord.nodes.find(n => n.uuid === {json.dumps(node)})?.decision === 'reshaped'"
    )
    reader.saved()


def _add(reader: Settler) -> str:
    """Paint a node where there is none, large enough that nobody may ignore it."""
    slice_ = reader.hook("focus")[0]
    _, mask = reader.server_mask()
    row, column = reader.free_place(mask, slice_)
    known = {n["uuid"] for n in reader.nodes}
    reader.press("n")
    corners = [(0, 0), (0, 7), (4, 7), (4, 0), (7, 0), (7, 7)]
    reader.drag(slice_, [(row + down, column + right) for down, right in corners])
    reader.wait(f"window.__concord.nodes.length > {len(known)}")
    reader.saved()
    (added,) = {n["uuid"] for n in reader.nodes} - known
    return added


def _accept_the_rest(reader: Settler) -> None:
    reader.press("Escape")
    undecided = "window.__concord.nodes.filter(n => n.decision === 'undecided').length"
    while count := reader.page.evaluate(undecided):
        reader.press("d")
        reader.press("a")
        reader.wait(f"{undecided} < {count}")
    reader.saved()


def _signs(reader: Settler) -> None:
    reader.page.get_by_test_id("submit").click()
    password = reader.page.get_by_test_id("submit-password")
    reader.type_into(password, reader.stack.users[reader.name])
    reader.press("Enter")
    expect(reader.page.get_by_test_id("signed")).to_be_visible(timeout=SLOW_MS)


# Two settle.


def _are_compared(
    first: Settler, second: Settler, stack: Stack, case: Case, nodes: dict[str, str]
) -> None:
    """The worklists say by themselves that there is something to settle."""
    for reader in (first, second):
        reader.page.goto("/")
        row = reader.page.locator("tr[data-reading]").first
        expect(row.get_by_role("link", name="Settle")).to_be_visible(timeout=SLOW_MS)
    first.picture("consensus-1-worklist")
    clusters = stack.query(
        "select number, first_nodes, second_nodes, outcome from reading_cluster order by number"
    )
    for number, one, other, outcome in clusters:
        here = {entry["node"] for entry in [*one, *other]}
        for name, node in nodes.items():
            if node in here:
                assert outcome == "open", f"{name} is {outcome}: {clusters}"
                case.plan[name] = number
    assert set(case.plan) == set(nodes), clusters
    for reader in (first, second):
        reader.enter(reader.page.locator("tr[data-reading]").first, "Settle")


def _settle(first: Settler, second: Settler, case: Case) -> None:
    plan = case.plan
    first.choose(plan["said"])
    second.meets("other", plan["said"])
    first.picture("consensus-2-settling")
    second.act(plan["grown"], "u", WHY["union"])
    first.hears(plan["grown"], "proposed")
    first.choose(plan["grown"])
    first.picture("consensus-3-proposed")
    first.agree(plan["grown"])

    first.redraw(plan["doubted"])
    first.picture("consensus-4-redrawn")
    first.say(WHY["redraw"])
    first.press("Enter")
    first.taken()
    second.agree(plan["doubted"])

    first.act(plan["kept"], "c", WHY["cannot"])

    _settle_one_at_once(first, second, plan["added"])

    second.act(plan["gone"], "f", WHY["defer"])
    first.hears(plan["gone"], "deferred")
    rows = [row for row in first.settle("discrepancies") if row["state"] == "open"]
    for row in rows:
        side = _side_of(first, row["cluster"])
        first.act(row["cluster"], side or "u", WHY["take"])
    first.agrees_here("reader2")
    second.hears(plan["kept"], "indeterminate")
    for row in rows:
        second.hears(row["cluster"], "resolved")
    states = {row["cluster"]: row["state"] for row in first.consensus_detail()["discrepancies"]}
    assert states[plan["gone"]] == "deferred"
    assert states[plan["kept"]] == "indeterminate"
    assert {s for c, s in states.items() if c not in (plan["gone"], plan["kept"])} == {"resolved"}
    assert first.settle("state") == "draft"


def _side_of(reader: Settler, cluster: int) -> str:
    """The key of the one side that has something there; "" where both have."""
    (found,) = (c for c in reader.consensus_detail()["clusters"] if c["number"] == cluster)
    return "" if found["x"] and found["y"] else "x" if found["x"] else "y"


def _settle_one_at_once(first: Settler, second: Settler, cluster: int) -> None:
    """Both write about one row and send: one is taken, the other sees what changed and answers."""
    first.begin(cluster, _side_of(first, cluster), WHY["take"])
    second.begin(cluster, "6", "I see nothing there")
    first.press("Enter")
    second.press("Enter")
    late: list[Settler] = until(
        lambda: [person for person in (first, second) if person.came_too_late()],
        "someone to be told that they came late",
        30,
        first.words,
    )
    (loser,) = late
    winner = second if loser is first else first
    winner.taken()
    loser.choose(cluster)
    notice = loser.page.get_by_test_id("moved-on")
    expect(notice).to_contain_text("Not recorded: the other reader proposed first")
    expect(notice).to_contain_text("The other reader proposes")
    expect(loser.page.get_by_test_id("kept-rationale")).to_be_visible()
    loser.picture("consensus-5-too-late")
    assert loser.discrepancy(cluster)["version"] == 1
    loser.press("Escape")
    loser.agree(cluster)
    winner.hears(cluster, "resolved")


def _decides(adjudicator: Settler, first: Settler, case: Case) -> None:
    """What was deferred waits on the adjudicator's own list; their word is final."""
    adjudicator.sign_in()
    row = adjudicator.page.locator("tr[data-consensus]").first
    expect(row).to_be_visible(timeout=SLOW_MS)
    adjudicator.picture("consensus-6-adjudicators-list")
    adjudicator.enter(row, "Open")
    cluster = case.plan["gone"]
    adjudicator.choose(cluster)
    adjudicator.picture("consensus-7-adjudicator")
    adjudicator.act(cluster, _side_of(adjudicator, cluster), WHY["decide"])
    first.becomes("labelling")


# Evidence, labels, signatures.


def _enters_evidence(abstractor: Person, first: Settler, case: Case) -> None:
    """Histology of one agreed node; while it is typed, readers have their screens open."""
    until(lambda: first.settle("nodes"), "the agreed nodes", 60, first.words)
    case.numbers = [node["number"] for node in first.settle("nodes")]
    abstractor.sign_in("/evidence/")
    abstractor.page.get_by_role("link", name="Open").first.click()
    abstractor.page.get_by_role("navigation", name="Kind").get_by_text("Histology").click()
    page, keyboard = abstractor.page, abstractor.page.keyboard
    for field_, words in (
        ("Result", "positive"),
        ("It is of", "One agreed"),
        ("Node", f"{case.numbers[0]}:"),
        ("Procedure", "excision"),
    ):
        page.get_by_label(field_, exact=True).focus()
        keyboard.type(words)
    page.get_by_label("Date of the report").focus()
    keyboard.type("03032026")
    abstractor.type_into(page.get_by_label("How the specimen corresponds"), WHY["evidence"])
    abstractor.picture("consensus-8-evidence-form")
    keeps_nobody_out(page)
    page.get_by_role("button", name="Keep").click()
    expect(page.locator("tr[data-evidence]")).to_have_count(1, timeout=SLOW_MS)
    page.get_by_role("navigation", name="Kind").get_by_text("PET").click()
    for field_, words in (("Result", "negative"), ("It is of", "The patient")):
        page.get_by_label(field_, exact=True).focus()
        keyboard.type(words)
    page.get_by_label("Date of the PET").focus()
    keyboard.type("03032026")
    page.get_by_role("button", name="Keep").click()
    expect(page.locator("tr[data-evidence]")).to_have_count(2, timeout=SLOW_MS)
    abstractor.picture("consensus-9-evidence")
    keeps_nobody_out(page)


def _label(first: Settler, second: Settler, case: Case) -> None:
    proven, unproven, *rest = case.numbers
    first.tab("label")
    first.wait("window.__concordSettle.evidence.length === 2")
    first.look_at(unproven)
    first.press("1")
    expect(first.page.get_by_test_id("pick")).to_have_count(1)  # The PET of the patient: negative.
    first.press("Enter")
    expect(first.page.get_by_test_id("settle-notice")).to_contain_text("rests on evidence")
    assert first.label(unproven) is None
    first.press("Escape")
    first.look_at(proven)
    first.press("1")
    expect(first.page.get_by_test_id("pick")).to_have_count(2)
    first.press("z")
    first.picture("consensus-10-label")
    keeps_nobody_out(first.page)
    first.press("Enter")
    first.taken()
    second.tab("label")
    second.look_at(unproven)
    second.press("2")
    for number in rest[::2]:
        second.look_at(number)
        second.press("2")
    second.taken()
    for number in rest[1::2]:
        first.look_at(number)
        first.press("3" if number == rest[-1] else "2")
    first.taken()
    first.becomes("ready")
    labels = {node["number"]: node["label"]["value"] for node in first.settle("nodes")}
    assert labels[proven] == "metastatic"
    assert labels[unproven] == "non_metastatic"


def _sign(first: Settler, second: Settler, adjudicator: Settler) -> None:
    """Each at their own screen; the last signature publishes."""
    first.tab("sign")
    first.picture("consensus-11-sign")
    keeps_nobody_out(first.page)
    first.type_into(first.page.get_by_test_id("sign-password"), "not my password")
    first.press("Enter")
    expect(first.page.get_by_test_id("sign-error")).to_contain_text("not your password")
    second.tab("sign")
    password = second.page.get_by_test_id("sign-password")
    second.type_into(password, "typed before the first signed")
    for count, person in enumerate((first, second, adjudicator), 1):
        person.wait("['ready', 'signing'].includes(window.__concordSettle.state)")
        if person is second:
            expect(second.page.get_by_test_id("object")).to_be_visible(timeout=SLOW_MS)
            expect(password).to_have_value("typed before the first signed")
            expect(password).to_be_focused()
        person.tab("sign")
        person.sign()
        person.signed(count)
    for person in (first, second, adjudicator):
        person.becomes("published")
        expect(person.page.get_by_test_id("published")).to_have_attribute("data-version", "1")
    second.picture("consensus-12-published")
    signers = first.consensus_detail()["signing"]["required"]
    assert len(signers) == 3
    assert all(signer["signed_at"] for signer in signers)


# The auditor.


def _is_on_record(auditor: Person, stack: Stack, case: Case) -> None:
    """Timeline, a node's life, the verdict on the chain."""
    auditor.sign_in("/cases/")
    auditor.page.get_by_role("link", name=case.label).first.click()
    auditor.picture("consensus-13-case")
    auditor.page.get_by_role("link", name="Timeline").first.click()
    verdict = auditor.page.locator("#verdict[data-holds]")
    expect(verdict).to_have_attribute("data-holds", "yes", timeout=SLOW_MS)
    for action in ("discrepancy.proposed", "discrepancy.resolved", "consensus.published"):
        assert auditor.page.locator(f'tr[data-action="{action}"]').count() > 0, action
    auditor.picture("consensus-14-timeline", whole=True)
    keeps_nobody_out(auditor.page)
    ((grown, *_), *_) = stack.query(
        "select node_id::text from reading_consensusnode where origin = 'union'"
        " order by number desc"
    )
    auditor.page.locator(f'a[href$="/nodes/{grown}/"]').first.click()
    expect(auditor.page.locator("ol.life-steps li").first).to_be_visible(timeout=SLOW_MS)
    auditor.sees("ol.life-steps img")
    auditor.picture("consensus-15-node", whole=True)
    keeps_nobody_out(auditor.page)
    auditor.page.get_by_role("link", name="Timeline").first.click()
    expect(verdict).to_have_attribute("data-holds", "yes", timeout=SLOW_MS)
    auditor.page.get_by_role("button", name="Verify now").click()
    expect(auditor.page.get_by_text("now on record")).to_be_visible(timeout=SLOW_MS)


def _goes_home(auditor: Person, first: Settler, stack: Stack, case: Case) -> None:
    """The report as page, PDF and tables; the agreed nodes as SEG, NIfTI and a table, re-read."""
    page = auditor.page
    page.get_by_role("link", name="Case", exact=True).first.click()
    for count, form in enumerate(("seg", "nifti", "csv"), 1):
        page.locator(f'[data-export="{form}"]').click()
        expect(page.locator("#files tbody tr")).to_have_count(count, timeout=SLOW_MS)
    expect(page.locator("#files .state.done")).to_have_count(3, timeout=SLOW_MS)
    with auditor.http() as client:
        links = page.locator("#files tbody a[download]").evaluate_all("a => a.map(e => e.href)")
        files = {_kind(got): got.content for got in map(client.get, links)}
    _are_what_was_agreed(files, auditor, first, stack, case)
    page.get_by_role("button", name="Make report").click()
    expect(page.get_by_role("link", name="PDF")).to_be_visible(timeout=SLOW_MS)
    expect(page.frame_locator("iframe").locator("body")).to_contain_text(
        case.label, timeout=SLOW_MS
    )
    auditor.picture("consensus-16-report")
    with page.expect_download() as download:
        page.get_by_role("link", name="PDF").click()
    data = Path(download.value.path()).read_bytes()
    auditor.keep("consensus-report.pdf", data)
    assert data.startswith(b"%PDF-1.7")
    with page.expect_download() as download:
        page.get_by_role("link", name="Nodes CSV").click()
    rows = list(csv.DictReader(download.value.path().open(encoding="utf-8-sig")))
    assert len(rows) >= len(case.numbers)


def _kind(answer: Any) -> str:
    for word in ("dicom", "json", "csv"):
        if word in answer.headers["content-type"]:
            return word
    return "nifti"


def _are_what_was_agreed(
    files: dict[str, bytes], auditor: Person, first: Settler, stack: Stack, case: Case
) -> None:
    detail = first.consensus_detail()
    ((mask,),) = stack.query(
        "select m.hash from reading_mask m join reading_consensus c on c.mask_id = m.id"
        " where c.id = %s",
        detail["id"],
    )
    with auditor.http() as client:
        agreed = unpack_mask(client.get(f"/api/masks/{mask}/volume").content).to_volume()
    nodes = {node["number"]: node for node in detail["nodes"]}
    assert set(np.unique(agreed)) - {0} == set(nodes)
    assert np.array_equal(read_nifti(files["nifti"]), agreed)
    seg = read_seg_labels(files["dicom"], grid_of(stack, case.id))
    assert np.array_equal(seg > 0, agreed > 0)
    tracked = {s.TrackingUID for s in pydicom.dcmread(io.BytesIO(files["dicom"])).SegmentSequence}
    assert tracked == {f"2.25.{uuid.UUID(node['uuid']).int}" for node in nodes.values()}
    rows = list(csv.DictReader(io.StringIO(files["csv"].decode("utf-8-sig"))))
    told = {int(row["number"]): (row["label"], float(row["volume_mm3"])) for row in rows}
    assert set(told) == set(nodes)
    for number, node in nodes.items():
        volume = pytest.approx(node["measures"]["volume_mm3"])
        assert told[number] == (node["label"]["value"], volume)


def _is_reopened(
    chrome: Browser,
    first: Settler,
    second: Settler,
    adjudicator: Settler,
    stack: Stack,
    case: Case,
) -> None:
    """The coordinator reopens it for its labels; all sign version 2 at one screen; both stay."""
    coordinator = Person(chrome, stack, "coordinator")
    coordinator.sign_in("/cases/")
    coordinator.page.get_by_role("link", name=case.label).first.click()
    coordinator.page.get_by_text("Reopen version 1").click()
    coordinator.type_into(coordinator.page.get_by_label("Reason").last, "histology was amended")
    coordinator.picture("consensus-17-reopen")
    coordinator.page.get_by_role("button", name="Reopen", exact=True).click()
    expect(coordinator.page.locator("#settling")).to_contain_text("version 2", timeout=SLOW_MS)
    first.page.goto("/")
    row = first.page.locator("tr[data-reading]").first
    expect(row.locator('[data-settle="labelling"], [data-settle="ready"]')).to_be_visible(
        timeout=SLOW_MS
    )
    first.enter(row)
    versions = {v["version"]: v["state"] for v in first.consensus_detail()["versions"]}
    assert versions[1] == "published"
    first.tab("label")
    last = case.numbers[-1]
    first.look_at(last)
    first.press("2")
    first.taken()
    first.becomes("ready")
    first.tab("sign")
    first.sign()
    first.signed(1)
    required = first.settle("signing")["required"]
    others = ["reader2", "adjudicator"][: len(required) - 1]
    for count, name in enumerate(others, 2):
        first.cosign(name)
        first.signed(count)
    first.becomes("published")
    first.picture("consensus-18-version-2")
    versions = {v["version"]: v["state"] for v in first.consensus_detail()["versions"]}
    assert versions == {1: "superseded", 2: "published"}
    second.becomes("superseded")
    assert coordinator.complaints == []
    assert adjudicator.complaints == []


def _is_made_again_elsewhere(auditor: Person, stack: Stack, case: Case) -> None:
    """Into an empty database, from the record alone: the same bytes."""
    ((report,),) = stack.query("select id::text from reports_report order by created limit 1")
    here = stack.manage("rebuild_report", report, check=False)
    assert here.returncode == 0, here.stdout + here.stderr
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record.zip"
        stack.manage("export_record", case.id, str(record))
        with stack.elsewhere(Path(folder) / "state") as manage:
            manage("import_record", str(record))
            there = manage("rebuild_report", report).stdout
    assert there == here.stdout
    with auditor.http() as client:
        kept = client.get(f"/api/reports/{report}.pdf").content
    assert hashlib.sha256(kept).hexdigest() in there
    assert {line.split()[0] for line in there.splitlines()} == {"same"}
