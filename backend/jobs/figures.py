"""Figures that a worker tells by name: looked at before they are kept and shown. Pure."""

from __future__ import annotations

import math
from typing import Any

from backend.errors import BadInput, is_text

MOST_FIGURES = 64
MOST_LETTERS = 80
# More than anything a worker counts or measures, and still exact in every reader of JSON.
MOST = 2**53
# A training lasts days; a year is no stage of anything.
MOST_SECONDS = 366 * 86_400


def figures_of(said: Any) -> dict[str, float]:
    """Finite numbers by name, as they are; raises `BadInput` with what is wrong."""
    return _within(said, -MOST, MOST)


def seconds_of(said: Any) -> dict[str, float]:
    """How long each stage took; raises `BadInput` with what is wrong."""
    return _within(said, 0, MOST_SECONDS)


def share_of(said: Any) -> float:
    """A fraction 0…1 of what is done, more or less being all or nothing; raises `BadInput`."""
    if type(said) not in (int, float) or math.isnan(said):
        raise _bad(f"How much is done is {said!r:.60}")
    return float(min(max(said, 0), 1))


def _within(said: Any, least: float, most: float) -> dict[str, float]:
    if not isinstance(said, dict) or len(said) > MOST_FIGURES:
        raise _bad(f"That is no object of at most {MOST_FIGURES} figures")
    for name, value in said.items():
        if len(name) > MOST_LETTERS or not is_text(name):
            raise _bad("A figure has a name that is too long or no text")
        if type(value) not in (int, float) or not least <= value <= most:
            raise _bad(f"{name} is {value!r:.60}, no number from {least:g} to {most:g}")
    return dict(said)


def _bad(what: str) -> BadInput:
    return BadInput("BAD_FIGURES", f"{what}.", "Update the worker.")
