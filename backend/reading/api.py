"""The API of readings: the worklist, one reading and its changes, its signature."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from backend.errors import BadInput
from backend.reading import selectors, services
from backend.reading.consensus_lists import deferred_rows, settle_rows
from backend.reading.presentation import reading_json, signature_json, worklist_rows
from backend.reading.serializers import (
    ChangesAnswer,
    ChangesRequest,
    ErrorAnswer,
    LeaseAnswer,
    LeaseRequest,
    ReadingAnswer,
    SeenRequest,
    SubmitAnswer,
    SubmitRequest,
    WorklistAnswer,
)

LARGEST_BODY = 8 << 20
PAGE = 50
ERRORS = {403: ErrorAnswer, 404: ErrorAnswer, 409: ErrorAnswer}


def read_body(request: Request, serializer: type[BaseSerializer[Any]]) -> dict[str, Any]:
    """The body of a request, judged; raises DRF's `ValidationError`."""
    given = serializer(data=request.data)
    given.is_valid(raise_exception=True)
    found: dict[str, Any] = given.validated_data
    return found


class WorklistView(APIView):
    """`GET /api/worklist`."""

    @extend_schema(
        operation_id="worklist",
        parameters=[OpenApiParameter("cursor", str)],
        responses={200: WorklistAnswer},
    )
    def get(self, request: Request) -> Response:
        """The user's own readings, newest first; and what was left to them as adjudicator."""
        user = selectors.person(request.user)
        found = selectors.worklist(user)
        cursor = request.query_params.get("cursor")
        if cursor:
            found = found.filter(assigned_at__lt=_cursor(cursor))
        readings = list(found[: PAGE + 1])
        following = None
        if len(readings) > PAGE:
            readings = readings[:PAGE]
            last = readings[-1].assigned_at.isoformat()
            following = f"/api/worklist?{urlencode({'cursor': last})}"
        return Response(
            {
                "results": worklist_rows(user, readings, settle_rows(user)),
                "next": following,
                "deferred": deferred_rows(user),
            }
        )


def _cursor(text: str) -> datetime:
    try:
        at = parse_datetime(text)
        at = at.astimezone(UTC) if at and at.tzinfo else None
    except (ValueError, OverflowError):
        at = None
    if at is None:
        raise BadInput("BAD_CURSOR", "That is no cursor.", "Follow the `next` of a page.")
    return at


class ReadingView(APIView):
    """`GET /api/readings/{id}`."""

    @extend_schema(
        operation_id="reading",
        parameters=[OpenApiParameter("client", UUID, description="asks for `lease.mine`")],
        responses={200: ReadingAnswer, 404: ErrorAnswer},
    )
    def get(self, request: Request, reading: UUID) -> Response:
        """One reading with its nodes, head, checks, lease and place."""
        user = selectors.person(request.user)
        found = selectors.reading_for(user, reading)
        services.note_look(user=user, case=found.case, reading=found, what="reading")
        client = request.query_params.get("client", "").lower()
        return Response(reading_json(found, user, client))


class LeaseView(APIView):
    """`POST /api/readings/{id}/lease`."""

    @extend_schema(
        operation_id="take_lease", request=LeaseRequest, responses={200: LeaseAnswer, **ERRORS}
    )
    def post(self, request: Request, reading: UUID) -> Response:
        """Become the one writer; opens a reading that was only assigned."""
        user = selectors.person(request.user)
        found = selectors.known_reading(user, reading)
        body = read_body(request, LeaseRequest)
        lease = services.take_lease(
            reading=found, user=user, client=body["client"], take_over=body["take_over"]
        )
        return Response({"lease": str(lease)})


class ChangesView(APIView):
    """`POST /api/readings/{id}/changes`."""

    @extend_schema(
        operation_id="apply_changes",
        request=ChangesRequest,
        responses={200: ChangesAnswer, 400: ErrorAnswer, **ERRORS},
    )
    def post(self, request: Request, reading: UUID) -> Response:
        """Apply a list of changes: all or nothing, each answered as it was the first time."""
        user = selectors.person(request.user)
        found = selectors.known_reading(user, reading)
        if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST_BODY:
            raise BadInput(
                "BODY_TOO_LARGE", "A list of changes is at most 8 MB.", "Send it in parts."
            )
        lease, changes = _changes(request.data)
        results = services.apply_changes(reading=found, user=user, lease=lease, changes=changes)
        return Response({"results": results})


def _changes(data: Any) -> tuple[UUID | None, list[dict[str, Any]]]:
    """Lease and list; read by hand, because the runs of a stroke are many thousand numbers."""
    changes = data.get("changes") if isinstance(data, dict) else None
    if not isinstance(changes, list) or not all(isinstance(change, dict) for change in changes):
        raise BadInput(
            "BAD_LIST", "`changes` is not a list of changes.", "Send it as the schema says."
        )
    given = data.get("lease")
    try:
        return (UUID(str(given)) if given else None), changes
    except ValueError:
        raise BadInput("BAD_LEASE", "`lease` is not a UUID.", "Send the lease you got.") from None


class SeenView(APIView):
    """`POST /api/readings/{id}/seen`."""

    @extend_schema(operation_id="note_seen", request=SeenRequest, responses={204: None, **ERRORS})
    def post(self, request: Request, reading: UUID) -> Response:
        """Report what was on screen, for how long, and where to resume."""
        user = selectors.person(request.user)
        found = selectors.known_reading(user, reading)
        body = read_body(request, SeenRequest)
        services.note_seen(
            reading=found,
            user=user,
            plane=body["plane"],
            ranges=body["ranges"],
            active_seconds=body["active_seconds"],
            resume=body.get("resume"),
        )
        return Response(status=204)


class SubmitView(APIView):
    """`POST /api/readings/{id}/submit`."""

    @extend_schema(
        operation_id="submit", request=SubmitRequest, responses={200: SubmitAnswer, **ERRORS}
    )
    def post(self, request: Request, reading: UUID) -> Response:
        """Sign and close a reading, with the password once more."""
        user = selectors.person(request.user)
        found = selectors.reading_for(user, reading)
        body = read_body(request, SubmitRequest)
        signature = services.submit(
            reading=found,
            user=user,
            lease=body["lease"],
            head=body["head"],
            password=body["password"],
            meaning=body["meaning"],
        )
        return Response({"state": signature.reading.state, "signature": signature_json(signature)})
