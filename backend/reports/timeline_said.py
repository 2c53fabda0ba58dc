"""What an event comes to in words, and what earlier ones said that it refers to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from backend.reports import shown
from backend.reports.record.events import Event
from backend.reports.timeline_cast import Cast

NOTHING = shown.DASH


@dataclass(frozen=True)
class Said:
    """One event in words; `before` and `after` are "" where nothing was one thing before."""

    what: str
    before: str = ""
    after: str = ""
    detail: str = ""


@dataclass
class Memory:
    """What earlier events said that later ones refer to.

    Attributes:
        steps: of every change of a reading, node UUID → its step (`node_histories`).
        sides: who read as X and as Y, by name.
        comparison: the one that is settled now.
        clusters: comparison and number of a cluster → its nodes.
        discrepancies: id → where it stands, in words.
        labels: consensus and number of an agreed node → its label.
        agreed: consensus and number → node UUID.
        evidence: id → what was entered.
        versions: consensus → its version.
        exports: export → what file it is, in words.
        sidecars: hashes of the files that stand beside an exported one.
    """

    steps: Mapping[tuple[str, str], Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    sides: dict[str, str] = field(default_factory=dict)
    comparison: str = ""
    clusters: dict[tuple[str, int], tuple[str, ...]] = field(default_factory=dict)
    discrepancies: dict[str, str] = field(default_factory=dict)
    labels: dict[tuple[str, int], str] = field(default_factory=dict)
    agreed: dict[tuple[str, int], str] = field(default_factory=dict)
    evidence: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    exports: dict[str, str] = field(default_factory=dict)
    sidecars: set[str] = field(default_factory=set)


Words: TypeAlias = Callable[[Event, Cast, Memory], Said]


def begin(text: str) -> str:
    """A text that begins with a capital, the rest as it is."""
    return text[:1].upper() + text[1:]
