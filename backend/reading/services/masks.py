"""Saving a mask: slices and manifest in the content store, then the row that names them.

The store keeps the canonical bytes of every manifest under the mask's own hash, beside its slices:
with the log and the store alone every mask can be read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from backend.accounts.models import User
from backend.imaging.masks import Labels, Manifest
from backend.reading import maskstore
from backend.reading.maskstore import Writes
from backend.reading.models import Case, Mask, MaskSlice, Reading
from backend.reading.models.masks import manifests
from backend.reading.vocabulary import AuthorKind, MaskKind


def save_mask(
    *,
    case: Case,
    kind: MaskKind,
    manifest: Manifest,
    author_kind: AuthorKind,
    blobs: Mapping[int, str] | None = None,
    planes: Mapping[int, Labels] | None = None,
    reading: Reading | None = None,
    author: User | None = None,
    run_id: UUID | None = None,
) -> Mask:
    """Keep a version of a mask; one of the case that is there already is given as it is.

    Args:
        blobs: the slices it brought, in the store already (index → blob, "" where it became empty).
        planes: in their place, slices that are not in the store yet.
        reading: whose version it is; None for a mask of the case.
    """
    if planes is not None:
        blobs = maskstore.put_version(manifest, planes)
    else:
        maskstore.put_version(manifest, {})
    own = {"kind": kind, "author_kind": author_kind, "author": author}
    named = {"case": case, "reading": reading, "hash": manifest.hash, "run_id": run_id}
    if reading is None:
        known = Mask.objects.filter(**named).first()
        if known is not None:
            return known
    mask = Mask.objects.create(**named, **own, manifest_json=maskstore.manifest_json(manifest))
    MaskSlice.objects.bulk_create(maskstore.own_slices(mask, blobs or {}))
    manifests.keep(mask.hash, manifest)
    return mask


def version_of(
    reading: Reading, manifest: Manifest, planes: Mapping[int, Labels], writes: Writes
) -> tuple[Mask, list[MaskSlice]]:
    """A version that its reader makes, on its way to the store; its rows are not saved yet.

    `planes` are the slices it brought, index → labels.
    """
    blobs = writes.begin(manifest, planes)
    mask = Mask(
        case=reading.case,
        reading=reading,
        hash=manifest.hash,
        kind=MaskKind.READING,
        author_kind=AuthorKind.PERSON,
        author=reading.reader,
        manifest_json=maskstore.manifest_json(manifest),
    )
    manifests.keep(mask.hash, manifest)
    return mask, maskstore.own_slices(mask, blobs)
