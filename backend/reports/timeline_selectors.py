"""Who may read what happened to a case: auditors of its project, and administrators.

Nobody else, not even its coordinator: the log holds what evidence says and who read as X. What is
hidden and what is absent are the same `Missing`.
"""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.errors import Missing
from backend.reading.models import Case, Membership, Node


def audited_case(user: User | AnonymousUser, case: UUID | str) -> Case:
    """A case whose log this user may read; raises `Missing`."""
    found = (
        Case.objects.select_related("project", "protocol").filter(pk=case).first()
        if isinstance(user, User) and user.is_active
        else None
    )
    if found is None or not _audits(user, found):
        raise Missing("case")
    return found


def _audits(user: User | AnonymousUser, case: Case) -> bool:
    if not isinstance(user, User):
        return False
    if user.is_superuser:
        return True
    return Membership.objects.filter(
        user=user, project=case.project_id, role=Role.AUDITOR.value
    ).exists()


def may_audit(user: User | AnonymousUser, case: UUID | str) -> bool:
    """Whether this user may read the log of a case."""
    try:
        audited_case(user, case)
    except Missing:
        return False
    return True


def audited_node(user: User | AnonymousUser, case: UUID, node: UUID) -> tuple[Case, Node]:
    """A node of such a case; raises `Missing`."""
    found = audited_case(user, case)
    of_it = Node.objects.select_related("reading__reader").filter(pk=node, case=found).first()
    if of_it is None:
        raise Missing("node")
    return found, of_it
