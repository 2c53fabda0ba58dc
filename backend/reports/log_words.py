"""The events of a report's timeline in the words of the case's timeline. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from backend.reports.record.events import Event
from backend.reports.timeline_cast import Cast
from backend.reports.timeline_said import NOTHING, Said
from backend.reports.timeline_story import lines_of


def event_words(events: Sequence[Event], cast: Cast) -> dict[int, str]:
    """Position → what the event tells, in words."""
    return {line.first: _words(line.said) for line in lines_of(events, cast)}


def _words(told: Said) -> str:
    """What happened, from what to what, and what is to be added."""
    before = f"{told.before} → " if told.before not in ("", NOTHING) else ""
    after = f": {before}{told.after}" if told.after else ""
    return f"{told.what}{after}" + (f" ({told.detail})" if told.detail else "")
