"""Who may see a consensus, and as what. Hidden and absent are the same `Missing`.

Its two readers, while both readings stand; an adjudicator of the project who is neither of them,
once something of it was deferred; who oversees the case. A coordinator sees states and counts:
no masks, no words, no labels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet, Subquery

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.errors import Missing
from backend.reading.evidence import LabelKind
from backend.reading.models import (
    Case,
    Consensus,
    Discrepancy,
    Membership,
    ReferenceLabel,
    Step,
)
from backend.reading.selectors import projects_as
from backend.reading.vocabulary import SettlingRole
from backend.reading.workflow import (
    UNFINISHED,
    ConsensusState,
    DiscrepancyAction,
    ReadingState,
)

_COMPARED = ReadingState.COMPARED.value
_ADJUDICATOR = SettlingRole.ADJUDICATOR.value
_STANDS = Q(comparison__first__state=_COMPARED, comparison__second__state=_COMPARED)
_SHOWN = Q(state__in=[*(state.value for state in UNFINISHED), ConsensusState.PUBLISHED.value])


class Seat(StrEnum):
    """As what somebody looks at a consensus."""

    READER = "reader"
    ADJUDICATOR = "adjudicator"
    OBSERVER = "observer"


@dataclass(frozen=True)
class Asker:
    """Who looks at a consensus.

    Attributes:
        user: the person.
        seat: as what they look.
        whole: whether they see masks, words and labels; a coordinator does not.
        names: whether people are named to them.
    """

    user: User
    seat: Seat
    whole: bool = True
    names: bool = False

    def word_for(self, person: User, role: str) -> str:
        """Who did something, as this asker may know it.

        `you`; `adjudicator`; `other`, a reader who is not you; a name to who knows names.
        """
        if person.pk == self.user.pk:
            return "you"
        if self.names:
            return person.shown_name
        return "adjudicator" if role == SettlingRole.ADJUDICATOR else "other"


def consensus_for(user: User | AnonymousUser, consensus: UUID) -> tuple[Consensus, Asker]:
    """One consensus, and as what the user looks at it; raises `Missing`."""
    return _seen(user, Consensus.objects.filter(pk=consensus), "consensus")


def discrepancy_for(user: User | AnonymousUser, discrepancy: UUID) -> tuple[Discrepancy, Asker]:
    """One discrepancy of a consensus the user may see; raises `Missing`."""
    found = Consensus.objects.filter(discrepancies=discrepancy)
    consensus, asker = _seen(user, found, "discrepancy")
    return discrepancies_of(consensus).get(pk=discrepancy), asker


def _seen(
    user: User | AnonymousUser, among: QuerySet[Consensus], what: str
) -> tuple[Consensus, Asker]:
    found = (
        among.select_related(
            "case__protocol", "comparison__first", "comparison__second", "mask", "ignored"
        )
        .defer("mask__manifest_json", "ignored__manifest_json")
        .first()
    )
    if found is None or not isinstance(user, User):
        raise Missing(what)
    try:
        return found, asker_of(user, found)
    except Missing:
        raise Missing(what) from None


def asker_of(user: User, consensus: Consensus) -> Asker:
    """As what a user looks at a consensus; raises `Missing` for who may not."""
    readings = consensus.comparison.first, consensus.comparison.second
    stands = all(reading.state == _COMPARED for reading in readings)
    own = user.pk in {reading.reader_id for reading in readings}
    if not user.is_active:
        raise Missing("consensus")
    if stands and own:
        return Asker(user, Seat.READER)
    held = Membership.objects.filter(user=user, project=consensus.case.project_id)
    roles = set(held.values_list("role", flat=True))
    if stands and not own and Role.ADJUDICATOR in roles and was_deferred(consensus):
        return Asker(user, Seat.ADJUDICATOR)
    if user.is_superuser or Role.AUDITOR in roles:
        return Asker(user, Seat.OBSERVER, names=True)
    if Role.COORDINATOR in roles:
        return Asker(user, Seat.OBSERVER, whole=False)
    raise Missing("consensus")


def seat_of(user: User, consensus: Consensus) -> Seat | None:
    """As what a user looks at a consensus; None for who may not."""
    try:
        return asker_of(user, consensus).seat
    except Missing:
        return None


def was_deferred(consensus: Consensus) -> bool:
    """Whether anything of a consensus was ever left to an adjudicator."""
    return Consensus.objects.filter(_to_adjudicate(), pk=consensus.pk).exists()


def _to_adjudicate() -> Q:
    """Something of it was deferred, or what an adjudicator decided was carried over to it."""
    own = Discrepancy.objects.filter(consensus=OuterRef("pk"))
    labels = ReferenceLabel.objects.filter(node__consensus=OuterRef("pk"))
    return (
        Q(Exists(own.filter(steps__action=DiscrepancyAction.DEFER.value)))
        | Q(Exists(own.filter(decision__role=_ADJUDICATOR)))
        | Q(Exists(labels.filter(Q(kind=LabelKind.DEFERRED.value) | Q(role=_ADJUDICATOR))))
    )


def settling_of(user: User) -> QuerySet[Consensus]:
    """The consensuses whose readers the user is one of, oldest version first."""
    own = Q(comparison__first__reader=user) | Q(comparison__second__reader=user)
    return _listed().filter(_STANDS, own)


def adjudicated_by(user: User) -> QuerySet[Consensus]:
    """The unfinished consensuses of which something was deferred to the user as adjudicator."""
    own = Q(comparison__first__reader=user) | Q(comparison__second__reader=user)
    return (
        _listed()
        .filter(_STANDS, _to_adjudicate(), case__project__in=projects_as(user, Role.ADJUDICATOR))
        .exclude(own)
        .exclude(state=ConsensusState.PUBLISHED.value)
    )


def _listed() -> QuerySet[Consensus]:
    """The consensuses of lists, with what has to be settled of each."""
    waiting = Discrepancy.objects.filter(by_rule=False).select_related("proposal")
    return (
        Consensus.objects.filter(_SHOWN)
        .select_related("case__protocol", "comparison__first", "comparison__second")
        .defer("case__grid_json", "comparison__facts")
        .prefetch_related(
            Prefetch("discrepancies", waiting.defer("triggers", "proposal__answer"), "by_people")
        )
        .order_by("case", "version")
    )


def latest_of(case: Case) -> Consensus | None:
    """The newest version of an overseen case's consensus, for counting."""
    return _listed().filter(case=case).order_by("version").last()


def adjudicators_of(consensuses: Iterable[Consensus]) -> set[tuple[UUID, UUID]]:
    """(Consensus, person) for everyone whose decision stands in it as an adjudicator's."""
    decisions = Discrepancy.objects.filter(consensus__in=consensuses, decision__role=_ADJUDICATOR)
    newest = ReferenceLabel.objects.filter(node=OuterRef("node")).order_by("-position")
    labels = ReferenceLabel.objects.filter(
        node__consensus__in=consensuses, role=_ADJUDICATOR, pk=Subquery(newest.values("pk")[:1])
    )
    return {
        *decisions.values_list("consensus", "decision__actor"),
        *labels.values_list("node__consensus", "by"),
    }


def discrepancies_of(consensus: Consensus) -> QuerySet[Discrepancy]:
    """What a consensus has to settle, in the clusters' order, with all that is shown of it."""
    steps = Step.objects.select_related("actor").defer("answer").order_by("position")
    return (
        consensus.discrepancies.select_related(
            "cluster", "proposal__actor", "proposal__mask", "decision__actor"
        )
        .defer("proposal__answer", "proposal__mask__manifest_json", "decision__answer")
        .prefetch_related(Prefetch("steps", steps))
        .order_by("cluster__number")
    )


def versions_of(consensus: Consensus) -> QuerySet[Consensus]:
    """All versions of a case's consensus, oldest first."""
    return Consensus.objects.filter(case=consensus.case_id).order_by("version")
