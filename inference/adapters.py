"""Which code runs which kind of model. A runtime is imported when a model first needs it."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from backend.imaging.grid import Vector
from backend.jobs.model_description import (
    ModelDamaged,
    ModelFolder,
    describe_model_folder,
    read_model_folder,
)

if TYPE_CHECKING:
    from inference.foveal_openvino import FovealOpenVINO
    from inference.foveal_torch import FovealTorch
    from inference.pipeline import Segmentation

Progress: TypeAlias = Callable[[str, float], None]
Cancelled: TypeAlias = Callable[[], bool]
WARM_MODELS = 2


class Adapter(Protocol):
    """A model that is loaded and ready."""

    def segment(
        self,
        volume_hu: NDArray[np.int16],
        spacing_mm: Vector,
        *,
        progress: Progress,
        cancelled: Cancelled,
    ) -> Segmentation:
        """The label map of a volume (caudal→cranial, anterior→posterior, right→left).

        `progress` takes a stage of `protocol.STAGES` and the share of it that is done.
        """

    def facts(self) -> dict[str, Any]:
        """At least device, precision and threads, for the provenance."""


@dataclass(frozen=True)
class Loading:
    """How a model is to be loaded.

    Attributes:
        threads: processor threads of a network; None: all.
        trusted: whether an administrator marked the model as trusted.
        device: "auto", "cpu" or "cuda".
    """

    threads: int | None = None
    trusted: bool = False
    device: str = "auto"


Loader: TypeAlias = Callable[[Path, Loading], Adapter]


class FovealAdapter:
    """The embedded foveal-style network: on OpenVINO, or on torch where there is a GPU."""

    # The pipeline's stages, with the part of its own progress each one covers.
    STAGES = {
        "body": ("preprocess", 0.0, 0.3),
        "resample": ("preprocess", 0.0, 0.3),
        "network": ("infer", 0.3, 0.8),
        "nodes": ("postprocess", 0.8, 1.0),
    }

    def __init__(self, folder: Path, loading: Loading) -> None:
        from inference.device import probe
        from inference.model_folder import read_model

        self.net: FovealOpenVINO | FovealTorch
        if probe(loading.device) == "cuda":
            from inference.foveal_torch import FovealTorch

            self.net = FovealTorch(read_model(folder), device="cuda")
        else:
            from inference.foveal_openvino import FovealOpenVINO

            self.net = FovealOpenVINO(read_model(folder), threads=loading.threads)

    def segment(
        self,
        volume_hu: NDArray[np.int16],
        spacing_mm: Vector,
        *,
        progress: Progress,
        cancelled: Cancelled,
    ) -> Segmentation:
        """Run the pipeline, its stages under the protocol's names."""
        from inference.pipeline import segment

        def told(stage: str, fraction: float) -> None:
            if stage in self.STAGES:
                name, low, high = self.STAGES[stage]
                progress(name, (fraction - low) / (high - low))

        return segment(volume_hu, spacing_mm, self.net, progress=told, cancelled=cancelled)

    def facts(self) -> dict[str, Any]:
        """Device, precision, threads, runtime."""
        return self.net.provenance()


def sandboxed(folder: Path, loading: Loading) -> Adapter:
    """A model that is not our own: it runs in a confined process, started at its first run."""
    from inference.sandbox.host import SandboxedAdapter

    return SandboxedAdapter(folder, loading)


LOADERS: Mapping[str, Loader] = {
    "foveal": FovealAdapter,
    "torchscript": sandboxed,
    "monai-bundle": sandboxed,
    "nnunet": sandboxed,
}


class Models:
    """The models of one folder, verified when loaded and kept warm.

    A warm one is known by its weights, by its whole description and by whether it is trusted: a
    model.json changed under a running worker is read, and verified, again.
    """

    def __init__(
        self,
        root: Path,
        *,
        threads: int | None = None,
        device: str = "auto",
        loaders: Mapping[str, Loader] = LOADERS,
    ) -> None:
        self.root, self.loaders = root, loaders
        self._loading = Loading(threads, device=device)
        self._warm: OrderedDict[tuple[str, ...], Adapter] = OrderedDict()

    def get(self, wanted: Mapping[str, Any]) -> Adapter:
        """The adapter of the model a lease names; raises `ModelDamaged` with what to do."""
        trusted = wanted.get("trusted") is True
        folder = self.root / Path(wanted["folder"]).name
        # Whatever lies there now: what is warm may have been replaced on the disk.
        found = describe_model_folder(folder)
        _require_registered(found, wanted)
        key = (found.description, str(trusted))
        if key in self._warm:
            self._warm.move_to_end(key)
            return self._warm[key]
        read_model_folder(folder)
        if found.kind not in self.loaders:
            kinds = ", ".join(sorted(self.loaders))
            raise ModelDamaged(
                f"This worker cannot run models of kind {found.kind}; it runs {kinds}. "
                "Start a worker that can."
            )
        adapter = self.loaders[found.kind](folder, replace(self._loading, trusted=trusted))
        self._warm[key] = adapter
        while len(self._warm) > WARM_MODELS:
            _close(self._warm.popitem(last=False)[1])
        return adapter

    def held(self) -> frozenset[str]:
        """Description hashes of the models that lie here and that this worker's kinds can run."""
        found = set()
        for path in self.root.glob("*/model.json"):
            with contextlib.suppress(ModelDamaged):
                model = describe_model_folder(path.parent)
                if model.kind in self.loaders:
                    found.add(model.description)
        return frozenset(found)

    def close(self) -> None:
        """Let go of every model, and end the processes of those that have one."""
        while self._warm:
            _close(self._warm.popitem()[1])


def _require_registered(found: ModelFolder, wanted: Mapping[str, Any]) -> None:
    """Let pass the model that was registered: name, version, weights, and all model.json says."""
    registered = (wanted["sha256"], wanted["name"], wanted["version"])
    if (found.sha256, found.name, found.version) != registered:
        raise ModelDamaged(
            f"The worker's folder {found.folder} holds {found.name} {found.version}, not the "
            f"registered {wanted['name']} {wanted['version']}. Install the registered model "
            "there, or register this one."
        )
    if found.description != wanted["description"]:
        raise ModelDamaged(
            f"model.json of the worker's folder {found.folder} is not the one that "
            f"{found.name} {found.version} was registered with, although name, version and weights "
            "are. Install the registered model there, or register this one under a version of its "
            "own."
        )


def _close(adapter: Adapter) -> None:
    close = getattr(adapter, "close", None)
    if close is not None:
        close()
