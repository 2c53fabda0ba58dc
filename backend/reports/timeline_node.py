"""The page of a node's life: every step with who, what, when, how it measured, and a picture."""

from __future__ import annotations

import hashlib
from datetime import UTC
from itertools import groupby
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from backend.errors import Missing
from backend.imaging.nodes import NodeMeasures
from backend.imaging.seg import tracking_uid
from backend.reading.models import Case, NodeVersion
from backend.reading.selectors import person
from backend.reports import shown, timeline_services, timeline_shapes
from backend.reports.timeline_cast import NAMING, Cast
from backend.reports.timeline_chart import Point, chart, marks_of
from backend.reports.timeline_crops import Box, View, view_of
from backend.reports.timeline_life import life_of
from backend.reports.timeline_room import Story, events_of, story_of
from backend.reports.timeline_selectors import audited_node
from backend.reports.timeline_shapes import Difference
from backend.reports.timeline_steps import (
    BEFORE_AND_AFTER,
    LANES,
    LEFT_OUT,
    Life,
    Shape,
    Step,
)
from backend.reports.timeline_strip import spoken

STYLE = "1"
_FEWEST_MM, _MOST_MM = 10.0, 300.0


@login_required
@require_safe
def node_timeline(request: HttpRequest, case: UUID, node: UUID) -> HttpResponse:
    """The whole life of a node; the look is recorded."""
    found, _ = audited_node(request.user, case, node)
    timeline_services.note_look(case=found, actor=person(request.user), what=f"node {node}")
    story = story_of(found)
    life = life_of(
        str(node),
        events_of(found),
        story.folded,
        story.cast,
        lambda mask: timeline_shapes.manifest_of(found, mask),
        lambda mask, box: timeline_shapes.nodes_in(found, mask, box),
    )
    box = _box(found, life)
    view = view_of([box], found.grid)
    steps = [_step(found, step, number, box, view, node) for number, step in enumerate(life.steps)]
    points = _points(life, steps)
    context = {
        "case": found,
        "uuid": str(node),
        "named": story.cast.node(str(node)),
        "naming": NAMING,
        "tracking_uid": tracking_uid(str(node)),
        "lanes": _lanes(life, steps, story),
        "steps": len(steps),
        # Our own markup, its texts escaped there.
        "chart": SafeString(chart(points)),
        "marks": marks_of(points),
        "kin": [(uuid, story.cast.node(uuid)) for uuid in life.kin if uuid != life.uuid],
        "agreed": _agreed(life, story.cast),
        "ended": life.ended,
        "extent_mm": view.extent_mm,
        "plane": found.grid.plane.capitalize(),
        "zone": str(timezone.get_current_timezone()),
    }
    return render(request, "reports/node_timeline.html", context)


def _box(case: Case, life: Life) -> Box:
    measured = NodeVersion.objects.filter(
        node__in=[UUID(one) for one in life.kin], measures__isnull=False
    )
    boxes = [list(box) for box in measured.values_list("measures__bounding_box", flat=True)]
    shapes = [shape for step in life.steps for shape in (step.before, step.after)]
    return timeline_shapes.box_of(case, [*boxes, *life.boxes], shapes)


def _lanes(life: Life, steps: list[dict[str, Any]], story: Story) -> list[dict[str, Any]]:
    """Steps under the heading of their lane; a second round or version has one of its own."""
    lanes = []
    together = zip(life.steps, steps, strict=True)
    for (lane, group), found in groupby(together, key=lambda one: (one[0].lane, one[0].group)):
        rows = [row for _, row in found]
        part = story.cast.readings.get(group)
        name, detail = LANES[lane], ""
        if part is not None:
            detail = part.reader_name + (f", round {part.round}" if part.round > 1 else "")
        elif group and lane in ("settling", "agreed", "label", "signed"):
            detail = f"version {group}"
        lanes.append({"lane": lane, "name": name, "detail": detail, "steps": rows})
    return lanes


def _agreed(life: Life, cast: Cast) -> list[dict[str, Any]]:
    return [
        {
            "version": version,
            "number": number,
            "uuid": uuid,
            "own": uuid == life.uuid,
            "named": cast.node(uuid),
            "others": [cast.node(other) for other in life.kin if other != uuid],
        }
        for version, number, uuid in life.agreed
    ]


def _step(case: Case, step: Step, number: int, box: Box, view: View, node: UUID) -> dict[str, Any]:
    zone = timezone.get_current_timezone()
    at, until = step.at.astimezone(zone), step.until.astimezone(zone)
    row = {
        "id": number,
        "position": step.position,
        "time": f"{at:%Y-%m-%d %H:%M:%S}",
        "lasted": spoken(step.until - step.at) if until != at else "",
        "utc": f"{step.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
        "iso": step.at.isoformat(),
        "who": step.who,
        "role": step.role,
        "what": step.what,
        "detail": step.detail,
        "reason": step.reason,
        "was": step.was,
        "now": step.now,
        "undo": step.undo,
        "undone_by": step.undone_by,
        "picture": "",
        "numbers": [],
        "sad_mm": None,
    }
    if step.before is not None or step.after is not None:
        found = timeline_shapes.difference(case, step.before, step.after, box)
        row["picture"] = _address(case, node, step, found.slice_index, view)
        count = case.grid.shape[0]
        row["slice"] = f"slice {count - found.slice_index} of {count}"
        beside = step.lane == "settling" and step.sides != BEFORE_AND_AFTER
        row["numbers"] = [] if beside else numbers_of(found)
        row["sad_mm"] = found.after.sad_mm if step.ends and found.after else None
        row["sides"] = _sides(step)
        row["caption"] = row["sides"] if step.sides != BEFORE_AND_AFTER else ""
        if step.drawn:
            row |= {"was": "", "now": ""} if step.now != LEFT_OUT else {}
            row["detail"] = step.detail if step.strokes or step.ends else ""
        row["alt"] = f"{step.what}, {row['slice']}: {row['sides']}"
    return row


def _sides(step: Step) -> str:
    """What the two outlines of a picture are."""
    before, after = step.sides
    words = [f"dashed {before}" if step.before else "", f"solid {after}" if step.after else ""]
    return ", ".join(filter(None, words))


def numbers_of(found: Difference) -> list[tuple[str, str]]:
    """The measures of both shapes and what lies between them, written out."""
    a, b = found.before, found.after
    rows = [
        ("Long axis", _lengths(a.lad_mm if a else None, b.lad_mm if b else None)),
        ("Short axis", _lengths(a.sad_mm if a else None, b.sad_mm if b else None)),
        ("Volume", _volumes(a, b)),
    ]
    if a is not None and b is not None:
        rows.append(
            ("Voxels, net", f"+{found.added} −{found.removed}" if found.changed else "the same")
        )
    if found.dice is not None and found.changed:
        rows.append(("Dice", f"{found.dice:.3f}"))
    return rows


def _lengths(before: float | None, after: float | None) -> str:
    if before is None or before == after:
        return f"{shown.length(after)} mm"
    text = f"{shown.change(before, after)} mm"
    return text if after is None else f"{text} ({_signed(after - before, 1)})"


def _volumes(a: NodeMeasures | None, b: NodeMeasures | None) -> str:
    before, after = (a.volume_mm3 if a else None), (b.volume_mm3 if b else None)
    if before is None or before == after:
        return f"{shown.volume(after)} ml"
    text = f"{shown.volume(before)} → {shown.volume(after)} ml"
    return text if after is None else f"{text} ({_signed((after - before) / 1000, 2)})"


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def _points(life: Life, rows: list[dict[str, Any]]) -> list[Point]:
    """The short axis after each step that the log, or the mask that was signed, has one of."""
    measured = [
        (step, row["id"], row["sad_mm"] if step.sad_mm is None else step.sad_mm)
        for step, row in zip(life.steps, rows, strict=True)
    ]
    return [
        Point(
            step.lane,
            "Agreed, v" + step.group if step.lane == "agreed" else LANES[step.lane],
            sad_mm,
            f"#s{number}",
            f"{step.what}, {step.who}: {shown.length(sad_mm)} mm",
        )
        for step, number, sad_mm in measured
        if sad_mm is not None
    ]


def _address(case: Case, node: UUID, step: Step, index: int, view: View) -> str:
    """Where a step's picture is: everything it follows from stands in its address."""
    asked = [
        ("style", STYLE),
        ("slice", str(index)),
        ("at", f"{view.row:g},{view.column:g},{view.extent_mm:g}"),
    ]
    for side, shape in (("before", step.before), ("after", step.after)):
        if shape is not None:
            asked += [(side, f"{mask}:{','.join(nodes)}") for mask, nodes in shape.parts]
            asked += [("shared", side)] if shape.shared else []
    return f"{reverse('node-picture', args=[case.pk, node])}?{urlencode(asked)}"


@login_required
@require_safe
def node_picture(request: HttpRequest, case: UUID, node: UUID) -> HttpResponse:
    """One picture of a node's life. It follows from its address and never changes."""
    found, _ = audited_node(request.user, case, node)
    timeline_services.note_look(case=found, actor=person(request.user), what=f"node {node}")
    tag = f'"{hashlib.sha256(request.get_full_path().encode()).hexdigest()}"'
    if request.headers.get("If-None-Match") == tag:
        answer: HttpResponse = HttpResponseNotModified()
    else:
        before, after = _shape(request.GET, "before"), _shape(request.GET, "after")
        index, view = _place(request.GET)
        data = timeline_shapes.picture(found, before, after, index, view)
        answer = HttpResponse(data, content_type="image/svg+xml")
        answer.headers["Content-Security-Policy"] = (
            "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"
        )
    answer.headers["ETag"] = tag
    answer.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    answer.headers["Vary"] = "Cookie"
    return answer


def _shape(asked: QueryDict, side: str) -> Shape | None:
    parts = []
    for text in asked.getlist(side)[:4]:
        mask, _, nodes = text.partition(":")
        try:
            named = tuple(str(UUID(name)) for name in nodes.split(",")[:64])
        except ValueError:
            raise Missing("picture") from None
        parts.append((mask, named))
    return Shape(tuple(parts), shared=side in asked.getlist("shared")) if parts else None


def _place(asked: QueryDict) -> tuple[int, View]:
    try:
        row, column, extent = (float(value) for value in asked.get("at", "").split(","))
        index = int(asked.get("slice", ""))
    except ValueError:
        raise Missing("picture") from None
    if not (_FEWEST_MM <= extent <= _MOST_MM and abs(row) < 1e5 and abs(column) < 1e5):
        raise Missing("picture")
    return index, View(row, column, extent)
