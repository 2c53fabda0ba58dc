"""What the API of labels, evidence and signatures takes, and (for its schema) what it gives."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from backend.reading.evidence import LEVELS, RESULTS, SIDES, EvidenceKind, LabelValue, Scope
from backend.reading.evidence_entry import LONGEST_SOURCE

LONGEST_RATIONALE = 1000
LONGEST_REASON = 200
_ALL_RESULTS = sorted({result for results in RESULTS.values() for result in results})


class _LabelAct(serializers.Serializer[Any]):
    client = serializers.UUIDField()
    seen = serializers.IntegerField(min_value=0)
    rationale = serializers.CharField(
        default="", allow_blank=True, max_length=LONGEST_RATIONALE, trim_whitespace=True
    )


class LabelRequest(_LabelAct):
    """A label of an agreed node; `seen` is its `position` when it was looked at."""

    value = serializers.ChoiceField(choices=[value.value for value in LabelValue])
    reason = serializers.CharField(
        default="", allow_blank=True, max_length=LONGEST_REASON, trim_whitespace=True
    )
    evidence = serializers.ListField(child=serializers.UUIDField(), default=list, max_length=50)


class DeferLabelRequest(_LabelAct):
    """A node that is left to the adjudicator, and why."""


class EvidenceRequest(serializers.Serializer[Any]):
    """A piece of evidence; `node` is the number of an agreed node in `version` of the consensus."""

    client = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=[kind.value for kind in EvidenceKind])
    result = serializers.ChoiceField(choices=_ALL_RESULTS)
    date = serializers.DateField(default=None, allow_null=True)
    known_at = serializers.DateField(default=None, allow_null=True)
    source = serializers.CharField(max_length=LONGEST_SOURCE)  # type: ignore[assignment]
    scope = serializers.ChoiceField(choices=[scope.value for scope in Scope])
    node = serializers.IntegerField(default=None, allow_null=True, min_value=1)
    version = serializers.IntegerField(default=None, allow_null=True, min_value=1)
    side = serializers.ChoiceField(choices=["", *SIDES], default="", allow_null=True)
    level = serializers.ChoiceField(choices=["", *LEVELS], default="", allow_null=True)
    details = serializers.DictField(default=dict)


class WithdrawRequest(serializers.Serializer[Any]):
    """Why a piece of evidence does not hold."""

    reason = serializers.CharField(max_length=1000)


class SignRequest(serializers.Serializer[Any]):
    """A signature of what was shown; `username` where somebody else signs at the same screen."""

    client = serializers.UUIDField()
    record_hash = serializers.CharField(max_length=64)
    password = serializers.CharField(max_length=4096, trim_whitespace=False)
    username = serializers.CharField(max_length=150, default=None, allow_null=True)


class ObjectRequest(serializers.Serializer[Any]):
    """Why what is being signed is not right."""

    client = serializers.UUIDField()
    reason = serializers.CharField(max_length=1000)


class ReopenRequest(ObjectRequest):
    """Why a consensus is reopened, and which of its discrepancies are settled again."""

    discrepancies = serializers.ListField(
        child=serializers.UUIDField(), default=list, max_length=1000
    )


class LabelAnswer(serializers.Serializer[Any]):
    """The label of a node, and as whose it is known."""

    value = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)
    rationale = serializers.CharField(allow_blank=True)
    evidence = serializers.ListField(child=serializers.UUIDField())
    by = serializers.CharField()
    at = serializers.DateTimeField()
    position = serializers.IntegerField()
    deferred = serializers.BooleanField()
    carried = serializers.BooleanField()
    rests_on_necrosis_alone = serializers.BooleanField()


class AgreedNodeAnswer(serializers.Serializer[Any]):
    """An agreed node, its label, what it needs and what the asker may do."""

    number = serializers.IntegerField()
    uuid = serializers.UUIDField()
    cluster = serializers.IntegerField()
    origin = serializers.CharField()
    side = serializers.CharField(allow_null=True)
    level = serializers.CharField(allow_null=True)
    measures = serializers.DictField(allow_null=True)
    impressions = serializers.DictField()
    label = LabelAnswer(allow_null=True)  # type: ignore[assignment]
    position = serializers.IntegerField()
    possible = serializers.ListField(child=serializers.CharField())
    needs = serializers.ListField(child=serializers.CharField())


class LabelActAnswer(serializers.Serializer[Any]):
    """The node as it is now, and where the consensus stands."""

    node = AgreedNodeAnswer()
    consensus = serializers.DictField()


class EvidenceAnswer(serializers.Serializer[Any]):
    """A piece of evidence; `why_not` says why it does not count as positive."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    result = serializers.CharField()
    date = serializers.DateField(allow_null=True)
    days_from_study = serializers.IntegerField(allow_null=True)
    known_at = serializers.DateField(allow_null=True)
    source = serializers.CharField()  # type: ignore[assignment]
    scope = serializers.CharField()
    node = serializers.IntegerField(allow_null=True)
    side = serializers.CharField(allow_null=True)
    level = serializers.CharField(allow_null=True)
    details = serializers.DictField()
    counts_as_positive = serializers.BooleanField()
    why_not = serializers.CharField(allow_blank=True)
    text = serializers.CharField()
    withdrawn = serializers.CharField(allow_null=True)


class EvidenceListAnswer(serializers.Serializer[Any]):
    """The evidence of a case, withdrawn included."""

    evidence = EvidenceAnswer(many=True)


class EvidenceOneAnswer(serializers.Serializer[Any]):
    """One piece of evidence."""

    evidence = EvidenceAnswer()


class SignerAnswer(serializers.Serializer[Any]):
    """One who signs; named once they have, or to themselves."""

    role = serializers.CharField()
    name = serializers.CharField(allow_null=True)
    mine = serializers.BooleanField()
    signed_at = serializers.DateTimeField(allow_null=True)


class SigningAnswer(serializers.Serializer[Any]):
    """Who signs what, and what keeps it from being signed."""

    required = SignerAnswer(many=True)  # type: ignore[assignment]
    record_hash = serializers.CharField(allow_blank=True)
    can_sign = serializers.BooleanField()
    missing = serializers.ListField(child=serializers.CharField())
    objection = serializers.CharField(allow_null=True)


class SignAnswer(serializers.Serializer[Any]):
    """Where the consensus stands after a signature or an objection."""

    state = serializers.CharField()
    signing = SigningAnswer()


class ReopenAnswer(serializers.Serializer[Any]):
    """The version that begins."""

    consensus = serializers.UUIDField()
