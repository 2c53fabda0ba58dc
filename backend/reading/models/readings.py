"""Readings: one reader's pass over a case, every change of it, and the signature that ends it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from backend.reading.models.cases import Case
from backend.reading.models.masks import Mask, Node
from backend.reading.vocabulary import Arm, Decision, Impression, Reason, Slot, WhyNotAssessable
from backend.reading.workflow import CURRENT, ReadingState

_CURRENT = sorted(str(state.value) for state in CURRENT)


class Reading(models.Model):
    """One reader's pass in one slot.

    `base` is the mask it started from, `head` its latest version, `effective` what was submitted;
    `ai_mask` is the proposal this reader was offered whole; `proposed` a newer one, offered node by
    node, that changes nothing until the reader takes something of it. The lease names the one
    writer. `seen` maps planes to half-open slice ranges; `resume` is the viewer's own.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="readings")
    slot = models.CharField(max_length=8, choices=Slot)
    round = models.PositiveSmallIntegerField(default=1)
    reader = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="readings"
    )
    state = models.CharField(
        max_length=16,
        choices=[(s.value, s.value) for s in ReadingState],
        default=ReadingState.ASSIGNED.value,
    )
    arm = models.CharField(max_length=24, choices=Arm, default=Arm.AI_FIRST)
    base = models.ForeignKey(Mask, on_delete=models.PROTECT, related_name="+")
    head = models.ForeignKey(Mask, on_delete=models.PROTECT, related_name="+")
    ai_mask = models.ForeignKey(
        Mask, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    proposed = models.ForeignKey(
        Mask, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    effective = models.ForeignKey(
        Mask, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    changes_count = models.PositiveIntegerField(default=0)
    lease = models.UUIDField(null=True, blank=True)
    lease_client = models.UUIDField(null=True, blank=True)
    lease_taken_at = models.DateTimeField(null=True, blank=True)
    active_seconds = models.FloatField(default=0)
    seen = models.JSONField(default=dict, blank=True)
    resume = models.JSONField(default=dict, blank=True)
    assigned_at = models.DateTimeField(auto_now_add=True)
    opened_at = models.DateTimeField(null=True, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("assigned_at",)
        constraints = (
            models.UniqueConstraint(
                fields=["case", "slot"],
                condition=Q(state__in=_CURRENT) & ~Q(slot=Slot.REPEAT.value),
                name="one_current_reading_per_slot",
            ),
            models.UniqueConstraint(
                fields=["case", "reader"],
                condition=Q(state__in=_CURRENT) & ~Q(slot=Slot.REPEAT.value),
                name="one_person_fills_one_slot",
            ),
            models.UniqueConstraint(fields=["lease"], name="one_reading_per_lease"),
            models.CheckConstraint(
                condition=Q(state__in=[s.value for s in ReadingState]),
                name="reading_state_is_known",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["submitted", "compared", "returned"])
                | (Q(effective__isnull=False) & Q(submitted_at__isnull=False)),
                name="a_submitted_reading_has_a_mask",
            ),
            models.CheckConstraint(
                condition=Q(lease__isnull=True) | Q(state="open"),
                name="only_an_open_reading_is_leased",
            ),
        )

    def __str__(self) -> str:
        return f"{self.slot} of {self.case_id}"


class Change(models.Model):
    """One accepted change of a reading. Write-once.

    `client_id` is the client's UUID of it; `states` keeps what was decided on the nodes it altered,
    before and after; `answer` is what the client was told, and is told again.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    reading = models.ForeignKey(Reading, on_delete=models.PROTECT, related_name="changes")
    client_id = models.UUIDField()
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=16)
    base = models.ForeignKey(Mask, on_delete=models.PROTECT, related_name="+")
    head = models.ForeignKey(Mask, on_delete=models.PROTECT, related_name="made_by")
    undoes = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="undone_by"
    )
    body = models.JSONField()
    states = models.JSONField(default=dict)
    facts = models.JSONField(default=dict)
    answer = models.JSONField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("position",)
        constraints = (
            models.UniqueConstraint(
                fields=["reading", "client_id"], name="one_change_per_client_id"
            ),
            models.UniqueConstraint(fields=["reading", "position"], name="dense_changes"),
            models.UniqueConstraint(fields=["reading", "base"], name="changes_do_not_fork"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.position} of {self.reading_id}"


class NodeState(models.Model):
    """What one reading says of one node, now. Final once the reading is signed.

    `measures` is `imaging.nodes.NodeMeasures.to_json`, null where no voxel is left; `touched`
    says that the voxels are not the ones the node came with. The side follows from the images
    (`reading.sides`) until the reader says it (`side_said`); the level is the reader's alone.
    `parents` and `merged_into` tell its lineage as in `NodeVersion`. `manual` is what the reader
    measured by hand, beside `measures` and never instead.
    """

    reading = models.ForeignKey(Reading, on_delete=models.PROTECT, related_name="node_states")
    node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="states")
    label = models.PositiveIntegerField()
    decision = models.CharField(max_length=16, choices=Decision, default=Decision.UNDECIDED)
    reason = models.CharField(max_length=16, choices=Reason, default="", blank=True)
    reason_group = models.CharField(max_length=16, default="", blank=True)
    impression = models.CharField(max_length=16, choices=Impression, default="", blank=True)
    impression_reason = models.CharField(max_length=200, default="", blank=True)
    confidence = models.PositiveSmallIntegerField(null=True, blank=True)
    doubt = models.BooleanField(default=False)
    measures = models.JSONField(null=True, blank=True)
    side = models.CharField(max_length=1, default="", blank=True)
    side_said = models.BooleanField(default=False)
    level = models.CharField(max_length=8, default="", blank=True)
    touched = models.BooleanField(default=False)
    parents = models.JSONField(default=list, blank=True)
    merged_into = models.UUIDField(null=True, blank=True)
    manual = models.JSONField(null=True, blank=True)

    class Meta:
        ordering = ("label",)
        constraints = (
            models.UniqueConstraint(fields=["reading", "node"], name="one_state_per_node"),
            models.UniqueConstraint(fields=["reading", "label"], name="one_node_per_label"),
            models.CheckConstraint(
                condition=Q(decision__in=Decision.values), name="decision_is_known"
            ),
            models.CheckConstraint(
                condition=Q(reason="") | Q(decision=Decision.REJECTED.value),
                name="only_a_rejection_has_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(confidence__isnull=True) | Q(confidence__lte=100),
                name="confidence_is_a_share",
            ),
        )

    def __str__(self) -> str:
        return f"{self.node_id} in {self.reading_id}"


class NotAssessable(models.Model):
    """A part of the images that a reader could not read, and why. Final once the reading is signed.

    `slices` are `{sop, box, runs}` as in a change of voxels, every run with k = 1. A region taken
    back is kept without slices.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    reading = models.ForeignKey(Reading, on_delete=models.PROTECT, related_name="not_assessable")
    region = models.UUIDField()
    reason = models.CharField(max_length=16, choices=WhyNotAssessable, default="", blank=True)
    slices = models.JSONField(default=list, blank=True)
    voxels = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=["reading", "region"], name="one_row_per_region"),
            models.CheckConstraint(
                condition=Q(reason__in=["", *WhyNotAssessable.values]),
                name="why_not_assessable_is_known",
            ),
            models.CheckConstraint(
                condition=Q(voxels=0) ^ ~Q(reason=""), name="a_region_has_a_reason"
            ),
        )

    def __str__(self) -> str:
        return f"{self.region} of {self.reading_id}"


class Signature(models.Model):
    """A name, a time and a meaning, bound to the hash of what was signed. Write-once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    reading = models.ForeignKey(Reading, on_delete=models.PROTECT, related_name="signatures")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    printed_name = models.CharField(max_length=120)
    at = models.DateTimeField()
    meaning = models.CharField(max_length=32)
    record = models.JSONField()
    record_hash = models.CharField(max_length=64)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["reading", "meaning"], name="one_signature_per_reading_and_meaning"
            ),
        )

    def __str__(self) -> str:
        return f"{self.printed_name}, {self.meaning}"
