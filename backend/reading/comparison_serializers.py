"""What the API gives of a comparison, for its schema."""

from __future__ import annotations

from rest_framework import serializers

from backend.reading.discrepancies import Outcome, TriggerKind
from backend.reading.workflow import DiscrepancyState, Resolution


class ComparedNode(serializers.Serializer[None]):
    """One node, and what its reader said of it."""

    uuid = serializers.UUIDField()
    label = serializers.IntegerField()  # type: ignore[assignment]
    impression = serializers.CharField(allow_null=True)
    side = serializers.CharField(allow_null=True)
    level = serializers.CharField(allow_null=True)
    doubt = serializers.BooleanField()


class ComparedSide(serializers.Serializer[None]):
    """What one reader has in a cluster; the measures are of all its nodes together."""

    nodes = ComparedNode(many=True)
    measures = serializers.DictField()


class ClusterAnswer(serializers.Serializer[None]):
    """Nodes of both readers that hang together; `box` is half-open, slices first."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=("1-1", "1-n", "n-1", "n-m", "only-x", "only-y"))
    outcome = serializers.ChoiceField(choices=[outcome.value for outcome in Outcome])
    x = ComparedSide(allow_null=True)
    y = ComparedSide(allow_null=True)
    box = serializers.ListField(child=serializers.IntegerField(), min_length=6, max_length=6)
    shared_voxels = serializers.IntegerField()
    union_voxels = serializers.IntegerField()
    dice = serializers.FloatField(allow_null=True)
    asd_mm = serializers.FloatField(allow_null=True)
    hd95_mm = serializers.FloatField(allow_null=True)
    sad_difference_mm = serializers.FloatField(allow_null=True)
    discrepancy = serializers.UUIDField(allow_null=True)


class PairAnswer(serializers.Serializer[None]):
    """Two nodes matched one to one."""

    x = serializers.UUIDField()
    y = serializers.UUIDField()
    iou = serializers.FloatField()
    dice = serializers.FloatField()
    asd_mm = serializers.FloatField()
    sad_difference_mm = serializers.FloatField()


class TriggerAnswer(serializers.Serializer[None]):
    """One reason to settle, in words and in numbers."""

    kind = serializers.ChoiceField(choices=[kind.value for kind in TriggerKind])
    text = serializers.CharField()
    x = serializers.JSONField(allow_null=True)
    y = serializers.JSONField(allow_null=True)
    difference_mm = serializers.FloatField(allow_null=True)
    limit_mm = serializers.FloatField(allow_null=True)


class DiscrepancyAnswer(serializers.Serializer[None]):
    """What has to be settled of a cluster, or what a rule made of it and why."""

    id = serializers.UUIDField()
    cluster = serializers.UUIDField()
    number = serializers.IntegerField()
    state = serializers.ChoiceField(choices=[state.value for state in DiscrepancyState])
    triggers = TriggerAnswer(many=True)
    resolution = serializers.ChoiceField(
        choices=[resolution.value for resolution in Resolution], allow_null=True
    )
    by_rule = serializers.BooleanField()
    rationale = serializers.CharField(allow_blank=True)
    geometry = serializers.DictField(allow_null=True)


class CaseNamed(serializers.Serializer[None]):
    """The case compared."""

    id = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment]


class CountsAnswer(serializers.Serializer[None]):
    """How many clusters there are, and what became of them."""

    clusters = serializers.IntegerField()
    identical = serializers.IntegerField()
    settled = serializers.IntegerField()
    ignored = serializers.IntegerField()
    to_settle = serializers.IntegerField()
    by_trigger = serializers.DictField(child=serializers.IntegerField())


class ComparisonAnswer(serializers.Serializer[None]):
    """The comparison of two readings, X and Y without names."""

    id = serializers.UUIDField()
    case = CaseNamed()
    made_at = serializers.DateTimeField()
    rules = serializers.DictField()
    agreement = serializers.DictField()
    counts = CountsAnswer()
    clusters = ClusterAnswer(many=True)
    pairs = PairAnswer(many=True)
    discrepancies = DiscrepancyAnswer(many=True)
