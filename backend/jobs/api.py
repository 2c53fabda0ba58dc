"""The runs' HTTP API: what workers put, and what people may look at, cancel and retry."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.accounts.authentication import bearer
from backend.errors import BadInput
from backend.jobs import results, selectors, services, training
from backend.jobs.models import Run
from backend.rest import storable_json

MAX_BODY_BYTES = 512 << 20
MAX_RESULT_BYTES = 32 << 20


class LeasedView(APIView):
    """Open to the lease token of one attempt, and to nobody else."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    parser_classes = ()

    def get_authenticate_header(self, request: Request) -> str:
        """Makes DRF answer 401 to who has no lease."""
        return "Bearer"


@extend_schema(request=OpenApiTypes.BINARY, responses=OpenApiTypes.OBJECT)
class PutMask(LeasedView):
    """A worker's mask (`application/x-concord-mask`, plain or zstd)."""

    def put(self, request: Request, run: uuid.UUID, attempt: int) -> Response:
        """Check and keep it; answers with its SHA-256."""
        leased = results.attempt_of(token=bearer(request), run=run, number=attempt)
        body = _body(request, MAX_BODY_BYTES)
        encoding = request.headers.get("Content-Encoding", "").lower()
        name = results.put_mask(attempt=leased, body=body, encoding=encoding)
        return Response({"sha256": name}, headers={"ETag": f'"{name}"'})


@extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
class PutResult(LeasedView):
    """A worker's measures and provenance."""

    def put(self, request: Request, run: uuid.UUID, attempt: int) -> Response:
        """Check and keep them."""
        leased = results.attempt_of(token=bearer(request), run=run, number=attempt)
        try:
            value = storable_json(_body(request, MAX_RESULT_BYTES))
        except ValueError as error:
            raise BadInput(
                "RESULT_DAMAGED", f"The result is not JSON ({error}).", "Put it again."
            ) from error
        results.put_result(attempt=leased, value=value)
        return Response({"ok": True})


@extend_schema(request=OpenApiTypes.BINARY, responses=OpenApiTypes.OBJECT)
class PutWeights(LeasedView):
    """The weights a training ends with (safetensors); from then on they are sealed."""

    def put(self, request: Request, run: uuid.UUID, attempt: int) -> Response:
        """Check and keep them; answers with their SHA-256."""
        leased = results.attempt_of(token=bearer(request), run=run, number=attempt)
        name = training.put_weights(attempt=leased, body=_body(request, training.MAX_WEIGHTS_BYTES))
        return Response({"sha256": name}, headers={"ETag": f'"{name}"'})


@extend_schema(responses=OpenApiTypes.OBJECT)
class RunView(APIView):
    """One run: state, timings, provenance."""

    def get(self, request: Request, run: uuid.UUID) -> Response:
        """To whom the rooms above let see it."""
        return Response(run_json(selectors.run_seen_by(request.user, run)))


@extend_schema(request=None, responses=OpenApiTypes.OBJECT)
class CancelRun(APIView):
    """Stop a run."""

    def post(self, request: Request, run: uuid.UUID) -> Response:
        """For who manages it."""
        found = selectors.run_managed_by(request.user, run)
        return Response(
            run_json(services.cancel(run=found.id, actor=selectors.person(request.user)))
        )


@extend_schema(request=None, responses=OpenApiTypes.OBJECT)
class RetryRun(APIView):
    """Queue a dead or cancelled run again."""

    def post(self, request: Request, run: uuid.UUID) -> Response:
        """For who manages it."""
        found = selectors.run_managed_by(request.user, run)
        return Response(
            run_json(services.retry(run=found.id, actor=selectors.person(request.user)))
        )


def run_json(run: Run) -> dict[str, Any]:
    """A run as the API tells it; never a token, never the subject's identity."""
    result = run.result or {}
    return {
        "id": str(run.id),
        "kind": run.kind,
        "state": run.state,
        "attempt": run.attempt,
        "progress": round(run.progress, 3),
        "stage": run.stage,
        "message": run.message,
        "worker": run.leased_by,
        "model": {
            "name": run.model.name,
            "version": run.model.version,
            "sha256": run.model.sha256,
            "notice": run.model.notice,
        },
        "nodes": len(result["nodes"]) if "nodes" in result else None,
        "mask": run.mask_blob or None,
        "timings": run.timings,
        "provenance": result.get("provenance"),
        "attempts": [
            {
                "number": attempt.number,
                "worker": attempt.worker,
                "stage": attempt.stage,
                "leased": attempt.leased,
                "ended": attempt.ended,
                "outcome": attempt.outcome,
                "message": attempt.message,
            }
            for attempt in run.attempts.all()
        ],
        "created": run.created,
        "leased": run.leased,
        "finished": run.finished,
    }


def _body(request: Request, limit: int) -> bytes:
    """The raw body, read as it stands: masks are larger than Django's limit for forms."""
    data: bytes = request._request.read(limit + 1)
    if len(data) > limit:
        raise BadInput("TOO_LARGE", f"The body is larger than {limit} bytes.", "Send less.")
    return data
