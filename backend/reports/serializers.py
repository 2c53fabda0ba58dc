"""What the reports' API takes and (for its schema) what it gives."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from backend.reports.models import ExportFormat, ExportState


class ReportAnswer(serializers.Serializer[None]):
    """How far a report is; `files` by name once it is ready."""

    report = serializers.UUIDField()
    state = serializers.ChoiceField(choices=ExportState.values)
    progress = serializers.FloatField()
    message = serializers.CharField(allow_blank=True)
    url = serializers.CharField()
    files = serializers.DictField()


class ExportRequest(serializers.Serializer[None]):
    """Which signed reading or published consensus, as what; a table only of a consensus."""

    reading = serializers.UUIDField(required=False)
    consensus = serializers.UUIDField(required=False)
    format = serializers.ChoiceField(choices=ExportFormat.values)

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Exactly one thing is exported."""
        if len({"reading", "consensus"} & set(asked)) != 1:
            raise serializers.ValidationError("Name a reading or a consensus.")
        return asked


class ExportAnswer(serializers.Serializer[None]):
    """How far an export is; `file` once it was read back and found equal."""

    export = serializers.UUIDField()
    reading = serializers.UUIDField(allow_null=True)
    consensus = serializers.UUIDField(allow_null=True)
    format = serializers.ChoiceField(choices=ExportFormat.values)
    state = serializers.ChoiceField(choices=ExportState.values)
    progress = serializers.FloatField()
    message = serializers.CharField(allow_blank=True)
    mask = serializers.CharField()
    filename = serializers.CharField(allow_blank=True)
    size = serializers.IntegerField()
    verification = serializers.DictField()
    file = serializers.CharField(allow_null=True)
    sidecar = serializers.CharField(allow_null=True)
