"""Signing in again where one works, when the session has ended: the same person only."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth import authenticate, login
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from backend.accounts.models import User
from backend.accounts.services import guard_sign_in, sign_in_refused
from backend.audit.services import record
from backend.errors import BadInput, NotAllowed, WrongState
from backend.rest import storable_json

_LONGEST_BODY = 10_000


@sensitive_post_parameters()
@require_POST
def sign_in_again(request: HttpRequest) -> HttpResponse:
    """`POST /api/sign-in` {"user": UUID, "password"}: 204 and a new session of that person.

    The page that asks keeps unsent work of one person; nobody else may send it under their name.
    Attempts count with those of the sign-in page.

    Raises:
        WrongState: `ANOTHER_PERSON` where somebody else is signed in in this browser.
        NotAllowed: `WRONG_PASSWORD`, `TOO_MANY_ATTEMPTS`.
        BadInput: the body is not of that shape.
    """
    wanted, password = _asked(request)
    if request.user.is_authenticated and request.user.pk != wanted:
        raise WrongState(
            "ANOTHER_PERSON",
            "Somebody else is signed in in this browser.",
            "Sign out there first; what is kept here waits for you.",
        )
    user = User.objects.filter(pk=wanted, is_active=True).first()
    with transaction.atomic():
        name = user.username if user else ""
        guard_sign_in(username=name)
        found = authenticate(request, username=name, password=password)
        if isinstance(found, User):
            login(request, found)
            record("user.signed_in", found, actor=found, method="password", again=True)
            return HttpResponse(status=204)
        sign_in_refused(username=name)
    raise NotAllowed("WRONG_PASSWORD", "That is not your password.", "Type it again.")


def _asked(request: HttpRequest) -> tuple[uuid.UUID, str]:
    try:
        body: Any = storable_json(request.read(_LONGEST_BODY + 1)[:_LONGEST_BODY])
        password = body["password"]
        if not isinstance(password, str):
            raise TypeError
        return uuid.UUID(body["user"]), password
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BadInput(
            "BAD_INPUT",
            "This is no attempt to sign in.",
            'Send JSON: {"user": who is to go on, "password": their password}.',
        ) from None
