"""What can be done with accounts: make tokens, recognise them, prove who is at the keyboard."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from django.contrib.auth.hashers import check_password, make_password
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from backend import rows
from backend.accounts.models import ApiToken, User, WorkerToken
from backend.audit.models import Event
from backend.audit.services import record
from backend.errors import BadInput, NotAllowed

# After so many wrong passwords of one person's keyboard within this time, no more are tried.
MOST_ATTEMPTS = 10
ATTEMPTS_WITHIN = timedelta(minutes=10)
# A person's own keys: camelCase actions of the viewer, those of another screen than the reading's
# behind its name and a dot; strokes as the browser names them.
ACTION = re.compile(r"(?:[a-z]{1,12}\.)?[a-z][A-Za-z0-9]{0,39}")
STROKE = re.compile(r"(?:(?:ctrl|meta|alt|shift)\+){0,4}[^\s+]{1,16}|(?:[a-z]+\+){0,4}(?:\+|space)")
MOST_ACTIONS, MOST_STROKES = 200, 6


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def set_keys(*, user: User, keys: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Replace a person's own keys (action → key strokes); raises `BadInput` for what is none.

    One stroke starts one action of a screen. No event: keys are a matter of taste, and change no
    record.
    """
    if len(keys) > MOST_ACTIONS:
        raise _bad_keys(f"At most {MOST_ACTIONS} actions have keys of their own.")
    taken: dict[tuple[str, str], str] = {}
    for action, strokes in keys.items():
        if not ACTION.fullmatch(action):
            raise _bad_keys(f"{action[:40]!r} is no name of an action.")
        if len(strokes) > MOST_STROKES:
            raise _bad_keys(f"{action} has more than {MOST_STROKES} keys.")
        for stroke in strokes:
            if not STROKE.fullmatch(stroke):
                raise _bad_keys(f"{stroke[:40]!r} is no key.")
            first = taken.setdefault((action.rpartition(".")[0], stroke), action)
            if first != action:
                raise _bad_keys(f"{stroke} would start both {first} and {action}.")
    row = User.objects.select_for_update().get(pk=user.pk)
    kept = {action: list(strokes) for action, strokes in keys.items()}
    row.keys = kept
    row.save(update_fields=["keys"])
    return kept


def _bad_keys(message: str) -> BadInput:
    return BadInput("BAD_KEYS", message, "Correct the keys and save them again.")


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
    with connection.cursor() as cursor:
        cursor.execute(_of_token(), [_digest(token)])
        found = cursor.fetchone()
    return rows.read(User, found) if found else None


@cache
def _of_token() -> str:
    return (
        f"select {rows.columns_of(User, 'u')} "  # noqa: S608
        f"from {ApiToken._meta.db_table} t join {User._meta.db_table} u on u.id = t.user_id "
        "where t.digest = %s and t.revoked is null and u.is_active"
    )


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
    with transaction.atomic():
        _guard_attempts(user, _refused_signatures(user))
        if check_password(password, user.password):
            return
        record("signature.refused", user, actor=user, outcome="failure", chain=chain, **facts)
    raise NotAllowed(
        "WRONG_PASSWORD", "That is not your password.", "Type it again; nothing was signed."
    )


def recognise(
    *, username: str, password: str, actor: User, chain: str = "system", **facts: Any
) -> User:
    """Prove that the person of that name is at `actor`'s keyboard, now; the session stays theirs.

    A name nobody has and a wrong password are the same refusal, and take as long. Wrong passwords
    count at this keyboard, and under the name as on the sign-in page. Raises `NotAllowed` (and
    records the failure, under the name where somebody has it).
    """
    with transaction.atomic():
        # Both at once, in one order: two who sign at each other's screens wait for each other.
        both = User.objects.filter(Q(pk=actor.pk) | Q(username=username)).order_by("pk")
        list(both.select_for_update(no_key=True).values_list("pk"))
        _guard_attempts(actor, _refused_signatures(actor))
        guard_sign_in(username=username)
        user = User.objects.filter(username=username, is_active=True).first()
        if user is None:
            make_password(password)
        elif check_password(password, user.password):
            return user
        facts["named"] = user.username if user else None
        record("signature.refused", actor, actor=actor, outcome="failure", chain=chain, **facts)
    raise NotAllowed(
        "WRONG_PASSWORD",
        "That is not a user name and its password.",
        "Type both again; nothing was signed.",
    )


def sign_in_refused(*, username: str) -> None:
    """Record a wrong password under the name that was tried, if there is such a person."""
    user = User.objects.filter(username=username).first()
    if user is not None:
        with transaction.atomic():
            record("user.sign_in_refused", user, actor=None, outcome="failure")


def guard_sign_in(*, username: str) -> None:
    """Let pass who may try a password under this name; raises `NotAllowed` (`TOO_MANY_ATTEMPTS`).

    Call in the transaction that tries it: attempts under one name come one after the other.
    """
    user = User.objects.filter(username=username).first()
    if user is not None:
        page = Q(action="user.sign_in_refused", subject_id=str(user.pk))
        # At somebody else's screen, where this name was to sign.
        screens = Q(action="signature.refused", facts__named=user.username)
        _guard_attempts(user, page | screens)


def _refused_signatures(user: User) -> Q:
    return Q(action="signature.refused", subject_id=str(user.pk))


def _guard_attempts(user: User, refusals: Q) -> None:
    """Refuse, whatever is typed, where wrong passwords were typed all along; one try at a time."""
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    refused = Event.objects.filter(refusals, at__gte=timezone.now() - ATTEMPTS_WITHIN)
    if refused.count() >= MOST_ATTEMPTS:
        raise NotAllowed(
            "TOO_MANY_ATTEMPTS",
            "Too many wrong passwords were typed here.",
            f"Wait {ATTEMPTS_WITHIN.seconds // 60} minutes, then type it again.",
        )
