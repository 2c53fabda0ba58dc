"""The series of a case's study on its page: which is read, why, and reading another instead."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from backend.archive.models import Derivation, Series, VolumeState
from backend.errors import BadInput, ConcordError
from backend.reading import selectors, services
from backend.reading.candidates import name_of, ranked
from backend.reading.models import Case
from backend.reading.posted import uuid_of
from backend.reading.ranking import Ranked

_MADE = {
    Derivation.FRAMES: "single frames of {}",
    Derivation.STACK: "{} without what is no slice of it",
    Derivation.TILT: "{} sheared straight",
}


def series_of(case: Case) -> dict[str, Any]:
    """The series of the case's study: volumes in the rule's order now, then the others and why."""
    found = list(
        Series.objects.filter(study__uid=case.study_uid)
        .select_related("study", "derived_from")
        .order_by("number", "uid")
    )
    by_key = {str(one.pk): one for one in found}
    volumes = [one for one in found if one.volume_state == VolumeState.VOLUME]
    order = ranked(case.protocol.series_rule, volumes)
    ranked_keys = {each.candidate.key for each in order}
    offered = by_key.get(str(case.offered_series_id))
    cases = _cases_of(case)
    return {
        "ranked": [_row(by_key[each.candidate.key], each, case, cases) for each in order],
        "others": [_other(one, case) for one in found if str(one.pk) not in ranked_keys],
        "choice_reason": case.choice_reason,
        "instead_of": case.supersedes.order_by("label").first(),
        "superseded_by": case.superseded_by,
        "offered": name_of(offered) if offered and offered.pk != case.series_id else "",
        "begun": services.begun(case),
    }


def _cases_of(case: Case) -> dict[UUID, str]:
    """Series → the case of this project that reads it."""
    cases = Case.objects.filter(
        project=case.project_id, study_uid=case.study_uid, superseded_by=None
    )
    return dict(cases.values_list("series_id", "label"))


def _row(series: Series, each: Ranked, case: Case, cases: dict[UUID, str]) -> dict[str, Any]:
    mine = series.pk == case.series_id
    return {
        **_named(series),
        "place": each.place,
        "read": mine,
        "read_in": "" if mine else cases.get(series.pk, ""),
        "points": each.points,
        "reason": each.reason,
    }


def _other(series: Series, case: Case) -> dict[str, Any]:
    rule = case.protocol.series_rule
    reason = series.volume_reason
    if series.volume_state == VolumeState.VOLUME:
        reason = f"{series.modality or 'No modality'}: the protocol reads {rule['modality']}."
    elif series.volume_state == VolumeState.PENDING:
        reason = "It is being looked at: whether it is a volume is not known yet."
    return {
        **_named(series),
        "state": series.volume_state.replace("_", " "),
        "quarantined": series.volume_state == VolumeState.QUARANTINED,
        "reason": reason,
    }


def _named(series: Series) -> dict[str, Any]:
    made = ""
    if series.derived_from is not None:
        made = _MADE[Derivation(series.derivation)].format(name_of(series.derived_from))
    return {
        "id": str(series.pk),
        "name": name_of(series),
        "modality": series.modality,
        "made": made,
        "thumbnail": f"/dicom-web/studies/{series.study.uid}/series/{series.uid}/thumbnail"
        if series.is_image
        else "",
    }


@login_required
@require_POST
def read_instead(request: HttpRequest, case: UUID) -> HttpResponse:
    """Read another series of the study (`series`, `reason`)."""
    user = selectors.person(request.user)
    found = selectors.case_for(user, case)
    selectors.require_coordinator(user, found)
    try:
        series = Series.objects.filter(pk=uuid_of(request.POST.get("series", ""))).first()
        if series is None or series.study.uid != found.study_uid:
            raise BadInput("NO_SUCH_SERIES", "No series was chosen.", "Choose one from the list.")
        reason = request.POST.get("reason", "")
        new = services.read_instead(case=found, series=series, actor=user, reason=reason)
    except ConcordError as error:
        messages.error(request, str(error))
        return redirect("case", case=found.pk)
    messages.success(request, f"{found.label} is withdrawn; {new.label} reads {name_of(series)}.")
    return redirect("case", case=new.pk)
