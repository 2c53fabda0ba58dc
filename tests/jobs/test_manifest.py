"""model.json of a model that is not our own: what is unknown or contradictory is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from backend.jobs.manifest import ManifestRefused, check_manifest, read_manifest
from backend.jobs.model_rules import InputRule, Normalisation

SOUND: dict[str, Any] = {
    "id": "m",
    "name": "M",
    "version": "1",
    "kind": "torchscript",
    "licence": "MIT",
    "intended_use": "tests",
    "weights": "model.ts",
    "files": {"model.ts": "0" * 64},
    "input": {
        "axes": "RAS",
        "spacing_mm": [1, 1, 2],
        "window_hu": [-100, 300],
        "normalise": {"to": [0, 1]},
        "patch": [96, 96, 48],
        "overlap": 0.25,
        "multiple": 16,
        "crop": "none",
    },
    "output": {"labels": {"1": "lymph node", "2": "gland"}, "nodes": [1], "threshold": 0.4},
}
Change = Callable[[dict[str, Any]], Any]


def changed(change: Change) -> dict[str, Any]:
    content = copy.deepcopy(SOUND)
    change(content)
    return content


def test_a_sound_description_is_read_whole() -> None:
    found = read_manifest(SOUND)

    assert found.input == InputRule(
        axes="RAS",
        spacing_mm=(1.0, 1.0, 2.0),
        window_hu=(-100.0, 300.0),
        normalise=Normalisation(to=(0.0, 1.0)),
        patch=(96, 96, 48),
        overlap=0.25,
        multiple=16,
        crop=False,
    )
    assert found.output.nodes == (1,)
    assert found.output.threshold == 0.4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.update(licnce="MIT"), "licnce is not known"),
        (lambda c: c.pop("licence"), "licence is missing"),
        (lambda c: c.update(weights="other.ts"), "weights names other.ts, which is not among"),
        (lambda c: c.pop("weights"), "weights is missing"),
        (lambda c: c.update(weights=[]), "weights names"),
        (lambda c: c.update(files=["model.ts"]), "files is not an object"),
        (lambda c: c["output"].update(labels={"²": "node"}), "output.labels has the key '²'"),
        (lambda c: c["output"].update(labels={"9" * 5000: "node"}), "output.labels has the key"),
        (lambda c: c.update(input=[]), "input is not an object"),
        (lambda c: c["input"].update(axes="RAR"), "input.axes is 'RAR'"),
        (lambda c: c["input"].update(unit="Bq"), "input.unit is 'Bq'"),
        (lambda c: c["input"].update(spacing_mm=[1, 0, 1]), "input.spacing_mm is"),
        (lambda c: c["input"].update(window_hu=[3, 3]), "input.window_hu is"),
        (lambda c: c["input"].update(patch=[90, 96, 48]), "contradicts input.multiple 16"),
        (lambda c: c["input"].pop("patch"), "input.overlap has no meaning without input.patch"),
        (lambda c: c["input"].pop("window_hu"), "input.normalise.to needs input.window_hu"),
        (
            lambda c: c["input"].update(normalise={"to": [0, 1], "zscore": True}),
            "input.normalise has",
        ),
        (lambda c: c["input"].update(crop="head"), "input.crop is 'head'"),
        (lambda c: c["output"].update(labels={}), "output.labels is missing"),
        (lambda c: c["output"].update(labels={"0": "a"}), "output.labels has the key '0'"),
        (lambda c: c["output"].update(nodes=[3]), "contradicts output.labels"),
        (lambda c: c["output"].update(activation="softmax"), "output.threshold contradicts"),
        (lambda c: c["output"].update(kind="instances"), "has no activation or threshold"),
        (lambda c: c["output"].update(connectivity=6), "output.connectivity is 6"),
        (lambda c: c["output"].update(threshold=1.5), "output.threshold is 1.5"),
        (lambda c: c.update(kind="nnunet"), "contradicts plans.json, which says it. Remove it"),
    ],
)
def test_what_is_unknown_missing_or_contradictory_is_refused_by_name(
    change: Change, said: str
) -> None:
    with pytest.raises(ManifestRefused, match=said.replace(".", r"\.")):
        read_manifest(changed(change))


def test_other_kinds_are_left_to_their_own_readers() -> None:
    check_manifest({"kind": "foveal", "anything": 1})
    with pytest.raises(ManifestRefused):
        check_manifest(changed(lambda c: c.update(anything=1)))
