"""The pages of what happened: the timeline of a case, its verification, its export."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST, require_safe

from backend.errors import Missing
from backend.reading.models import Case
from backend.reading.selectors import person
from backend.reports import timeline_rows, timeline_services
from backend.reports.timeline_cast import NAMING
from backend.reports.timeline_room import Story, story_of
from backend.reports.timeline_rows import Wanted, address
from backend.reports.timeline_selectors import audited_case
from backend.reports.timeline_story import PHASES
from backend.reports.timeline_strip import Lane, Moment, strip


@login_required
@require_safe
def case_timeline(request: HttpRequest, case: UUID) -> HttpResponse:
    """Everything that happened to a case, a page at a time; the look is recorded."""
    found = audited_case(request.user, case)
    timeline_services.note_look(case=found, actor=person(request.user), what="timeline")
    story = story_of(found)
    wanted = timeline_rows.wanted_of(request.GET, story.lines, story.cast)
    lines = [line for line in story.folded if wanted.admits(line)]
    page = timeline_rows.page_of(
        lines, number=request.GET.get("page", ""), at=request.GET.get("at", "")
    )
    zone = timezone.get_current_timezone()
    base = reverse("case-timeline", args=[found.pk])
    context = {
        "case": found,
        "rows": timeline_rows.rows_of(page.lines, zone, story.cast),
        "page": page,
        "pages": _turns(base, wanted, page),
        "events": len(story.lines),
        "strip": _strip(story, wanted, page, base),
        "filters": _filters(story, wanted),
        "wanted": wanted,
        "base": base,
        "csv": address(reverse("case-timeline-csv", args=[found.pk]), wanted),
        "zone": str(zone),
        "naming": NAMING,
    }
    return render(request, "reports/timeline.html", context)


def _filters(story: Story, wanted: Wanted) -> list[dict[str, Any]]:
    choices = timeline_rows.choices_of(story.lines, story.cast)
    everything = {
        "person": "Everyone",
        "node": "All nodes",
        "kind": "Everything",
        "phase": "All phases",
    }
    return [
        {
            "name": name,
            "label": name.capitalize(),
            "everything": words,
            "chosen": getattr(wanted, name),
            "choices": choices[name],
        }
        for name, words in everything.items()
    ]


def _turns(base: str, wanted: Wanted, page: timeline_rows.Page) -> list[dict[str, Any]]:
    """The pages worth a link: the first, the last, and those near this one."""
    near = {1, page.pages, *range(page.number - 2, page.number + 3)}
    turns: list[dict[str, Any]] = []
    last = 0
    for number in sorted(n for n in near if 1 <= n <= page.pages):
        url = address(base, wanted, page=number if number > 1 else "")
        turns.append(
            {
                "number": number,
                "url": url,
                "current": number == page.number,
                "skipped": number > last + 1,
            }
        )
        last = number
    return turns


def _strip(story: Story, wanted: Wanted, page: timeline_rows.Page, base: str) -> SafeString:
    moments = [
        Moment(line.at, line.phase, line.first, bad=not line.good, dim=not wanted.admits(line))
        for line in story.lines
    ]
    lanes = [
        Lane(
            key,
            name,
            address(base, Wanted(wanted.person, wanted.node, wanted.kind, key)),
            mark=key in ("signatures", "versions"),
        )
        for key, name in PHASES.items()
    ]
    listed = {line.first for line in story.lines if wanted.admits(line)}
    owner = {place: line.first for line in story.folded for place in line.positions}
    picture = strip(
        sorted(moments, key=lambda moment: moment.at),
        lanes,
        zone=timezone.get_current_timezone(),
        jump=lambda place: (
            address(base, wanted if place in listed else Wanted(), at=owner[place])
            + f"#e{owner[place]}"
        ),
        shown=page.shown,
    )
    return SafeString(picture)  # Our own markup; the texts in it were escaped there.


@login_required
@require_safe
def strokes(request: HttpRequest, case: UUID, first: int) -> HttpResponse:
    """The strokes of one run, by the position of its first."""
    found = audited_case(request.user, case)
    timeline_services.note_look(case=found, actor=person(request.user), what="timeline")
    story = story_of(found)
    run = next((line for line in story.folded if line.first == first and line.strokes), None)
    if run is None:
        raise Missing("run of strokes")
    rows = timeline_rows.rows_of(run.strokes, timezone.get_current_timezone(), story.cast)
    return render(request, "reports/timeline_strokes.html", {"rows": rows, "case": found})


@login_required
@require_safe
def verdict(request: HttpRequest, case: UUID) -> HttpResponse:
    """Whether the chain holds, as the part of the page that asks for it once it is shown."""
    found = audited_case(request.user, case)
    timeline_services.note_look(case=found, actor=person(request.user), what="timeline")
    return _verdict(request, found, timeline_services.verdict_of(found), recorded=False)


@login_required
@require_POST
def verify(request: HttpRequest, case: UUID) -> HttpResponse:
    """Verify the chain now; what came of it is recorded."""
    found = audited_case(request.user, case)
    result = timeline_services.verify(case=found, actor=person(request.user))
    if request.headers.get("HX-Request") != "true":
        return redirect("case-timeline", case=found.pk)
    return _verdict(request, found, result, recorded=True)


def _verdict(
    request: HttpRequest, case: Case, result: dict[str, Any], *, recorded: bool
) -> HttpResponse:
    context = {"case": case, "verdict": result, "recorded": recorded}
    return render(request, "reports/timeline_verdict.html", context)


@login_required
@require_safe
def timeline_csv(request: HttpRequest, case: UUID) -> HttpResponse:
    """The log of a case as a table, every event a row; recorded."""
    found = audited_case(request.user, case)
    story = story_of(found)
    wanted = timeline_rows.wanted_of(request.GET, story.lines, story.cast)
    lines = [line for line in story.lines if wanted.admits(line)]
    data = timeline_rows.csv_of(lines, timezone.get_current_timezone(), story.cast)
    timeline_services.note_export(
        case=found, actor=person(request.user), rows=len(lines), wanted=vars(wanted)
    )
    answer = HttpResponse(data, content_type="text/csv; charset=utf-8")
    name = f"{found.label}_timeline_{story.head['position']}.csv"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Cache-Control"] = "private, no-store"
    return answer
