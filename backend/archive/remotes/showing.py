"""What the remotes' pages show, as plain rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Q

from backend.archive.models import Study
from backend.archive.remotes.asking import transfers_seen_by
from backend.archive.remotes.lifecycle import BROKEN_OFF, OPEN, TransferState, possible
from backend.archive.remotes.models import Direction, Remote, Transfer, TransferSeries
from backend.archive.remotes.sealing import CannotUnseal
from backend.archive.remotes.searching import FoundStudy
from backend.archive.visibility import may_upload, visible

if TYPE_CHECKING:
    from backend.accounts.models import User

SHOWN_TRANSFERS = 30
SHOWN_STUDIES_HERE = 12


def transfer_rows(user: User, remote: Remote) -> list[dict[str, Any]]:
    """The newest transfers with a remote."""
    return [_row(one) for one in transfers_seen_by(user).filter(remote=remote)[:SHOWN_TRANSFERS]]


def _row(transfer: Transfer) -> dict[str, Any]:
    state = TransferState(transfer.state)
    series = [_series_row(one, transfer) for one in transfer.series.all()]
    expected = sum(one["expected"] or 0 for one in series)
    moved = sum(one["moved"] for one in series)
    there = sum(one["there"] for one in series)
    return {
        "transfer": transfer,
        "open": state in OPEN,
        "words": _words(transfer),
        "series": series,
        "expected": expected,
        "got": moved + there,
        "moved": moved,
        "there": there,
        "result": _result(transfer, moved, there),
        "actions": [action.value for action in possible(state)]
        if transfer.direction == Direction.PULL
        else [action.value for action in possible(state) if action.value != "accept"],
    }


def _words(transfer: Transfer) -> str:
    """What is moved, as the page that asked for it showed it."""
    try:
        asked = transfer.asked
    except CannotUnseal:
        return "asked for under another secret key"
    label = asked.get("label") or {}
    parts = [label.get("date", ""), label.get("modalities", ""), label.get("description", "")]
    words = " ".join(part for part in parts if part) or "a study"
    chosen = asked.get("series")
    if chosen:
        words += f", {len(chosen)} series"
    return words


def _series_row(series: TransferSeries, transfer: Transfer) -> dict[str, Any]:
    try:
        asked = series.asked
    except CannotUnseal:
        asked = {}
    name = " ".join(
        str(asked[key]) for key in ("number", "modality", "description") if asked.get(key)
    )
    return {
        "name": name or "a series",
        "expected": series.expected,
        "moved": series.moved,
        "there": series.there,
        "got": series.moved + series.there,
        "whole": series.whole,
        "waits": not series.whole
        and transfer.direction == Direction.PULL
        and transfer.state in BROKEN_OFF
        and series.moved > 0,
    }


def _result(transfer: Transfer, moved: int, there: int) -> str:
    pull = transfer.direction == Direction.PULL
    words = [_counted(moved, "fetched" if pull else "sent")]
    if there:
        words.append(_counted(there, "here already" if pull else "there already"))
    if transfer.refused:
        words.append(_counted(transfer.refused, "kept aside" if pull else "not taken"))
    return ", ".join(words) + "."


def _counted(count: int, what: str) -> str:
    return f"{count} image{'' if count == 1 else 's'} {what}"


def here_words(here: int, listed: int | None) -> tuple[str, str]:
    """How much of something is here already: its tone and its words."""
    if not here:
        return "", ""
    if listed is None or here >= listed:
        return "good", "here"
    return "warn", f"{here} of {listed} here"


def label_of(study: FoundStudy) -> str:
    """What the list of transfers shows of a study, as JSON."""
    label = {
        "date": study.date.isoformat() if study.date else "",
        "modalities": " ".join(study.modalities),
        "description": study.description[:80],
    }
    return json.dumps(label)


def local_studies(user: User, words: str) -> list[dict[str, Any]]:
    """Studies of this archive that fit a word, the newest arrivals first; for who may upload."""
    if not may_upload(user):
        return []
    found = Study.objects.filter(series__in=visible(user)).distinct()
    words = words.replace("\0", "").strip()[:64]
    if words:
        found = found.filter(
            Q(patient_id__icontains=words)
            | Q(patient_name__icontains=words)
            | Q(accession_number=words)
            | Q(description__icontains=words)
            | Q(uid=words)
        )
    newest = found.order_by("-received_at", "uid").annotate(
        images=Count("series__instances", distinct=True)
    )
    rows = []
    for study in newest[:SHOWN_STUDIES_HERE]:
        modalities = study.series.exclude(modality="").values_list("modality", flat=True)
        rows.append({"study": study, "modalities": sorted(set(modalities)), "images": study.images})
    return rows
