"""The abstractor's pages: the cases of their projects, and the evidence of each.

They show a pseudonym, a label, a date, and once nodes are agreed on their numbers, places and short
axes: no image, no reading, no mask, no comparison.
"""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from backend.archive.services import is_deidentified
from backend.errors import BadInput, ConcordError, Missing
from backend.imaging.nodes import show_mm
from backend.reading import selectors, services
from backend.reading.evidence import SIDES
from backend.reading.evidence_access import Sight, evidence_for, evidence_sight
from backend.reading.evidence_form import (
    KINDS,
    SHORT_NAMES,
    explained,
    fields_of,
    kind_of,
    read_form,
)
from backend.reading.label_presentation import items_json
from backend.reading.label_selectors import (
    LABELLED_STATES,
    abstracted_cases,
    may_abstract,
    rules_of,
)
from backend.reading.models import Case, ConsensusNode, Evidence
from backend.reading.workflow import ConsensusState

SHOWN_CASES = 500
# The numbers of agreed nodes are shown from here on.
_AGREED = [*LABELLED_STATES, ConsensusState.PUBLISHED.value]


@login_required
@require_safe
def evidence_list(request: HttpRequest) -> HttpResponse:
    """The cases whose evidence the user enters."""
    user = selectors.person(request.user)
    valid = Q(evidence__withdrawn_at=None, evidence__isnull=False)
    found = (
        abstracted_cases(user)
        .annotate(
            items=Count("evidence", filter=valid, distinct=True),
            agreed=Count("consensuses", filter=Q(consensuses__state__in=_AGREED), distinct=True),
        )
        .defer("grid_json", "facts")
        .order_by("-created")[:SHOWN_CASES]
    )
    return render(request, "reading/evidence_list.html", {"cases": found})


@login_required
@require_safe
def evidence_case(request: HttpRequest, case: UUID) -> HttpResponse:
    """The evidence of one case, and a form for each kind."""
    sight = _sight(request, case)
    kind = kind_of(request.GET.get("kind"))
    fields = fields_of(kind, sight.nodes, moved=is_deidentified(sight.case.study_uid))
    return _shown(request, sight, kind, str(uuid.uuid4()), fields)


def _sight(request: HttpRequest, case: UUID) -> Sight:
    user = selectors.person(request.user)
    sight = evidence_sight(user, case)
    if not sight.outside:  # Who labels sees evidence beside the nodes, on their own screen.
        raise Missing("case")
    services.note_look(user=user, case=sight.case, what="evidence")
    return sight


def _shown(
    request: HttpRequest,
    sight: Sight,
    kind: str,
    client: str,
    fields: list[Any],
    status: int = 200,
) -> HttpResponse:
    user = selectors.person(request.user)
    rows = list(sight.evidence)
    items = zip(rows, items_json(sight.case, rows, sight.nodes), strict=True)
    context = {
        "case": sight.case,
        "items": [_row(sight.case, row, item) for row, item in items],
        "nodes": [_node_row(node) for node in sight.nodes],
        "version": sight.version,
        "may_enter": may_abstract(user, sight.case),
        "kinds": [(value, SHORT_NAMES[value], name) for value, name in KINDS],
        "kind": kind,
        "explained": explained(kind, rules_of(sight.case)),
        "fields": fields,
        "faults": sum(bool(field.error) for field in fields),
        "client": client,
    }
    return render(request, "reading/evidence_case.html", context, status=status)


def _row(case: Case, row: Evidence, item: dict[str, Any]) -> dict[str, Any]:
    return {
        **item,
        "surprises": _surprises(case, item),
        "name": SHORT_NAMES[row.kind],
        "entered_at": row.entered_at,
        "entered_by": row.entered_by.shown_name,
        "withdrawn_at": row.withdrawn_at,
    }


def _surprises(case: Case, item: dict[str, Any]) -> bool:
    """Whether a result that would count does not, for another reason that should be read."""
    would = item["result"] in rules_of(case).counting.get(item["kind"], ())
    return would and not item["counts_as_positive"]


def _node_row(node: ConsensusNode) -> dict[str, Any]:
    return {
        "number": node.number,
        "side": SIDES.get(node.side, ""),
        "level": node.level,
        "sad": show_mm(node.measures["sad_mm"]),
    }


@login_required
@require_POST
def evidence_enter(request: HttpRequest, case: UUID) -> HttpResponse:
    """Keep what was typed; or show the form again, with a sentence beside what is missing."""
    sight = _sight(request, case)
    user = selectors.person(request.user)
    if not may_abstract(user, sight.case):
        raise Missing("case")
    kind, posted = kind_of(request.POST.get("kind")), request.POST.dict()
    client, (entry, errors) = _client(posted), read_form(kind, posted)
    try:
        if not errors:
            evidence = services.enter_evidence(
                case=sight.case, user=user, client=client, entry=entry
            )
            (item,) = items_json(sight.case, [evidence], sight.nodes)
            messages.success(request, f"Kept. {item['text']}")
            if _surprises(sight.case, item):
                messages.warning(request, f"It makes no node metastatic: {item['why_not']}")
            return redirect("evidence-case", case=sight.case.pk)
    except BadInput as refused:
        errors = refused.extra.get("fields", {"source": str(refused)})
    except ConcordError as refused:
        messages.error(request, str(refused))
        if refused.code == "MOVED_ON":  # The numbers are others now.
            posted["node"] = ""
        if refused.code == "CLIENT_REUSED":
            client = uuid.uuid4()
    moved = is_deidentified(sight.case.study_uid)
    fields = fields_of(kind, sight.nodes, posted, errors, moved=moved)
    return _shown(request, sight, kind, str(client), fields, status=400)


def _client(posted: dict[str, str]) -> UUID:
    try:
        return UUID(posted.get("client", ""))
    except ValueError:
        return uuid.uuid4()


@login_required
@require_POST
def evidence_withdraw(request: HttpRequest, evidence: UUID) -> HttpResponse:
    """Withdraw a piece of evidence (`reason`)."""
    user = selectors.person(request.user)
    found, sight = evidence_for(user, evidence)
    if not sight.outside or not may_abstract(user, sight.case):
        raise Missing("evidence")
    reason = request.POST.get("reason", "")
    try:
        if "\0" in reason:
            raise BadInput("BAD_REASON", "This reason cannot be kept.", "Write it again.")
        services.withdraw_evidence(evidence=found, user=user, reason=reason)
        messages.success(request, "Withdrawn. Labels that rest on it are to be given again.")
    except ConcordError as refused:
        messages.error(request, str(refused))
    return redirect("evidence-case", case=sight.case.pk)
