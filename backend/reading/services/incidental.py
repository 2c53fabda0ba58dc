"""Findings the study does not ask for: a reader tells the coordinator, who takes them up.

Nothing of it enters the study: the events stand in the log of the house, not in the case's, so that
no record, report or export of the case holds them.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.audit.services import record
from backend.errors import LONGEST_REASON, BadInput, WrongState
from backend.reading.models import Case, IncidentalFinding, Reading
from backend.reading.selectors import require_coordinator
from backend.reading.services.announcing import case_changed, to_reading
from backend.reading.services.changes import require_reader


@transaction.atomic
def report_incidental(
    *, reading: Reading, user: User, finding: UUID, words: str, slice_index: int | None
) -> IncidentalFinding:
    """Tell the coordinators of something seen beside the study, also after the signature.

    `finding` is the client's own UUID: sent again, the first answer is given.

    Raises:
        NotAllowed: who is not the reading's reader.
        BadInput: no words, too many, a slice the case has not, or another reading's UUID.
    """
    require_reader(reading, user)
    known = IncidentalFinding.objects.filter(pk=finding).first()
    if known is not None:
        if known.reading_id != reading.pk:
            raise BadInput("ID_TAKEN", "That UUID is in use.", "Make another one.")
        return known
    slices = reading.case.grid.shape[0]
    if slice_index is not None and not 0 <= slice_index < slices:
        raise BadInput(
            "BAD_SLICE",
            f"There is no slice {slice_index}: the case has {slices}.",
            "Count axial slices from 0.",
        )
    made = IncidentalFinding.objects.create(
        pk=finding, reading=reading, words=_words(words), slice_index=slice_index
    )
    record(
        "incidental.reported",
        made,
        actor=user,
        reason=made.words,
        news=[case_changed(reading.case)],
        reading=str(reading.pk),
        case=str(reading.case_id),
        slice=slice_index,
    )
    return made


@transaction.atomic
def take_up_incidental(*, case: Case, user: User, finding: UUID, words: str) -> IncidentalFinding:
    """Say what is done about a finding; once.

    Raises:
        NotAllowed: who does not coordinate the case's project.
        BadInput: no words, too many, or no finding of this case.
        WrongState: when somebody took it up already.
    """
    require_coordinator(user, case)
    found = (
        IncidentalFinding.objects.select_for_update(of=("self",))
        .select_related("reading__case")
        .filter(pk=finding, reading__case=case)
        .first()
    )
    if found is None:
        raise BadInput("NO_SUCH_FINDING", "This case has no such finding.", "Reload the page.")
    if found.taken_up_at is not None:
        raise WrongState("TAKEN_UP", "Somebody took this up already.", "Reload the page.")
    found.taken_up_by, found.taken_up_at = user, timezone.now()
    found.taken_up_words = _words(words)
    found.save(update_fields=["taken_up_by", "taken_up_at", "taken_up_words"])
    told = {"finding": str(found.pk)}
    record(
        "incidental.taken_up",
        found,
        actor=user,
        reason=found.taken_up_words,
        news=[case_changed(case), to_reading(found.reading, "incidental.taken_up", told)],
        reading=str(found.reading_id),
        case=str(case.pk),
    )
    return found


def _words(words: str) -> str:
    given = words.strip()
    if not given or len(given) > LONGEST_REASON or "\0" in given:
        raise BadInput(
            "BAD_WORDS",
            f"A finding needs words, {LONGEST_REASON} characters at most.",
            "Say it in a sentence or two.",
        )
    return given
