"""Which exports may leave for another archive, and who may send them.

Only the segmentation of a published consensus: one reader's mask stays here, and what is no DICOM
has no place in a PACS. It is sent by the coordinators of its project, and administrators.
"""

from __future__ import annotations

from uuid import UUID

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.archive.registry import Pushable
from backend.errors import Missing, NotAllowed, WrongState
from backend.reading.models import Case, Membership
from backend.reports.models import Export, ExportFormat, ExportState
from backend.reports.selectors import export_for


def export_to_push(user: User | None, export: UUID) -> Pushable:
    """The file of an export, for who may send it; raises `Missing`, or says why it stays."""
    found = _export(user, export)
    if user is not None and not may_push(user, found.case.pk):
        raise NotAllowed(
            "ROLE_NEEDED",
            "Only a coordinator of the project sends its results to another archive.",
            "Ask a coordinator of this project.",
        )
    if not may_leave(found):
        raise WrongState(
            "STAYS_HERE",
            "Only the DICOM segmentation of a published consensus is sent to another archive.",
            "Ask for that export once everybody has signed, and push it when it is ready.",
        )
    facts = {**found.told, "format": found.format, "mask": found.mask_hash, "file": found.blob}
    return Pushable(found.blob, found.case.chain, facts)


def may_leave(export: Export) -> bool:
    """Whether this file may be sent to another archive at all."""
    return (
        export.consensus_id is not None
        and export.format == ExportFormat.SEG
        and export.state == ExportState.READY
    )


def may_push(user: User, case: UUID) -> bool:
    """Whether this person sends results of the case away: coordinators, administrators."""
    if not user.is_authenticated or not user.is_active:
        return False
    if user.is_superuser:
        return True
    project = Case.objects.filter(pk=case).values("project")
    return Membership.objects.filter(
        user=user, project__in=project, role=Role.COORDINATOR.value
    ).exists()


def _export(user: User | None, export: UUID) -> Export:
    if user is not None:
        return export_for(user, export)
    found = (
        Export.objects.select_related("reading__case", "consensus__case").filter(pk=export).first()
    )
    if found is None:
        raise Missing("export")
    return found
