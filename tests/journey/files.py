"""Files that a journey takes home, read with other code than wrote them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from backend.imaging.grid import Grid
from tests.stack import Stack, until


def export_of(client: Any, reading: str, form: str) -> bytes:
    """The file of a reading's mask, asked for and waited for."""
    token = client.cookies.get("csrftoken")
    made = client.post(
        "/api/exports",
        json={"reading": reading, "format": form},
        headers={"X-CSRFToken": token, "Referer": str(client.base_url)},
    ).json()

    def ready() -> bool:
        state = client.get(f"/api/exports/{made['export']}").json()
        assert state["state"] != "failed", state
        return bool(state["state"] == "ready")

    until(ready, f"the {form} export", 120)
    return bytes(client.get(f"/api/exports/{made['export']}/file").content)


def read_nifti(data: bytes) -> Any:
    """The labels of a NIfTI file (slices, rows, columns)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "signed.nii.gz"
        path.write_bytes(data)
        return sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(np.uint16)


def grid_of(stack: Stack, case: str) -> Grid:
    """The grid of a case, from the database."""
    ((grid,),) = stack.query("select grid_json from reading_case where id = %s", case)
    return Grid.from_json(dict(grid))
