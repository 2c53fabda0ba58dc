"""Which series of a study is read: the protocol's rule chooses; a coordinator may overrule it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.db import transaction
from django.db.models import Q

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.archive.models import Series, Study, VolumeState
from backend.audit.services import record, revoke_grants
from backend.errors import LONGEST_REASON, BadInput, WrongState
from backend.jobs import services as queue
from backend.jobs.models import UNDERWAY_STATES, Run
from backend.reading.candidates import name_of, ranked, volumes_of
from backend.reading.models import Case, Project, Protocol
from backend.reading.ranking import Ranked
from backend.reading.services.announcing import case_changed, worklist_changed
from backend.reading.services.guards import (
    lock_case,
    lock_reading,
    refresh_stage,
    require_read,
    require_role,
    step,
)
from backend.reading.services.opening import facts_of, open_case, open_in, protocol_for
from backend.reading.workflow import CURRENT, ReadingAction, ReadingState


@transaction.atomic
def open_cases(*, study: Study) -> list[Case]:
    """Open a case of the best volume of a study for each protocol that reads any of them.

    A study that is read already gets no second case: a better series that came late is offered to
    the coordinator.
    """
    project = Project.objects.select_for_update().filter(default=True).first()
    if project is None:
        return []
    opened = []
    for protocol, volumes in _by_protocol(study.uid):
        order = ranked(protocol.series_rule, volumes)
        case = _case_of(project, protocol, study.uid)
        if case is not None:
            _offer(case, order)
            continue
        best = next(s for s in volumes if str(s.pk) == order[0].candidate.key)
        new = open_case(series=best, why=[_told(each) for each in order])
        if new is not None:
            opened.append(new)
    return opened


def _by_protocol(study_uid: str) -> list[tuple[Protocol, list[Series]]]:
    found: dict[Protocol, list[Series]] = defaultdict(list)
    for series in volumes_of(study_uid).order_by("number", "uid"):
        protocol = protocol_for(facts_of(series))
        if protocol is not None:
            found[protocol].append(series)
    return list(found.items())


def _case_of(project: Project, protocol: Protocol, study_uid: str) -> Case | None:
    """The case in which such series of a study are read, under whichever version."""
    cases = project.cases.filter(study_uid=study_uid, superseded_by=None)
    modality = protocol.series_rule["modality"]
    return cases.filter(facts__modality=modality).order_by("created").first()


def _offer(case: Case, order: list[Ranked]) -> None:
    """Tell the coordinator of a series that came late and fits better."""
    best = order[0].candidate.key
    if best in (str(case.series_id), str(case.offered_series_id)):
        return
    case = lock_case(case.pk)
    case.offered_series_id = best
    case.save(update_fields=["offered_series_id"])
    record(
        "case.series_offered",
        case,
        actor=None,
        chain=case.chain,
        news=[case_changed(case)],
        series=order[0].candidate.name,
        ranking=[_told(each) for each in order],
    )


def _told(each: Ranked) -> dict[str, Any]:
    return {
        "series": each.candidate.key,
        "name": each.candidate.name,
        "place": each.place,
        "reason": each.reason,
        "facts": [point.said for point in each.points],
    }


@transaction.atomic
def read_instead(*, case: Case, series: Series, actor: User, reason: str) -> Case:
    """Read another volume of the study: this case is withdrawn, one of the other series opened.

    Only while nobody has begun to read. Whoever had a slot gets it in the new case.
    """
    project = Project.objects.select_for_update().get(pk=case.project_id)
    case = lock_case(case.pk)
    require_role(actor, case, Role.COORDINATOR)
    require_read(case)
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON or "\0" in reason:
        raise BadInput("REASON_NEEDED", "This needs a reason.", "Say why in a few words.")
    series, protocol = _guarded(case, series)
    current = case.readings.filter(state__in=[s.value for s in CURRENT]).order_by("slot")
    readings = [lock_reading(reading.pk) for reading in current]
    if begun(case):
        raise WrongState(
            "READING_BEGAN",
            f"Somebody has begun to read {case.label}.",
            "Withdraw that reading first, with a reason.",
        )
    if case.evidence.filter(withdrawn_at=None).exists():
        raise WrongState(
            "EVIDENCE_ENTERED",
            f"Evidence has been entered for {case.label}.",
            "Have it withdrawn first and entered again in the new case.",
        )
    for reading in readings:
        step(reading, ReadingAction.WITHDRAW)
        reading.save(update_fields=["state"])
    revoke_grants()
    _stop_run(case, actor)
    slots = {reading.slot: reading.reader.username for reading in readings}
    choice = {"reason": reason, "instead_of": case.label}
    new = open_in(project, protocol, series, actor, slots, choice)
    case.refresh_from_db()
    case.superseded_by = new
    case.save(update_fields=["superseded_by"])
    refresh_stage(case)
    record(
        "case.superseded",
        case,
        actor=actor,
        chain=case.chain,
        reason=reason,
        news=[*worklist_changed(readings), case_changed(case)],
        by=new.label,
        series=name_of(series),
        withdrawn=[str(reading.pk) for reading in readings],
    )
    return new


def begun(case: Case) -> bool:
    """Whether anybody reads a case, or has read it: a withdrawn reading does not count."""
    kept = case.readings.exclude(
        state__in=[ReadingState.WITHDRAWN.value, ReadingState.EXPIRED.value]
    )
    return kept.filter(Q(opened_at__isnull=False) | Q(changes_count__gt=0)).exists()


def _guarded(case: Case, series: Series) -> tuple[Series, Protocol]:
    """A volume of the case's study that a protocol reads, and that no case does."""
    found = Series.objects.filter(pk=series.pk, study__uid=case.study_uid).first()
    if found is None or found.pk == case.series_id:
        raise WrongState(
            "NOT_ANOTHER_SERIES",
            "This is no other series of the study.",
            "Choose another volume of the same study.",
        )
    protocol = protocol_for(facts_of(found))
    if found.volume_state != VolumeState.VOLUME or protocol is None:
        raise WrongState(
            "NOT_READABLE",
            found.volume_reason or "No protocol reads such a series.",
            "Choose one of the study's volumes.",
        )
    cases = Case.objects.filter(project=case.project_id, series_id=found.pk, superseded_by=None)
    if cases.exists():
        raise WrongState("READ_ALREADY", "This series has a case of its own.", "Go to that case.")
    return found, protocol


def _stop_run(case: Case, actor: User) -> None:
    if case.ai_run_id is None:
        return
    run = Run.objects.filter(pk=case.ai_run_id, state__in=UNDERWAY_STATES).first()
    if run is not None:
        queue.cancel(run=run.pk, actor=actor)
