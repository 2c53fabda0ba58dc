"""Comparisons of two submitted readings, and the clusters of their nodes."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from backend.reading.models.cases import Case
from backend.reading.models.masks import Mask
from backend.reading.models.readings import Reading
from backend.reading.vocabulary import ComparisonState


class Comparison(models.Model):
    """The comparison of two submitted readings of a case. Final once it is made.

    `x_is_first` is the random order in which the two are shown without names. `settled` holds the
    shapes that rules gave to nodes within tolerance, null where there is none; its labels are the
    numbers of the clusters. `facts` are the rules, the one-to-one pairs and the agreement.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="comparisons")
    first = models.ForeignKey(Reading, on_delete=models.PROTECT, related_name="+")
    second = models.ForeignKey(Reading, on_delete=models.PROTECT, related_name="+")
    x_is_first = models.BooleanField()
    state = models.CharField(max_length=8, choices=ComparisonState, default=ComparisonState.QUEUED)
    message = models.TextField(default="", blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    touched = models.DateTimeField()
    settled = models.ForeignKey(
        Mask, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    facts = models.JSONField(default=dict, blank=True)
    created = models.DateTimeField(auto_now_add=True)
    made_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("created",)
        constraints = (
            models.UniqueConstraint(fields=["first", "second"], name="one_comparison_per_pair"),
            models.UniqueConstraint(
                fields=["case"],
                condition=~Q(state=ComparisonState.MADE.value),
                name="one_comparison_at_a_time",
            ),
            models.CheckConstraint(condition=~Q(first=F("second")), name="two_readings_compared"),
            models.CheckConstraint(
                condition=Q(state__in=ComparisonState.values), name="comparison_state_is_known"
            ),
            models.CheckConstraint(
                condition=Q(state=ComparisonState.MADE.value) ^ Q(made_at__isnull=True),
                name="a_made_comparison_has_its_time",
            ),
            models.CheckConstraint(
                condition=Q(state=ComparisonState.FAILED.value) ^ Q(message=""),
                name="a_failed_comparison_says_why",
            ),
        )

    def __str__(self) -> str:
        return f"comparison of {self.case_id}"

    @property
    def ai_mask(self) -> Mask | None:
        """The model's proposal that its readers were offered."""
        return self.first.ai_mask or self.second.ai_mask


class Cluster(models.Model):
    """Nodes of both readings that hang together by the overlap graph. Write-once.

    `first_nodes` and `second_nodes` are ``[{"node": uuid, "label": number}, …]``; `measures` holds
    either reader's union as measured and how far the two are apart, in mm; `box` is
    ``[z0, y0, x0, z1, y1, x1]``, half-open.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    comparison = models.ForeignKey(Comparison, on_delete=models.PROTECT, related_name="clusters")
    number = models.PositiveIntegerField()
    first_nodes = models.JSONField()
    second_nodes = models.JSONField()
    shared_voxels = models.PositiveIntegerField()
    union_voxels = models.PositiveIntegerField()
    box = models.JSONField()
    measures = models.JSONField()
    outcome = models.CharField(max_length=10)

    class Meta:
        ordering = ("number",)
        constraints = (
            models.UniqueConstraint(fields=["comparison", "number"], name="one_cluster_per_number"),
            models.CheckConstraint(
                condition=Q(shared_voxels__lte=F("union_voxels")) & Q(union_voxels__gt=0),
                name="a_cluster_has_voxels",
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=["identical", "settled", "ignored", "open"]),
                name="outcome_is_known",
            ),
            models.CheckConstraint(
                condition=~Q(first_nodes=[], second_nodes=[]), name="a_cluster_has_a_node"
            ),
        )

    def __str__(self) -> str:
        return f"cluster {self.number} of {self.comparison_id}"
