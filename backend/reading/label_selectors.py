"""What is known of labels: the newest of every agreed node, what it lacks, and the evidence.

Evidence is sealed for who reads until the nodes are agreed on: `evidence_shown` is the one place
that says what of it a version of a consensus shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import Prefetch, QuerySet

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.errors import Missing
from backend.reading.evidence import Item, LabelKind, Place, Rules
from backend.reading.models import Case, Consensus, ConsensusNode, Evidence, ReferenceLabel
from backend.reading.selectors import projects_as
from backend.reading.workflow import UNFINISHED, ConsensusState

# From here on the nodes are agreed, and evidence is open to who labels them.
LABELLED_STATES = (
    ConsensusState.LABELLING.value,
    ConsensusState.READY.value,
    ConsensusState.SIGNING.value,
)

# In these labels are given; in those the record is signed.
LABELLING = frozenset({ConsensusState.LABELLING.value, ConsensusState.READY.value})
SIGNED = frozenset({ConsensusState.READY.value, ConsensusState.SIGNING.value})


@dataclass(frozen=True)
class Labelled:
    """An agreed node with its newest label, and what it still needs.

    Attributes:
        node: the node.
        label: its newest label, also where that only leaves it to the adjudicator.
        left: whether it was left to the adjudicator in this version.
        needs: a sentence for everything that is missing.
    """

    node: ConsensusNode
    label: ReferenceLabel | None
    left: bool
    needs: tuple[str, ...]

    @property
    def position(self) -> int:
        """How many labels it was given; what a new one must have seen."""
        return self.label.position if self.label else 0


def rules_of(case: Case) -> Rules:
    """What the case's protocol asks of labels."""
    return Rules.of(case.protocol.definition.get("labels"))


def agreed_nodes(consensus: Consensus) -> list[ConsensusNode]:
    """The agreed nodes in order, with their labels."""
    labels = ReferenceLabel.objects.select_related("by").order_by("position")
    return list(
        consensus.nodes.select_related("cluster").prefetch_related(Prefetch("labels", labels))
    )


def labelled_nodes(consensus: Consensus) -> list[Labelled]:
    """Every agreed node with its label."""
    withdrawn = {
        str(pk): reason
        for pk, reason in Evidence.objects.filter(
            case=consensus.case_id, withdrawn_at__isnull=False
        ).values_list("pk", "withdrawn_reason")
    }
    return [labelled(node, withdrawn) for node in agreed_nodes(consensus)]


def labelled(node: ConsensusNode, withdrawn: Mapping[str, str]) -> Labelled:
    """A node with its label, given what was withdrawn of the case's evidence (id → reason)."""
    labels = list(node.labels.all())
    newest = labels[-1] if labels else None
    left = any(label.kind == LabelKind.DEFERRED for label in labels)
    return Labelled(node, newest, left, tuple(_needs(newest, withdrawn)))


def _needs(label: ReferenceLabel | None, withdrawn: Mapping[str, str]) -> list[str]:
    if label is None:
        return ["It has no label. Give it one."]
    if label.kind == LabelKind.DEFERRED:
        return ["It was left to the adjudicator, who labels it."]
    gone = [withdrawn[item] for item in label.evidence if item in withdrawn]
    if gone:
        return [f"Evidence its label rests on was withdrawn ({gone[0]}). Label it again."]
    return []


def items_of(consensus: Consensus, evidence: Iterable[Evidence]) -> dict[UUID, Item]:
    """Pieces of evidence as the rules see them, of the nodes as this version has them."""
    nodes = list(consensus.nodes.all())
    return {one.pk: item_of(one, nodes) for one in evidence}


def item_of(evidence: Evidence, nodes: Iterable[ConsensusNode] = ()) -> Item:
    """One piece of evidence as the rules see it."""
    found = node_now(evidence, nodes)
    named = str(found.node_id) if found else str(evidence.node.node_id) if evidence.node else ""
    return Item(
        kind=evidence.kind,
        result=evidence.result,
        date=evidence.date,
        scope=evidence.scope,
        node=named,
        side=evidence.side,
        level=evidence.level,
        details=evidence.details,
        withdrawn=evidence.withdrawn_at is not None,
    )


def node_now(evidence: Evidence, nodes: Iterable[ConsensusNode]) -> ConsensusNode | None:
    """The node of a version that a piece of evidence names, though it was entered for another.

    The same identity; or what became of it, where both versions have one node of its cluster.
    """
    named = evidence.node
    if named is None:
        return None
    nodes = list(nodes)
    same = [node for node in nodes if node.node_id == named.node_id]
    if same:
        return same[0]
    here = [node for node in nodes if node.cluster_id == named.cluster_id]
    alone = not (
        ConsensusNode.objects.filter(consensus=named.consensus_id, cluster=named.cluster_id)
        .exclude(pk=named.pk)
        .exists()
    )
    return here[0] if len(here) == 1 and alone else None


def place_of(node: ConsensusNode) -> Place:
    """A node as evidence may speak of it."""
    return Place(str(node.node_id), node.side, node.level)


def evidence_of(case: Case) -> QuerySet[Evidence]:
    """All evidence of a case, withdrawn included."""
    return case.evidence.select_related("node", "entered_by")


def evidence_shown(consensus: Consensus) -> QuerySet[Evidence]:
    """The evidence that a version shows to who labels: none in draft, no later than it published.

    A version that ended without being published shows none either: its nodes are not the ones
    that are labelled now.
    """
    found = evidence_of(consensus.case)
    if consensus.state in LABELLED_STATES:
        return found
    if consensus.published_at is not None:
        return found.filter(entered_at__lte=consensus.published_at)
    return found.none()


def agreed_version(case: Case) -> Consensus | None:
    """The newest version with agreed nodes that was not given up."""
    return (
        case.consensuses.filter(settled_at__isnull=False)
        .exclude(state=ConsensusState.SUPERSEDED.value)
        .select_related("case__protocol", "comparison__first", "comparison__second")
        .order_by("version")
        .last()
    )


def labelling_version(case: Case) -> Consensus | None:
    """The version whose nodes are being labelled or signed; evidence is news to it."""
    return case.consensuses.filter(state__in=LABELLED_STATES).first()


def resting_on(evidence: Evidence) -> list[ConsensusNode]:
    """The nodes whose newest label rests on a piece of evidence, in versions that still hold."""
    nodes = (
        ConsensusNode.objects.filter(
            consensus__case=evidence.case_id, labels__evidence__contains=[str(evidence.pk)]
        )
        .exclude(consensus__state=ConsensusState.SUPERSEDED.value)
        .select_related("consensus")
        .prefetch_related("labels")
        .distinct()
        .order_by("consensus__version", "number")
    )
    return [n for n in nodes if str(evidence.pk) in list(n.labels.all())[-1].evidence]


def unfinished_version(case: Case) -> Consensus | None:
    """The version of a case that is not published yet."""
    return case.consensuses.filter(state__in=sorted(state.value for state in UNFINISHED)).first()


# Who enters evidence, and who looks at what was entered.


def abstracts(user: User | AnonymousUser) -> bool:
    """Whether the user enters evidence in any project."""
    return isinstance(user, User) and projects_as(user, Role.ABSTRACTOR).exists()


def may_abstract(user: User, case: Case) -> bool:
    """Whether the user enters evidence for a case."""
    return projects_as(user, Role.ABSTRACTOR).filter(project_id=case.project_id).exists()


def abstracted_cases(user: User | AnonymousUser) -> QuerySet[Case]:
    """The cases whose evidence the user enters, or oversees as an auditor; raises `Missing`."""
    if not isinstance(user, User) or not user.is_active:
        raise Missing("page")
    found = Case.objects.filter(superseded_by=None).select_related("subject", "project", "protocol")
    if user.is_superuser:
        return found
    projects = projects_as(user, Role.ABSTRACTOR, Role.AUDITOR)
    if not projects.exists():
        raise Missing("page")
    return found.filter(project__in=projects)


def abstracted_case(user: User | AnonymousUser, case: UUID) -> Case:
    """One of these cases; raises `Missing`."""
    found = abstracted_cases(user).filter(pk=case).first()
    if found is None:
        raise Missing("case")
    return found
