"""The timeline's pure parts: folding, words, the strip over time, crops, filters, pages."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from backend.imaging.grid import Grid
from backend.reports.record.events import Event
from backend.reports.timeline_cast import Cast, Named, Part
from backend.reports.timeline_chart import Point, chart
from backend.reports.timeline_crops import NARROWEST_MM, View, _edges, crop, view_of
from backend.reports.timeline_rows import PAGE, Wanted, page_of, wanted_of
from backend.reports.timeline_story import (
    KINDS,
    PHASES,
    RUN_PAUSE,
    Line,
    folded,
    lines_of,
)
from backend.reports.timeline_strip import (
    LEFT,
    MOST_STRETCHES,
    WIDTH,
    Lane,
    Moment,
    spoken,
    stretches_of,
    strip,
)
from backend.reports.timeline_words import _WORDS

START = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)
ONE, TWO, ADDED = (f"{n:08d}-0000-4000-8000-000000000000" for n in (1, 2, 3))
RITA, ROLF, CORA = (f"{n:08d}-0000-4000-8000-00000000000a" for n in (1, 2, 3))
FIRST, SECOND = (f"{n:08d}-0000-4000-8000-00000000000b" for n in (1, 2))
CAST = Cast(
    readings={
        FIRST: Part("R1", 1, RITA, "Rita Reader"),
        SECOND: Part("R2", 1, ROLF, "Rolf Reader"),
    },
    nodes={ONE: Named(1), TWO: Named(2), ADDED: Named(6, "R1")},
    roles={CORA: "coordinator"},
    offered_mm={ONE: 8.1, TWO: 5.0},
    model="Net 1",
)
NAMES = {RITA: "Rita Reader", ROLF: "Rolf Reader", CORA: "Cora"}


class Chain:
    """Events one after the other."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.now = START

    def add(
        self, action: str, actor: str = "", wait: float = 10, *, of: str = "", **facts: Any
    ) -> Event:
        self.now += timedelta(seconds=wait)
        place = len(self.events) + 1
        if of:
            facts = {"change": f"c{place - 1}", "base": "a" * 64, "head": "b" * 64, **facts}
        event = Event(
            number=place,
            chain="case:x",
            position=place,
            previous="",
            hash=f"{place:064d}",
            at=self.now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            actor=actor,
            actor_name=NAMES.get(actor, "system"),
            action=action,
            subject_type="reading" if of else "case",
            subject_id=of or "x",
            outcome=facts.pop("outcome", "success"),
            reason=facts.pop("reason", ""),
            facts_text=json.dumps(facts),
            software="1",
        )
        self.events.append(event)
        return event

    def stroke(
        self,
        node: str,
        sad_mm: float,
        *,
        actor: str = RITA,
        wait: float = 10,
        kind: str = "voxels",
        was: int = 100,
        **facts: Any,
    ) -> Event:
        told = {
            "node": node,
            "voxels_before": was,
            "voxels_after": 110,
            "added": 12,
            "removed": 2,
            "dice": 0.9,
            "sad_mm": sad_mm,
        }
        return self.add(
            f"reading.changed.{kind}",
            actor,
            wait,
            of=FIRST if actor == RITA else SECOND,
            nodes=[told],
            **facts,
        )

    def lines(self) -> list[Line]:
        return lines_of(self.events, CAST)

    def folded(self) -> list[Line]:
        return folded(self.lines())


@pytest.fixture
def chain() -> Chain:
    return Chain()


def test_strokes_on_one_node_in_a_row_are_one_line_that_opens(chain: Chain):
    for sad_mm in (8.4, 8.9, 9.4):
        chain.stroke(ONE, sad_mm)
    (line,) = chain.folded()
    assert line.said.what == "3 strokes on AI 1"
    assert (line.said.before, line.said.after) == ("8.1 mm", "9.4 mm short axis")
    assert line.said.detail == "+36 −6 voxels in all"
    assert line.positions == (1, 2, 3)
    assert (line.until - line.at).total_seconds() == 20
    assert [stroke.said.after for stroke in line.strokes] == [
        f"{mm} mm short axis" for mm in (8.4, 8.9, 9.4)
    ]


@pytest.mark.parametrize(
    "between",
    [
        lambda c: c.stroke(TWO, 5.1),
        lambda c: c.add("reading.changed.decision", RITA, of=FIRST, node=ONE, before={}, after={}),
        lambda c: c.stroke(ONE, 8.0, kind="undo", undoes="c0"),
    ],
    ids=["another node", "a decision", "an undo"],
)
def test_a_run_ends_with_anything_else_its_person_does(chain: Chain, between: Any):
    chain.stroke(ONE, 8.4)
    between(chain)
    chain.stroke(ONE, 8.9)
    assert [len(line.positions) for line in chain.folded()] == [1, 1, 1]


def test_a_run_goes_on_while_others_work_and_ends_after_a_pause(chain: Chain):
    chain.stroke(ONE, 8.4)
    chain.stroke(ONE, 9.9, actor=ROLF)
    chain.stroke(ONE, 8.9)
    chain.stroke(ONE, 9.0, wait=RUN_PAUSE.total_seconds() + 1)
    assert [line.positions for line in chain.folded()] == [(1, 3), (2,), (4,)]


def test_every_event_is_in_exactly_one_line(chain: Chain):
    for n in range(40):
        chain.stroke(ONE if n % 7 else TWO, 8.0, actor=RITA if n % 3 else ROLF)
    places = [place for line in chain.folded() for place in line.positions]
    assert sorted(places) == list(range(1, 41))


def decide(chain: Chain, node: str, decision: str = "accepted", **facts: Any) -> Event:
    before, after = {"decision": "undecided", "reason": ""}, {"decision": decision, "reason": ""}
    return chain.add(
        "reading.changed.decision", RITA, of=FIRST, node=node, before=before, after=after, **facts
    )


def test_acceptances_in_a_row_are_one_line_that_names_them_all(chain: Chain):
    for node in (TWO, ONE):
        decide(chain, node)
    decide(chain, ADDED, "rejected")
    decide(chain, ONE)
    run, rejected, alone = chain.folded()
    assert (run.said.what, run.said.detail) == ("2 nodes accepted", "AI 2, AI 1")
    assert (run.said.before, run.said.after) == ("undecided", "accepted")
    assert (run.positions, run.nodes) == ((1, 2), (TWO, ONE))
    assert [line.said.what for line in run.strokes] == ["AI 2 accepted", "AI 1 accepted"]
    assert (rejected.said.what, alone.said.what) == ("R1 6 rejected", "AI 1 accepted")
    assert not rejected.strokes


def test_an_acceptance_that_failed_or_takes_something_back_is_not_folded(chain: Chain):
    decide(chain, ONE)
    decide(chain, TWO, outcome="failure")
    decide(chain, TWO, undoes="c0")
    assert [len(line.positions) for line in chain.folded()] == [1, 1, 1]


def test_a_refused_signature_says_of_what_and_why(chain: Chain):
    chain.add("consensus.opened", version=2)
    chain.add("signature.refused", RITA, outcome="failure", consensus="x", version=2)
    chain.add("signature.refused", RITA, outcome="failure", reading=FIRST)
    chain.add("signature.refused", RITA, outcome="failure", consensus="x", named="rolf")
    told = [(line.said.what, line.said.detail) for line in chain.lines()[1:]]
    assert told == [
        ("Signature of consensus version 2 refused", "wrong password; nothing was signed"),
        ("Signature of R1 refused", "wrong password; nothing was signed"),
        (
            "Signature of consensus version 2 refused",
            "wrong user name or password for rolf; nothing was signed",
        ),
    ]


def test_looks_and_exports_name_what_they_are_of(chain: Chain):
    chain.add("consensus.opened", version=1)
    chain.add("export.requested", CORA, format="nifti", consensus="x")
    chain.add("export.made", format="nifti", consensus="x", file="f" * 64, sidecar="5" * 64)
    chain.add("export.downloaded", CORA, consensus="x", file="f" * 64)
    chain.add("export.downloaded", CORA, consensus="x", file="5" * 64)
    looks = ("timeline", f"node {ONE}", f"node {ADDED}", f"reading {FIRST}", f"mask {'a' * 64}")
    for what in looks:
        chain.add("timeline.opened", CORA, what=what)
    chain.add("admin.looked", CORA)
    assert [line.said.what for line in chain.lines()[1:]] == [
        "NIFTI file of consensus version 1 asked for",
        "NIFTI file of consensus version 1 written, read back and found equal",
        "NIFTI file of consensus version 1 taken",
        "Labels beside the NIFTI file of consensus version 1 taken",
        "Looked at the timeline",
        "Looked at the life of AI 1",
        "Looked at the life of R1 6",
        "Looked at reading R1",
        "Looked at mask aaaaaaaaaaaa",
        "Looked at the case",
    ]


def test_only_signatures_that_were_given_are_counted_as_such(chain: Chain):
    for action in ("consensus.signed", "consensus.published", "consensus.objected"):
        chain.add(action, RITA, version=1)
    chain.add("signature.refused", RITA, outcome="failure")
    phases = [(line.phase, line.good) for line in chain.lines()]
    assert phases == [
        ("signatures", True),
        ("versions", True),
        ("versions", True),
        ("signatures", False),
    ]


def test_an_undo_is_shown_as_one_and_so_is_what_it_took_back(chain: Chain):
    chain.stroke(ONE, 8.4)
    chain.stroke(ONE, 8.1, kind="undo", undoes="c0")
    stroke, undo = chain.folded()
    assert (stroke.undone_by, undo.undo) == (2, True)
    assert undo.said.what == "Undone: AI 1 reshaped"
    assert (undo.said.before, undo.said.after) == ("8.4 mm", "8.1 mm short axis")


def test_what_was_done_is_said_in_words(chain: Chain):
    no = {"decision": "undecided", "reason": ""}
    chain.add(
        "reading.changed.decision",
        RITA,
        of=FIRST,
        node=TWO,
        before=no,
        after={"decision": "rejected", "reason": "salivary_gland"},
    )
    chain.add(
        "reading.changed.impression",
        RITA,
        of=FIRST,
        node=ONE,
        before={"value": None, "confidence": None},
        after={"value": "non_metastatic", "confidence": 60},
    )
    chain.add("reading.changed.doubt", RITA, of=FIRST, node=ONE, before=False, after=True)
    chain.stroke(ADDED, 4.0, was=0)
    chain.add("something.nobody_knows", CORA)
    told = [(line.said.what, line.said.before, line.said.after) for line in chain.lines()]
    assert told == [
        ("AI 2 rejected", "undecided", "rejected (salivary gland)"),
        ("AI 1 impression", "–", "non-metastatic, 60 %"),
        ("AI 1 marked as in doubt", "–", "in doubt"),
        ("R1 6 added", "–", "4.0 mm short axis"),
        ("Something nobody knows", "", ""),
    ]
    assert [line.role for line in chain.lines()][3:] == ["first reader", "coordinator"]


def test_splits_merges_unreadable_parts_and_calipers_are_said_in_words(chain: Chain):
    lineage = {"node": ONE, "label": 1, "other": ADDED, "other_label": 6}
    chain.stroke(ONE, 8.4, kind="split", lineage={"kind": "split", **lineage})
    chain.stroke(ONE, 8.4, kind="merge", lineage={"kind": "merge", **lineage})
    nothing = {"reason": "", "slices": 0, "voxels": 0, "content": ""}
    marked = {"reason": "cut_off", "slices": 2, "voxels": 50, "content": "c" * 64}
    region = {"region": "r", "nodes": []}
    chain.add("reading.changed.region", RITA, of=FIRST, before=nothing, after=marked, **region)
    axes = {"long": {"mm": 12.3, "text": "12.3", "ends_vox": None}, "short": None}
    chain.add(
        "reading.changed.size",
        RITA,
        of=FIRST,
        node=ONE,
        before={"manual": None},
        after={"manual": axes},
    )
    told = [(line.said.what, line.said.before, line.said.after) for line in chain.folded()]
    assert told == [
        ("R1 6 split off AI 1", "", ""),
        ("R1 6 merged into AI 1", "", ""),
        ("Part of the images that cannot be read", "–", "2 slices, cut off"),
        ("AI 1 measured by hand", "–", "12.3 × – mm"),
    ]


def test_settling_names_the_readers_behind_x_and_y_and_the_nodes(chain: Chain):
    cluster = {"number": 4, "first": {"nodes": [{"node": ONE}]}, "second": {"nodes": []}}
    chain.add(
        "comparison.made", first=FIRST, second=SECOND, x="second", clusters=1, outcomes={"open": 1}
    )
    chain.add("consensus.opened", comparison="k", version=1, clusters=[cluster])
    steps = {"cluster": 4, "consensus": "c", "role": "reader"}
    chain.add("discrepancy.proposed", RITA, resolution="Y", reason="clearer", **steps)
    chain.add("discrepancy.agreed", ROLF, resolution="Y", **steps)
    _, _, proposed, agreed = chain.lines()
    assert proposed.said.what == "Proposal for cluster 4 (AI 1)"
    assert (proposed.said.before, proposed.said.after) == (
        "open",
        "proposed: Rita Reader's shape (Y)",
    )
    assert proposed.reason == "clearer"
    assert agreed.said.before == "proposed: Rita Reader's shape (Y)"
    assert (agreed.who, agreed.role) == ("Rolf Reader", "second reader")


def test_every_kind_of_event_has_a_phase_and_a_kind_that_are_known(chain: Chain):
    for action in _WORDS:
        chain.add(action, CORA, first=FIRST, second=SECOND, slot="R1")
    for line in chain.lines():
        assert line.phase in PHASES, line.action
        assert line.kind in KINDS, line.action
        assert line.said.what[0].isupper(), line.action


def test_filters_admit_what_is_asked_for_and_unknown_ones_are_left_out(chain: Chain):
    chain.stroke(ONE, 8.4)
    chain.stroke(TWO, 5.4, actor=ROLF)
    chain.add("case.opened")
    lines = chain.lines()

    def admitted(**asked: str) -> list[int]:
        wanted = wanted_of(asked, lines, CAST)
        return [line.first for line in lines if wanted.admits(line)]

    assert admitted() == [1, 2, 3]
    assert admitted(person=RITA) == [1]
    assert admitted(person="concord") == [3]
    assert admitted(node=TWO) == [2]
    assert admitted(kind="strokes", phase="first") == [1]
    assert admitted(person="' or 1=1", node="x", kind="y", phase="z") == [1, 2, 3]


def test_pages_hold_what_they_are_asked_for(chain: Chain):
    for _ in range(PAGE + 5):
        chain.add("report.opened", CORA)
    lines = chain.lines()
    assert [len(page_of(lines, number=n).lines) for n in ("1", "2", "", "0", "99", "x")] == [
        PAGE, 5, PAGE, PAGE, 5, PAGE,
    ]  # fmt: skip
    assert page_of(lines, at=str(PAGE + 2)).number == 2
    assert page_of(lines, at="1").number == 1
    assert page_of([], number="3").lines == []


def moments(*minutes: float) -> list[Moment]:
    return [
        Moment(START + timedelta(minutes=m), "first", n) for n, m in enumerate(minutes, start=1)
    ]


LANES = [Lane("ai", "AI", "?phase=ai"), Lane("first", "Reading 1", "?phase=first")]


def test_idle_time_is_cut_out_of_the_strip_and_named():
    found = stretches_of([moment.at for moment in moments(0, 1, 2, 3000, 3000.2)])
    assert len(found) == 2
    assert found[0].x == LEFT
    assert found[0].width > 3 * found[1].width
    assert found[1].x + found[1].width <= WIDTH
    picture = strip(moments(0, 1, 2, 3000, 3000.2), LANES, zone=UTC, jump=str)
    assert "2 d 1 h without an event" in picture


def test_a_long_stretch_has_round_times_under_it():
    picture = strip(moments(*range(41)), LANES, zone=UTC, jump=str)
    parts = ET.fromstring(picture).iter()  # noqa: S314
    ticks = [(t.text or "", float(t.get("x", ""))) for t in parts if t.get("class") == "tick"]
    first, *rest = [words for words, _ in ticks]
    assert first.endswith(f"{moments(0)[0].at:%H:%M}")
    assert len(rest) >= 3
    assert all(int(words[-2:]) % 5 == 0 for words in rest), ticks
    assert all(after - before >= 43 for (_, before), (_, after) in pairwise(ticks))


def test_a_strip_of_many_days_still_fits():
    found = stretches_of([moment.at for moment in moments(*(n * 60 for n in range(400)))])
    assert len(found) <= MOST_STRETCHES
    assert found[-1].x + found[-1].width <= WIDTH


def test_the_strip_is_a_picture_with_words_for_those_who_do_not_see_it():
    bad = replace(moments(0, 1, 2)[2], bad=True)
    picture = strip(
        [*moments(0, 1), bad], LANES, zone=timezone(timedelta(hours=2)), jump=lambda p: f"?at={p}"
    )
    root = ET.fromstring(picture)  # noqa: S314 - our own
    assert root.attrib["aria-label"] == "Events over time: Reading 1 2 and 1 failed"
    assert ">2 and 1 failed</text>" in picture, "what failed is not counted with what was done"
    assert "04 Mar 11:00" in picture, "the time at the foot is in the zone asked for"
    assert 'class="bar bad"' in picture
    assert strip([], LANES, zone=UTC, jump=str) == ""


def test_what_a_filter_leaves_out_stays_in_the_picture_and_is_not_counted():
    every = moments(0, 1, 2, 30)
    some = [replace(m, dim=m.position != 2) for m in every]
    whole, part = (strip(m, LANES, zone=UTC, jump=str) for m in (every, some))
    assert part.count('class="bar dim"') == 3
    assert 'aria-label="Events over time: Reading 1 1"' in part
    places = [re.findall(r'<rect x="([0-9.]+)"', picture) for picture in (whole, part)]
    assert places[0] == places[1], "the scale does not move with a filter"


def test_names_in_the_strip_and_the_chart_are_escaped():
    lanes = [Lane("first", "<b>&", '?"x'), LANES[0]]
    ET.fromstring(strip(moments(0), lanes, zone=UTC, jump=lambda p: '"<'))  # noqa: S314
    ET.fromstring(chart([Point("ai", "<AI>", 8.0, '#"', "a & b")]))  # noqa: S314
    assert chart([]) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(4, "4 s"), (59.6, "1 min"), (600, "10 min"), (7260, "2 h 1 min"), (200000, "2 d 7 h")],
)
def test_durations_are_spoken(seconds: float, words: str):
    assert spoken(timedelta(seconds=seconds)) == words


GRID = Grid.axial((4, 40, 50), (2.0, 1.0, 0.5))


def plane(*box: int) -> Any:
    found = np.zeros(GRID.shape[1:], np.bool_)
    found[box[0] : box[2], box[1] : box[3]] = True
    return found


def test_outlines_run_along_voxel_edges_in_whole_lines():
    found = {(start, end) for start, end in _edges(plane(3, 5, 6, 9))}
    assert found == {
        ((3, 5), (3, 9)),
        ((6, 5), (6, 9)),
        ((3, 5), (6, 5)),
        ((3, 9), (6, 9)),
    }


def test_a_crop_shows_before_dashed_after_solid_and_tints_what_changed():
    image = np.full(GRID.shape[1:], 60, np.int16)
    view = View(20, 25, 32.0)
    svg = crop(image, GRID, view, before=plane(18, 20, 22, 30), after=plane(18, 20, 24, 30))
    root = ET.fromstring(svg)  # noqa: S314 - our own
    kinds = [element.tag.rpartition("}")[2] for element in root]
    assert kinds == ["style", "image", "path", "path", "path", "path"]
    paths = [element.attrib for element in root if element.tag.endswith("path")]
    assert [bool(path.get("fill-opacity")) for path in paths] == [True, False, False, False]
    assert ["stroke-dasharray" in path for path in paths] == [False, False, True, False]
    # Two rows of ten voxels, 1.0 × 0.5 mm, were added; x = (20 − 25.5) · 0.5 + 16.
    assert paths[0]["d"] == "M13.25 17.50h5.00v1.00h-5.00zM13.25 18.50h5.00v1.00h-5.00z"
    assert crop(image, GRID, view, before=None, after=plane(18, 20, 24, 30)).count(b"<path") == 2
    again = crop(image, GRID, view, before=plane(18, 20, 22, 30), after=plane(18, 20, 24, 30))
    assert again == svg


def test_a_crop_that_reaches_over_the_border_of_the_image_is_air_there():
    image = np.full(GRID.shape[1:], 60, np.int16)
    for row, column in ((0, 0), (39, 49), (-200, 900)):
        svg = crop(image, GRID, View(row, column, 40.0), before=None, after=None)
        assert svg.startswith(b"<svg")


def test_one_view_holds_all_boxes_with_a_margin():
    view = view_of([[0, 10, 10, 2, 30, 20], [1, 12, 8, 3, 14, 40]], GRID)
    assert (view.row, view.column) == (19.5, 23.5)
    assert view.extent_mm == 38
    assert view_of([], GRID).extent_mm == NARROWEST_MM


def test_nothing_wanted_is_everything():
    assert Wanted().everything
    assert not Wanted(phase="ai").everything
    assert re.fullmatch(r"[a-z]+", next(iter(PHASES)))
