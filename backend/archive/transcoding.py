"""Stored objects in other transfer syntaxes: explicit little endian, and HTJ2K without loss."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.tag import Tag
from pydicom.uid import UID

from backend.archive import identity
from backend.archive.accept import EXPLICIT_LITTLE_ENDIAN, FRAME_TYPES, HTJ2K_LOSSLESS
from backend.archive.models import Instance
from backend.archive.pixels import NATIVE_LITTLE_ENDIAN, decode, raw_frame
from backend.archive.storing import read_dataset
from backend.archive.volume import native_frame
from backend.imaging.codecs import encode_htj2k
from backend.store import store

_COMPRESSED = frozenset(syntax for syntaxes in FRAME_TYPES.values() for syntax in syntaxes)
# What one decoder makes of these another may make a little differently.
LOSSY = frozenset(
    {
        "1.2.840.10008.1.2.4.50",
        "1.2.840.10008.1.2.4.51",
        "1.2.840.10008.1.2.4.55",
        "1.2.840.10008.1.2.4.81",
        "1.2.840.10008.1.2.4.91",
        "1.2.840.10008.1.2.4.203",
    }
)


def compressed_syntaxes(instance: Instance) -> list[str]:
    """The transfer syntaxes its frames can be given in besides the plain one; stored one first."""
    found = [instance.transfer_syntax] if instance.transfer_syntax in _COMPRESSED else []
    if HTJ2K_LOSSLESS not in found and _fits_htj2k(instance):
        found.append(HTJ2K_LOSSLESS)
    return found


def instance_syntaxes(instance: Instance) -> list[str]:
    """The transfer syntaxes the whole object can be given in; the stored one first."""
    found = [instance.transfer_syntax]
    for syntax in (EXPLICIT_LITTLE_ENDIAN, *compressed_syntaxes(instance)):
        if syntax not in found:
            found.append(syntax)
    return found


def _fits_htj2k(instance: Instance) -> bool:
    facts = instance.pixels
    return bool(
        instance.frames
        and facts["bits_allocated"] in (8, 16)
        and facts["samples"] in (1, 3)
        and not _is_subsampled(instance)
    )


def _is_subsampled(instance: Instance) -> bool:
    """Native colour at half width: its bytes are no array of samples."""
    facts = instance.pixels
    whole = facts["rows"] * facts["columns"] * facts["samples"] * facts["bits_allocated"] // 8
    return instance.frame_bytes is not None and instance.frame_bytes != whole


def frames_of(instance: Instance, indexes: Sequence[int], syntax: str) -> Iterator[bytes]:
    """Frames (from 0) in a transfer syntax that `compressed_syntaxes` names, or plain ones."""
    if syntax == EXPLICIT_LITTLE_ENDIAN:
        yield from plain_frames(instance, indexes)
        return
    dataset = read_dataset(instance)
    for index in indexes:
        if syntax == instance.transfer_syntax:
            yield get_frame(dataset.PixelData, index, number_of_frames=instance.frames)
        else:
            yield _as_htj2k(dataset, index)


def plain_frames(instance: Instance, indexes: Sequence[int]) -> Iterator[bytes]:
    """Uncompressed little-endian bytes of frames (from 0)."""
    dataset = None
    for index in indexes:
        data = native_frame(instance, index)
        if data is None:
            if dataset is None:
                dataset = read_dataset(instance)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                data = raw_frame(dataset, index)
        yield data


def _as_htj2k(dataset: Dataset, index: int) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return encode_htj2k(decode(dataset, index))


def part10(instance: Instance, *, syntax: str, named: bool) -> bytes:
    """The instance as a file in a transfer syntax; without the patient if not `named`."""
    as_stored = syntax == instance.transfer_syntax
    if named and as_stored:
        return store().read(instance.blob)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = read_dataset(instance)
        if not named:
            _blank(dataset)
        if not as_stored:
            _recode(dataset, instance, syntax)
        return _written(dataset, instance)


def _blank(dataset: Dataset) -> None:
    try:
        identity.blank(dataset)
    except Exception:  # noqa: BLE001  pydicom raises many kinds on a malformed value
        _empty_unwritable(dataset, dataset.file_meta.TransferSyntaxUID)
        identity.blank(dataset)


def _written(dataset: Dataset, instance: Instance) -> bytes:
    """The data set as a file; elements whose value contradicts their VR go out empty.

    But for what names it and how its pixels lie: that goes out as the archive knows it.
    """
    try:
        buffer = io.BytesIO()
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    except Exception:  # noqa: BLE001  pydicom raises many kinds on a malformed value
        syntax = dataset.file_meta.TransferSyntaxUID
        _empty_unwritable(dataset, syntax)
        dataset.file_meta = FileMetaDataset()  # pydicom fills in the rest.
        dataset.file_meta.TransferSyntaxUID = syntax
        for keyword, value in _known(instance).items():
            tag = Tag(keyword)
            dataset[tag] = DataElement(tag, dictionary_VR(tag), value)
        buffer = io.BytesIO()
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def _known(instance: Instance) -> dict[str, Any]:
    """What the archive's rows tell of an instance, by keyword."""
    named = {
        "SOPClassUID": instance.sop_class_uid,
        "SOPInstanceUID": instance.sop_uid,
        "SeriesInstanceUID": instance.series.uid,
        "StudyInstanceUID": instance.series.study.uid,
    }
    facts = instance.pixels
    if not facts:
        return named
    return named | {
        "Rows": facts["rows"],
        "Columns": facts["columns"],
        "SamplesPerPixel": facts["samples"],
        "BitsAllocated": facts["bits_allocated"],
        "BitsStored": facts["bits_stored"],
        "PixelRepresentation": int(facts["signed"]),
    }


def _empty_unwritable(dataset: Dataset, syntax: UID) -> None:
    """Empty, at every level, what cannot be written; drop what may not be in a file."""
    for tag in list(dataset.keys()):
        # Of a file's header or of commands; or what delimits items, left by a damaged length.
        if (tag.group < 8 and tag.group % 2 == 0) or tag.group == 0xFFFE:
            del dataset[tag]
            continue
        try:
            element = dataset[tag]
            if element.VR == "SQ":
                for item in element.value:
                    _empty_unwritable(item, syntax)
            scratch = DicomBytesIO()
            scratch.is_implicit_VR, scratch.is_little_endian = syntax.is_implicit_VR, True
            write_data_element(scratch, element)
        except Exception:  # noqa: BLE001  as above
            dataset[tag] = DataElement(tag, "UN", None)


def _recode(dataset: Dataset, instance: Instance, syntax: str) -> None:
    """Pixels and transfer syntax of a data set, changed in place."""
    if syntax == HTJ2K_LOSSLESS:
        dataset.PixelData = encapsulate([_as_htj2k(dataset, i) for i in range(instance.frames)])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        if instance.pixels["samples"] == 3:
            dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "YBR_RCT", 0
    elif instance.transfer_syntax not in NATIVE_LITTLE_ENDIAN and "PixelData" in dataset:
        data = plain_pixels(dataset, instance.frames)
        dataset.PixelData = data + b"\x00" * (len(data) % 2)
        dataset["PixelData"].VR = "OB" if dataset.BitsAllocated <= 8 else "OW"
        dataset["PixelData"].is_undefined_length = False
        if dataset.get("SamplesPerPixel") == 3:
            dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.file_meta.TransferSyntaxUID = UID(syntax)


def plain_pixels(dataset: Dataset, frames: int) -> bytes:
    """All frames of a data set as one explicit little-endian Pixel Data value, without padding.

    Frames of one bit follow one another without a gap, as they do in the standard.
    """
    if int(dataset.BitsAllocated) != 1:
        return b"".join(raw_frame(dataset, index) for index in range(frames))
    bits: list[Any] = [decode(dataset, index).ravel().astype(np.uint8) for index in range(frames)]
    return np.packbits(np.concatenate(bits), bitorder="little").tobytes()
