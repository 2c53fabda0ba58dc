"""Verifying the content store, as an act that is recorded."""

from __future__ import annotations

from django.db import transaction

from backend.archive.content.models import ContentCheck
from backend.audit.services import News, record
from backend.store import store
from backend.store.references import columns
from backend.store.verification import Progress, Verdict, Wanted, verify

NAMES_TOLD = 100


def check_content(wanted: Wanted, progress: Progress | None = None) -> Verdict:
    """Verify the content store against every column that names a blob; see `verification`."""
    verdict = verify(store(), columns, wanted, progress)
    with transaction.atomic():
        check = ContentCheck.objects.create(
            repair=wanted.repair,
            holds=verdict.holds,
            blobs=verdict.blobs,
            size=verdict.size,
            hashed=verdict.hashed,
            damaged=len(verdict.of("damaged")),
            missing=len(verdict.of("missing")),
            orphans=len(verdict.of("orphan")),
            leftovers=len(verdict.of("leftover")),
        )
        record(
            "content.verified",
            check,
            actor=None,
            outcome="success" if verdict.holds else "failure",
            where=verdict.where,
            blobs=verdict.blobs,
            hashed=verdict.hashed,
            repair=wanted.repair,
            faults=[[f.kind, f.name, f.repaired] for f in verdict.faults[:NAMES_TOLD]],
            faults_in_all=len(verdict.faults),
            news=[News("coordinators", "archive.changed", {})],
        )
    return verdict
