"""Reference labels of agreed nodes, the evidence they rest on, and signatures under a consensus."""

from __future__ import annotations

import uuid
from functools import reduce
from operator import or_

from django.conf import settings
from django.db import models
from django.db.models import Q

from backend.reading.evidence import (
    LEVELS,
    RESULTS,
    SIDES,
    EvidenceKind,
    LabelKind,
    LabelValue,
    Scope,
)
from backend.reading.models.cases import Case
from backend.reading.models.settling import Consensus, ConsensusNode
from backend.reading.vocabulary import SettlingRole

_RESULTS = reduce(or_, (Q(kind=str(kind), result__in=found) for kind, found in RESULTS.items()))


class Evidence(models.Model):
    """A fact about a node, a side and level, or the patient, from outside the readings.

    Its id is the client's UUID of the entry. Written once; withdrawn once, with a reason, and kept.
    `details` are those of its kind (`evidence_entry.DETAILS`); `known_at` is the day its result was
    known. Who reads sees none of it before the nodes are agreed on.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="evidence")
    kind = models.CharField(max_length=8, choices=[(k.value, k.value) for k in EvidenceKind])
    result = models.CharField(max_length=16)
    date = models.DateField(null=True, blank=True)
    known_at = models.DateField(null=True, blank=True)
    source = models.CharField(max_length=200)
    scope = models.CharField(max_length=16, choices=[(s.value, s.value) for s in Scope])
    node = models.ForeignKey(
        ConsensusNode, null=True, blank=True, on_delete=models.PROTECT, related_name="evidence"
    )
    side = models.CharField(max_length=1, default="", blank=True)
    level = models.CharField(max_length=16, default="", blank=True)
    details = models.JSONField(default=dict, blank=True)
    entered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    entered_at = models.DateTimeField(auto_now_add=True)
    withdrawn_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_reason = models.TextField(default="", blank=True)

    class Meta:
        ordering = ("entered_at", "id")
        verbose_name_plural = "evidence"
        constraints = (
            models.CheckConstraint(condition=_RESULTS, name="a_kind_has_its_results"),
            models.CheckConstraint(
                condition=Q(kind=EvidenceKind.NECR.value) ^ Q(date__isnull=False),
                name="evidence_has_its_date",
            ),
            models.CheckConstraint(
                condition=~Q(kind=EvidenceKind.NECR.value) | Q(scope=Scope.NODE.value),
                name="necrosis_is_of_one_node",
            ),
            models.CheckConstraint(
                condition=Q(scope=Scope.NODE.value, node__isnull=False, side="", level="")
                | Q(
                    scope=Scope.SIDE_LEVEL.value,
                    node__isnull=True,
                    side__in=sorted(SIDES),
                    level__in=LEVELS,
                )
                | Q(scope=Scope.PATIENT.value, node__isnull=True, side="", level=""),
                name="a_scope_says_of_what",
            ),
            models.CheckConstraint(condition=~Q(source=""), name="evidence_has_a_source"),
            models.CheckConstraint(
                condition=Q(withdrawn_at__isnull=True, withdrawn_by__isnull=True)
                & Q(withdrawn_reason="")
                | Q(withdrawn_at__isnull=False, withdrawn_by__isnull=False)
                & ~Q(withdrawn_reason=""),
                name="what_is_withdrawn_says_why",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} of {self.case_id}"


class ReferenceLabel(models.Model):
    """What the readers, or the adjudicator they left it to, say of an agreed node. Write-once.

    Its id is the client's UUID of the act. The newest of a node holds; one of kind `deferred`
    leaves the node to the adjudicator. `evidence` are the ids of what it rests on; `carried` is
    the label of the version before that it repeats.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    node = models.ForeignKey(ConsensusNode, on_delete=models.PROTECT, related_name="labels")
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=8, choices=[(k.value, k.value) for k in LabelKind])
    value = models.CharField(
        max_length=16, choices=[(v.value, v.value) for v in LabelValue], default="", blank=True
    )
    reason = models.CharField(max_length=200, default="", blank=True)
    rationale = models.TextField(default="", blank=True)
    evidence = models.JSONField(default=list, blank=True)
    rests_on_necrosis_alone = models.BooleanField(default=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=16, choices=SettlingRole)
    carried = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("position",)
        constraints = (
            models.UniqueConstraint(fields=["node", "position"], name="dense_labels"),
            models.CheckConstraint(condition=Q(position__gte=1), name="labels_count_from_one"),
            models.CheckConstraint(
                condition=Q(kind=LabelKind.SET.value, value__in=[v.value for v in LabelValue])
                | Q(kind=LabelKind.DEFERRED.value, value="", evidence=[]),
                name="a_label_has_a_value",
            ),
            models.CheckConstraint(
                condition=~Q(value=LabelValue.METASTATIC.value) | ~Q(evidence=[]),
                name="metastatic_rests_on_evidence",
            ),
            models.CheckConstraint(
                condition=~Q(value=LabelValue.NOT_ASSESSABLE.value) | ~Q(reason=""),
                name="not_assessable_has_its_reason",
            ),
            models.CheckConstraint(
                condition=~Q(kind=LabelKind.DEFERRED.value) | ~Q(rationale=""),
                name="a_deferral_has_its_rationale",
            ),
            models.CheckConstraint(
                condition=Q(rests_on_necrosis_alone=False) | Q(value=LabelValue.METASTATIC.value),
                name="only_metastatic_rests_on_necrosis",
            ),
        )

    def __str__(self) -> str:
        return f"{self.value or self.kind} {self.position} of {self.node_id}"


class ConsensusSignature(models.Model):
    """A name, a time and a meaning under a version of a consensus, bound to its record's hash.

    Its id is the client's UUID of the act. An objection voids it, once; it stays on record.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    consensus = models.ForeignKey(Consensus, on_delete=models.PROTECT, related_name="signatures")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=16, choices=SettlingRole)
    printed_name = models.CharField(max_length=120)
    at = models.DateTimeField()
    meaning = models.CharField(max_length=32)
    record = models.JSONField()
    record_hash = models.CharField(max_length=64)
    void_at = models.DateTimeField(null=True, blank=True)
    void_reason = models.TextField(default="", blank=True)

    class Meta:
        ordering = ("at",)
        constraints = (
            models.UniqueConstraint(
                fields=["consensus", "user"],
                condition=Q(void_at__isnull=True),
                name="one_valid_signature_per_person",
            ),
            models.CheckConstraint(
                condition=Q(void_at__isnull=True) ^ ~Q(void_reason=""),
                name="a_void_signature_says_why",
            ),
        )

    def __str__(self) -> str:
        return f"{self.printed_name}, {self.meaning}"
