"""Signatures that no longer hold: kept on record, void."""

from __future__ import annotations

from django.utils import timezone

from backend.reading.models import Consensus


def void_signatures(consensus: Consensus, *, reason: str) -> list[str]:
    """Void what was signed under a version, and say whose ids; the caller records why."""
    voided = []
    for signature in consensus.signatures.filter(void_at=None).select_for_update():
        signature.void_at, signature.void_reason = timezone.now(), reason
        signature.save(update_fields=["void_at", "void_reason"])
        voided.append(str(signature.pk))
    return voided
