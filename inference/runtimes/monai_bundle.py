"""A MONAI bundle's network, weights and preprocessing, read as plain JSON.

Of configs/inference.json only `network_def`, `preprocessing` and `inferer` are read. Classes come
from the lists below, `@references` are followed, and a `$` expression (Python that MONAI would run)
is refused, unless an administrator marked the model as trusted: then MONAI builds the network, in
the sandbox all the same. Preprocessing is translated into the engine's own steps.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from monai import networks

from backend.jobs.model_description import ModelDamaged
from backend.jobs.model_rules import InputRule, Manifest, Normalisation
from inference.adapters import Loading
from inference.engine import Plan
from inference.runtimes.torch_network import TorchNetwork, load_weights, put_weights

CONFIG = "configs/inference.json"
WEIGHTS = "models/model.pt"
NETWORKS = (
    *("AttentionUnet", "BasicUNet", "BasicUNetPlusPlus", "DynUNet", "FlexibleUNet", "HighResNet"),
    *("SegResNet", "SegResNetDS", "SwinUNETR", "UNETR", "UNet", "VNet"),
)
WITHOUT_EFFECT = (
    "LoadImage",
    "EnsureChannelFirst",
    "EnsureType",
    "ToTensor",
    "ToDevice",
    "CastToType",
)


def load_bundle(folder: Path, manifest: Manifest, loading: Loading) -> TorchNetwork:
    """The network of a bundle; raises `ModelDamaged`, naming what was refused and the cure."""
    bundle = _Bundle(folder, trusted=loading.trusted)
    path = folder / (manifest.weights or WEIGHTS)
    state = load_weights(path)
    if isinstance(state, dict):
        state = state.get("state_dict", state.get("model", state))
    network = bundle.network()
    put_weights(network, state, path)
    plan = Plan(bundle.input(manifest), manifest.output)
    return TorchNetwork([network], plan, loading, {"trusted": loading.trusted})


class _Bundle:
    def __init__(self, folder: Path, *, trusted: bool) -> None:
        self.folder, self.trusted = folder, trusted
        try:
            self.config: dict[str, Any] = json.loads((folder / CONFIG).read_text())
        except (OSError, ValueError) as error:
            raise ModelDamaged(
                f"{CONFIG} of {folder.name} cannot be read ({error}). A bundle needs it, as JSON."
            ) from None

    def refuse(self, where: str, fault: str, cure: str) -> ModelDamaged:
        return ModelDamaged(f"{CONFIG} of {self.folder.name}: {where} {fault}. {cure}")

    def network(self) -> Any:
        """`network_def`, built."""
        if "network_def" not in self.config:
            raise self.refuse("network_def", "is missing", "Name the network there.")
        if self.trusted:
            from monai.bundle import ConfigParser

            return ConfigParser(self.config).get_parsed_content("network_def")
        asked = self.plain("network_def")
        name = self.target(asked, "network_def", NETWORKS)
        arguments = {key: value for key, value in asked.items() if key != "_target_"}
        for key in arguments:
            if key.startswith("_"):
                raise self.refuse(
                    f"network_def::{key}", "is not among the keys known", "Remove it."
                )
        try:
            return getattr(networks.nets, name)(**arguments)
        except (TypeError, ValueError) as wrong:
            raise self.refuse(
                "network_def", f"does not fit {name} ({wrong})", "Correct it."
            ) from None

    def input(self, manifest: Manifest) -> InputRule:
        """What preprocessing and inferer say, joined with model.json; raises where they differ."""
        found = self._preprocessing() | self._inferer()
        rule = manifest.input
        names = {field.name for field in fields(rule)}
        for key, value in found.items():
            if key in manifest.said and key in names and getattr(rule, key) != value:
                raise ModelDamaged(
                    f"model.json of {self.folder.name}: input.{key} {getattr(rule, key)!r} "
                    f"contradicts the bundle's {value!r}. Remove it from model.json."
                )
        if "axes" not in found and "axes" not in manifest.said:
            raise self.refuse(
                "preprocessing", "has no Orientationd", "Say input.axes in model.json."
            )
        return replace(rule, **found)

    def _preprocessing(self) -> dict[str, Any]:
        if "preprocessing" not in self.config:
            return {}
        asked = self.plain("preprocessing")
        self.target(asked, "preprocessing", ("Compose",))
        found: dict[str, Any] = {}
        for number, step in enumerate(asked.get("transforms", [])):
            where = f"preprocessing::transforms::{number}"
            name = self.target(
                step,
                where,
                (
                    *WITHOUT_EFFECT,
                    "Orientation",
                    "Spacing",
                    "ScaleIntensityRange",
                    "NormalizeIntensity",
                ),
            )
            if name == "Orientation":
                found["axes"] = str(step["axcodes"])
            elif name == "Spacing":
                z, y, x = (float(v) for v in step["pixdim"])
                found["spacing_mm"] = (z, y, x)
            elif name == "ScaleIntensityRange":
                if not step.get("clip"):
                    raise self.refuse(where, "does not clip", "Only “clip”: true is known.")
                found["window_hu"] = (float(step["a_min"]), float(step["a_max"]))
                found["normalise"] = Normalisation(to=(float(step["b_min"]), float(step["b_max"])))
            elif name == "NormalizeIntensity":
                found["normalise"] = self._normalisation(step, where)
        return found

    def _normalisation(self, step: dict[str, Any], where: str) -> Normalisation:
        if step.get("nonzero"):
            raise self.refuse(where, "asks for nonzero", "Only whole images are normalised.")
        if "subtrahend" in step and "divisor" in step:
            return Normalisation(mean_std=(float(step["subtrahend"]), float(step["divisor"])))
        return Normalisation(zscore=True)

    def _inferer(self) -> dict[str, Any]:
        if "inferer" not in self.config:
            return {}
        asked = self.plain("inferer")
        if (
            self.target(asked, "inferer", ("SlidingWindowInferer", "SimpleInferer"))
            == "SimpleInferer"
        ):
            return {}
        z, y, x = (int(v) for v in asked["roi_size"])
        return {"patch": (z, y, x), "overlap": float(asked.get("overlap", 0.25))}

    def target(self, asked: Any, where: str, allowed: tuple[str, ...]) -> str:
        """The class an object names, of those allowed, without module and a dictionary's `d`."""
        name = str(asked.get("_target_", "")) if isinstance(asked, dict) else ""
        short = name.rpartition(".")[2]
        if not name.startswith("monai.") and "." in name:
            short = ""
        for known in allowed:
            if short in (known, f"{known}d"):
                return known
        raise self.refuse(
            where,
            f"names {name or 'no class'}, which is not among those that may be built",
            f"Use one of {', '.join(allowed)}, or describe it in model.json's input instead.",
        )

    def plain(self, key: str) -> Any:
        """The value of a key as plain JSON, references followed, expressions refused."""
        return self._plain(self.config[key], key, 0)

    def _plain(self, value: Any, where: str, depth: int) -> Any:
        if depth > 20:
            raise self.refuse(where, "refers to itself", "Write the value itself.")
        if isinstance(value, dict):
            return {k: self._plain(v, f"{where}::{k}", depth + 1) for k, v in value.items()}
        if isinstance(value, list):
            return [self._plain(v, f"{where}::{n}", depth + 1) for n, v in enumerate(value)]
        if not isinstance(value, str):
            return value
        if value.startswith("$"):
            raise self.refuse(
                where,
                f"is an expression that would run code ({value[:80]})",
                "It was not run. Write the value itself, or have an administrator mark the model "
                "as trusted.",
            )
        if value.startswith("%"):
            raise self.refuse(where, "is a macro", "Write the value itself.")
        if value.startswith("@"):
            return self._plain(self._referred(value[1:], where), where, depth + 1)
        return value

    def _referred(self, path: str, where: str) -> Any:
        found: Any = self.config
        for part in path.replace("#", "::").split("::"):
            try:
                found = found[int(part)] if isinstance(found, list) else found[part]
            except (KeyError, IndexError, ValueError, TypeError):
                raise self.refuse(
                    where, f"refers to {path}, which is not there", "Add it."
                ) from None
        return found
