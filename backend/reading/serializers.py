"""What the API takes, and (for its schema) what it gives."""

from __future__ import annotations

from rest_framework import serializers

from backend.reading.services.submission import AUTHORSHIP
from backend.reading.vocabulary import PLANES


class LeaseRequest(serializers.Serializer[None]):
    """Who wants to write."""

    client = serializers.UUIDField()
    take_over = serializers.BooleanField(default=False)


class LeaseAnswer(serializers.Serializer[None]):
    """The lease that every change has to name."""

    lease = serializers.UUIDField()


class ChangesRequest(serializers.Serializer[None]):
    """An ordered list of changes, each made on the head the one before it led to."""

    lease = serializers.UUIDField(allow_null=True)
    changes = serializers.ListField(child=serializers.DictField(), allow_empty=False)


class CheckAnswer(serializers.Serializer[None]):
    """One thing that has to be so before a reading is submitted."""

    code = serializers.CharField()
    text = serializers.CharField()
    node = serializers.UUIDField(allow_null=True)
    ok = serializers.BooleanField()
    warning = serializers.BooleanField()


class ChangeAnswer(serializers.Serializer[None]):
    """What one change led to."""

    id = serializers.UUIDField()
    head = serializers.CharField()
    nodes = serializers.ListField(child=serializers.DictField())
    regions = serializers.ListField(child=serializers.DictField())
    checks = CheckAnswer(many=True)
    can_submit = serializers.BooleanField()


class ChangesAnswer(serializers.Serializer[None]):
    """The answer to each change, in order."""

    results = ChangeAnswer(many=True)


class SeenRequest(serializers.Serializer[None]):
    """What was on screen since the last report; ranges include both ends."""

    plane = serializers.ChoiceField(choices=PLANES)
    ranges = serializers.ListField(
        child=serializers.ListField(
            child=serializers.IntegerField(min_value=0), min_length=2, max_length=2
        ),
        max_length=2000,
    )
    active_seconds = serializers.FloatField(default=0.0, min_value=0.0)
    resume = serializers.DictField(required=False)


class SubmitRequest(serializers.Serializer[None]):
    """What is signed, by whose password, in which meaning."""

    lease = serializers.UUIDField(allow_null=True)
    head = serializers.CharField(max_length=64)
    password = serializers.CharField(trim_whitespace=False, max_length=256)
    meaning = serializers.CharField(default=AUTHORSHIP, max_length=32)


class SignatureAnswer(serializers.Serializer[None]):
    """A signature as it is printed."""

    name = serializers.CharField()
    at = serializers.DateTimeField()
    meaning = serializers.CharField()
    hash = serializers.CharField()


class SubmitAnswer(serializers.Serializer[None]):
    """The reading's new state and the signature under it."""

    state = serializers.CharField()
    signature = SignatureAnswer()


class ErrorAnswer(serializers.Serializer[None]):
    """Every error: a code, a sentence, what to do, and what is possible now."""

    error = serializers.CharField()
    message = serializers.CharField()
    cure = serializers.CharField()
    possible = serializers.ListField(child=serializers.CharField())


class WorklistCase(serializers.Serializer[None]):
    """The case of a row."""

    id = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment]
    protocol = serializers.CharField()
    study_date = serializers.DateField(allow_null=True)
    excluded = serializers.ListField(child=serializers.CharField())


class AiAnswer(serializers.Serializer[None]):
    """How far the AI is, as the reader's arm may know it."""

    state = serializers.CharField()
    progress = serializers.FloatField()
    stage = serializers.CharField(allow_blank=True)
    message = serializers.CharField(allow_blank=True)
    model = serializers.DictField(allow_null=True)


class ReadingAiAnswer(AiAnswer):
    """The same in a reading; `cancel` is where a run under way is cancelled, for who may."""

    cancel = serializers.CharField(allow_null=True)


class SettleRow(serializers.Serializer[None]):
    """How far a consensus is, and how much of it waits for the user."""

    url = serializers.CharField()
    consensus = serializers.UUIDField()
    state = serializers.CharField()
    open = serializers.IntegerField()
    waiting_for_you = serializers.IntegerField()
    text = serializers.CharField()


class DeferredRow(SettleRow):
    """A consensus of which something was left to the user as adjudicator."""

    case = WorklistCase()


class WorklistRow(serializers.Serializer[None]):
    """One of the user's own readings; `settle` once it is compared."""

    reading = serializers.UUIDField()
    slot = serializers.CharField()
    state = serializers.CharField()
    case = WorklistCase()
    ai = AiAnswer()
    nodes = serializers.IntegerField(allow_null=True)
    decided = serializers.IntegerField()
    url = serializers.CharField()
    report = serializers.CharField(allow_null=True)
    settle = SettleRow(allow_null=True)
    why = serializers.CharField(allow_null=True, help_text="why this one is next")


class WorklistAnswer(serializers.Serializer[None]):
    """A page of the worklist; `next` leads to the one after it."""

    results = WorklistRow(many=True)
    next = serializers.CharField(allow_null=True)
    deferred = DeferredRow(many=True)


class ReadingAnswer(serializers.Serializer[None]):
    """A reading, whole, as the viewer opens it."""

    id = serializers.UUIDField()
    slot = serializers.CharField()
    state = serializers.CharField()
    head = serializers.CharField()
    base = serializers.CharField()
    ai_mask = serializers.CharField(allow_null=True)
    effective = serializers.CharField(allow_null=True)
    case = serializers.DictField()
    study_uid = serializers.CharField()
    series_uid = serializers.CharField()
    dicomweb = serializers.CharField()
    grid = serializers.DictField()
    ai = ReadingAiAnswer()
    labels = serializers.ListField(child=serializers.ListField())
    manifest = serializers.DictField()
    nodes = serializers.ListField(child=serializers.DictField())
    regions = serializers.ListField(child=serializers.DictField())
    checks = CheckAnswer(many=True)
    can_submit = serializers.BooleanField()
    lease = serializers.DictField()
    seen = serializers.DictField()
    resume = serializers.DictField()
    news_seq = serializers.IntegerField()
    signature = SignatureAnswer(allow_null=True)
