"""The foveal-style 3-D network of the default model, in torch: for training and export only.

Several branches look at the same place with falling resolution and rising field of view, and are
joined from coarse to fine, as in Brosch and Saalbach, "Foveal fully convolutional nets for
multi-organ segmentation" (SPIE Medical Imaging 2018). It is our own design in that style; neither
code nor weights of the published network are used.

The finest branch sees the 1 mm image folded 2 x 2 x 2 into eight channels on the 2 mm grid, which
makes it eight times cheaper than a 1 mm branch; its head predicts eight channels that are unfolded
to 1 mm. The coarser branches see the image averaged to 4, 8 and 16 mm.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

MULTIPLE = 16
"""Every side of the input must be a multiple of this many voxels."""


@dataclass(frozen=True)
class Architecture:
    """Channels of each branch, fine to coarse, and convolutions in each branch."""

    channels: tuple[int, ...] = (32, 32, 48, 64)
    depths: tuple[int, ...] = (3, 3, 3, 3)


class ConvBlock(nn.Module):
    """A convolution, batch normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.norm: nn.Module = nn.BatchNorm3d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block; (batch, channels, slices, rows, columns) in and out."""
        return functional.relu(self.norm(self.conv(x)), inplace=True)

    def fuse(self) -> None:
        """Fold the normalisation into the convolution; the block must be in evaluation mode."""
        if isinstance(self.norm, nn.BatchNorm3d):
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()


def fold(x: Tensor) -> Tensor:
    """Turn every 2 x 2 x 2 block of voxels into eight channels: (B, C, D, H, W) to half size."""
    b, c, d, h, w = x.shape
    blocks = x.reshape(b, c, d // 2, 2, h // 2, 2, w // 2, 2)
    return blocks.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(b, c * 8, d // 2, h // 2, w // 2)


def unfold(x: Tensor) -> Tensor:
    """Undo ``fold`` for one output channel: (B, 8, D, H, W) to (B, 1, 2D, 2H, 2W)."""
    b, _, d, h, w = x.shape
    blocks = x.reshape(b, 1, 2, 2, 2, d, h, w)
    return blocks.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(b, 1, d * 2, h * 2, w * 2)


class FovealNet(nn.Module):
    """Maps a normalised image (B, inputs, D, H, W) to the logit of "lymph node" (B, 1, D, H, W)."""

    def __init__(self, architecture: Architecture | None = None, inputs: int = 1) -> None:
        super().__init__()
        self.architecture = architecture or Architecture()
        channels = self.architecture.channels
        self.branches = nn.ModuleList(
            self._branch(8 * inputs if level == 0 else inputs, outputs, depth)
            for level, (outputs, depth) in enumerate(
                zip(channels, self.architecture.depths, strict=True)
            )
        )
        pairs = list(pairwise(channels))
        self.lateral = nn.ModuleList(ConvBlock(coarse, fine, 1) for fine, coarse in pairs)
        self.joint = nn.ModuleList(ConvBlock(fine, fine) for fine, _ in pairs)
        self.head = nn.Conv3d(channels[0], 8, 1)

    @staticmethod
    def _branch(inputs: int, outputs: int, depth: int) -> nn.Sequential:
        return nn.Sequential(
            *(ConvBlock(inputs if i == 0 else outputs, outputs) for i in range(depth))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits; every spatial side of x must be a multiple of ``MULTIPLE``."""
        views = [fold(x), functional.avg_pool3d(x, 4)]
        while len(views) < len(self.branches):
            views.append(functional.avg_pool3d(views[-1], 2))
        features = self.branches[-1](views[-1])
        for level in reversed(range(len(self.branches) - 1)):
            coarse = functional.interpolate(
                self.lateral[level](features), scale_factor=2.0, mode="nearest"
            )
            features = self.joint[level](self.branches[level](views[level]) + coarse)
        return unfold(self.head(features))


def fused(net: FovealNet) -> FovealNet:
    """Return a copy in evaluation mode with every batch normalisation folded away."""
    result = copy.deepcopy(net).eval()
    for module in result.modules():
        if isinstance(module, ConvBlock):
            module.fuse()
    return result
