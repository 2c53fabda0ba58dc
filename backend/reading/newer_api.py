"""The API of a newer proposal: what it would change in a reading, to be taken node by node."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.reading import selectors
from backend.reading.serializers import ErrorAnswer
from backend.reading.services.newer import proposal_json


class PartAnswer(serializers.Serializer[None]):
    """A node of the proposal, its voxels (slices as in a change, k = 1), and whom it becomes."""

    uuid = serializers.UUIDField()
    onto = serializers.UUIDField(allow_null=True)
    measures = serializers.DictField()
    slices = serializers.ListField(child=serializers.DictField())


class PresentAnswer(serializers.Serializer[None]):
    """A node of the reading that it concerns."""

    uuid = serializers.UUIDField()
    number = serializers.IntegerField()
    edited = serializers.BooleanField()
    decision = serializers.CharField()
    measures = serializers.DictField(allow_null=True)


class DifferenceAnswer(serializers.Serializer[None]):
    """One thing that may be taken, or left."""

    key = serializers.UUIDField()
    kind = serializers.ChoiceField(["new", "changed", "gone"])
    at_vox = serializers.ListField(child=serializers.FloatField())
    dice = serializers.FloatField()
    nodes = PartAnswer(many=True)
    present = PresentAnswer(many=True)


class NewerProposal(serializers.Serializer[None]):
    """A newer proposal, and all it would change of the reading at `head`."""

    mask = serializers.CharField()
    run = serializers.UUIDField()
    model = serializers.DictField()
    at = serializers.DateTimeField()
    head = serializers.CharField()
    nodes = serializers.IntegerField()
    differences = DifferenceAnswer(many=True)


class NewerAnswer(serializers.Serializer[None]):
    """The proposal; null where nothing is offered."""

    proposal = NewerProposal(allow_null=True)


class NewerProposalView(APIView):
    """`GET /api/readings/{id}/proposal`."""

    @extend_schema(operation_id="newer_proposal", responses={200: NewerAnswer, 404: ErrorAnswer})
    def get(self, request: Request, reading: UUID) -> Response:
        """What a newer run proposes, to the reader of an open reading; to others nothing."""
        user = selectors.person(request.user)
        found = selectors.reading_for(user, reading)
        offered: dict[str, Any] | None = None
        if found.reader_id == user.pk:
            offered = proposal_json(found)
        return Response({"proposal": offered})
