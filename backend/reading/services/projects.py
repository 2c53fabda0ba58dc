"""Projects, roles and protocols."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction

from backend.accounts.models import User
from backend.accounts.roles import Role, forbidden_pair
from backend.archive.services import judge_again
from backend.audit.services import record
from backend.errors import Missing, WrongState
from backend.reading.models import Membership, Project, Protocol
from backend.reading.protocols import BUILT_IN
from backend.reading.services.protocol_models import carry_over

DEFAULT_PROJECT = "MAIN"


@transaction.atomic
def install_protocols() -> list[Protocol]:
    """The built-in protocols and a default project, made once; safe to run again.

    A new version takes the new cases from the older ones; cases read by these keep theirs.
    """
    found = []
    for built_in in BUILT_IN:
        key = {"code": built_in["code"], "version": built_in["version"]}
        rest = {name: value for name, value in built_in.items() if name not in key}
        protocol, made = Protocol.objects.get_or_create(**key, defaults=rest)
        found.append(protocol)
        if made:
            record(
                "protocol.installed",
                protocol,
                actor=None,
                code=protocol.code,
                version=protocol.version,
                definition=protocol.definition,
            )
            _supersede(protocol)
            judge_again()
    if not Project.objects.filter(default=True).exists():
        create_project(code=DEFAULT_PROJECT, name="Reading room", default=True)
    return found


def _supersede(protocol: Protocol) -> None:
    older = Protocol.objects.filter(
        code=protocol.code, version__lt=protocol.version, active=True
    ).select_for_update()
    for before in older if protocol.active else ():
        before.active = False
        before.save(update_fields=["active"])
        carry_over(before, protocol)
        record(
            "protocol.superseded",
            before,
            actor=None,
            code=before.code,
            version=before.version,
            by=protocol.version,
        )


@transaction.atomic
def use_protocol(*, code: str) -> Protocol:
    """From now on new cases are opened by the newest version of this protocol, and by no other.

    Cases that are there keep theirs.

    Raises:
        Missing: when there is no protocol of that code.
    """
    protocols = list(Protocol.objects.select_for_update().order_by("-version"))
    chosen = next((one for one in protocols if one.code == code), None)
    if chosen is None:
        raise Missing("protocol")
    for one in protocols:
        if one.active != (one.pk == chosen.pk):
            one.active = one.pk == chosen.pk
            one.save(update_fields=["active"])
    record("protocol.chosen", chosen, actor=None, code=chosen.code, version=chosen.version)
    judge_again()
    return chosen


@transaction.atomic
def create_project(
    *, code: str, name: str, default: bool = False, actor: User | None = None
) -> Project:
    """A new project, without members."""
    project = Project.objects.create(code=code, name=name, default=default)
    record("project.created", project, actor=actor, code=code, default=default)
    return project


@transaction.atomic
def grant_role(*, project: Project, user: User, role: Role, actor: User | None) -> Membership:
    """Give a person a role in a project; refuses what may not meet in one person."""
    Project.objects.select_for_update().get(pk=project.pk)
    held = {
        Role(value)
        for value in Membership.objects.filter(project=project, user=user).values_list(
            "role", flat=True
        )
    }
    pair = forbidden_pair(held | {role})
    if pair is not None:
        raise WrongState(
            "FORBIDDEN_ROLES",
            f"{user.shown_name} cannot be {pair[0].value} and {pair[1].value} in one project.",
            "Take one of the roles away first, or give this one to someone else.",
        )
    membership, made = Membership.objects.get_or_create(project=project, user=user, role=role.value)
    if made:
        record(
            "role.granted",
            membership,
            actor=actor,
            project=project.code,
            user=user.username,
            role=role.value,
        )
    return membership


@transaction.atomic
def set_auto_assign(*, project: Project, slots: Mapping[str, str], actor: User | None) -> Project:
    """Who gets which slot of every new case (slot → username)."""
    project = Project.objects.select_for_update().get(pk=project.pk)
    if project.auto_assign != dict(slots):
        project.auto_assign = dict(slots)
        project.save(update_fields=["auto_assign"])
        record("project.auto_assign_set", project, actor=actor, slots=dict(slots))
    return project


@transaction.atomic
def install_demo(*, users: Mapping[str, User]) -> Project:
    """The demonstration's project: its people in their roles, two readers assigned to all."""
    install_protocols()
    project = Project.objects.get(default=True)
    roles = {
        "coordinator": Role.COORDINATOR,
        "abstractor": Role.ABSTRACTOR,
        "reader1": Role.READER,
        "reader2": Role.READER,
        "adjudicator": Role.ADJUDICATOR,
        "scientist": Role.SCIENTIST,
        "auditor": Role.AUDITOR,
    }
    for name, role in roles.items():
        if name in users:
            grant_role(project=project, user=users[name], role=role, actor=None)
    slots = {slot: name for slot, name in (("R1", "reader1"), ("R2", "reader2")) if name in users}
    return set_auto_assign(project=project, slots=slots, actor=None)
