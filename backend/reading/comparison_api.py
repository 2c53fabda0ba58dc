"""The API of comparisons."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.reading import selectors, services
from backend.reading.comparison_presentation import comparison_json
from backend.reading.comparison_selectors import comparison_for
from backend.reading.comparison_serializers import ComparisonAnswer
from backend.reading.serializers import ErrorAnswer


class ComparisonView(APIView):
    """`GET /api/cases/{id}/comparison`."""

    @extend_schema(operation_id="comparison", responses={200: ComparisonAnswer, 404: ErrorAnswer})
    def get(self, request: Request, case: UUID) -> Response:
        """What the two readers of a case agree and disagree on, once both have submitted.

        For the two readers, and for who oversees the case. Until it is made, and for anyone else,
        there is no such case.
        """
        user = selectors.person(request.user)
        found = comparison_for(user, case)
        services.note_look(user=user, case=found.case, what="comparison")
        return Response(comparison_json(found))
