"""What a trained model says of itself: its model.json and its card. Pure.

Neither holds a score: how a model stands against what readers agreed on is shown on its page, to
those who may see what was agreed.
"""

from __future__ import annotations

import copy
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WEIGHTS, CARD = "weights.safetensors", "CARD.md"
LOSS = {"training": "loss.csv", "validation": "validation-loss.csv"}
PHANTOM = "Concord phantom"
"""What the images of our own phantoms name as their manufacturer."""


@dataclass(frozen=True)
class Origin:
    """Where a trained model comes from.

    Attributes:
        cases, people: split → how many of the release are for it.
        phantoms: how many of the cases are synthetic phantoms.
        parent: name, version and sha256 of the model it goes on from.
        result: what the worker said of the training.
    """

    name: str
    version: str
    release: str
    release_id: str
    release_sha256: str
    project: str
    cases: Mapping[str, int]
    people: Mapping[str, int]
    phantoms: int
    parent: Mapping[str, str]
    run: str
    settings: Mapping[str, Any]
    result: Mapping[str, Any]

    @property
    def made_of(self) -> str:
        """What it was trained on, in words."""
        every = sum(self.cases.values())
        if self.phantoms == every:
            return "synthetic phantoms alone; it has never seen a patient"
        if self.phantoms:
            return f"{self.phantoms} synthetic phantoms and {every - self.phantoms} other cases"
        return "cases whose images do not say that they are phantoms"

    @property
    def intended_use(self) -> str:
        """For research alone, whatever it was trained on."""
        if self.phantoms:
            return "demonstration model, trained on synthetic phantoms, not for diagnosis"
        return "research model, trained on agreed readings of one project, not for diagnosis"


def describe(parent: Mapping[str, Any], origin: Origin, files: Mapping[str, str]) -> dict[str, Any]:
    """model.json of the new version: the parent's, with what is new.

    Args:
        parent: the parent's model.json.
        origin: where it comes from.
        files: name → SHA-256 of the files in its folder.
    """
    content = copy.deepcopy(dict(parent))
    content["version"] = origin.version
    content["intended_use"] = origin.intended_use
    content["licence"] = "that of the application and of the release it was trained on"
    content.pop("notice", None)
    content["output"] = {**content["output"], **origin.result["output"]}
    content["training"] = {
        "release": {
            "name": origin.release,
            "id": origin.release_id,
            "sha256": origin.release_sha256,
            "project": origin.project,
        },
        "cases": dict(origin.cases),
        "people": dict(origin.people),
        "phantoms": origin.phantoms,
        "parent": dict(origin.parent),
        "run": origin.run,
        "settings": dict(origin.settings),
        "started_from": origin.result.get("started_from"),
        "steps": origin.result["steps"],
        "seconds": origin.result["seconds"],
        "software": origin.result["software"],
    }
    content["files"] = dict(files)
    return content


def card(origin: Origin) -> str:
    """The card of the new version, in Markdown."""
    output, result = origin.result["output"], origin.result
    parent = f"{origin.parent['name']} {origin.parent['version']}"
    began = {
        "parent": f"It began with the weights of {parent}.",
        "nothing": f"The weights of {parent} were not at hand: it began from random ones.",
    }.get(str(result.get("started_from")), "")
    second = f"The second look is that of {parent}, not fitted anew."
    if output.get("second_look", True) is None and result.get("started_from") == "parent":
        second = f"It has no second look: without that of {parent} it did better in validation."
    elif output.get("second_look", True) is None:
        second = f"It has no second look: that of {parent} belongs to other weights."
    chosen = (
        "chosen on the validation people"
        if origin.cases.get("validation")
        else f"that of {parent}: the release had nobody to choose it on"
    )
    rows = "\n".join(
        f"| {words} | {origin.people.get(split, 0)} | {origin.cases.get(split, 0)} |"
        for split, words in (
            ("train", "training"),
            ("validation", "validation"),
            ("locked_test", "held out"),
        )
    )
    settings = origin.settings
    return f"""# {origin.name} {origin.version}

**For research, not for diagnosis.** It was trained on {origin.made_of}.

## What it was trained on
Release **{origin.release}** of project {origin.project}, manifest `{origin.release_sha256}`: what
two readers agreed on and signed, each person in one part alone.

| for | people | cases |
|---|---|---|
{rows}

{origin.phantoms} of the cases are synthetic phantoms, by what their images say. The weights were
sealed by their hash before anything of the people held out could be fetched.

## How it was made
- {began} {second}
- {settings["minutes"]:g} minutes of processor time on {settings["threads"]} threads, seed
  {settings["seed"]}, {result["steps"]} steps; run `{origin.run}`.
- Patches balanced over the sizes of nodes; mirrored, with gain, blur and noise varied; regions the
  readers left undecided count neither as node nor as none.
- Voxel threshold {output["threshold"]:g}, {chosen}.
- `{LOSS["training"]}` and `{LOSS["validation"]}` hold its curves.

## How well it does
Stands on this model's page, for those who may see what the readers agreed on, with the number of
times those held out were looked at. A comparison with {parent} is one click away there.

## Limits
Those of {parent}, and of one release: other scanners, other projects, other readers are unknown to
it. Every candidate needs a reader.
"""


def curve_file(points: Sequence[tuple[int, float, float]]) -> str:
    """Points (step, seconds, loss) as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", "seconds", "loss"])
    writer.writerows(points)
    return text.getvalue()
