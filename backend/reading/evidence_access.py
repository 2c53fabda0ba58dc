"""Who sees the evidence of a case. Hidden and absent are the same `Missing`.

Its abstractors and auditors always; who labels, from the day the nodes are agreed on, and then
what the version they label shows. Coordinators never.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.errors import Missing
from backend.reading.consensus_selectors import Seat, asker_of
from backend.reading.label_selectors import agreed_version, evidence_of, evidence_shown
from backend.reading.models import Case, ConsensusNode, Evidence
from backend.reading.selectors import projects_as


@dataclass(frozen=True)
class Sight:
    """What somebody sees of the evidence of a case.

    Attributes:
        case: the case.
        evidence: what they see of it.
        nodes: the agreed nodes that it may name, none before they are agreed on.
        outside: whether they stand outside the readings (and so see no image).
        version: the version of the consensus that numbers the nodes, None before there is one.
    """

    case: Case
    evidence: QuerySet[Evidence]
    nodes: list[ConsensusNode]
    outside: bool
    version: int | None = None


def evidence_sight(user: User | AnonymousUser, case: UUID) -> Sight:
    """What a user sees of the evidence of a case; raises `Missing`."""
    found = Case.objects.select_related("protocol", "subject", "project").filter(pk=case).first()
    if found is None or not isinstance(user, User) or not user.is_active:
        raise Missing("case")
    agreed = agreed_version(found)
    outside = projects_as(user, Role.ABSTRACTOR, Role.AUDITOR).filter(project_id=found.project_id)
    if user.is_superuser or outside.exists():
        nodes = list(agreed.nodes.all()) if agreed else []
        version = agreed.version if agreed else None
        return Sight(found, evidence_of(found), nodes, outside=True, version=version)
    if agreed is None:
        raise Missing("case")
    try:
        asker = asker_of(user, agreed)
    except Missing:
        raise Missing("case") from None
    if asker.seat == Seat.OBSERVER:
        raise Missing("case")
    nodes = list(agreed.nodes.all())
    return Sight(found, evidence_shown(agreed), nodes, outside=False, version=agreed.version)


def evidence_for(user: User | AnonymousUser, evidence: UUID) -> tuple[Evidence, Sight]:
    """One piece of evidence the user sees, among what they see; raises `Missing`."""
    found = Evidence.objects.filter(pk=evidence).values_list("case", flat=True).first()
    if found is None:
        raise Missing("evidence")
    try:
        sight = evidence_sight(user, found)
    except Missing:
        raise Missing("evidence") from None
    one = sight.evidence.filter(pk=evidence).first()
    if one is None:
        raise Missing("evidence")
    return one, sight
