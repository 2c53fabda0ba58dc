"""Signing a consensus: every signature is of the same record; the last one publishes it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.accounts.services import reauthenticate, recognise
from backend.audit.models import Event
from backend.audit.services import News, record
from backend.errors import NotAllowed, WrongState, reason_of
from backend.imaging.masks import canonical_json
from backend.reading.consensus_record import hash_of, record_of_consensus, required_signers
from backend.reading.label_selectors import SIGNED
from backend.reading.models import Case, Consensus, ConsensusSignature
from backend.reading.services.acts import client_reused, named_by_client
from backend.reading.services.announcing import case_changed, to_adjudicators, to_readers
from backend.reading.services.guards import refresh_stage
from backend.reading.services.label_news import incomplete, lock_consensus
from backend.reading.services.versions import consensus_changed, step_consensus
from backend.reading.services.voiding import void_signatures
from backend.reading.workflow import ConsensusAction, ConsensusState
from backend.store import store

MEANING = "consensus"


def sign_consensus(
    *,
    consensus: Consensus,
    user: User,
    client: UUID,
    record_hash: str,
    password: str,
    username: str | None = None,
) -> ConsensusSignature:
    """Sign what was shown, with the password once more; the last signature publishes.

    Args:
        consensus: the version.
        user: whose session it is.
        client: the act's UUID; the same act again changes nothing.
        record_hash: the hash of what was shown.
        password: the signer's.
        username: the signer, where somebody else signs at the same screen.

    Raises:
        NotAllowed: `WRONG_PASSWORD` (on record), or the signer is not one who signs this.
        WrongState: `RECORD_CHANGED`, `ALREADY_SIGNED`, or nothing is signed now.
    """
    facts = {"consensus": str(consensus.pk), "version": consensus.version}
    if username is None or username == user.username:
        signer = user
        reauthenticate(user=user, password=password, chain=consensus.case.chain, **facts)
    else:
        signer = recognise(
            username=username,
            password=password,
            actor=user,
            chain=consensus.case.chain,
            **facts,
        )
    return _sign(consensus, signer, user, client, record_hash)


@transaction.atomic
def _sign(
    consensus: Consensus, signer: User, session: User, client: UUID, record_hash: str
) -> ConsensusSignature:
    case, consensus = lock_consensus(consensus)
    before = ConsensusSignature.objects.filter(pk=client).first()
    if before is not None:
        same = (before.consensus_id, before.user_id, before.record_hash)
        if same != (consensus.pk, signer.pk, record_hash):
            raise client_reused()
        return before
    required = required_signers(consensus)
    if signer.pk not in required:
        raise NotAllowed(
            "NOT_A_SIGNER",
            f"{signer.shown_name} does not sign this consensus.",
            "It is signed by both readers, and by an adjudicator who decided something in it.",
        )
    _guard(consensus, signer)
    signed = record_of_consensus(consensus)
    if hash_of(signed) != record_hash:
        raise WrongState(
            "RECORD_CHANGED",
            "This is no longer what you were shown.",
            "Look at what changed, then sign.",
            possible=["reload"],
            record_hash=hash_of(signed),
        )
    kept = store().put(canonical_json(signed), compress=True)
    with named_by_client(ConsensusSignature):
        signature = ConsensusSignature.objects.create(
            id=client,
            consensus=consensus,
            user=signer,
            role=required[signer.pk],
            printed_name=signer.shown_name,
            at=timezone.now(),
            meaning=MEANING,
            record=signed,
            record_hash=record_hash,
        )
    step_consensus(consensus, ConsensusAction.SIGN)
    consensus.save(update_fields=["state"])
    last = not set(required) - _signers(consensus)
    replaced = _publish(case, consensus, record_hash) if last else None
    record(
        "consensus.signed",
        signature,
        actor=signer,
        chain=case.chain,
        news=_news(case, consensus, signature, replaced),
        consensus=str(consensus.pk),
        version=consensus.version,
        signature=str(signature.pk),
        role=signature.role,
        printed_name=signature.printed_name,
        meaning=signature.meaning,
        record_hash=record_hash,
        record=kept,
        session=session.username if session.pk != signer.pk else None,
    )
    if last:
        _record_published(case, consensus, replaced)
    return signature


def _guard(consensus: Consensus, signer: User) -> None:
    if consensus.state not in SIGNED:
        needs = [f"Node {each.node.number}: {each.needs[0]}" for each in incomplete(consensus)]
        raise WrongState(
            "WRONG_STATE",
            f"A consensus that is {consensus.state} is not signed.",
            "Do what is missing first." if needs else "Go to the version that is signed now.",
            possible=["label"] if consensus.state == ConsensusState.LABELLING else [],
            missing=needs,
        )
    if consensus.signatures.filter(user=signer, void_at=None).exists():
        raise WrongState(
            "ALREADY_SIGNED",
            f"{signer.shown_name} has signed this already.",
            "Let the others sign.",
        )


def _signers(consensus: Consensus) -> set[UUID]:
    return set(consensus.signatures.filter(void_at=None).values_list("user_id", flat=True))


def _publish(case: Case, consensus: Consensus, record_hash: str) -> Consensus | None:
    """Publish it, in the place of the version before; returns that one."""
    published = ConsensusState.PUBLISHED.value
    before = case.consensuses.filter(state=published).select_for_update().first()
    if before is not None:
        step_consensus(before, ConsensusAction.SUPERSEDE)
        before.save(update_fields=["state"])
    step_consensus(consensus, ConsensusAction.PUBLISH)
    consensus.published_at, consensus.record_hash = timezone.now(), record_hash
    consensus.save(update_fields=["state", "published_at", "record_hash"])
    refresh_stage(case)
    return before


def _news(
    case: Case,
    consensus: Consensus,
    signature: ConsensusSignature,
    replaced: Consensus | None,
) -> list[News]:
    news = [
        News(consensus.audience, "signature.given", {"role": signature.role}),
        consensus_changed(consensus),
        *to_readers(consensus.comparison),
        case_changed(case),
    ]
    if len(required_signers(consensus)) > 2:
        news += to_adjudicators(consensus)
    return [*news, consensus_changed(replaced)] if replaced else news


def _record_published(case: Case, consensus: Consensus, replaced: Consensus | None) -> None:
    record(
        "consensus.published",
        consensus,
        actor=None,
        chain=case.chain,
        consensus=str(consensus.pk),
        version=consensus.version,
        mask=consensus.mask.hash if consensus.mask else None,
        ignored=consensus.ignored.hash if consensus.ignored else None,
        record_hash=consensus.record_hash,
    )
    if replaced is not None:
        record(
            "consensus.superseded",
            replaced,
            actor=None,
            chain=case.chain,
            consensus=str(replaced.pk),
            version=replaced.version,
            by=str(consensus.pk),
            published=True,
        )


@transaction.atomic
def object_to_consensus(
    *, consensus: Consensus, user: User, client: UUID, reason: str
) -> Consensus:
    """Refuse what is being signed, with a reason; the signatures given are void, and kept.

    Raises:
        NotAllowed: the user is not one who signs this.
        WrongState: nothing is being signed.
    """
    case, consensus = lock_consensus(consensus)
    reason = reason.strip()
    required = required_signers(consensus)
    if user.pk not in required:
        raise NotAllowed(
            "NOT_A_SIGNER", "Only who signs a consensus objects to it.", "Ask one of its readers."
        )
    if _objected_before(case, consensus, user, client, reason):
        return consensus
    reason_of(
        reason, "An objection needs a reason.", "Say what is wrong, in at most {most} characters."
    )
    step_consensus(consensus, ConsensusAction.OBJECT)
    voided = void_signatures(consensus, reason=reason)
    consensus.save(update_fields=["state"])
    news = [consensus_changed(consensus), *to_readers(consensus.comparison), case_changed(case)]
    record(
        "consensus.objected",
        consensus,
        actor=user,
        chain=case.chain,
        reason=reason,
        news=[*news, *to_adjudicators(consensus)] if len(required) > 2 else news,
        consensus=str(consensus.pk),
        version=consensus.version,
        role=required[user.pk].value,
        voided=voided,
        client=str(client),
    )
    return consensus


def _objected_before(
    case: Case, consensus: Consensus, user: User, client: UUID, reason: str
) -> bool:
    """Whether this very act was done before; raises `WrongState` where its UUID is another's."""
    event = acted_before(case, "consensus.objected", client)
    if event is None:
        return False
    same: list[Any] = [event.subject_id, event.actor_id, event.reason]
    if same != [str(consensus.pk), user.pk, reason]:
        raise client_reused()
    return True


def acted_before(case: Case, action: str, client: UUID) -> Event | None:
    """The event of an act with this UUID, where the case's log has one."""
    found = Event.objects.filter(chain=case.chain, action=action, facts__client=str(client))
    return found.first()
