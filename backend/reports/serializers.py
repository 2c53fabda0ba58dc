"""What the reports' API takes and (for its schema) what it gives."""

from __future__ import annotations

from rest_framework import serializers

from backend.reports.models import ExportFormat, ExportState


class ReportAnswer(serializers.Serializer[None]):
    """Where a report lies."""

    report = serializers.UUIDField()
    url = serializers.CharField()
    html = serializers.CharField()
    json = serializers.CharField()
    sha256 = serializers.CharField()


class ExportRequest(serializers.Serializer[None]):
    """Which signed reading, as what."""

    reading = serializers.UUIDField()
    format = serializers.ChoiceField(choices=ExportFormat.values)


class ExportAnswer(serializers.Serializer[None]):
    """How far an export is; `file` once it was read back and found equal."""

    export = serializers.UUIDField()
    reading = serializers.UUIDField()
    format = serializers.ChoiceField(choices=ExportFormat.values)
    state = serializers.ChoiceField(choices=ExportState.values)
    progress = serializers.FloatField()
    message = serializers.CharField(allow_blank=True)
    mask = serializers.CharField()
    filename = serializers.CharField(allow_blank=True)
    size = serializers.IntegerField()
    verification = serializers.DictField()
    file = serializers.CharField(allow_null=True)
