"""`Authorization: Bearer <token>` for DRF."""

from __future__ import annotations

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from backend.accounts.models import User
from backend.accounts.services import user_of


def bearer(request: Request) -> str | None:
    """The bearer token of a request, or None."""
    parts = get_authorization_header(request).decode("latin-1").split()
    return parts[1] if len(parts) == 2 and parts[0].lower() == "bearer" else None


class BearerAuthentication(BaseAuthentication):
    """A user's own token. Worker and lease tokens are judged by the views that take them."""

    def authenticate(self, request: Request) -> tuple[User, str] | None:
        """The user behind `cu_…` tokens; other bearer tokens are left to the view."""
        token = bearer(request)
        if token is None or not token.startswith("cu_"):
            return None
        user = user_of(token)
        if user is None:
            raise AuthenticationFailed("This token is unknown or was revoked.")
        return user, token

    def authenticate_header(self, request: Request) -> str:
        """Makes DRF answer 401, not 403, to who is not signed in."""
        return "Bearer"
