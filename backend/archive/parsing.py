"""From the bytes of one file to a DICOM object that can be stored, or to what is wrong with it."""

from __future__ import annotations

import hashlib
import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pydicom
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError

from backend.archive.findings import ASK_SENDER, Ignored, NotTaken
from backend.archive.inflating import inflatable
from backend.archive.metadata import Metadata, TooDeep, clean_text, metadata_of
from backend.archive.pixels import (
    NATIVE_LITTLE_ENDIAN,
    PixelFacts,
    inspect,
    plain_pixels,
    require_whole,
)
from backend.archive.plain_header import Header, read_header
from backend.archive.sources import may_be_dicom, not_dicom
from backend.imaging.codecs import PROGRESSIVE_JPEG

# What pydicom would log of a broken file is a sentence of ours.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

READ_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.2",  # CT
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
        "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy converted enhanced CT
        "1.2.840.10008.5.1.4.1.1.4",  # MR
        "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR
        "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy converted enhanced MR
        "1.2.840.10008.5.1.4.1.1.128",  # PET
        "1.2.840.10008.5.1.4.1.1.128.1",  # Legacy converted enhanced PET
        "1.2.840.10008.5.1.4.1.1.130",  # Enhanced PET
    }
)
_SYNTAXES = frozenset({*uid.AllTransferSyntaxes, PROGRESSIVE_JPEG})
DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_NEEDED = (
    ("SOPInstanceUID", "SOP Instance UID"),
    ("SeriesInstanceUID", "Series Instance UID"),
    ("StudyInstanceUID", "Study Instance UID"),
    ("SOPClassUID", "SOP Class UID"),
)


@dataclass(frozen=True)
class Incoming:
    """One DICOM object, read and found whole.

    `header` answers `get(keyword)`: a pydicom data set, or of a plain file what was read of it.
    """

    name: str
    data: bytes = field(repr=False)
    header: Dataset | Header = field(repr=False)
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class_uid: str
    transfer_syntax: str
    pixels: PixelFacts | None
    metadata: Metadata = field(repr=False)

    @property
    def is_image(self) -> bool:
        """Whether it is a CT, MR or PET image."""
        return self.sop_class_uid in READ_CLASSES

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) of its bytes, as the content store names them."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def known_hash(self) -> str | None:
        """Its hash, where somebody needed it before."""
        return vars(self).get("hash")

    @cached_property
    def dataset(self) -> Dataset:
        """The object as pydicom reads it; of a plain file only now."""
        if isinstance(self.header, Dataset):
            return self.header
        return pydicom.dcmread(io.BytesIO(self.data))


def parse(name: str, data: bytes, change: Callable[[Dataset], bytes] | None = None) -> Incoming:
    """Read one file.

    A DICOM object without preamble and file meta information is taken if it names all its UIDs;
    it is stored with both added.

    Args:
        name: what its sentences call it.
        data: its bytes.
        change: gives the bytes of another file to take in its place (de-identification), of the
            data set as it was read, nothing in it looked at.

    Raises:
        NotTaken: with what is wrong.
        Ignored: for a DICOMDIR.
    """
    if not data:
        raise NotTaken("EMPTY", "{name} is empty.", "Send the file again.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What pydicom would warn of is judged here.
        try:
            return _parse(name, data, change)
        except (NotTaken, Ignored):
            raise
        except (TooDeep, RecursionError):
            raise NotTaken(
                "TOO_DEEP",
                "{name} has sequences in one another deeper than any real object.",
                ASK_SENDER,
            ) from None
        except Exception as error:  # No file may stop a batch.
            raise NotTaken(
                "UNREADABLE",
                f"{{name}} begins like DICOM but cannot be read ({type(error).__name__}).",
                "The file is damaged or cut off; send it again from the scanner or PACS.",
            ) from error


def _parse(name: str, data: bytes, change: Callable[[Dataset], bytes] | None) -> Incoming:
    if change is not None:
        original = _opened(name, data)[0]
        with _told_of(original):
            require_whole(original)
        data = change(original)
    if plain := _plain(name, data):
        return plain
    dataset, data = _opened(name, data)
    with _told_of(dataset):
        require_whole(dataset)
        uids = _uids(dataset)
        pixels = inspect(dataset)
        if pixels is None and (uids["SOPClassUID"] in READ_CLASSES or "Rows" in dataset):
            raise NotTaken(
                "NO_PIXELS",
                "{name} is an image without pixels: only a header, or cut off before the pixels.",
                ASK_SENDER,
            )
    return Incoming(
        name=name,
        data=data,
        header=dataset,
        study_uid=uids["StudyInstanceUID"],
        series_uid=uids["SeriesInstanceUID"],
        sop_uid=uids["SOPInstanceUID"],
        sop_class_uid=uids["SOPClassUID"],
        transfer_syntax=str(dataset.file_meta.TransferSyntaxUID),
        pixels=pixels,
        metadata=_served_metadata(dataset),
    )


@contextmanager
def _told_of(dataset: Dataset) -> Iterator[None]:
    """What is found wrong is told with the object's UIDs."""
    try:
        yield
    except NotTaken as problem:
        problem.sop_uid = text(dataset, "SOPInstanceUID")[:64]
        problem.series_uid = text(dataset, "SeriesInstanceUID")[:64]
        raise


def _opened(name: str, data: bytes) -> tuple[Dataset, bytes]:
    dataset, data = _read(data)
    if str(dataset.file_meta.get("MediaStorageSOPClassUID", "")) == DICOMDIR_CLASS:
        raise Ignored(name)
    return dataset, data


def _plain(name: str, data: bytes) -> Incoming | None:
    """The same of a plain file with whole native pixels; None where it has to be judged above."""
    header = read_header(data)
    pixels = plain_pixels(header) if header is not None else None
    if header is None or pixels is None:
        return None
    uids = [header.get(key) for key, _ in _NEEDED]
    if not all(isinstance(value, str) and is_uid(value) for value in uids):
        return None
    sop_uid, series_uid, study_uid, sop_class_uid = uids
    return Incoming(
        name=name,
        data=data,
        header=header,
        study_uid=study_uid,
        series_uid=series_uid,
        sop_uid=sop_uid,
        sop_class_uid=sop_class_uid,
        transfer_syntax=header.syntax,
        pixels=pixels,
        metadata=header.metadata,
    )


def _read(data: bytes) -> tuple[Dataset, bytes]:
    try:
        dataset = pydicom.dcmread(inflatable(data), force=False)
    except InvalidDicomError:
        return _without_preamble(data)
    meta = getattr(dataset, "file_meta", None)
    if meta is None or not meta.get("TransferSyntaxUID"):
        return _rewritten(dataset)
    if meta.TransferSyntaxUID not in _SYNTAXES:
        raise NotTaken(
            "UNSUPPORTED_SYNTAX",
            f"{{name}} is written in the transfer syntax {meta.TransferSyntaxUID}, "
            "which cannot be read here.",
            "Export it again as Explicit VR Little Endian.",
        )
    return dataset, data


def _without_preamble(data: bytes) -> tuple[Dataset, bytes]:
    refused = not_dicom()
    if not may_be_dicom(data):
        raise refused
    try:
        dataset = pydicom.dcmread(inflatable(data), force=True)
        known = any(text(dataset, key) for key in ("SOPClassUID", "SOPInstanceUID", "Modality"))
    except NotTaken:
        raise
    except Exception:  # noqa: BLE001  bytes that only look like a data set
        raise refused from None
    if not known:
        raise refused
    return _rewritten(dataset)


def _rewritten(dataset: Dataset) -> tuple[Dataset, bytes]:
    """The object as a proper file, read back: with preamble and file meta information."""
    _uids(dataset)
    with _told_of(dataset):
        require_whole(dataset)
    implicit, little = dataset.original_encoding
    syntax = uid.ExplicitVRBigEndian
    if little is not False:
        syntax = uid.ExplicitVRLittleEndian if implicit is False else uid.ImplicitVRLittleEndian
    meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    dataset.file_meta = meta
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    data = buffer.getvalue()
    return pydicom.dcmread(io.BytesIO(data)), data


def _uids(dataset: Dataset) -> dict[str, str]:
    found = {key: text(dataset, key) for key, _ in _NEEDED}
    lacking = [label for key, label in _NEEDED if not found[key]]
    if lacking:
        raise NotTaken(
            "MISSING_UID",
            f"{{name}} lacks its {_listed(lacking)}.",
            "Send the original file; these identify it and cannot be made up.",
            sop_uid=found["SOPInstanceUID"][:64],
        )
    bad = [label for key, label in _NEEDED if not is_uid(found[key])]
    if bad:
        raise NotTaken(
            "BAD_UID",
            f"{{name}} has no proper {_listed(bad)}: a UID is digits and dots, at most 64.",
            "Have the sender correct it; UIDs are never changed here.",
        )
    return found


def is_uid(value: str) -> bool:
    """Whether the text is a UID that may stand in an address."""
    return len(value) <= 64 and _UID.fullmatch(value) is not None


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _served_metadata(dataset: Dataset) -> Metadata:
    """The metadata as frames are served: colour that is decoded comes as RGB."""
    metadata = metadata_of(dataset)
    native = dataset.file_meta.TransferSyntaxUID in NATIVE_LITTLE_ENDIAN
    if not native and dataset.get("SamplesPerPixel") == 3:
        metadata["00280004"] = {"vr": "CS", "Value": ["RGB"]}
        metadata["00280006"] = {"vr": "US", "Value": [0]}
    return metadata


def text(dataset: Dataset | Header, keyword: str) -> str:
    """A value as text ("" where absent or malformed), safe for the database."""
    try:
        value: Any = dataset.get(keyword)
    except Exception:  # noqa: BLE001  pydicom raises many kinds on a malformed value
        return ""
    if value is None:
        return ""
    if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
        value = "\\".join(str(v) for v in value)
    return clean_text(str(value)).strip()
