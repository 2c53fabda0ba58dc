"""The API of what lies beside the images of a reading: the list, a volume, a registration."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.archive.bodies import REVALIDATE, is_known, unchanged
from backend.archive.models import Series
from backend.archive.services import display_parts, measure_of
from backend.archive.streaming import streamed
from backend.jobs.protocol import VOLUME_MEDIA_TYPE
from backend.reading import selectors, services
from backend.reading.api import ERRORS, read_body
from backend.reading.beside_selectors import Beside, beside, beside_for, read_series
from backend.reading.models import Reading
from backend.reading.serializers import ErrorAnswer


class BesideSeries(serializers.Serializer[None]):
    """A series that may lie beside the one that is read."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(["same_study", "prior", "follow_up", "pet"])
    modality = serializers.CharField()
    description = serializers.CharField()
    date = serializers.DateField(allow_null=True)
    days = serializers.IntegerField(allow_null=True)
    images = serializers.IntegerField()
    same_frame = serializers.BooleanField()
    offset_mm = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    volume = serializers.CharField()


class BesideAnswer(serializers.Serializer[None]):
    """What lies beside, and where the images that are read come from as one volume."""

    case = serializers.CharField()
    read = serializers.CharField()
    series = BesideSeries(many=True)


class RegistrationRequest(serializers.Serializer[None]):
    """A shift that lays the other series over the images read."""

    lease = serializers.UUIDField(allow_null=True)
    offset_mm = serializers.ListField(child=serializers.FloatField(), min_length=3, max_length=3)


def _address(reading: Reading, series: Series) -> str:
    return f"/api/readings/{reading.pk}/beside/{series.pk}/volume"


def beside_json(reading: Reading, one: Beside) -> dict[str, Any]:
    """One series as the chooser shows it."""
    series = one.series
    return {
        "id": str(series.pk),
        "kind": one.kind.value,
        "modality": series.modality,
        "description": series.description,
        "date": series.study.date.isoformat() if series.study.date else None,
        "days": one.days,
        "images": series.grid["shape"][0] if series.grid else 0,
        "same_frame": one.same_frame,
        "offset_mm": list(one.offset_mm) if one.offset_mm else None,
        "volume": _address(reading, series),
    }


class BesideView(APIView):
    """`GET /api/readings/{id}/beside`."""

    @extend_schema(operation_id="beside", responses={200: BesideAnswer, 404: ErrorAnswer})
    def get(self, request: Request, reading: UUID) -> Response:
        """The other series of the same person that this user may see."""
        user = selectors.person(request.user)
        found = selectors.reading_for(user, reading)
        services.note_look(user=user, case=found.case, reading=found, what="beside")
        return Response(
            {
                "case": found.case.label,
                "read": _address(found, read_series(found)),
                "series": [beside_json(found, one) for one in beside(user, found)],
            }
        )


class RegistrationView(APIView):
    """`POST /api/readings/{id}/beside/{series}/registration`."""

    @extend_schema(
        operation_id="confirm_registration",
        request=RegistrationRequest,
        responses={200: BesideSeries, 400: ErrorAnswer, **ERRORS},
    )
    def post(self, request: Request, reading: UUID, series: UUID) -> Response:
        """Confirm where a series of another frame of reference lies."""
        user = selectors.person(request.user)
        found = selectors.reading_for(user, reading)
        one = beside_for(user, found, series)
        body = read_body(request, RegistrationRequest)
        services.confirm_registration(
            reading=found,
            user=user,
            lease=body["lease"],
            beside=one,
            offset_mm=body["offset_mm"],
        )
        return Response(beside_json(found, beside_for(user, found, series)))


class BesideVolumeView(APIView):
    """`GET /api/readings/{id}/beside/{series}/volume`."""

    @extend_schema(
        operation_id="beside_volume",
        responses={(200, VOLUME_MEDIA_TYPE): OpenApiTypes.BINARY, 404: ErrorAnswer},
    )
    def get(self, request: Request, reading: UUID, series: UUID) -> HttpResponseBase:
        """The images that are read, or a series that may lie beside them, as one volume."""
        user = selectors.person(request.user)
        found = selectors.reading_for(user, reading)
        wanted = read_series(found)
        if wanted.pk != series:
            wanted = beside_for(user, found, series).series
        measure = measure_of(wanted)
        etag = f'"{wanted.geometry_hash}-{measure.unit}-{measure.factor:.9g}"'
        if is_known(request._request, etag):
            return unchanged(etag, REVALIDATE)
        length, parts = display_parts(wanted, measure)
        response = streamed(request._request, parts, VOLUME_MEDIA_TYPE, length)
        response["ETag"], response["Cache-Control"] = etag, REVALIDATE
        return response
