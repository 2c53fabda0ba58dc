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

    `finding` is the client's own UUID: sent again, however often and at once, the first answer is
    given; with other words or another slice it is refused, and the refusal says what was told.

    Raises:
        NotAllowed: who is not the reading's reader.
        BadInput: no words, too many, a slice the case has not, or another reading's UUID.
        WrongState: when that UUID told something else in this reading.
    """
    require_reader(reading, user)
    slices = reading.case.grid.shape[0]
    if slice_index is not None and not 0 <= slice_index < slices:
        raise BadInput(
            "BAD_SLICE",
            f"There is no slice {slice_index}: the case has {slices}.",
            "Count axial slices from 0.",
        )
    # Sent many times at once it is made once: who comes second waits, and finds it.
    made, is_new = IncidentalFinding.objects.get_or_create(
        pk=finding,
        defaults={"reading": reading, "words": _words(words), "slice_index": slice_index},
    )
    if not is_new:
        return _as_told(made, reading, words, slice_index)
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


def _as_told(
    known: IncidentalFinding, reading: Reading, words: str, slice_index: int | None
) -> IncidentalFinding:
    """What was told under this UUID, where it is the same."""
    if known.reading_id != reading.pk:
        raise BadInput("ID_TAKEN", "That UUID is in use.", "Make another one.")
    if (known.words, known.slice_index) != (_words(words), slice_index):
        raise WrongState(
            "ALREADY_TOLD",
            "This finding was told before, in other words or on another slice.",
            "Tell what is new as a finding of its own.",
            told={"id": str(known.pk), "words": known.words, "slice": known.slice_index},
        )
    return known


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
