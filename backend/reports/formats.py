"""The files a signed mask can be written as, and how each is read back and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

import numpy as np

from backend.archive.models import Series
from backend.archive.services import source_headers
from backend.errors import WrongState
from backend.imaging.grid import Grid
from backend.imaging.masks import Labels
from backend.imaging.nifti import read_nifti, write_nifti
from backend.imaging.seg import Algorithm, NodeSegment, Origin, read_seg_labels, write_seg
from backend.jobs.models import Run
from backend.reading import maskstore
from backend.reading.models import Mask, NodeState, Reading
from backend.reading.vocabulary import Decision
from backend.reading.vocabulary import Origin as NodeOrigin
from backend.reports import tables
from backend.reports.models import ExportFormat
from backend.version import RESEARCH_NOTICE, VERSION


class NotTheMask(ValueError):
    """The written file is not the mask, so it was thrown away. Ask for it again; report it."""

    def __init__(self, differing: int) -> None:
        super().__init__(
            f"Read back, the written file differs from the signed mask in {differing} voxels. "
            "It was thrown away. Ask for the export again, and report this."
        )


class NotTheTable(ValueError):
    """The written table is not what was agreed, so it was thrown away. Ask again; report it."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"Read back, {what} differs from what was signed. It was thrown away. "
            "Ask for the export again, and report this."
        )


@dataclass(frozen=True)
class Content:
    """What goes into a file: the effective label map and who is who in it.

    Attributes:
        rows: of a consensus, its nodes as the rows of its table, by number.
        facts: of a consensus, what is the same in every row.
    """

    labels: Labels
    grid: Grid
    nodes: dict[int, str]
    segments: tuple[NodeSegment, ...]
    series_id: UUID
    creator: str
    mask_hash: str
    rows: tuple[tables.Row, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


def content_of(reading: Reading) -> Content:
    """The content of a signed reading's export."""
    mask = reading.effective
    if mask is None:
        raise WrongState(
            "NOT_SIGNED", "This reading is not signed yet.", "Wait until its reader has submitted."
        )
    manifest = mask.manifest
    return Content(
        labels=maskstore.volume(mask),
        grid=reading.case.grid,
        nodes=dict(manifest.labels),
        segments=tuple(_segments(reading)),
        series_id=reading.case.series_id,
        creator=f"Concord^{reading.slot}",
        mask_hash=mask.hash,
    )


def _segments(reading: Reading) -> list[NodeSegment]:
    algorithm = _algorithm(reading.ai_mask)
    states = (
        NodeState.objects.filter(reading=reading, measures__isnull=False)
        .exclude(decision=Decision.REJECTED)
        .select_related("node")
        .order_by("label")
    )
    return [_segment(state, algorithm) for state in states]


def _segment(state: NodeState, algorithm: Algorithm | None) -> NodeSegment:
    origin = origin_of(state)
    if algorithm is None:
        origin = "MANUAL"
    side = state.side if state.side in ("R", "L") else None
    return NodeSegment(
        label=state.label,
        node=str(state.node_id),
        name=f"Lymph node {state.label}",
        origin=origin,
        algorithm=None if origin == "MANUAL" else algorithm,
        laterality="R" if side == "R" else "L" if side == "L" else None,
    )


def origin_of(state: NodeState) -> Origin:
    """AUTOMATIC as the AI drew it, SEMIAUTOMATIC once a reader changed it, MANUAL if a reader's."""
    if state.node.origin == NodeOrigin.ADDED:
        return "MANUAL"
    return "SEMIAUTOMATIC" if state.touched else "AUTOMATIC"


def _algorithm(mask: Mask | None) -> Algorithm | None:
    if mask is None or mask.run_id is None:
        return None
    run = Run.objects.select_related("model").filter(pk=mask.run_id).first()
    return Algorithm(run.model.name, run.model.version) if run else None


def _write_seg(content: Content, export: UUID) -> bytes:
    series = Series.objects.get(pk=content.series_id)
    return write_seg(
        content.labels,
        content.grid,
        source_headers(series),
        content.segments,
        software_version=VERSION,
        sop_uid=f"2.25.{export.int}",
        series_uid=f"2.25.{uuid5(export, 'series').int}",
        creator=content.creator,
    )


def _read_seg(data: bytes, content: Content) -> Labels:
    return read_seg_labels(data, content.grid, content.nodes)


def _write_nifti(content: Content, export: UUID) -> bytes:
    description = f"{RESEARCH_NOTICE} Concord {VERSION} {content.mask_hash[:12]}"
    return write_nifti(content.labels, content.grid, description)


def _read_nifti(data: bytes, content: Content) -> Labels:
    labels: Labels = read_nifti(data, content.grid)
    return labels


def _write_csv(content: Content, export: UUID) -> bytes:
    return tables.write_csv(content.rows)


def _read_csv(data: bytes, content: Content) -> list[tables.Row]:
    return tables.read_csv(data)


def same_voxels(labels: Labels, content: Content) -> dict[str, Any]:
    """What was compared, where every voxel is the mask's; raises `NotTheMask`."""
    mask = content.labels
    differing = (
        int(np.count_nonzero(labels != mask)) if labels.shape == mask.shape else int(mask.size)
    )
    if differing:
        raise NotTheMask(differing)
    present = np.flatnonzero(np.bincount(mask.ravel()))
    return {
        "voxels": int(mask.size),
        "foreground": int(np.count_nonzero(mask)),
        "segments": int(np.count_nonzero(present)),
    }


def same_rows(rows: list[tables.Row], content: Content) -> dict[str, Any]:
    """What was compared, where every cell is as it was agreed; raises `NotTheTable`."""
    if rows != list(content.rows):
        raise NotTheTable("the written table")
    return {"rows": len(rows), "columns": len(tables.COLUMNS)}


@dataclass(frozen=True)
class Format:
    """One file format: how it is written, read back and compared, how it is named and served."""

    write: Callable[[Content, UUID], bytes]
    read: Callable[[bytes, Content], Any]
    same: Callable[[Any, Content], dict[str, Any]]
    suffix: str
    content_type: str


FORMATS: dict[str, Format] = {
    ExportFormat.SEG.value: Format(
        _write_seg, _read_seg, same_voxels, ".seg.dcm", "application/dicom"
    ),
    ExportFormat.NIFTI.value: Format(
        _write_nifti, _read_nifti, same_voxels, ".nii.gz", "application/gzip"
    ),
    ExportFormat.CSV.value: Format(
        _write_csv, _read_csv, same_rows, ".csv", "text/csv; charset=utf-8"
    ),
}


def sidecar_of(file_format: str, content: Content, sha256: str) -> bytes | None:
    """What a NIfTI's numbers mean, as JSON that was read back; None where a file says it itself."""
    if file_format != ExportFormat.NIFTI or not content.facts:
        return None
    data = tables.write_sidecar(content.rows, content.facts, sha256)
    told = tables.read_sidecar(data)
    numbers = {str(number) for number in np.flatnonzero(np.bincount(content.labels.ravel()))}
    wanted = {row["number"]: row["tracking_uid"] for row in content.rows}
    found = {number: label.get("tracking_uid") for number, label in told["labels"].items()}
    if found != wanted or set(found) != numbers - {"0"} or told["file_sha256"] != sha256:
        raise NotTheTable("the table of labels")
    return data
