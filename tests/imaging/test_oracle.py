"""Surface distances beside MONAI's, as an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.imaging.surfaces import surface_distances


@pytest.mark.filterwarnings("ignore")
def test_the_average_surface_distance_is_monais() -> None:
    from monai.metrics import compute_average_surface_distance

    a = np.zeros((24, 24, 24), dtype=bool)
    b = np.zeros_like(a)
    a[6:16, 6:16, 6:16] = True
    b[5:17, 7:18, 4:15] = True
    theirs = compute_average_surface_distance(
        torch.tensor(a)[None, None],
        torch.tensor(b)[None, None],
        symmetric=True,
        spacing=[2.5, 1.0, 0.5],
    )
    ours = surface_distances(a, b, (2.5, 1.0, 0.5))
    assert ours.assd.value == pytest.approx(float(theirs[0, 0]), rel=1e-5)
