"""The roles a person may hold in a project, and which may not meet in one person."""

from __future__ import annotations

from enum import StrEnum
from itertools import combinations


class Role(StrEnum):
    """What someone is in a project. `admin` is not one: it is a property of the person."""

    READER = "reader"
    ADJUDICATOR = "adjudicator"
    ABSTRACTOR = "abstractor"
    COORDINATOR = "coordinator"
    SCIENTIST = "scientist"
    AUDITOR = "auditor"


# One of each pair would see what the other must not know, or judge their own work.
FORBIDDEN_TOGETHER: frozenset[frozenset[Role]] = frozenset(
    frozenset(pair)
    for pair in (
        (Role.READER, Role.ABSTRACTOR),
        (Role.READER, Role.AUDITOR),
        (Role.READER, Role.COORDINATOR),
        (Role.READER, Role.SCIENTIST),
        (Role.ADJUDICATOR, Role.ABSTRACTOR),
        (Role.ADJUDICATOR, Role.AUDITOR),
        (Role.ADJUDICATOR, Role.COORDINATOR),
        (Role.AUDITOR, Role.COORDINATOR),
        (Role.AUDITOR, Role.ABSTRACTOR),
    )
)


def forbidden_pair(roles: set[Role]) -> tuple[Role, Role] | None:
    """The first forbidden pair among `roles`, in the order of the list above, or None."""
    for first, second in combinations(sorted(roles), 2):
        if frozenset((first, second)) in FORBIDDEN_TOGETHER:
            return first, second
    return None
