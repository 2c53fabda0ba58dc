"""Who may know of which signed reading, report and export.

Coordinators and auditors of the case's project, and administrators. Nobody else: a reader never
sees a comparison with anyone, and a scientist sees no reading before its release. What is hidden
and what is absent are the same `Missing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Q, QuerySet

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.errors import Missing, NotAllowed, WrongState
from backend.reading.models import Case, Consensus, Membership, Reading
from backend.reading.vocabulary import ComparisonState
from backend.reading.workflow import SIGNED, ReadingState
from backend.reports.models import Export, ExportFormat, ExportState, Report
from backend.reports.timeline_selectors import may_audit

_ROLES = (Role.COORDINATOR.value, Role.AUDITOR.value)


def projects_of(user: User) -> QuerySet[Membership]:
    """The projects (as `values("project")`) whose reports this user may open."""
    return Membership.objects.filter(user=user, role__in=_ROLES)


def _allowed(user: User, path: str) -> Q:
    """The condition on a record whose project lies at `path`."""
    if not user.is_authenticated or not user.is_active:
        return Q(pk__in=[])
    if user.is_superuser:
        return Q()
    return Q(**{f"{path}__in": projects_of(user).values("project")})


def case_for(user: User, case: UUID) -> Case:
    """A case whose files this user may have; raises `Missing`."""
    found = Case.objects.filter(_allowed(user, "project"), pk=case).first()
    if found is None:
        raise Missing("case")
    return found


def signed_reading_for(user: User, reading: UUID) -> Reading:
    """A signed reading this user may report on; raises `Missing`, or `WrongState` if unsigned."""
    found = (
        Reading.objects.filter(_allowed(user, "case__project"), pk=reading)
        .select_related(
            "case__protocol",
            "case__project",
            "case__subject",
            "reader",
            "base",
            "head",
            "ai_mask",
            "effective",
        )
        .first()
    )
    if found is None:
        raise Missing("reading")
    if ReadingState(found.state) not in SIGNED:
        raise WrongState(
            "NOT_SIGNED",
            "This reading is not signed yet.",
            "Wait until its reader has submitted it.",
        )
    return found


def reports_of(user: User) -> QuerySet[Report]:
    """The reports this user may open: sealed ones only where they audit."""
    if not user.is_authenticated or not user.is_active:
        return Report.objects.none()
    found = Report.objects.filter(_allowed(user, "case__project"))
    if user.is_superuser:
        return found
    audits = Membership.objects.filter(user=user, role=Role.AUDITOR.value).values("project")
    return found.filter(Q(sealed=False) | Q(case__project__in=audits))


def report_for(user: User, report: UUID) -> Report:
    """A report this user may open; raises `Missing`."""
    found = reports_of(user).filter(pk=report).select_related("case", "made_by").first()
    if found is None:
        raise Missing("report")
    return found


def reportable_case_for(user: User, case: UUID) -> Case:
    """A case this user may have reported; raises `Missing`, or `NotAllowed`.

    A report of a comparison names the readers and what evidence says: that is for auditors and
    administrators.
    """
    found = case_for(user, case)
    compared = found.comparisons.filter(state=ComparisonState.MADE.value).exists()
    if (compared or found.evidence.exists()) and not may_audit(user, found.pk):
        raise NotAllowed(
            "ROLE_NEEDED",
            "The report tells how the readers disagreed and which evidence there is; only an "
            "auditor may have it.",
            "Ask an auditor of this project.",
        )
    return found


def export_for(user: User, export: UUID) -> Export:
    """An export this user may fetch; raises `Missing`."""
    found = (
        Export.objects.filter(
            _allowed(user, "reading__case__project") | _allowed(user, "consensus__case__project"),
            pk=export,
        )
        .select_related("reading__case", "consensus__case")
        .first()
    )
    if found is None or (found.format == ExportFormat.CSV and not may_audit(user, found.case.pk)):
        raise Missing("export")
    return found


def consensus_to_export(user: User, consensus: UUID, file_format: str) -> Consensus:
    """A consensus this user may ask for as such a file; raises `Missing`, or `NotAllowed`.

    A table tells which evidence a label rests on: that is for auditors and administrators.
    """
    found = (
        Consensus.objects.filter(_allowed(user, "case__project"), pk=consensus)
        .select_related("case__protocol", "case__project", "mask")
        .first()
    )
    if found is None:
        raise Missing("consensus")
    if file_format == ExportFormat.CSV and not may_audit(user, found.case_id):
        raise NotAllowed(
            "ROLE_NEEDED",
            "The table says which evidence each label rests on; only an auditor may have it.",
            "Take the segmentation or the NIfTI, or ask an auditor of this project.",
        )
    return found


def report_links(user: User, readings: Sequence[Reading]) -> dict[UUID, str]:
    """The newest finished report of the case of each signed reading, if this user may open it."""
    cases = {reading.case_id for reading in readings}
    found = reports_of(user).filter(case__in=cases, state=ExportState.READY.value)
    newest = {
        report.case_id: f"/reports/{report.pk}/"
        for report in found.order_by("created").only("pk", "case_id", "created")
    }
    return {
        reading.pk: newest[reading.case_id]
        for reading in readings
        if reading.case_id in newest and ReadingState(reading.state) in SIGNED
    }
