"""What the AI is held against: every signed reading, and the consensus. Pure.

The consensus is the published version; before there is one, the newest whose nodes are agreed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from backend.imaging.correction import Correction, account
from backend.imaging.grid import Grid
from backend.imaging.nodes import measure_all
from backend.reports.evaluation import Evaluation, Labels, evaluate_truth
from backend.reports.record.blobs import Blobs

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Truth:
    """One label map the AI is compared with.

    Attributes:
        name: the reading's id, or `consensus`.
        title: as a column is headed.
        labels: its label map ``(slices, rows, columns)``, without rejected nodes.
        evaluation: the AI against it.
    """

    name: str
    title: str
    labels: Labels
    evaluation: Evaluation


@dataclass(frozen=True)
class Measured:
    """Everything a report needs that is measured from masks.

    Attributes:
        grid: of the images.
        ai: the model's label map.
        ai_numbers: node UUID → its number in that map.
        readings: reading id → the AI against it, for every signed reading.
        consensus: the AI against the consensus; None before its nodes are agreed.
        version: the version of the consensus that is reported, as the record tells it.
    """

    grid: Grid
    ai: Labels
    ai_numbers: Mapping[str, int]
    readings: dict[str, Truth]
    consensus: Truth | None
    version: dict[str, Any] | None

    @property
    def last(self) -> Truth:
        """The furthest the case has come: its consensus, else its first signed reading."""
        return self.consensus or next(iter(self.readings.values()))

    @property
    def all(self) -> list[Truth]:
        """Every truth, the readings first."""
        return [*self.readings.values(), *([self.consensus] if self.consensus else [])]


def measure(facts: dict[str, Any], blobs: Blobs, tell: Progress = lambda share: None) -> Measured:
    """Measure a case from its masks; `tell` hears how far it is, 0 to 1."""
    grid = Grid.from_json(facts["images"]["grid"])
    model = facts["model"]
    mask = model["mask"] if model else None
    ai = blobs.labels(mask, grid)
    ai_measures = measure_all(ai, grid)
    numbers = blobs.manifest(mask).numbers if mask else {}
    signed = [reading for reading in facts["readings"] if reading["signed"]]
    version = reported_version(facts["consensus"])
    steps = len(signed) + (version is not None)
    readings = {}
    for done, reading in enumerate(signed):
        labels = blobs.labels(reading["masks"]["effective"], grid)
        same = {n["label"]: numbers[n["uuid"]] for n in reading["nodes"] if n["uuid"] in numbers}
        evaluation = evaluate_truth(ai, labels, grid, ai_measures=ai_measures, same_node=same)
        if reading["masks"]["ai"] not in (None, mask):
            # Begun from another proposal: what the reader changed is told of that one.
            evaluation = replace(evaluation, correction=_books(reading, labels, grid, blobs))
        title = f"{reading['slot']}, {reading['reader']}"
        readings[reading["id"]] = Truth(reading["id"], title, labels, evaluation)
        tell((done + 1) / steps)
    consensus = None
    if version:
        settled = version["settled"]
        labels = blobs.labels(settled["mask"], grid)
        named = ((node["number"], node["node"]) for node in version["nodes"])
        evaluation = evaluate_truth(
            ai,
            labels,
            grid,
            ai_measures=ai_measures,
            same_node={number: numbers[node] for number, node in named if node in numbers},
            ignored=blobs.labels(settled["ignored"], grid) if settled["ignored"] else None,
        )
        title = f"Consensus {version['version']}"
        consensus = Truth("consensus", title, labels, evaluation)
    return Measured(grid, ai, numbers, readings, consensus, version)


def _books(reading: dict[str, Any], final: Labels, grid: Grid, blobs: Blobs) -> Correction:
    """The account of a reading against the proposal it was offered."""
    offered = reading["masks"]["ai"]
    numbers = blobs.manifest(offered).numbers
    same = ((numbers[n["uuid"]], n["label"]) for n in reading["nodes"] if n["uuid"] in numbers)
    return account(blobs.labels(offered, grid), final, same_node=same)


def reported_version(versions: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The published version, else the newest whose nodes are agreed."""
    settled = [version for version in versions if version["settled"]]
    standing = [version for version in settled if version["state"] != "superseded"]
    published = [version for version in standing if version["published"]]
    found = published or standing or settled
    return found[-1] if found else None
