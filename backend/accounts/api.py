"""The API of what is a person's own: the keys of the reading room."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.accounts import services
from backend.accounts.models import User
from backend.errors import Missing


class KeysBody(serializers.Serializer[None]):
    """Action → the keys that start it, where they are not the built-in ones."""

    keys = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField(trim_whitespace=False))
    )


class KeysView(APIView):
    """`GET` and `PUT /api/me/keys`."""

    @extend_schema(operation_id="my_keys", responses={200: KeysBody})
    def get(self, request: Request) -> Response:
        """The user's own keys; an action that is not named has its built-in ones."""
        return Response({"keys": _person(request).keys})

    @extend_schema(operation_id="set_my_keys", request=KeysBody, responses={200: KeysBody})
    def put(self, request: Request) -> Response:
        """Replace the user's own keys; `{}` brings the built-in ones back."""
        user = _person(request)
        body = KeysBody(data=request.data)
        body.is_valid(raise_exception=True)
        return Response({"keys": services.set_keys(user=user, keys=body.validated_data["keys"])})


def _person(request: Request) -> User:
    if not isinstance(request.user, User):
        raise Missing("page")
    return request.user
