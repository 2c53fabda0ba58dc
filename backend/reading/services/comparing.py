"""Comparing two submitted readings: asked for by the second submission, made by the work process.

What is compared never changes any more, so it is computed without a lock; the case is locked to
begin and to write. Doing it twice does no harm: a made comparison is left as it is.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.audit.services import record
from backend.errors import ConcordError, WrongState
from backend.imaging.fusion import MEAN_SIGNED_DISTANCE
from backend.imaging.masks import Labels, Manifest, nonempty_slices
from backend.jobs.queue import defer
from backend.reading import maskstore
from backend.reading.discrepancies import (
    Compared,
    Finding,
    Opinion,
    Outcome,
    Part,
    Read,
    Rules,
    Settled,
    compare,
)
from backend.reading.models import (
    Case,
    Cluster,
    Comparison,
    Discrepancy,
    Mask,
    MaskSlice,
    Reading,
)
from backend.reading.services.announcing import case_changed, to_reading, worklist_changed
from backend.reading.services.guards import (
    lock_case,
    lock_reading,
    refresh_stage,
    require_role,
    step,
)
from backend.reading.vocabulary import AuthorKind, ComparisonState, MaskKind
from backend.reading.workflow import (
    RULE_STEPS,
    DiscrepancyState,
    ReadingAction,
    ReadingState,
    Resolution,
    discrepancy_after,
)

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


@dataclass(frozen=True)
class _Computed:
    """A comparison, and the settled shapes already in the store (slice index → blob)."""

    rules: dict[str, Any]
    first: Read
    second: Read
    found: Compared
    blobs: dict[int, str]


def _compute(comparison: Comparison) -> _Computed:
    case = comparison.case
    said = case.protocol.definition["comparison"]
    first, second = _read(comparison.first), _read(comparison.second)
    found = compare(first, second, case.grid, Rules.from_definition(said))
    planes: dict[int, Labels] = {i: found.settled[i] for i in nonempty_slices(found.settled)}
    return _Computed(said, first, second, found, maskstore.put_slices(planes))


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
def _finish(waiting: Comparison, computed: _Computed) -> Comparison:
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
    comparison.settled = _save_settled(case, readings, computed)
    discrepancies = _save_clusters(comparison, computed)
    comparison.facts = {
        "rules": computed.rules,
        "pairs": _pairs_json(computed),
        "union_dice": found.union_dice.to_json(),
        "positive_agreement": found.positive_agreement.to_json(),
    }
    comparison.state, comparison.made_at = ComparisonState.MADE, timezone.now()
    comparison.save()
    refresh_stage(case)
    _record(case, comparison, readings, found, discrepancies)
    return comparison


def _save_settled(case: Case, readings: Sequence[Reading], computed: _Computed) -> Mask | None:
    """The settled shapes as a mask of the case; each keeps the first reader's node."""
    found = computed.found
    if not found.shapes:
        return None
    nodes = {
        number: computed.first.opinions[found.findings[number - 1].cluster.a[0]].node
        for number in found.shapes
    }
    parents = tuple(reading.effective.hash for reading in readings if reading.effective)
    manifest = Manifest(case.geometry_hash, computed.blobs, nodes, parents)
    mask, made = Mask.objects.get_or_create(
        case=case,
        reading=None,
        hash=manifest.hash,
        run_id=None,
        defaults={
            "kind": MaskKind.SETTLED,
            "author_kind": AuthorKind.SYSTEM,
            "manifest_json": maskstore.manifest_json(manifest),
        },
    )
    if made:
        MaskSlice.objects.bulk_create(maskstore.own_slices(mask, computed.blobs))
    return mask


def _save_clusters(comparison: Comparison, computed: _Computed) -> list[Discrepancy]:
    discrepancies = []
    for number, finding in enumerate(computed.found.findings, 1):
        cluster = Cluster.objects.create(
            comparison=comparison,
            number=number,
            first_nodes=_nodes_json(computed.first, finding.cluster.a),
            second_nodes=_nodes_json(computed.second, finding.cluster.b),
            shared_voxels=finding.cluster.shared_voxels,
            union_voxels=finding.cluster.union_voxels,
            box=[part.start for part in finding.box] + [part.stop for part in finding.box],
            measures=_measures_json(finding),
            outcome=finding.outcome.value,
        )
        if finding.outcome != Outcome.IDENTICAL:
            shape = computed.found.shapes.get(number)
            discrepancies.append(_save_discrepancy(cluster, finding, shape))
    return discrepancies


def _save_discrepancy(cluster: Cluster, finding: Finding, shape: Settled | None) -> Discrepancy:
    discrepancy = Discrepancy(cluster=cluster, triggers=[t.to_json() for t in finding.triggers])
    if finding.outcome != Outcome.OPEN:
        discrepancy.state = discrepancy_after(DiscrepancyState.OPEN, *RULE_STEPS).value
        discrepancy.by_rule, discrepancy.decided_at = True, timezone.now()
        discrepancy.rationale = _rationale(finding)
    if finding.outcome == Outcome.IGNORED:
        discrepancy.resolution = Resolution.IGNORE
    elif shape is not None:
        discrepancy.resolution = Resolution.MEAN
        discrepancy.geometry = {
            "rule": MEAN_SIGNED_DISTANCE,
            "label": shape.number,
            "voxels": shape.measures.voxels,
            "ties": shape.ties,
            "sad_mm": shape.measures.sad_mm,
            "lad_mm": shape.measures.lad_mm,
            "volume_mm3": shape.measures.volume_mm3,
        }
    discrepancy.save(force_insert=True)
    return discrepancy


def _rationale(finding: Finding) -> str:
    """Why a rule could decide, in words that name no reader."""
    part = finding.first or finding.second
    if finding.outcome == Outcome.IGNORED and part is not None:
        limit = finding.triggers[0].limit_mm
        return f"One-sided, and its short axis of {part.sad_mm:.2f} mm is below {limit:g} mm."
    return (
        f"Within all tolerances: borders {finding.asd_mm:.2f} mm apart on average, "
        f"short axes {finding.sad_difference_mm:.2f} mm."
    )


def _nodes_json(read: Read, labels: Iterable[int]) -> list[dict[str, Any]]:
    return [
        {
            "node": opinion.node,
            "label": label,
            "impression": opinion.impression,
            "side": opinion.side,
            "level": opinion.level,
            "doubt": opinion.doubt,
        }
        for label, opinion in ((label, read.opinions[label]) for label in labels)
    ]


def _measures_json(finding: Finding) -> dict[str, Any]:
    return {
        "first": _part_json(finding.first),
        "second": _part_json(finding.second),
        "dice": finding.dice,
        "asd_mm": finding.asd_mm,
        "hd95_mm": finding.hd95_mm,
        "sad_difference_mm": finding.sad_difference_mm,
    }


def _part_json(part: Part | None) -> dict[str, Any] | None:
    return part.measures.to_json() if part else None


def _pairs_json(computed: _Computed) -> list[dict[str, Any]]:
    return [
        {
            "first": computed.first.opinions[found.pair.a].node,
            "second": computed.second.opinions[found.pair.b].node,
            "iou": found.pair.iou,
            "dice": found.pair.dice,
            "asd_mm": found.asd_mm,
            "sad_difference_mm": found.sad_difference_mm,
        }
        for found in computed.found.pairs
    ]


def _record(
    case: Case,
    comparison: Comparison,
    readings: Sequence[Reading],
    found: Compared,
    discrepancies: Sequence[Discrepancy],
) -> None:
    """One event for the comparison, one for all that a rule decided; and the news of it."""
    outcomes = [finding.outcome for finding in found.findings]
    told = {"comparison": str(comparison.pk)}
    news = [
        *worklist_changed(readings),
        *(to_reading(reading, "comparison.made", told) for reading in readings),
        case_changed(case),
    ]
    record(
        "comparison.made",
        comparison,
        actor=None,
        chain=case.chain,
        news=news,
        first=str(comparison.first_id),
        second=str(comparison.second_id),
        effective=[reading.effective.hash for reading in readings if reading.effective],
        x="first" if comparison.x_is_first else "second",
        protocol=str(case.protocol),
        settled=comparison.settled.hash if comparison.settled else None,
        clusters=len(outcomes),
        outcomes={outcome.value: outcomes.count(outcome) for outcome in Outcome},
        **comparison.facts,
    )
    actions = {
        Resolution.IGNORE: "discrepancy.ignored_by_rule",
        Resolution.MEAN: "discrepancy.settled_by_rule",
    }
    for discrepancy in discrepancies:
        if not discrepancy.by_rule:
            continue
        cluster = discrepancy.cluster
        record(
            actions[Resolution(discrepancy.resolution)],
            discrepancy,
            actor=None,
            chain=case.chain,
            reason=discrepancy.rationale,
            comparison=str(comparison.pk),
            cluster=cluster.number,
            first=[node["node"] for node in cluster.first_nodes],
            second=[node["node"] for node in cluster.second_nodes],
            triggers=discrepancy.triggers,
            geometry=discrepancy.geometry,
        )


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
