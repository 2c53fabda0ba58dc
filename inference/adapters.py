"""Which code runs which kind of model. A runtime is imported when a model first needs it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from backend.imaging.grid import Vector
from backend.jobs.protocol import ModelDamaged, read_model_folder

if TYPE_CHECKING:
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


Loader: TypeAlias = Callable[[Path, int | None], Adapter]


class FovealAdapter:
    """The embedded foveal-style network, on OpenVINO."""

    # The pipeline's stages, with the part of its own progress each one covers.
    STAGES = {
        "body": ("preprocess", 0.0, 0.3),
        "resample": ("preprocess", 0.0, 0.3),
        "network": ("infer", 0.3, 0.8),
        "nodes": ("postprocess", 0.8, 1.0),
    }

    def __init__(self, folder: Path, threads: int | None) -> None:
        from inference.foveal_openvino import FovealOpenVINO
        from inference.model_folder import read_model

        self.net = FovealOpenVINO(read_model(folder), threads=threads)

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


LOADERS: Mapping[str, Loader] = {"foveal": FovealAdapter}


class Models:
    """The models of one folder, verified when loaded and kept warm."""

    def __init__(
        self, root: Path, *, threads: int | None = None, loaders: Mapping[str, Loader] = LOADERS
    ) -> None:
        self.root, self.threads, self.loaders = root, threads, loaders
        self._warm: OrderedDict[str, Adapter] = OrderedDict()

    def get(self, wanted: Mapping[str, str]) -> Adapter:
        """The adapter of the model a lease names; raises `ModelDamaged` with what to do."""
        sha256 = wanted["sha256"]
        if sha256 in self._warm:
            self._warm.move_to_end(sha256)
            return self._warm[sha256]
        found = read_model_folder(self.root / Path(wanted["folder"]).name)
        if found.sha256 != sha256:
            raise ModelDamaged(
                f"The worker's folder {found.folder} holds {found.name} {found.version}, not the "
                f"registered {wanted['name']} {wanted['version']}. Install the registered model "
                "there, or register this one."
            )
        if found.kind not in self.loaders:
            kinds = ", ".join(sorted(self.loaders))
            raise ModelDamaged(
                f"This worker cannot run models of kind {found.kind}; it runs {kinds}. "
                "Start a worker that can."
            )
        adapter = self.loaders[found.kind](self.root / found.folder, self.threads)
        self._warm[sha256] = adapter
        while len(self._warm) > WARM_MODELS:
            self._warm.popitem(last=False)
        return adapter
