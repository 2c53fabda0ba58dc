"""Reopening a consensus: version n stays as it was signed, version n + 1 begins from it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.audit.services import record
from backend.errors import BadInput, WrongState, reason_of
from backend.reading.label_selectors import unfinished_version
from backend.reading.models import Case, Consensus, Discrepancy
from backend.reading.services.acts import client_reused
from backend.reading.services.announcing import case_changed, to_readers
from backend.reading.services.guards import require_role
from backend.reading.services.label_news import lock_consensus
from backend.reading.services.settling import settle_if_nothing_open
from backend.reading.services.signing import acted_before
from backend.reading.services.versions import (
    cluster_facts,
    consensus_changed,
    discrepancy_facts,
    step_consensus,
)
from backend.reading.workflow import ConsensusAction, ConsensusState, DiscrepancyState, ReadingState

# A version that nobody signed yet gives way at once; a published one only when the next is.
GIVES_WAY = frozenset({ConsensusState.LABELLING.value, ConsensusState.READY.value})


@transaction.atomic
def reopen_consensus(
    *,
    consensus: Consensus,
    actor: User,
    client: UUID,
    reason: str,
    discrepancies: Sequence[UUID] = (),
) -> Consensus:
    """The next version of a consensus, with decisions and labels carried over.

    Args:
        consensus: the version that is published, or whose nodes are being labelled.
        actor: a coordinator of the project.
        client: the act's UUID; the same act again changes nothing.
        reason: why.
        discrepancies: those of this version that are to be settled again; with none, the version
            goes on to its labels at once.

    Raises:
        WrongState: it is not the version to reopen, or another is under way.
        BadInput: without a reason, or with a discrepancy that is not its own.
    """
    case, consensus = lock_consensus(consensus)
    require_role(actor, case, Role.COORDINATOR)
    reason = reason.strip()
    before = _reopened_before(case, consensus, actor, client, reason)
    if before is not None:
        return before
    _guard(case, consensus, reason)
    found = list(consensus.discrepancies.select_related("cluster").order_by("cluster__number"))
    wanted = set(discrepancies)
    if not wanted <= {each.pk for each in found}:
        raise BadInput(
            "NO_SUCH_DISCREPANCY",
            "Not all of these are discrepancies of this version.",
            "Choose among those of the version you reopen.",
        )
    if consensus.state in GIVES_WAY:
        step_consensus(consensus, ConsensusAction.SUPERSEDE)
        consensus.save(update_fields=["state"])
    following = Consensus.objects.create(
        case=case,
        comparison=consensus.comparison,
        version=consensus.version + 1,
        supersedes=consensus,
        reason=reason,
    )
    for each in found:
        _carry(each, following, again=each.pk in wanted)
    _record(case, consensus, following, found, wanted, actor=actor, client=client)
    settle_if_nothing_open(following, actor)
    return following


def _reopened_before(
    case: Case, consensus: Consensus, actor: User, client: UUID, reason: str
) -> Consensus | None:
    event = acted_before(case, "consensus.reopened", client)
    if event is None:
        return None
    if [event.subject_id, event.actor_id, event.reason] != [str(consensus.pk), actor.pk, reason]:
        raise client_reused()
    return Consensus.objects.get(pk=event.facts["following"])


def _guard(case: Case, consensus: Consensus, reason: str) -> None:
    reason_of(reason, "Reopening a consensus needs a reason.")
    under_way = unfinished_version(case)
    if under_way is not None and under_way.pk != consensus.pk:
        raise WrongState(
            "UNDER_WAY",
            f"Version {under_way.version} is under way already.",
            "Finish that one first.",
        )
    if consensus.state not in {*GIVES_WAY, ConsensusState.PUBLISHED.value}:
        cure = {
            ConsensusState.DRAFT: "It is still being settled.",
            ConsensusState.SIGNING: "Have one of its signers object first.",
        }.get(ConsensusState(consensus.state), "Reopen the newest version.")
        raise WrongState(
            "WRONG_STATE", f"A consensus that is {consensus.state} is not reopened.", cure
        )
    readings = (consensus.comparison.first, consensus.comparison.second)
    if any(reading.state != ReadingState.COMPARED for reading in readings):
        raise WrongState(
            "READ_AGAIN",
            "The case is being read again, so this comparison no longer stands.",
            "Wait for the consensus that the new readings open.",
        )


def _carry(old: Discrepancy, following: Consensus, *, again: bool) -> Discrepancy:
    """The discrepancy in the next version: decided as it was, or open again."""
    copy = Discrepancy(cluster=old.cluster, consensus=following, triggers=old.triggers)
    if again:
        copy.state = DiscrepancyState.OPEN.value
    else:
        for name in ("state", "decision", "resolution", "by_rule", "rationale", "geometry"):
            setattr(copy, name, getattr(old, name))
        copy.decided_at = old.decided_at
    copy.save(force_insert=True)
    return copy


def _record(
    case: Case,
    consensus: Consensus,
    following: Consensus,
    found: Sequence[Discrepancy],
    wanted: set[UUID],
    *,
    actor: User,
    client: UUID,
) -> None:
    again = [each.cluster.number for each in found if each.pk in wanted]
    if consensus.state == ConsensusState.SUPERSEDED:
        record(
            "consensus.superseded",
            consensus,
            actor=actor,
            chain=case.chain,
            consensus=str(consensus.pk),
            version=consensus.version,
            by=str(following.pk),
            published=False,
        )
    record(
        "consensus.reopened",
        consensus,
        actor=actor,
        chain=case.chain,
        reason=following.reason,
        news=[consensus_changed(consensus), *to_readers(consensus.comparison), case_changed(case)],
        consensus=str(consensus.pk),
        version=consensus.version,
        following=str(following.pk),
        reopened=again,
        client=str(client),
    )
    record(
        "consensus.opened",
        following,
        actor=actor,
        chain=case.chain,
        reason=following.reason,
        consensus=str(following.pk),
        version=following.version,
        comparison=str(following.comparison_id),
        supersedes=str(consensus.pk),
        carried=[each.cluster.number for each in found if each.pk not in wanted],
        reopened=again,
        clusters=[cluster_facts(c) for c in consensus.comparison.clusters.order_by("number")],
        discrepancies=discrepancy_facts(following),
    )
