"""JSON that Concord can keep, hash and show: finite, shallow, of real characters. Pure.

Python reads more than that: numbers that are none, halves of characters, NULs that no database
keeps, and levels without end, which it then cannot walk.
"""

from __future__ import annotations

import json
import math
from typing import Any

from backend.errors import is_text

MOST_LEVELS = 32


def read_plain_json(text: str) -> dict[str, Any]:
    """The object that a text is; raises `ValueError` with what is wrong, without a full stop."""
    try:
        value = json.loads(
            text, parse_constant=_not_finite, parse_float=_finite, parse_int=_finite_whole
        )
    except RecursionError:
        raise _too_deep() from None
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    _require_plain(value, 1)
    return value


def _not_finite(text: str) -> float:
    raise ValueError(f"{text} is no finite number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _not_finite(text[:40])


def _finite_whole(text: str) -> int:
    # A whole number of any size is read; one beyond the floats breaks who calculates with it.
    return int(text) if math.isfinite(float(text)) else int(_not_finite(text[:40]))


def _require_plain(value: Any, level: int) -> None:
    if level > MOST_LEVELS:
        raise _too_deep()
    if isinstance(value, str):
        if not is_text(value):
            raise ValueError("a text holds a NUL or half of a character")
    elif isinstance(value, dict):
        for key, item in value.items():
            _require_plain(key, level)
            _require_plain(item, level + 1)
    elif isinstance(value, list):
        for item in value:
            _require_plain(item, level + 1)


def _too_deep() -> ValueError:
    return ValueError(f"it is nested more than {MOST_LEVELS} levels deep")
