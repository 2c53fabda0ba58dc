"""The way back from a pseudonym or a UID to whom and what it stands for: rare, and on record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db import transaction

from backend.archive.deidentify.keys import is_pseudonym
from backend.archive.deidentify.links import links
from backend.archive.models import Instance, Series, Study
from backend.audit.services import record
from backend.errors import Missing, NotAllowed, reason_of

if TYPE_CHECKING:
    from backend.accounts.models import User


@dataclass(frozen=True)
class Behind:
    """What stands behind a pseudonym or a UID.

    Attributes:
        people: what the objects said of the person: patient_id, issuer, name, birth_date.
        shift_days: by how many days the person's dates were moved.
        uid: the original UID, "" where none was asked for.
    """

    people: list[dict[str, str]] = field(default_factory=list)
    shift_days: int = 0
    uid: str = ""


@transaction.atomic
def reidentify(*, what: str, actor: User, reason: str) -> Behind:
    """Who is behind a pseudonym, or what UID behind one of ours. The event says who asked and why.

    Raises:
        NotAllowed: the person is no administrator.
        BadInput: no reason was given.
        Missing: nothing here has this pseudonym or UID.
    """
    if not (actor.is_active and actor.is_superuser):
        raise NotAllowed(
            "ADMIN_NEEDED",
            "Only an administrator learns who is behind a pseudonym.",
            "Ask an administrator.",
        )
    reason = reason_of(reason, "Nobody is re-identified without a reason.")
    study = _study_of(what)
    store = links()
    found = Behind(
        people=store.people(study.patient_id),
        shift_days=store.keys.shift_days(study.patient_id),
        uid="" if is_pseudonym(what) else store.original_uid(what),
    )
    if not found.people:
        raise Missing("pseudonym or UID in the store of links")
    record("subject.reidentified", study, actor=actor, reason=reason, asked=what)
    return found


def _study_of(what: str) -> Study:
    """The study that has this pseudonym or UID, or holds what has it."""
    if is_pseudonym(what):
        study = Study.objects.filter(patient_id=what).order_by("uid").first()
    else:
        series = Series.objects.filter(uid=what).values("study")
        instance = Instance.objects.filter(sop_uid=what).values("series__study")
        study = (
            Study.objects.filter(uid=what).first()
            or Study.objects.filter(pk__in=series).first()
            or Study.objects.filter(pk__in=instance).first()
        )
    if study is None:
        raise Missing("pseudonym or UID")
    return study
