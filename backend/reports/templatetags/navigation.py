"""The places a person may go, by role: the line at the top of every page.

It lives in the uppermost room because only that one may know all the others. What a place shows
is decided by the place; this only keeps links that would be refused out of sight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import template
from django.apps import apps
from django.urls import Resolver404, resolve

from backend.accounts.roles import Role

register = template.Library()

_ADMIN = "admin"
_OVERSEERS = frozenset({Role.COORDINATOR, Role.SCIENTIST, Role.AUDITOR, _ADMIN})
_PLACES: tuple[tuple[str, str, frozenset[str]], ...] = (
    ("Worklist", "/", frozenset({Role.READER, Role.ADJUDICATOR})),
    ("Cases", "/cases/", frozenset({Role.COORDINATOR, Role.AUDITOR, _ADMIN})),
    ("Evidence", "/evidence/", frozenset({Role.ABSTRACTOR})),
    ("Archive", "/archive/", frozenset({Role.COORDINATOR, _ADMIN})),
    ("Releases", "/releases/", _OVERSEERS),
    ("Runs", "/runs/", _OVERSEERS),
    ("Models", "/models/", _OVERSEERS),
)


@dataclass(frozen=True)
class Place:
    """One link: its name, its address, and whether the reader of the page stands there."""

    name: str
    url: str
    current: bool


class Places(list[Place]):
    """The links, and the roles they came from as text."""

    roles: str = ""


def places_for(roles: set[str], path: str) -> Places:
    """The links for these roles (`admin` among them for an administrator) at this address."""
    places = Places(
        Place(name, url, path == url or (url != "/" and path.startswith(url)))
        for name, url, allowed in _PLACES
        if roles & allowed and _leads_somewhere(url)
    )
    places.roles = ", ".join(sorted(roles))
    return places


def _leads_somewhere(url: str) -> bool:
    try:
        resolve(url)
    except Resolver404:
        return False
    return True


@register.simple_tag(takes_context=True)
def navigation(context: dict[str, Any]) -> Places:
    """The links of the signed-in user; empty for a stranger."""
    request = context.get("request")
    user = getattr(request, "user", None)
    if request is None or user is None or not user.is_authenticated:
        return Places()
    memberships = apps.get_model("reading", "Membership").objects.filter(user=user)
    roles = set(memberships.values_list("role", flat=True))
    if user.is_superuser:
        roles.add(_ADMIN)
    return places_for(roles, request.path)
