"""`python -m inference.peers nnunet|segresnet`: what a peer's network takes per Mvox, as JSON.

The peers run with weights as they are initialised: only time is measured. `nnunet` needs the peers'
environment (`make peers`); `segresnet` needs MONAI.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

CROP = (128, 192, 192)
NNUNET_PATCH = (128, 128, 128)
SEGRESNET_PATCH, SEGRESNET_OVERLAP, SEGRESNET_FILTERS = (96, 96, 96), 0.25, 16
STAGES: dict[str, Any] = {
    "n_stages": 6,
    "features_per_stage": [32, 64, 128, 256, 320, 320],
    "kernel_sizes": [[3, 3, 3]] * 6,
    "strides": [[1, 1, 1]] + [[2, 2, 2]] * 5,
    "n_conv_per_stage": [2] * 6,
    "n_conv_per_stage_decoder": [2] * 5,
    "conv_bias": True,
}


def nnunet() -> dict[str, Any]:
    """nnU-Net v2's own sliding windows, 3d_fullres of its default plans, no mirroring."""
    from dynamic_network_architectures.architectures.unet import PlainConvUNet
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    network = PlainConvUNet(
        input_channels=1,
        num_classes=2,
        conv_op=torch.nn.Conv3d,
        norm_op=torch.nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=torch.nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        **STAGES,
    ).eval()
    predictor = nnUNetPredictor(
        tile_step_size=0.5,
        use_mirroring=False,
        perform_everything_on_device=False,
        device=torch.device("cpu"),
        allow_tqdm=False,
    )
    predictor.network = network
    predictor.configuration_manager = _Patch()
    predictor.label_manager = _Heads()
    seconds = _timed(lambda: predictor.predict_sliding_window_return_logits(torch.zeros(1, *CROP)))
    return _told("nnU-Net v2 3d_fullres", seconds, {"patch": NNUNET_PATCH, "step": 0.5, **STAGES})


class _Patch:
    """What the predictor asks of a configuration."""

    patch_size = NNUNET_PATCH


class _Heads:
    """What the predictor asks of labels."""

    num_segmentation_heads = 2


def segresnet() -> dict[str, Any]:
    """MONAI's SegResNet in its sliding windows, as its bundles run it."""
    from monai.inferers import sliding_window_inference
    from monai.networks.nets import SegResNet

    network = SegResNet(
        init_filters=SEGRESNET_FILTERS,
        out_channels=2,
        blocks_down=[1, 2, 2, 4],
        blocks_up=[1, 1, 1],
    ).eval()

    def work() -> None:
        with torch.inference_mode():
            sliding_window_inference(
                torch.zeros(1, 1, *CROP), SEGRESNET_PATCH, 1, network, SEGRESNET_OVERLAP
            )

    config = {"patch": SEGRESNET_PATCH, "overlap": SEGRESNET_OVERLAP, "filters": SEGRESNET_FILTERS}
    return _told("MONAI SegResNet", _timed(work), config)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _told(name: str, seconds: float, config: dict[str, Any]) -> dict[str, Any]:
    voxels = CROP[0] * CROP[1] * CROP[2]
    return {
        "name": name,
        "seconds": round(seconds, 2),
        "crop": CROP,
        "seconds_per_mvox": round(seconds / voxels * 1e6, 3),
        "config": {**config, "torch": torch.__version__, "threads": torch.get_num_threads()},
    }


def main() -> None:
    """Measure the one that is named."""
    parser = argparse.ArgumentParser(prog="python -m inference.peers", description=__doc__)
    parser.add_argument("peer", choices=("nnunet", "segresnet"))
    peers = {"nnunet": nnunet, "segresnet": segresnet}
    found = peers[parser.parse_args().peer]()
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
