"""A series becomes a case: protocol chosen, exclusions noted, readers assigned, a run enqueued."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from backend.accounts.models import User
from backend.archive.models import Series
from backend.archive.services import bind, sampled_slices
from backend.audit.services import record
from backend.errors import WrongState
from backend.imaging.grid import Grid
from backend.imaging.masks import Manifest
from backend.imaging.midline import midline_of
from backend.jobs import services as queue
from backend.jobs.protocol import RunKind
from backend.reading.inclusion import SeriesFacts, exclusions, takes
from backend.reading.models import Case, Project, Protocol, Subject
from backend.reading.services.announcing import case_changed
from backend.reading.services.assigning import assign
from backend.reading.services.describing import case_facts
from backend.reading.services.masks import save_mask
from backend.reading.services.protocol_models import model_for
from backend.reading.vocabulary import AiState, AuthorKind, MaskKind

MIDLINE_SLICES = 24


@transaction.atomic
def open_case(
    *, series: Series, actor: User | None = None, why: Sequence[Mapping[str, Any]] = ()
) -> Case | None:
    """Open a case for a series that became a volume; None when no protocol takes it.

    Opening the same series again gives the case it already has. `why` is the ranking by which the
    protocol's rule chose it.
    """
    project = Project.objects.select_for_update().filter(default=True).first()
    if project is None:
        return None
    known = Case.objects.filter(project=project, series_id=series.pk, superseded_by=None).first()
    if known is not None:
        return known
    protocol = protocol_for(facts_of(series))
    if protocol is None:
        return None
    choice = {"reason": "", "ranking": list(why)}
    return open_in(project, protocol, series, actor, project.auto_assign, choice)


def open_in(
    project: Project,
    protocol: Protocol,
    series: Series,
    actor: User | None,
    slots: Mapping[str, str],
    choice: Mapping[str, Any],
) -> Case:
    """A new case in a locked project, its slots given to people (slot → username).

    `choice` is why this series is read: the `ranking` of the protocol's rule, or a coordinator's
    `reason`.
    """
    facts = facts_of(series)
    grid = Grid.from_json(series.grid or {})
    case = _create(project, protocol, series, grid, facts, str(choice["reason"]))
    bind(series=series)
    save_mask(
        case=case,
        kind=MaskKind.EMPTY,
        author_kind=AuthorKind.SYSTEM,
        manifest=Manifest(grid.geometry_hash, {}, {}),
    )
    record(
        "case.opened",
        case,
        actor=actor,
        chain=case.chain,
        news=[case_changed(case)],
        label=case.label,
        protocol=str(protocol),
        geometry=grid.geometry_hash,
        exclusions=case.exclusions,
        series_facts=facts.to_json(),
        series_choice=dict(choice),
        told=case_facts(case),
    )
    _assign_all(case, slots)
    case.refresh_from_db()
    presegment(case=case, actor=actor)
    return case


def facts_of(series: Series) -> SeriesFacts:
    """What a protocol asks of a series."""
    return SeriesFacts(
        modality=series.modality,
        slice_thickness_mm=series.slice_thickness_mm,
        contrast=series.contrast,
        age_years=series.patient_age_years,
    )


def protocol_for(facts: SeriesFacts) -> Protocol | None:
    """The active protocol that reads such series, the newest version first."""
    for protocol in Protocol.objects.filter(active=True).order_by("-version"):
        if takes(protocol.series_rule, facts):
            return protocol
    return None


def _create(
    project: Project,
    protocol: Protocol,
    series: Series,
    grid: Grid,
    facts: SeriesFacts,
    reason: str,
) -> Case:
    last = project.cases.aggregate(last=Max("number"))["last"] or 0
    prefix = protocol.definition["label_prefix"]
    return Case.objects.create(
        project=project,
        protocol=protocol,
        subject=_subject_of(project, series),
        number=last + 1,
        label=f"{prefix}-{last + 1:04d}",
        series_id=series.pk,
        series_uid=series.uid,
        study_uid=series.study.uid,
        study_date=series.study.date,
        geometry_hash=grid.geometry_hash,
        grid_json=grid.to_json(),
        midline=_midline(series),
        facts=facts.to_json(),
        exclusions=exclusions(protocol.series_rule, facts),
        choice_reason=reason,
    )


def _midline(series: Series) -> dict[str, Any] | None:
    """The body's midline as some of the slices show it, None where they do not."""
    grid, slices = sampled_slices(series, MIDLINE_SLICES)
    found = midline_of(slices, grid)
    return found.to_json() if found else None


def _subject_of(project: Project, series: Series) -> Subject:
    """The person behind a series; one without a patient number is known by the study alone."""
    identity = series.study.patient_id or f"study {series.study.uid}"
    text = f"{project.pk} {identity}".encode()
    key = hmac.new(settings.SECRET_KEY.encode(), text, hashlib.sha256).hexdigest()
    number = project.subjects.count() + 1
    subject, _ = Subject.objects.get_or_create(
        project=project, key=key, defaults={"pseudonym": f"S-{number:04d}"}
    )
    return subject


def _assign_all(case: Case, slots: Mapping[str, str]) -> None:
    for slot, username in sorted(slots.items()):
        reader = User.objects.filter(username=username, is_active=True).first()
        if reader is None:
            continue
        try:
            with transaction.atomic():
                assign(case=case, slot=slot, reader=reader, actor=None)
        except WrongState:
            continue  # The slot stays empty, for the coordinator to see.


def presegment(*, case: Case, actor: User | None) -> None:
    """Queue the AI's run for a case, in the caller's transaction; says why when there is none."""
    model, why_none = model_for(case.protocol)
    if model is None:
        case.ai_state, case.ai_message = AiState.NONE, why_none
        case.save(update_fields=["ai_state", "ai_message"])
        return
    run = queue.enqueue(
        kind=RunKind.PRESEGMENT,
        subject=case,
        series_id=case.series_id,
        study_uid=case.study_uid,
        series_uid=case.series_uid,
        model=model,
        parameters={"geometry_hash": case.geometry_hash, "shape": list(case.grid.shape)},
        actor=actor,
        chain=case.chain,
    )
    case.ai_state, case.ai_message, case.ai_run_id = AiState.QUEUED, "", run.pk
    case.save(update_fields=["ai_state", "ai_message", "ai_run_id"])
