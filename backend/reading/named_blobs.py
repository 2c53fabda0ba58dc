"""Which columns of the reading room name blobs, and which of those can be made again."""

from __future__ import annotations

from typing import Any

import zstandard

from backend.imaging.masks import DamagedMask, canonical_json, slice_bytes, unpack_mask
from backend.jobs.models import Run
from backend.reading.models import (
    Consensus,
    ConsensusSignature,
    Mask,
    MaskSlice,
    Signature,
)
from backend.store import BlobMissing, references, store


def register_all() -> None:
    """Called once, when the room is ready."""
    register = references.register
    register(Mask, "hash", remake=manifest_of)
    register(Mask, "manifest_json", names=_slices, remake=slice_of_run)
    register(MaskSlice, "blob", remake=slice_of_run)
    register(Signature, "record_hash", remake=signed_record)
    register(ConsensusSignature, "record_hash", remake=signed_record)
    register(Consensus, "record_hash", remake=signed_record)


def _slices(manifest: dict[str, Any]) -> list[str]:
    return [blob for _, blob in manifest["slices"]]


def manifest_of(name: str) -> bytes | None:
    """A mask's manifest, as its row has it."""
    mask = Mask.objects.filter(hash=name).first()
    return canonical_json(mask.manifest_json) if mask else None


def signed_record(name: str) -> bytes | None:
    """What was signed, as the signature's row has it."""
    for model in (Signature, ConsensusSignature):
        signature = model._default_manager.filter(record_hash=name).first()
        if signature is not None:
            return canonical_json(signature.record)
    return None


def slice_of_run(name: str) -> bytes | None:
    """A slice of a model's mask, out of the packed mask that its worker sent."""
    for row in MaskSlice.objects.filter(blob=name, mask__run_id__isnull=False).select_related(
        "mask"
    ):
        run_id = row.mask.run_id
        run = Run.objects.filter(pk=run_id).first() if run_id else None
        if run is None or not run.mask_blob:
            continue
        try:
            packed = unpack_mask(store().read(run.mask_blob))
        except (BlobMissing, DamagedMask, zstandard.ZstdError):
            continue
        if row.index in packed.slices:
            return slice_bytes(packed.slices[row.index])
    return None
