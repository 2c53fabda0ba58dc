"""The API of findings the study does not ask for: telling the coordinator, and what came of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.errors import LONGEST_REASON
from backend.reading import selectors, services
from backend.reading.api import ERRORS, read_body
from backend.reading.models import IncidentalFinding
from backend.reading.serializers import ErrorAnswer


class IncidentalRequest(serializers.Serializer[None]):
    """Something seen beside the study; the client names it, so that a retry is safe."""

    id = serializers.UUIDField()
    words = serializers.CharField(max_length=LONGEST_REASON)
    slice = serializers.IntegerField(allow_null=True, default=None)


class Incidental(serializers.Serializer[None]):
    """A finding that was told, and whether a coordinator took it up."""

    id = serializers.UUIDField()
    words = serializers.CharField()
    slice = serializers.IntegerField(allow_null=True)
    reported_at = serializers.DateTimeField()
    taken_up_at = serializers.DateTimeField(allow_null=True)


class IncidentalAnswer(serializers.Serializer[None]):
    """What was told in one reading, oldest first."""

    findings = Incidental(many=True)


def incidental_json(found: IncidentalFinding) -> dict[str, Any]:
    """One finding as its reader sees it."""
    return {
        "id": str(found.pk),
        "words": found.words,
        "slice": found.slice_index,
        "reported_at": found.reported_at.isoformat(),
        "taken_up_at": found.taken_up_at.isoformat() if found.taken_up_at else None,
    }


class IncidentalView(APIView):
    """`GET, POST /api/readings/{id}/incidental`."""

    @extend_schema(
        operation_id="incidental_findings", responses={200: IncidentalAnswer, 404: ErrorAnswer}
    )
    def get(self, request: Request, reading: UUID) -> Response:
        """What was told of this reading's images, beside the study."""
        user = selectors.person(request.user)
        found = selectors.reading_for(user, reading)
        services.note_look(user=user, case=found.case, reading=found, what="incidental findings")
        return Response({"findings": [incidental_json(one) for one in found.incidentals.all()]})

    @extend_schema(
        operation_id="report_incidental_finding",
        request=IncidentalRequest,
        responses={200: Incidental, 400: ErrorAnswer, **ERRORS},
    )
    def post(self, request: Request, reading: UUID) -> Response:
        """Tell the coordinators of the case's project."""
        user = selectors.person(request.user)
        found = selectors.reading_for(user, reading)
        body = read_body(request, IncidentalRequest)
        made = services.report_incidental(
            reading=found,
            user=user,
            finding=body["id"],
            words=body["words"],
            slice_index=body["slice"],
        )
        return Response(incidental_json(made))
