"""The coordinator's form that reopens a consensus: why, and what is to be settled again."""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from backend.errors import BadInput, ConcordError
from backend.reading import selectors, services
from backend.reading.comparison_presentation import TRIGGER_NAMES
from backend.reading.discrepancies import TriggerKind
from backend.reading.label_selectors import LABELLING, unfinished_version
from backend.reading.models import Case, Consensus, ReferenceLabel
from backend.reading.posted import uuid_of
from backend.reading.workflow import ConsensusState

# The words of the settling screen (frontend/viewer/settle/words.ts).
_DECIDED = {
    "X": "X’s shape",
    "Y": "Y’s shape",
    "AI": "the AI’s shape",
    "union": "the union of X and Y",
    "intersection": "only what X and Y share",
    "redrawn": "a redrawn shape",
    "absent": "no node here",
    "mean": "by rule: the mean of both borders",
    "ignore": "by rule: ignored",
}


def reopening_of(case: Case) -> dict[str, Any] | None:
    """What can be reopened of a case now, for the form; None where nothing can."""
    consensus = _reopenable(case)
    if consensus is None:
        return None
    became: dict[int, list[int]] = {}
    labelled = set(
        ReferenceLabel.objects.filter(node__consensus=consensus).values_list(
            "node__number", flat=True
        )
    )
    for number, cluster in consensus.nodes.values_list("number", "cluster__number"):
        became.setdefault(cluster, []).append(number)
    found = list(consensus.discrepancies.select_related("cluster").order_by("cluster__number"))
    return {
        "id": str(consensus.pk),
        "version": consensus.version,
        "following": consensus.version + 1,
        "published": consensus.state == ConsensusState.PUBLISHED,
        "client": str(uuid.uuid4()),
        "labels": len(labelled),
        "nodes": sum(map(len, became.values())),
        "signatures": consensus.signatures.filter(void_at__isnull=True).count(),
        "discrepancies": [
            {
                "id": str(each.pk),
                "cluster": each.cluster.number,
                "triggers": ", ".join(
                    TRIGGER_NAMES[TriggerKind(trigger["kind"])] for trigger in each.triggers
                )
                or "within tolerance",
                "decided": _DECIDED.get(each.resolution, "cannot be told"),
                "nodes": ", ".join(map(str, became.get(each.cluster.number, []))),
                "labelled": bool(labelled & set(became.get(each.cluster.number, []))),
            }
            for each in found
        ],
    }


def _reopenable(case: Case) -> Consensus | None:
    unfinished = unfinished_version(case)
    if unfinished is not None:
        return unfinished if unfinished.state in LABELLING else None
    return case.consensuses.filter(state=ConsensusState.PUBLISHED.value).first()


@login_required
@require_POST
def reopen(request: HttpRequest, case: UUID) -> HttpResponse:
    """Reopen the newest version (`consensus`, `client`, `reason`, `discrepancies`)."""
    user = selectors.person(request.user)
    found = selectors.case_for(user, case)
    selectors.require_coordinator(user, found)
    try:
        consensus = found.consensuses.filter(pk=uuid_of(request.POST.get("consensus", ""))).first()
        if consensus is None:
            raise BadInput("NO_SUCH_VERSION", "There is no such version.", "Reload the page.")
        reason = request.POST.get("reason", "")
        if "\0" in reason:
            raise BadInput("BAD_REASON", "This reason cannot be kept.", "Write it again.")
        following = services.reopen_consensus(
            consensus=consensus,
            actor=user,
            client=uuid_of(request.POST.get("client", "")),
            reason=reason,
            discrepancies=[uuid_of(each) for each in request.POST.getlist("discrepancies")],
        )
        messages.success(request, f"Version {following.version} of the consensus is open.")
    except ConcordError as error:
        messages.error(request, str(error))
    return redirect("case", case=found.pk)
