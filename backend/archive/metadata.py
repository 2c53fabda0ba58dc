"""DICOM JSON of a dataset: big values by reference, nothing in it that Postgres cannot hold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from backend.archive.raw_elements import plain_json

Metadata: TypeAlias = dict[str, dict[str, Any]]

BULK_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
INLINE_BYTES = 256
LONG_TEXT = 64 << 10
MAX_DEPTH = 40  # Sequences in one another; reports come to about fifteen.


class TooDeep(Exception):
    """Sequences lie in one another deeper than any real object has them."""


def metadata_of(dataset: Dataset) -> Metadata:
    """DICOM JSON of the dataset, without group 2 and group lengths.

    Bulk values longer than 256 bytes become `{"vr", "BulkDataURI": "bulkdata/<path>"}`, relative
    to the instance; the path is the tag, or tag/item/tag… inside sequences. An element whose value
    contradicts its VR is given without value. Raises `TooDeep`.
    """
    return dict(_elements(dataset, ""))


def _elements(dataset: Dataset, path: str, depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    if depth > MAX_DEPTH:
        raise TooDeep
    for tag in sorted(dataset.keys()):
        if tag.element == 0 or tag.group <= 2:
            continue
        key = f"{tag:08X}"
        try:
            raw = dataset.get_item(tag)
            plain = plain_json(raw) if isinstance(raw, RawDataElement) else None
            yield key, plain or _json(dataset[tag], f"{path}{key}", depth)
        except (TooDeep, RecursionError):
            raise TooDeep from None
        except Exception:  # noqa: BLE001  pydicom raises many kinds on a malformed value
            yield key, {"vr": "UN"}


def _json(element: DataElement, path: str, depth: int) -> dict[str, Any]:
    vr = str(element.VR)
    if vr == "SQ":
        items = [
            dict(_elements(item, f"{path}/{number}/", depth + 1))
            for number, item in enumerate(element.value or [])
        ]
        return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
    if vr in BULK_VRS or " or " in vr:
        vr = "OW" if " or " in vr else vr
        size = len(element.value) if isinstance(element.value, bytes) else 0
        if size > INLINE_BYTES:
            return {"vr": vr, "BulkDataURI": f"bulkdata/{path}"}
    if isinstance(element.value, str) and len(element.value) > LONG_TEXT:
        return {"vr": vr, "BulkDataURI": f"bulkdata/{path}"}
    found: dict[str, Any] = element.to_json_dict(None, 1 << 40)
    if "InlineBinary" in found and not found["InlineBinary"]:
        del found["InlineBinary"]
    kept: dict[str, Any] = cleaned(found)
    return kept


def cleaned(value: Any) -> Any:
    """Without NUL characters, lone surrogates and non-finite numbers: Postgres refuses them."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, dict):
        return {cleaned(k): cleaned(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [cleaned(v) for v in value]
    return value


def clean_text(value: str) -> str:
    """Text without NUL characters and lone surrogates."""
    if value.isascii() and "\x00" not in value:
        return str(value)  # No subclass: a UID of pydicom's becomes plain text.
    return value.replace("\x00", "").encode("utf-8", "replace").decode()


def bulk_value(dataset: Dataset, path: str) -> bytes | None:
    """The bytes behind a BulkDataURI's path (`7FE00010`, `52009230/0/…`), or None."""
    steps = path.split("/")
    here = dataset
    try:
        for tag, number in zip(steps[:-1:2], steps[1::2], strict=True):
            here = here[Tag(int(tag, 16))].value[int(number)]
        value = here[Tag(int(steps[-1], 16))].value
    except (KeyError, IndexError, ValueError, TypeError, AttributeError):
        return None
    if isinstance(value, str):
        return value.encode()
    return value if isinstance(value, bytes) else None


def values(metadata: Metadata, tag: str) -> list[Any]:
    """The values of a top-level tag (eight hex digits), [] where it has none."""
    found = metadata.get(tag, {}).get("Value", [])
    return found if isinstance(found, list) else []


def rebased(metadata: Metadata, prefix: str) -> Metadata:
    """The same with `prefix` before every relative BulkDataURI."""

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            if isinstance(value.get("BulkDataURI"), str):
                return {**value, "BulkDataURI": prefix + value["BulkDataURI"]}
            return {k: moved(v) for k, v in value.items()}
        return [moved(v) for v in value] if isinstance(value, list) else value

    result: Metadata = moved(metadata)
    return result
