"""What model.json of a model that is not our own may say: every key known, none contradicting.

Pure: the web process refuses a wrong description when the model is registered, the worker again
before it loads one. A key nobody knows is refused, since it is most often a misspelt one that would
be silently without effect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from backend.jobs.model_description import ModelDamaged
from backend.jobs.model_rules import OPPOSITE, InputRule, Manifest, Normalisation, OutputRule

DESCRIBED = ("monai-bundle", "nnunet", "torchscript")
"""Kinds whose description is read here; `foveal` is read by its own reader."""

ABOUT = (
    *("id", "name", "version", "kind", "licence", "intended_use", "notice", "modality", "region"),
    *("weights", "input", "output", "training", "files"),
)
INPUT = (
    *("axes", "unit", "spacing_mm", "window_hu", "normalise", "patch", "overlap", "multiple"),
    "crop",
)
OUTPUT = ("labels", "nodes", "activation", "threshold", "connectivity", "min_short_axis_mm", "kind")
NORMALISE = ("to", "mean", "std", "zscore")
FROM_PLANS = ("axes", "spacing_mm", "window_hu", "normalise", "patch", "multiple")
"""What an nnU-Net's own plans.json says, so that model.json must not."""

LARGEST_LABEL = 65535
"""A mask keeps its labels in 16 bits."""
_LABEL = re.compile(r"[0-9]{1,5}")


class ManifestRefused(ModelDamaged):
    """model.json says what is unknown or contradictory, or lacks a key. Correct the key named."""


def check_manifest(content: Mapping[str, Any]) -> None:
    """Raise `ManifestRefused` where a description that is read here is not sound."""
    if content.get("kind") in DESCRIBED:
        read_manifest(content)


def read_manifest(content: Mapping[str, Any]) -> Manifest:
    """Read model.json's content; raises `ManifestRefused`, naming the key and the cure."""
    reading = _Reading(str(content.get("id") or content.get("name") or "the model"))
    reading.known(content, ABOUT, "")
    for key in ("name", "version", "kind", "licence", "intended_use", "files"):
        if not content.get(key):
            reading.refuse(key, "is missing", "Write it: nobody runs a model without it.")
    kind = str(content["kind"])
    if kind not in DESCRIBED:
        reading.refuse("kind", f"“{kind}” is not known here", f"Use {', '.join(DESCRIBED)}.")
    said = reading.part(content, "input")
    given = reading.part(content, "output")
    reading.known(said, INPUT, "input.")
    reading.known(given, OUTPUT, "output.")
    weights = content.get("weights")
    if not isinstance(content["files"], Mapping):
        reading.refuse("files", "is not an object", "Give each file its SHA-256.")
    if weights is not None and (not isinstance(weights, str) or weights not in content["files"]):
        reading.refuse("weights", f"names {weights}, which is not among files", "List it there.")
    if kind == "torchscript" and weights is None:
        reading.refuse("weights", "is missing", "Name the TorchScript file, one of files.")
    if kind == "nnunet":
        for key in FROM_PLANS:
            if key in said:
                reading.refuse(
                    f"input.{key}", "contradicts plans.json, which says it", "Remove it here."
                )
        for key in ("activation", "threshold", "labels", "kind"):
            if key in given:
                reading.refuse(
                    f"output.{key}", "contradicts dataset.json, which says it", "Remove it here."
                )
    return Manifest(
        kind=kind,
        weights=weights,
        input=reading.input(said),
        output=reading.output(given, from_files=kind == "nnunet"),
        said=frozenset(said),
    )


class _Reading:
    """Reads values and refuses what is not one, naming the key."""

    def __init__(self, name: str) -> None:
        self.name = name

    def refuse(self, key: str, fault: str, cure: str) -> None:
        raise ManifestRefused(f"model.json of {self.name}: {key} {fault}. {cure}")

    def known(self, content: Mapping[str, Any], keys: tuple[str, ...], prefix: str) -> None:
        for key in content:
            if key not in keys:
                self.refuse(
                    f"{prefix}{key}", "is not known", f"Remove it, or use one of {', '.join(keys)}."
                )

    def part(self, content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        found = content.get(key, {})
        if not isinstance(found, Mapping):
            self.refuse(key, "is not an object", "Write it as {…}.")
        return found  # type: ignore[no-any-return]

    def numbers(self, value: Any, count: int, key: str, *, above: float | None = None) -> list[Any]:
        good = (
            isinstance(value, list | tuple)
            and len(value) == count
            and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
            and (above is None or all(v > above for v in value))
        )
        if not good:
            kind = "positive numbers" if above is not None else "numbers"
            self.refuse(key, f"is {value!r}", f"Write {count} {kind}.")
        return list(value)

    def share(self, value: Any, key: str) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1:
            self.refuse(key, f"is {value!r}", "Write a number from 0 to below 1.")
        return float(value)

    def input(self, said: Mapping[str, Any]) -> InputRule:
        axes = str(said.get("axes", "SPL"))
        if len(axes) != 3 or {_axis(a) for a in axes} != {"S", "P", "L"}:
            self.refuse(
                "input.axes", f"is {axes!r}", "Write three letters, one of each of S/I, P/A, L/R."
            )
        if said.get("unit", "HU") != "HU":
            self.refuse("input.unit", f"is {said['unit']!r}", "Only HU is known.")
        window = said.get("window_hu")
        if window is not None:
            low, high = self.numbers(window, 2, "input.window_hu")
            if low >= high:
                self.refuse("input.window_hu", f"is {window!r}", "Write the lower value first.")
            window = (float(low), float(high))
        spacing = said.get("spacing_mm")
        if spacing is not None:
            z, y, x = self.numbers(spacing, 3, "input.spacing_mm", above=0)
            spacing = (float(z), float(y), float(x))
        multiple = said.get("multiple", 1)
        if not isinstance(multiple, int) or isinstance(multiple, bool) or multiple < 1:
            self.refuse("input.multiple", f"is {multiple!r}", "Write a whole number from 1 on.")
        patch = said.get("patch")
        if patch is not None:
            sides = self.numbers(patch, 3, "input.patch", above=0)
            if any(int(side) != side or side % multiple for side in sides):
                self.refuse(
                    "input.patch",
                    f"{patch!r} contradicts input.multiple {multiple}",
                    "Use whole multiples of it.",
                )
            patch = (int(sides[0]), int(sides[1]), int(sides[2]))
        elif "overlap" in said:
            self.refuse(
                "input.overlap",
                "has no meaning without input.patch",
                "Remove it, or add the patch.",
            )
        if said.get("crop", "body") not in ("body", "none"):
            self.refuse("input.crop", f"is {said['crop']!r}", "Write “body” or “none”.")
        return InputRule(
            axes=axes,
            spacing_mm=spacing,
            window_hu=window,
            normalise=self.normalisation(said, window),
            patch=patch,
            overlap=self.share(said.get("overlap", 0.5), "input.overlap"),
            multiple=multiple,
            crop=said.get("crop", "body") == "body",
        )

    def normalisation(
        self, said: Mapping[str, Any], window: tuple[float, float] | None
    ) -> Normalisation | None:
        if "normalise" not in said:
            return None
        asked = self.part(said, "normalise")
        self.known(asked, NORMALISE, "input.normalise.")
        ways = {frozenset({"to"}), frozenset({"mean", "std"}), frozenset({"zscore"})}
        if frozenset(asked) not in ways:
            self.refuse(
                "input.normalise",
                f"has {sorted(asked)} together",
                "Use “to”, or “mean” and “std”, or “zscore”.",
            )
        if "to" in asked:
            if window is None:
                self.refuse("input.normalise.to", "needs input.window_hu", "Add the window.")
            low, high = self.numbers(asked["to"], 2, "input.normalise.to")
            return Normalisation(to=(float(low), float(high)))
        if "mean" in asked:
            (mean,) = self.numbers([asked["mean"]], 1, "input.normalise.mean")
            (std,) = self.numbers([asked["std"]], 1, "input.normalise.std", above=0)
            return Normalisation(mean_std=(float(mean), float(std)))
        if asked["zscore"] is not True:
            self.refuse("input.normalise.zscore", f"is {asked['zscore']!r}", "Write true.")
        return Normalisation(zscore=True)

    def output(self, given: Mapping[str, Any], *, from_files: bool) -> OutputRule:
        labels: dict[int, str] = {}
        for number, name in self.part(given, "labels").items():
            if not _LABEL.fullmatch(str(number)) or not 1 <= int(number) <= LARGEST_LABEL:
                self.refuse(
                    "output.labels",
                    f"has the key {number!r}",
                    f"Use whole numbers from 1 to {LARGEST_LABEL}.",
                )
            labels[int(number)] = str(name)
        if not labels and not from_files:
            self.refuse("output.labels", "is missing", "Write number and name of each label.")
        nodes = given.get("nodes", sorted(labels))
        if not isinstance(nodes, list) or any(not isinstance(n, int) for n in nodes):
            self.refuse("output.nodes", f"is {nodes!r}", "Write a list of numbers of labels.")
        if not from_files and (not nodes or not set(nodes) <= set(labels)):
            self.refuse(
                "output.nodes", f"{nodes!r} contradicts output.labels", "Name labels listed there."
            )
        activation = given.get("activation", "softmax" if from_files else "sigmoid")
        if activation not in ("sigmoid", "softmax"):
            self.refuse("output.activation", f"is {activation!r}", "Write “sigmoid” or “softmax”.")
        if activation == "softmax" and "threshold" in given:
            self.refuse(
                "output.threshold", "contradicts softmax: the highest channel wins", "Remove it."
            )
        if given.get("connectivity", 26) != 26:
            self.refuse("output.connectivity", f"is {given['connectivity']!r}", "Only 26 is known.")
        kind = given.get("kind", "semantic")
        if kind not in ("semantic", "instances"):
            self.refuse("output.kind", f"is {kind!r}", "Write “semantic” or “instances”.")
        if kind == "instances" and {"activation", "threshold"} & set(given):
            self.refuse("output.kind", "“instances” has no activation or threshold", "Remove them.")
        smallest = given.get("min_short_axis_mm", 0.0)
        (smallest,) = self.numbers([smallest], 1, "output.min_short_axis_mm", above=-1e-9)
        return OutputRule(
            labels=labels,
            nodes=tuple(nodes),
            activation=activation,
            threshold=self.share(given.get("threshold", 0.5), "output.threshold"),
            min_short_axis_mm=float(smallest),
            kind=kind,
        )


def _axis(letter: str) -> str:
    return next((k for k, v in OPPOSITE.items() if letter in (k, v)), letter)
