"""What became of the AI's nodes under a reader's hands, and how long it took. Pure.

Everything follows from the reading's events, timed by the server's clock, and from what was signed
(METHODS.md §1.11): whoever has the record comes to the same numbers.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

CHANGED = "reading.changed."
# A longer pause counts as this much: as the viewer's own measure of active time cuts it off.
IDLE_SECONDS = 60.0
# Changes nearer to one another than a hand is quick came together, after a line was cut.
TOGETHER_SECONDS = 0.1


@dataclass(frozen=True)
class Step:
    """One event of a reading: when the server took it (UTC), what it was, what it told."""

    at: datetime
    action: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Hands:
    """A signed reading's account of the AI's nodes.

    Attributes:
        kept: the AI's nodes that were not rejected, and not erased.
        untouched: those of them that are signed voxel for voxel as they were offered.
        seconds: for each of the others that is a node still, how long reshaping it took.
    """

    kept: int
    untouched: int
    seconds: tuple[float, ...]

    @property
    def untouched_share(self) -> float | None:
        """Untouched / kept; None where nothing was kept."""
        return self.untouched / self.kept if self.kept else None

    def to_json(self) -> dict[str, Any]:
        """The account with what follows from it; seconds to the millisecond, None without any."""
        return {
            "kept": self.kept,
            "untouched": self.untouched,
            "untouched_share": self.untouched_share,
            "reshaped": len(self.seconds),
            "reshape_seconds_median": _round(statistics.median, self.seconds),
            "reshape_seconds_mean": _round(statistics.fmean, self.seconds),
            "reshape_seconds_total": _round(sum, self.seconds),
        }


def hands_of(
    steps: Iterable[Step],
    decisions: Mapping[str, str],
    ai_nodes: Collection[str],
    held: Collection[str],
) -> Hands:
    """The account of one signed reading.

    Args:
        steps: its events in order, those of other kinds than changes included.
        decisions: node UUID → decision, as signed.
        ai_nodes: the nodes of the proposal that was offered whole.
        held: the nodes of the mask that was signed.
    """
    spent = seconds_by_node(steps)
    of_ai = {node: decisions.get(node, "") for node in ai_nodes}
    merged = [node for node, decision in of_ai.items() if decision == "merged"]
    accepted = [n for n, decision in of_ai.items() if decision == "accepted" and n in held]
    reshaped = [n for n, decision in of_ai.items() if decision == "reshaped" and n in held]
    return Hands(
        kept=len(merged) + len(accepted) + len(reshaped),
        untouched=len(accepted),
        seconds=tuple(sorted(spent.get(node, 0.0) for node in reshaped)),
    )


def seconds_by_node(steps: Iterable[Step]) -> dict[str, float]:
    """Node UUID → seconds that led to changes of its voxels, undone ones and undos included.

    A change took the time since the event before it, at most `IDLE_SECONDS`; changes that came
    together share it, and so do the nodes that one change altered.
    """
    spent: defaultdict[str, float] = defaultdict(float)
    before: datetime | None = None
    for arrival in _arrivals(steps):
        pause = (arrival[0].at - before).total_seconds() if before else 0.0
        each = min(max(pause, 0.0), IDLE_SECONDS) / len(arrival)
        for step in arrival:
            nodes = _drawn(step)
            for node in nodes:
                spent[node] += each / len(nodes)
        before = arrival[-1].at
    return dict(spent)


def _arrivals(steps: Iterable[Step]) -> Iterator[list[Step]]:
    """The steps, those changes in one list that came together."""
    arrival: list[Step] = []
    for step in steps:
        if arrival and not _together(arrival[-1], step):
            yield arrival
            arrival = []
        arrival.append(step)
    if arrival:
        yield arrival


def _together(before: Step, after: Step) -> bool:
    both = before.action.startswith(CHANGED) and after.action.startswith(CHANGED)
    return both and (after.at - before.at).total_seconds() < TOGETHER_SECONDS


def _drawn(step: Step) -> list[str]:
    """The nodes whose voxels a step altered."""
    told = step.facts.get("nodes") if step.action.startswith(CHANGED) else None
    return [node["node"] for node in told] if isinstance(told, list) else []


def _round(of: Any, seconds: Collection[float]) -> float | None:
    return round(float(of(seconds)), 3) if seconds else None
