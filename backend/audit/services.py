"""The only door to the audit log. What is recorded is what is announced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import models

from backend import rows
from backend.audit.models import Event, NewsItem
from backend.version import VERSION

if TYPE_CHECKING:
    # A type alone: at run time this room knows the actor by `AUTH_USER_MODEL`.
    from django.contrib.auth.base_user import AbstractBaseUser


@dataclass(frozen=True)
class News:
    """One message for the sockets of one audience: `user:…`, `reading:…`, `run:…`, …"""

    audience: str
    type: str
    payload: dict[str, Any] = field(default_factory=dict)


def record(
    action: str,
    subject: models.Model,
    *,
    actor: AbstractBaseUser | None,
    chain: str = "system",
    reason: str = "",
    outcome: str = "success",
    news: Iterable[News] = (),
    **facts: Any,
) -> Event:
    """Write one event inside the caller's transaction; its news go out when that commits.

    Call it last: it holds the chain's head until commit.

    Args:
        action: dotted past fact, for example `reading.submitted`.
        subject: the record that changed.
        actor: who did it; None when the system or a worker did.
        chain: `case:<uuid>` for anything of a case, else `system`.
        reason: the person's own words, where the action needs them.
        outcome: `success` or `failure`.
        news: what open browsers are told.
        **facts: JSON-serialisable details. Never patient identifiers.
    """
    event = Event(
        chain=chain,
        actor_id=actor.pk if actor else None,
        actor_name=getattr(actor, "shown_name", "") or "system",
        action=action,
        subject_type=subject._meta.model_name or "",
        subject_id=str(subject.pk),
        outcome=outcome,
        reason=reason,
        facts=facts,
        software=VERSION,
    )
    rows.insert(event)
    # Each audience's head is held until commit: taken in one order, two events cannot deadlock.
    for item in sorted(news, key=lambda item: item.audience):
        announce(item.audience, item.type, item.payload)
    return event


def announce(audience: str, kind: str, payload: dict[str, Any]) -> None:
    """News without an event (a run's progress). Reaches sockets when the transaction commits."""
    rows.insert(NewsItem(audience=audience, type=kind, payload=payload))


# The audience that every web process hears when a permission was taken away somewhere.
GRANTS = "grants"


def revoke_grants() -> None:
    """Have every web process ask again what anyone may fetch, once the transaction commits."""
    announce(GRANTS, "grants.revoked", {})
