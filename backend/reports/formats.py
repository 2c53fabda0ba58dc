"""The files a signed mask can be written as, and how each is read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID, uuid5

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
from backend.reports.models import ExportFormat
from backend.version import RESEARCH_NOTICE, VERSION


@dataclass(frozen=True)
class Content:
    """What goes into a file: the effective label map and who is who in it."""

    labels: Labels
    grid: Grid
    nodes: dict[int, str]
    segments: tuple[NodeSegment, ...]
    series_id: UUID
    creator: str
    mask_hash: str


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


@dataclass(frozen=True)
class Format:
    """One file format: how it is written, read back, named and served."""

    write: Callable[[Content, UUID], bytes]
    read: Callable[[bytes, Content], Labels]
    suffix: str
    content_type: str


FORMATS: dict[str, Format] = {
    ExportFormat.SEG.value: Format(_write_seg, _read_seg, ".seg.dcm", "application/dicom"),
    ExportFormat.NIFTI.value: Format(_write_nifti, _read_nifti, ".nii.gz", "application/gzip"),
}
