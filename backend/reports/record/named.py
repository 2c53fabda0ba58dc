"""Which blobs the events of a case name: what must travel with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from backend.imaging.masks import InvalidManifest, Manifest
from backend.reports.record.blobs import Blobs
from backend.reports.record.events import Event

# Facts that name a mask by its hash, and facts that name any other file. What people write stands
# under other names, so that no text can be taken for a file's.
MASKS = frozenset({"mask", "base", "head", "effective", "ai_mask", "settled", "ignored"})
FILES = frozenset(
    {"protocol_blob", "images", "frames", "record_hash", "record", "manifest", "file", "sidecar"}
)
INSIDE = frozenset({"told", "files"})
_SHA256 = re.compile(r"[0-9a-f]{64}")


def named_blobs(events: Sequence[Event], blobs: Blobs) -> list[str]:
    """The names of all blobs the events name, each once, those named first first.

    Reads what names others in turn: manifests of masks, and the list of frames.
    """
    found: dict[str, None] = {}
    for event in events:
        for key, name in names_in(event.facts):
            if name not in found:
                found[name] = None
                inner = _inside(key, name, blobs)
                found.update(dict.fromkeys(inner))
    return list(found)


def names_in(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(Name of the fact, name of the blob) for everything that one event names."""
    for key, value in facts.items():
        if isinstance(value, dict) and key in INSIDE:
            every = key == "files"
            for inner, name in value.items():
                if (every or inner in FILES | MASKS) and _is_hash(name):
                    yield inner, name
        elif key in FILES | MASKS and _is_hash(value):
            yield key, value


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _inside(key: str, name: str, blobs: Blobs) -> Iterable[str]:
    if key == "frames":
        return [str(frame) for frame in blobs.json_of(name, "The list of pixels")]
    if key not in MASKS:
        return []
    try:
        return Manifest.from_bytes(blobs.bytes_of(name, "The mask")).slices.values()
    except InvalidManifest:
        return []  # A worker's packed mask: its slices are inside it.
