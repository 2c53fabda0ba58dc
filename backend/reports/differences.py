"""Where two pieces of plain data differ, named by path. Pure."""

from __future__ import annotations

from typing import Any

MOST = 20


def differences(stored: Any, now: Any, path: str = "") -> list[str]:
    """Sentences such as "nodes[3].decision: was 'accepted', is 'rejected'", at most `MOST`."""
    found: list[str] = []
    _compare(stored, now, path, found)
    return found[:MOST]


def _compare(stored: Any, now: Any, path: str, found: list[str]) -> None:
    if len(found) >= MOST:
        return
    if isinstance(stored, dict) and isinstance(now, dict):
        for key in sorted({*stored, *now}, key=str):
            inner = f"{path}.{key}" if path else str(key)
            if key not in stored or key not in now:
                found.append(f"{inner}: only in the {'new' if key not in stored else 'stored'} one")
            else:
                _compare(stored[key], now[key], inner, found)
    elif isinstance(stored, list) and isinstance(now, list):
        if len(stored) != len(now):
            found.append(f"{path}: had {len(stored)} entries, has {len(now)}")
        for index, (a, b) in enumerate(zip(stored, now, strict=False)):
            _compare(a, b, f"{path}[{index}]", found)
    elif stored != now:
        found.append(f"{path}: was {stored!r}, is {now!r}")
