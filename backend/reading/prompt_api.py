"""The API of prompts: ask with a click, fetch the proposal, drop it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.reading import selectors, services
from backend.reading.api import ERRORS, read_body
from backend.reading.serializers import ErrorAnswer
from backend.reading.services.prompting import Click, Voxel, prompt_of
from backend.reading.services.proposed import prompt_json


class VoxelField(serializers.ListField):
    """A voxel (slice, row, column)."""

    child = serializers.IntegerField(min_value=0)

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=3, max_length=3, **options)


class ClickBody(serializers.Serializer[None]):
    """A click: where, and whether that is the node or beside it."""

    at = VoxelField()
    within = serializers.BooleanField()


class PromptRequest(serializers.Serializer[None]):
    """What a reader asks."""

    id = serializers.UUIDField()
    lease = serializers.UUIDField()
    clicks = ClickBody(many=True)
    box = serializers.ListField(
        child=VoxelField(), min_length=2, max_length=2, required=False, allow_null=True
    )
    node = serializers.UUIDField(required=False, allow_null=True)


class ProposalAnswer(serializers.Serializer[None]):
    """A proposal: slices as in a change of voxels, k = 1 for the proposed node."""

    slices = serializers.ListField(child=serializers.DictField())
    voxels = serializers.IntegerField()
    confidence = serializers.FloatField()
    unsure = serializers.ListField(child=serializers.CharField())
    algorithm = serializers.DictField()
    model = serializers.DictField()


class PromptAnswer(serializers.Serializer[None]):
    """A prompt as it stands."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(["waiting", "answered", "failed"])
    message = serializers.CharField()
    clicks = serializers.ListField(child=serializers.DictField())
    box = serializers.ListField(allow_null=True)
    node = serializers.UUIDField(allow_null=True)
    head = serializers.CharField()
    proposal = ProposalAnswer(allow_null=True)
    timings = serializers.DictField()


class PromptsView(APIView):
    """`POST /api/readings/{id}/prompt`."""

    @extend_schema(
        operation_id="ask_prompt",
        request=PromptRequest,
        responses={202: PromptAnswer, 400: ErrorAnswer, 429: ErrorAnswer, **ERRORS},
    )
    def post(self, request: Request, reading: UUID) -> Response:
        """Ask what lies at the clicks; the proposal comes over the reading's socket."""
        user = selectors.person(request.user)
        found = selectors.reading_for(user, reading)
        body = read_body(request, PromptRequest)
        box = body.get("box")
        run = services.ask_prompt(
            reading=found,
            user=user,
            lease=body["lease"],
            prompt=body["id"],
            clicks=[Click(_voxel(c["at"]), c["within"]) for c in body["clicks"]],
            box=(_voxel(box[0]), _voxel(box[1])) if box else None,
            node=body.get("node"),
        )
        return Response(prompt_json(run, found.case.grid.sop_uids), status=202)


class PromptView(APIView):
    """`GET /api/readings/{id}/prompts/{prompt}`."""

    @extend_schema(operation_id="prompt", responses={200: PromptAnswer, 404: ErrorAnswer})
    def get(self, request: Request, reading: UUID, prompt: UUID) -> Response:
        """A prompt and, once it is answered, its proposal."""
        found = selectors.reading_for(request.user, reading)
        return Response(prompt_json(prompt_of(found, prompt), found.case.grid.sop_uids))


class CancelPromptView(APIView):
    """`POST /api/readings/{id}/prompts/{prompt}/cancel`."""

    @extend_schema(
        operation_id="cancel_prompt", request=None, responses={200: PromptAnswer, **ERRORS}
    )
    def post(self, request: Request, reading: UUID, prompt: UUID) -> Response:
        """Drop a prompt."""
        user = selectors.person(request.user)
        found = selectors.reading_for(user, reading)
        run = services.cancel_prompt(reading=found, user=user, prompt=prompt)
        return Response(prompt_json(run, found.case.grid.sop_uids))


def _voxel(numbers: list[int]) -> Voxel:
    z, y, x = numbers
    return z, y, x
