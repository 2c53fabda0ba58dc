"""Comparing two submitted readings: asked for by the second submission, made by the work process.

What is compared never changes any more, so it is computed without a lock; the case is locked to
begin and to write. Doing it twice does no harm: a made comparison is left as it is.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from datetime import timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.audit.services import record
from backend.errors import ConcordError, WrongState
from backend.imaging.masks import Labels, nonempty_slices
from backend.jobs.queue import defer
from backend.reading import maskstore
from backend.reading.discrepancies import Opinion, Read, Rules, compare
from backend.reading.models import Case, Comparison, Discrepancy, Reading
from backend.reading.services.agreed import joined, settle_if_nothing_open
from backend.reading.services.announcing import case_changed
from backend.reading.services.compared import (
    Computed,
    discrepancies_of,
    pairs_json,
    record_made,
    save_clusters,
    save_settled,
)
from backend.reading.services.guards import (
    lock_case,
    lock_reading,
    refresh_stage,
    require_role,
    step,
)
from backend.reading.services.versions import open_first, record_opened
from backend.reading.vocabulary import ComparisonState
from backend.reading.workflow import ReadingAction, ReadingState

logger = logging.getLogger(__name__)

TASK = "reading.compare"
# A waiting comparison that nobody touched for this long is given to the work process again.
PATIENCE = timedelta(seconds=120)
ATTEMPTS = 3
_READ = (ReadingState.SUBMITTED.value, ReadingState.COMPARED.value)


def request_comparison(case: Case) -> Comparison | None:
    """Queue the comparison of a locked case, in the caller's transaction.

    None while a reading is missing, where the protocol compares nothing, or where these two
    readings have been compared.
    """
    if "comparison" not in case.protocol.definition:
        return None
    found = [_read_in(case, slot) for slot in case.protocol.slots[:2]]
    pair = [reading for reading in found if reading is not None]
    if len(pair) < 2:
        return None
    first, second = pair
    case.comparisons.exclude(state=ComparisonState.MADE).exclude(
        first=first, second=second
    ).delete()
    if case.comparisons.filter(first=first, second=second).exists():
        return None
    name = uuid4()
    comparison = Comparison.objects.create(
        id=name,
        case=case,
        first=first,
        second=second,
        x_is_first=_x_is_first(name),
        touched=timezone.now(),
    )
    _defer(case.pk)
    return comparison


def _read_in(case: Case, slot: str) -> Reading | None:
    return case.readings.filter(slot=slot, state__in=_READ).first()


def _x_is_first(comparison: UUID) -> bool:
    """A coin that nobody can toss again without the site's secret."""
    text = f"order of {comparison}".encode()
    coin = hmac.new(settings.SECRET_KEY.encode(), text, hashlib.sha256).digest()
    return bool(coin[0] & 1)


def _defer(case: UUID) -> None:
    lock = f"compare:{case}"
    defer(TASK, lock=lock, queueing_lock=lock, case=str(case))


def compare_readings(*, case: Case) -> Comparison | None:
    """Make the comparison that a case waits for; None where it waits for none.

    A comparison that cannot be made says why, for the coordinator to see and to try again.
    """
    waiting = _begin(case)
    if waiting is None:
        return None
    try:
        return _finish(waiting, _compute(waiting))
    except DatabaseError:
        raise  # The database is away: it is offered again.
    except Exception as error:
        logger.exception("comparison %s failed", waiting.pk)
        message = error.message if isinstance(error, ConcordError) else str(error)
        return _fail(waiting, message or type(error).__name__)


@transaction.atomic
def _begin(case: Case) -> Comparison | None:
    lock_case(case.pk)
    comparison = (
        Comparison.objects.select_related(
            "case__protocol", "first__effective__case", "second__effective__case"
        )
        .filter(case=case, state=ComparisonState.QUEUED)
        .first()
    )
    if comparison is not None:
        comparison.attempts += 1
        comparison.touched = timezone.now()
        comparison.save(update_fields=["attempts", "touched"])
    return comparison


def _compute(comparison: Comparison) -> Computed:
    case = comparison.case
    said = case.protocol.definition["comparison"]
    first, second = _read(comparison.first), _read(comparison.second)
    found = compare(first, second, case.grid, Rules.from_definition(said))
    planes: dict[int, Labels] = {i: found.settled[i] for i in nonempty_slices(found.settled)}
    return Computed(said, first, second, found, maskstore.put_slices(planes))


def _read(reading: Reading) -> Read:
    if reading.effective is None:
        raise WrongState(
            "NOT_SUBMITTED",
            "A reading is not submitted.",
            "Wait until both readers have submitted.",
        )
    labels = reading.effective.manifest.labels
    opinions = {
        state.label: Opinion(
            node=str(state.node_id),
            impression=state.impression,
            side=state.side,
            level=state.level,
            doubt=state.doubt,
        )
        for state in reading.node_states.filter(label__in=list(labels))
    }
    return Read(maskstore.volume(reading.effective), opinions)


@transaction.atomic
def _finish(waiting: Comparison, computed: Computed) -> Comparison:
    case = lock_case(waiting.case_id)
    comparison = Comparison.objects.select_for_update().filter(pk=waiting.pk).first()
    if comparison is None or comparison.state != ComparisonState.QUEUED:
        return comparison or waiting
    readings = [lock_reading(comparison.first_id), lock_reading(comparison.second_id)]
    for reading in readings:
        if reading.state != ReadingState.COMPARED:
            step(reading, ReadingAction.COMPARE)
            reading.save(update_fields=["state"])
    found = computed.found
    comparison.settled = save_settled(case, readings, computed)
    clusters = save_clusters(comparison, computed)
    comparison.facts = {
        "rules": computed.rules,
        "pairs": pairs_json(computed),
        "union_dice": found.union_dice.to_json(),
        "positive_agreement": found.positive_agreement.to_json(),
    }
    comparison.state, comparison.made_at = ComparisonState.MADE, timezone.now()
    comparison.save()
    consensus, replaced = open_first(case, comparison)
    discrepancies = discrepancies_of(consensus, clusters, computed)
    Discrepancy.objects.bulk_create(discrepancies)
    refresh_stage(case)
    record_made(case, comparison, readings, found, discrepancies)
    record_opened(case, consensus, replaced)
    settle_if_nothing_open(joined(case, consensus.pk), None)
    return comparison


@transaction.atomic
def _fail(waiting: Comparison, message: str) -> Comparison:
    case = lock_case(waiting.case_id)
    comparison = Comparison.objects.select_for_update().filter(pk=waiting.pk).first()
    if comparison is None or comparison.state != ComparisonState.QUEUED:
        return comparison or waiting
    comparison.state, comparison.message = ComparisonState.FAILED, message
    comparison.touched = timezone.now()
    comparison.save(update_fields=["state", "message", "touched"])
    record(
        "comparison.failed",
        comparison,
        actor=None,
        chain=case.chain,
        outcome="failure",
        reason=message,
        news=[case_changed(case)],
    )
    return comparison


@transaction.atomic
def compare_again(*, case: Case, actor: User) -> Comparison:
    """Queue a comparison that failed once more."""
    case = lock_case(case.pk)
    require_role(actor, case, Role.COORDINATOR)
    comparison = case.comparisons.filter(state=ComparisonState.FAILED).first()
    if comparison is None:
        raise WrongState(
            "NOTHING_FAILED",
            f"No comparison of {case.label} has failed.",
            "Reload the page to see how far it is.",
        )
    comparison.state, comparison.message = ComparisonState.QUEUED, ""
    comparison.attempts, comparison.touched = 0, timezone.now()
    comparison.save(update_fields=["state", "message", "attempts", "touched"])
    _defer(case.pk)
    record(
        "comparison.requested",
        comparison,
        actor=actor,
        chain=case.chain,
        news=[case_changed(case)],
    )
    return comparison


def offer_comparisons_again() -> int:
    """Give comparisons to the work process again whose maker is gone; how many.

    One that ended its process three times is not tried a fourth time by itself.
    """
    stale = Comparison.objects.filter(
        state=ComparisonState.QUEUED, touched__lt=timezone.now() - PATIENCE
    )
    count = 0
    for comparison in stale.only("pk", "case_id", "attempts")[:20]:
        if comparison.attempts >= ATTEMPTS:
            _fail(comparison, f"The work process ended {ATTEMPTS} times while comparing.")
            continue
        with transaction.atomic():
            Comparison.objects.filter(pk=comparison.pk, state=ComparisonState.QUEUED).update(
                touched=timezone.now()
            )
            _defer(comparison.case_id)
        count += 1
    return count
