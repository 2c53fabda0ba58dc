"""What the API of a consensus takes, and (for its schema) what it gives."""

from __future__ import annotations

from rest_framework import serializers

from backend.reading.comparison_serializers import ComparedSide, TriggerAnswer
from backend.reading.discrepancies import Outcome
from backend.reading.vocabulary import Decision, Reason
from backend.reading.workflow import DiscrepancyState

LONGEST_RATIONALE = 1000


class ActRequest(serializers.Serializer[None]):
    """One act: `client` is its UUID, so that it can be sent again; `seen` the version it saw."""

    client = serializers.UUIDField()
    seen = serializers.IntegerField(min_value=0)
    rationale = serializers.CharField(
        default="", allow_blank=True, max_length=LONGEST_RATIONALE, trim_whitespace=True
    )


class ChoiceRequest(ActRequest):
    """What a discrepancy should become; `shape` where it is redrawn.

    A shape is ``{"slices": [{"sop", "box", "runs"}]}`` on an empty map, its runs as in a change of
    voxels, with 1 for the node.
    """

    resolution = serializers.CharField(max_length=16)
    shape = serializers.JSONField(required=False, allow_null=True, default=None)


class DeferRequest(ActRequest):
    """Leaving it to the adjudicator."""


class AgreeRequest(ActRequest):
    """Agreement to one proposal, named by its step."""

    step = serializers.UUIDField()


class AnswerHere(serializers.Serializer[None]):
    """Agreement to one proposal as it was shown: version and step."""

    client = serializers.UUIDField()
    discrepancy = serializers.UUIDField()
    seen = serializers.IntegerField(min_value=0)
    step = serializers.UUIDField()


class AgreeHereRequest(serializers.Serializer[None]):
    """What the other reader agrees to at this screen, with their name and password."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=4096, trim_whitespace=False)
    answers = serializers.ListField(child=AnswerHere(), min_length=1, max_length=500)


class AgreedHere(serializers.Serializer[None]):
    """How many proposals were agreed to."""

    agreed = serializers.IntegerField()


class ConsensusCase(serializers.Serializer[None]):
    """The case that is settled."""

    id = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment]
    study_date = serializers.DateField(allow_null=True)


class DecidedNode(serializers.Serializer[None]):
    """What a reader decided on one node."""

    decision = serializers.ChoiceField(choices=Decision.choices)
    reason = serializers.ChoiceField(choices=Reason.choices, allow_null=True)


class DecidedNodes(serializers.Serializer[None]):
    """What X and Y decided on the nodes of one cluster."""

    x = DecidedNode(many=True)
    y = DecidedNode(many=True)


class SettledCluster(serializers.Serializer[None]):
    """Nodes of both readers that hang together; `box` is half-open, slices first."""

    number = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=("1-1", "1-n", "n-1", "n-m", "only-x", "only-y"))
    outcome = serializers.ChoiceField(choices=[outcome.value for outcome in Outcome])
    x = ComparedSide(allow_null=True)
    y = ComparedSide(allow_null=True)
    box = serializers.ListField(child=serializers.IntegerField(), min_length=6, max_length=6)
    dice = serializers.FloatField(allow_null=True)
    asd_mm = serializers.FloatField(allow_null=True)
    hd95_mm = serializers.FloatField(allow_null=True)
    sad_difference_mm = serializers.FloatField(allow_null=True)
    decisions = DecidedNodes(allow_null=True)


class StepAnswer(serializers.Serializer[None]):
    """One step of a discrepancy.

    `by` is `you`, `other` (a reader), `adjudicator` or `rule`; to an auditor, a name.
    """

    action = serializers.CharField()
    by = serializers.CharField()
    resolution = serializers.CharField(allow_blank=True)
    rationale = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField()


class ProposalAnswer(serializers.Serializer[None]):
    """The proposal that waits for the other reader's answer."""

    step = serializers.UUIDField()
    by = serializers.CharField()
    resolution = serializers.CharField()
    rationale = serializers.CharField(allow_blank=True)
    mask = serializers.CharField(allow_null=True)
    at = serializers.DateTimeField()


class SettlingAnswer(serializers.Serializer[None]):
    """What has to be settled of a cluster, how far it is, and what the asker may do now."""

    id = serializers.UUIDField()
    cluster = serializers.IntegerField()
    state = serializers.ChoiceField(choices=[state.value for state in DiscrepancyState])
    version = serializers.IntegerField()
    triggers = TriggerAnswer(many=True)
    resolution = serializers.CharField(allow_null=True)
    by_rule = serializers.BooleanField()
    rationale = serializers.CharField(allow_blank=True)
    geometry = serializers.DictField(allow_null=True)
    proposal = ProposalAnswer(allow_null=True)
    steps = StepAnswer(many=True)
    possible = serializers.ListField(child=serializers.CharField())


class SettlingCounts(serializers.Serializer[None]):
    """How many clusters stand where."""

    open = serializers.IntegerField()
    proposed = serializers.IntegerField()
    deferred = serializers.IntegerField()
    resolved = serializers.IntegerField()
    indeterminate = serializers.IntegerField()
    by_rule = serializers.IntegerField()
    identical = serializers.IntegerField()


class ConsensusVersion(serializers.Serializer[None]):
    """One version of the case's consensus."""

    id = serializers.UUIDField()
    version = serializers.IntegerField()
    state = serializers.CharField()
    published_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(allow_blank=True)


class ConsensusAnswer(serializers.Serializer[None]):
    """A consensus, whole, as this asker may see it: X and Y without names."""

    id = serializers.UUIDField()
    case = ConsensusCase()
    version = serializers.IntegerField()
    state = serializers.CharField()
    comparison = serializers.UUIDField()
    role = serializers.ChoiceField(choices=("reader", "adjudicator", "observer"))
    study_uid = serializers.CharField()
    series_uid = serializers.CharField()
    dicomweb = serializers.CharField()
    grid = serializers.DictField()
    show_ai = serializers.BooleanField()
    resolutions = serializers.ListField(child=serializers.CharField())
    counts = SettlingCounts()
    clusters = SettledCluster(many=True)
    discrepancies = SettlingAnswer(many=True)
    nodes = serializers.ListField(child=serializers.DictField())
    evidence = serializers.ListField(child=serializers.DictField())
    labels = serializers.DictField()
    signing = serializers.DictField()
    versions = ConsensusVersion(many=True)
    report = serializers.CharField(allow_null=True)
    news_seq = serializers.IntegerField()


class ConsensusNow(serializers.Serializer[None]):
    """Where the consensus stands after an act."""

    state = serializers.CharField()
    counts = SettlingCounts()


class ActAnswer(serializers.Serializer[None]):
    """What an act led to."""

    discrepancy = SettlingAnswer()
    consensus = ConsensusNow()
