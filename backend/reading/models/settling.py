"""Settling: versions of a case's consensus, what each has to settle, and every step towards it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from backend.reading.models.cases import Case
from backend.reading.models.comparisons import Cluster, Comparison
from backend.reading.models.masks import Mask, Node
from backend.reading.vocabulary import SettlingRole
from backend.reading.workflow import (
    BY_RULE,
    DECIDED,
    INDETERMINATE,
    UNFINISHED,
    ConsensusState,
    DiscrepancyAction,
    DiscrepancyState,
    Resolution,
)

_BY_RULE = sorted(resolution.value for resolution in BY_RULE)
_DECIDED = sorted(state.value for state in DECIDED)
_UNFINISHED = sorted(state.value for state in UNFINISHED)
_BY_PEOPLE = sorted({INDETERMINATE, *(r.value for r in Resolution)} - set(_BY_RULE))
_ENDS = ("agree", "resolve")
# What leaves no node behind.
_NOTHING = ("absent", INDETERMINATE)


class Consensus(models.Model):
    """Version n of what a case's readers agreed on. Superseded, never edited.

    `mask` are the agreed nodes, `ignored` the regions nothing is said of, null where there is
    none; both exist from `labelling` on. `facts` say how they were made: the rule for contested
    voxels and how many there were. `supersedes` is the version this one was reopened from or
    replaces, and `reason` why.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="consensuses")
    comparison = models.ForeignKey(Comparison, on_delete=models.PROTECT, related_name="consensuses")
    version = models.PositiveIntegerField()
    state = models.CharField(
        max_length=16,
        choices=[(s.value, s.value) for s in ConsensusState],
        default=ConsensusState.DRAFT.value,
    )
    supersedes = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="superseded_by"
    )
    reason = models.TextField(default="", blank=True)
    mask = models.ForeignKey(
        Mask, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    ignored = models.ForeignKey(
        Mask, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    facts = models.JSONField(default=dict, blank=True)
    created = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    record_hash = models.CharField(max_length=64, default="", blank=True)

    class Meta:
        ordering = ("version",)
        constraints = (
            models.UniqueConstraint(fields=["case", "version"], name="one_consensus_per_version"),
            models.UniqueConstraint(
                fields=["case"],
                condition=Q(state__in=_UNFINISHED),
                name="one_unfinished_consensus",
            ),
            models.UniqueConstraint(
                fields=["case"],
                condition=Q(state=ConsensusState.PUBLISHED.value),
                name="one_published_consensus",
            ),
            models.CheckConstraint(condition=Q(version__gte=1), name="versions_count_from_one"),
            models.CheckConstraint(
                condition=Q(state__in=[s.value for s in ConsensusState]),
                name="consensus_state_is_known",
            ),
            models.CheckConstraint(
                condition=Q(mask__isnull=True, settled_at__isnull=True, ignored__isnull=True)
                | Q(mask__isnull=False, settled_at__isnull=False),
                name="what_is_settled_has_its_mask",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["draft", "superseded"]) | Q(mask__isnull=False),
                name="only_what_is_settled_goes_on",
            ),
            models.CheckConstraint(
                condition=~Q(state="draft") | Q(mask__isnull=True),
                name="a_draft_is_not_settled",
            ),
            models.CheckConstraint(
                condition=(Q(published_at__isnull=True) & ~Q(state="published"))
                | (
                    Q(published_at__isnull=False, state__in=["published", "superseded"])
                    & ~Q(record_hash="")
                ),
                name="what_is_published_has_its_record",
            ),
        )

    def __str__(self) -> str:
        return f"consensus {self.version} of {self.case_id}"

    @property
    def audience(self) -> str:
        """Who has this consensus open."""
        return f"consensus:{self.pk}"


class Discrepancy(models.Model):
    """What one version of a consensus has to settle of a cluster. Final once it is decided.

    `triggers` are `discrepancies.Trigger.to_json`, empty where borders differ within tolerance;
    `geometry` says what shape a rule gave it. `version` counts its steps. `proposal` is what waits
    for an answer; `decision` is the step that ended it, in this version or in the one it was
    carried over from, null where a rule did.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="discrepancies")
    consensus = models.ForeignKey(Consensus, on_delete=models.PROTECT, related_name="discrepancies")
    state = models.CharField(
        max_length=16,
        choices=[(s.value, s.value) for s in DiscrepancyState],
        default=DiscrepancyState.OPEN.value,
    )
    version = models.PositiveIntegerField(default=0)
    triggers = models.JSONField()
    proposal = models.ForeignKey(
        "reading.Step", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    decision = models.ForeignKey(
        "reading.Step", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    resolution = models.CharField(
        max_length=16, choices=[(r.value, r.value) for r in Resolution], default="", blank=True
    )
    by_rule = models.BooleanField(default=False)
    rationale = models.TextField(default="", blank=True)
    geometry = models.JSONField(null=True, blank=True)
    created = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("cluster__number",)
        constraints = (
            models.UniqueConstraint(
                fields=["cluster", "consensus"], name="one_discrepancy_per_cluster"
            ),
            models.CheckConstraint(
                condition=Q(state__in=[s.value for s in DiscrepancyState]),
                name="discrepancy_state_is_known",
            ),
            models.CheckConstraint(
                condition=Q(resolution__in=["", *(r.value for r in Resolution)]),
                name="resolution_is_known",
            ),
            models.CheckConstraint(
                condition=Q(state="resolved") ^ Q(resolution=""),
                name="what_is_resolved_says_how",
            ),
            models.CheckConstraint(
                condition=Q(by_rule=True, resolution__in=_BY_RULE)
                | (Q(by_rule=False) & ~Q(resolution__in=_BY_RULE)),
                name="rules_resolve_as_rules_do",
            ),
            models.CheckConstraint(
                condition=Q(state__in=_DECIDED) ^ Q(decided_at__isnull=True),
                name="what_is_decided_has_its_time",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=_DECIDED) | ~Q(rationale=""),
                name="what_is_decided_has_its_reason",
            ),
            models.CheckConstraint(
                condition=Q(state="proposed") ^ Q(proposal__isnull=True),
                name="what_is_proposed_has_its_proposal",
            ),
            models.CheckConstraint(
                condition=Q(state__in=_DECIDED, by_rule=False) ^ Q(decision__isnull=True),
                name="what_people_decide_has_its_step",
            ),
        )

    def __str__(self) -> str:
        return f"discrepancy on {self.cluster_id}"


class Step(models.Model):
    """What one person did to settle a discrepancy. Write-once; its id is the client's UUID of it.

    `mask` is the shape redrawn, in the step that proposes it and in the one that accepts it;
    `proposal` is what an agreement answers. `body_hash` is what was asked for, so that the same
    UUID never stands for two things; `answer` is what the client was told, and is told again.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    discrepancy = models.ForeignKey(Discrepancy, on_delete=models.PROTECT, related_name="steps")
    position = models.PositiveIntegerField()
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=16, choices=SettlingRole)
    action = models.CharField(
        max_length=16, choices=[(a.value, a.value) for a in DiscrepancyAction]
    )
    resolution = models.CharField(max_length=16, default="", blank=True)
    rationale = models.TextField(default="", blank=True)
    mask = models.ForeignKey(
        Mask, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    proposal = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    body_hash = models.CharField(max_length=64)
    answer = models.JSONField(default=dict)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("position",)
        constraints = (
            models.UniqueConstraint(fields=["discrepancy", "position"], name="dense_steps"),
            models.CheckConstraint(condition=Q(position__gte=1), name="steps_count_from_one"),
            models.CheckConstraint(
                condition=Q(action="defer", resolution="")
                | Q(action="leave", resolution=INDETERMINATE)
                | (
                    Q(action__in=["propose", *_ENDS], resolution__in=_BY_PEOPLE)
                    & ~Q(action__in=_ENDS, resolution=INDETERMINATE)
                ),
                name="a_step_says_what_it_settles",
            ),
            models.CheckConstraint(
                condition=Q(role="reader", action__in=["propose", "agree", "leave", "defer"])
                | Q(role="adjudicator", action__in=["resolve", "leave"]),
                name="a_step_is_its_roles",
            ),
            models.CheckConstraint(
                condition=Q(resolution="redrawn") ^ Q(mask__isnull=True),
                name="a_redrawn_shape_is_kept",
            ),
            models.CheckConstraint(
                condition=(Q(action="agree") | Q(action="leave", role="reader"))
                ^ Q(proposal__isnull=True),
                name="an_agreement_names_its_proposal",
            ),
            models.CheckConstraint(
                condition=Q(proposal__isnull=False) | ~Q(rationale=""),
                name="a_step_has_its_reason",
            ),
            models.CheckConstraint(
                condition=Q(proposal__isnull=True) | ~Q(proposal=F("id")),
                name="nobody_agrees_to_oneself",
            ),
        )

    def __str__(self) -> str:
        return f"{self.action} {self.position} on {self.discrepancy_id}"


class ConsensusNode(models.Model):
    """One node that was agreed on, under its number in the consensus mask. Write-once.

    `origin` is the resolution its shape comes from, `identical` where both readers had drawn the
    same; `impressions` is what either had said of it, ``{"x": …, "y": …}``, null for nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    consensus = models.ForeignKey(Consensus, on_delete=models.PROTECT, related_name="nodes")
    node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="agreed")
    number = models.PositiveIntegerField()
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="agreed")
    measures = models.JSONField()
    origin = models.CharField(max_length=16)
    side = models.CharField(max_length=1, default="", blank=True)
    level = models.CharField(max_length=8, default="", blank=True)
    impressions = models.JSONField()

    class Meta:
        ordering = ("number",)
        constraints = (
            models.UniqueConstraint(fields=["consensus", "number"], name="one_agreed_per_number"),
            models.UniqueConstraint(fields=["consensus", "node"], name="one_identity_once"),
            models.CheckConstraint(condition=Q(number__gte=1), name="agreed_count_from_one"),
            models.CheckConstraint(
                condition=Q(
                    origin__in=["identical", "mean", *sorted(set(_BY_PEOPLE) - set(_NOTHING))]
                ),
                name="origin_of_an_agreed_node_is_known",
            ),
        )

    def __str__(self) -> str:
        return f"node {self.number} of {self.consensus_id}"
