"""What can be done with accounts: make tokens, recognise them, prove who is at the keyboard."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from django.contrib.auth.hashers import check_password
from django.db import transaction

from backend.accounts.models import ApiToken, User, WorkerToken
from backend.audit.services import record
from backend.errors import NotAllowed


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def create_token(*, user: User, actor: User | None = None) -> str:
    """A new bearer token that acts as `user`; shown once, kept only as a hash."""
    token = "cu_" + secrets.token_urlsafe(32)
    row = ApiToken.objects.create(user=user, digest=_digest(token))
    record("token.created", row, actor=actor, user=user.username)
    return token


@transaction.atomic
def create_worker_token(*, name: str, actor: User | None = None) -> str:
    """A new bearer token for a worker; shown once, kept only as a hash."""
    token = "cw_" + secrets.token_urlsafe(32)
    row = WorkerToken.objects.create(name=name, digest=_digest(token))
    record("worker_token.created", row, actor=actor, name=name)
    return token


def user_of(token: str) -> User | None:
    """The active user a bearer token acts as, or None."""
    row = (
        ApiToken.objects.select_related("user")
        .filter(digest=_digest(token), revoked=None, user__is_active=True)
        .first()
    )
    return row.user if row else None


def worker_of(token: str) -> WorkerToken | None:
    """The worker a bearer token stands for, or None."""
    return WorkerToken.objects.filter(digest=_digest(token), revoked=None).first()


def reauthenticate(*, user: User, password: str, chain: str = "system", **facts: Any) -> None:
    """Prove that `user` is at the keyboard, now. Raises `NotAllowed` (and records the failure).

    Args:
        user: who it should be.
        password: what was typed.
        chain: the audit chain of what was to be signed.
        **facts: what was to be signed, for the record of a failure.
    """
    if check_password(password, user.password):
        return
    with transaction.atomic():
        record("signature.refused", user, actor=user, outcome="failure", chain=chain, **facts)
    raise NotAllowed(
        "WRONG_PASSWORD", "That is not your password.", "Type it again; nothing was signed."
    )
