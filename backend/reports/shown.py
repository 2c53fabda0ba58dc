"""How numbers are written in a report (METHODS.md §0): rounded for the eye, never for a decision.

Lengths have one decimal, two within 0.1 mm of a threshold, so that 9.96 never prints as 10.0.
Shares have two, three near the threshold of localisation. What is undefined is a dash.
"""

from __future__ import annotations

from collections.abc import Mapping

from backend.imaging.nodes import show_mm

DASH = "–"
REASONS = {
    "NO_TRUTH": "the truth holds no node",
    "NO_PREDICTION": "the AI proposed no node of 4.5 mm or more",
    "NO_LOCALISED": "no node was localised",
    "TOO_FEW": "too few values",
    "CONSTANT": "all values are equal",
    "NO_AI": "there was no AI proposal",
    "NO_FALSE_POSITIVE": "there is no false positive",
}


def length(value_mm: float | None) -> str:
    """A node's axis in mm, without the unit."""
    return DASH if value_mm is None else show_mm(value_mm)


def distance(value_mm: float | None) -> str:
    """A distance between surfaces in mm: two decimals, as it is mostly below one voxel."""
    return DASH if value_mm is None else f"{value_mm:.2f}"


def position(value_mm: float) -> str:
    """A place along a patient axis in mm: one decimal, with a true minus."""
    text = f"{value_mm:.1f}"
    return "0.0" if text == "-0.0" else text.replace("-", "−")


def share(value: float | None, threshold: float | None = None) -> str:
    """A number between 0 and 1: two decimals, three where two would cross the threshold's line."""
    if value is None:
        return DASH
    text = f"{value:.2f}"
    if threshold is not None and value < threshold <= float(text):
        return f"{int(value * 1000) / 1000:.3f}"
    return text


def volume(value_mm3: float | None) -> str:
    """A volume in ml, without the unit, with the digits the viewer shows."""
    if value_mm3 is None:
        return DASH
    return f"{value_mm3 / 1000:.{1 if value_mm3 >= 10_000 else 2}f}"


def axes(lad_mm: float | None, sad_mm: float | None) -> str:
    """Both axes in mm in the one order there is: long × short, without the unit."""
    if lad_mm is None or sad_mm is None:
        return DASH
    return f"{length(lad_mm)} × {length(sad_mm)}"


def signed(value_mm: float) -> str:
    """A difference in mm with its sign: "+0.42", "−0.10"."""
    text = f"{value_mm:+.2f}".replace("-", "−")
    return "0.00" if text in {"+0.00", "−0.00"} else text


def change(before_mm: float | None, after_mm: float | None) -> str:
    """A short axis before and after: "7.4 → 8.1", "– → 8.1"; one value where it did not change."""
    if before_mm == after_mm:
        return length(after_mm)
    return f"{length(before_mm)} → {length(after_mm)}"


CHANGES = {
    "decision": ("decision", "decisions"),
    "doubt": ("doubt", "doubts"),
    "impression": ("impression", "impressions"),
    "undo": ("undo", "undos"),
    "voxels": ("stroke", "strokes"),
}


def changes(kinds: Mapping[str, int]) -> str:
    """How many changes of which kind: "1 decision, 6 strokes"."""
    words = ((CHANGES.get(kind, (kind, kind)), count) for kind, count in sorted(kinds.items()))
    return ", ".join(f"{count} {many if count != 1 else one}" for (one, many), count in words)


def seconds(value: float | None) -> str:
    """A duration: "4.2 s", "3 min 20 s"."""
    if value is None:
        return DASH
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def when(stamp: str | None) -> str:
    """A stored time for the eye: "2026-11-21 10:26:34 UTC"."""
    if not stamp:
        return DASH
    return f"{stamp[:10]} {stamp[11:19]} UTC"


def moment(stamp: str | None) -> str:
    """As `when`, without the zone, where a heading says UTC."""
    return when(stamp).removesuffix(" UTC")
