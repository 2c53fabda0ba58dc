"""The API of a consensus while it is settled: the whole of it, its label maps, and the verbs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from backend.errors import BadInput, Missing
from backend.jobs.protocol import MASK_MEDIA_TYPE
from backend.reading import selectors, services
from backend.reading.api import LARGEST_BODY, read_body
from backend.reading.blobs import compressed, immutable
from backend.reading.consensus_presentation import consensus_json
from backend.reading.consensus_selectors import consensus_for, discrepancy_for
from backend.reading.consensus_serializers import (
    ActAnswer,
    AgreedHere,
    AgreeHereRequest,
    AgreeRequest,
    ChoiceRequest,
    ConsensusAnswer,
    DeferRequest,
)
from backend.reading.consensus_volumes import Layer, volume_of
from backend.reading.models import Step
from backend.reading.serializers import ErrorAnswer

ERRORS = {400: ErrorAnswer, 403: ErrorAnswer, 404: ErrorAnswer, 409: ErrorAnswer}


class ConsensusView(APIView):
    """`GET /api/consensus/{id}`."""

    @extend_schema(operation_id="consensus", responses={200: ConsensusAnswer, 404: ErrorAnswer})
    def get(self, request: Request, consensus: UUID) -> Response:
        """A consensus, whole: what is settled, what is not, and what the asker may do now.

        For its two readers, for an adjudicator once something was deferred, and for who oversees
        the case; a coordinator gets states and counts.
        """
        user = selectors.person(request.user)
        found, asker = consensus_for(user, consensus)
        services.note_look(user=user, case=found.case, what=f"consensus {found.pk}")
        return Response(consensus_json(found, asker))


class ConsensusVolumeView(APIView):
    """`GET /api/consensus/{id}/volumes/{volume}`."""

    @extend_schema(
        operation_id="consensus_volume",
        parameters=[
            OpenApiParameter(
                "volume", str, OpenApiParameter.PATH, enum=[layer.value for layer in Layer]
            ),
            OpenApiParameter("step", UUID, description="of a redrawn shape: the step that has it"),
        ],
        responses={
            (200, MASK_MEDIA_TYPE): OpenApiTypes.BINARY,
            404: ErrorAnswer,
            409: ErrorAnswer,
        },
    )
    def get(self, request: Request, consensus: UUID, volume: str) -> HttpResponseBase:
        """One label map; each of its numbers is named by the number of its cluster."""
        user = selectors.person(request.user)
        found, asker = consensus_for(user, consensus)
        if not asker.whole:
            raise Missing("consensus")
        layer = volume_of(found, volume, _step(request))
        services.note_look(user=user, case=found.case, what=f"consensus {found.pk} {volume}")
        return immutable(
            request,
            f"{layer.tag}-volume",
            MASK_MEDIA_TYPE,
            lambda coding: compressed(layer.pack(), coding),
        )


def _step(request: Request) -> UUID | None:
    given = request.query_params.get("step")
    try:
        return UUID(given) if given else None
    except ValueError:
        raise BadInput(
            "BAD_STEP", "`step` is not a UUID.", "Name a step of this consensus."
        ) from None


class _ActView(APIView):
    """One act on a discrepancy. Sent again under the same `client` it is answered as it was."""

    def act(
        self,
        request: Request,
        discrepancy: UUID,
        serializer: type[BaseSerializer[Any]],
        verb: Callable[..., Step],
    ) -> Response:
        """Do it, and say what it led to."""
        user = selectors.person(request.user)
        found, _ = discrepancy_for(user, discrepancy)
        if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST_BODY:
            raise BadInput("BODY_TOO_LARGE", "A shape is at most 8 MB.", "Draw a smaller shape.")
        body = read_body(request, serializer)
        return Response(verb(discrepancy=found, user=user, **body).answer)


def _described(verb: str, body: type[BaseSerializer[Any]]) -> Any:
    return extend_schema(operation_id=verb, request=body, responses={200: ActAnswer, **ERRORS})


class ProposeView(_ActView):
    """`POST /api/discrepancies/{id}/propose`."""

    @_described("propose", ChoiceRequest)
    def post(self, request: Request, discrepancy: UUID) -> Response:
        """Propose what a discrepancy should become; it takes the place of the last proposal."""
        return self.act(request, discrepancy, ChoiceRequest, services.propose)


class AgreeView(_ActView):
    """`POST /api/discrepancies/{id}/agree`."""

    @_described("agree", AgreeRequest)
    def post(self, request: Request, discrepancy: UUID) -> Response:
        """Agree to the other reader's proposal; to "indeterminate" too."""
        return self.act(request, discrepancy, AgreeRequest, services.agree)


class DeferView(_ActView):
    """`POST /api/discrepancies/{id}/defer`."""

    @_described("defer", DeferRequest)
    def post(self, request: Request, discrepancy: UUID) -> Response:
        """Leave a discrepancy to the adjudicator."""
        return self.act(request, discrepancy, DeferRequest, services.defer)


class ResolveView(_ActView):
    """`POST /api/discrepancies/{id}/resolve`."""

    @_described("resolve", ChoiceRequest)
    def post(self, request: Request, discrepancy: UUID) -> Response:
        """Decide, as the adjudicator, what was deferred; "indeterminate" too."""
        return self.act(request, discrepancy, ChoiceRequest, services.resolve)


class AgreeHereView(APIView):
    """`POST /api/consensus/{id}/agree`."""

    @extend_schema(
        operation_id="agree_here",
        request=AgreeHereRequest,
        responses={200: AgreedHere, **ERRORS},
    )
    def post(self, request: Request, consensus: UUID) -> Response:
        """Agree as the other reader at this reader's screen; the session stays the first's."""
        user = selectors.person(request.user)
        found, _ = consensus_for(user, consensus)
        body = read_body(request, AgreeHereRequest)
        steps = services.agree_here(consensus=found, user=user, **body)
        return Response({"agreed": len(steps)})
