"""The bodies of changes, read strictly: what a client may ask of a reading."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from backend.errors import BadInput
from backend.imaging.grid import Grid
from backend.imaging.masks import InvalidPatch, Patch, parse_patch
from backend.reading.evidence import LEVELS, SIDES
from backend.reading.vocabulary import Decision, Impression, Reason, WhyNotAssessable

KINDS = (
    "voxels",
    "decision",
    "impression",
    "doubt",
    "level",
    "split",
    "merge",
    "region",
    "size",
    "undo",
)
FIELDS = {
    "voxels": {"nodes", "slices", "prompt", "proposal"},
    "decision": {"node", "decision", "reason", "proposal"},
    "impression": {"node", "value", "confidence", "reason"},
    "doubt": {"node", "value"},
    "level": {"node", "side", "level"},
    "split": {"node", "part", "slices"},
    "merge": {"node", "merged"},
    "region": {"region", "reason", "slices"},
    "size": {"node", "long", "short"},
    "undo": {"undoes", "inverse"},
}
LONGEST_MM = 300
MOST_NODES = 255
_SHA256 = re.compile(r"[0-9a-f]{64}")
# What a reader says outright; the others follow from what they do, and come back by undo.
SAID = (Decision.ACCEPTED.value, Decision.REJECTED.value, Decision.UNDECIDED.value)


@dataclass(frozen=True)
class Source:
    """What a change takes of a newer proposal: its mask, and the nodes of it (none: a loss)."""

    mask: str
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Voxels:
    """New labels of voxels; `prompt` is the run whose answer they are, `source` the mask of a
    newer proposal that they come from, if any."""

    patch: Patch
    prompt: str | None = None
    source: Source | None = None


@dataclass(frozen=True)
class Decide:
    """A decision on a node; `source` is the newer proposal that led to it, if any."""

    node: str
    decision: str
    reason: str
    source: Source | None = None


@dataclass(frozen=True)
class Impress:
    """An image impression of a node, or (value "") its withdrawal."""

    node: str
    value: str
    confidence: int | None
    reason: str


@dataclass(frozen=True)
class Doubt:
    """A mark for the second reader to look at a node."""

    node: str
    value: bool


@dataclass(frozen=True)
class Locate:
    """Where a reader says a node lies: side and level, "" for what they leave open."""

    node: str
    side: str
    level: str


@dataclass(frozen=True)
class Split:
    """Voxels of a node that become a node of their own; `patch` names that one alone."""

    node: str
    part: str
    patch: Patch


@dataclass(frozen=True)
class Merge:
    """All voxels of `merged` become those of `node`."""

    node: str
    merged: str


@dataclass(frozen=True)
class Region:
    """What a region that cannot be read is from now on; nothing where it has no slices."""

    region: str
    reason: str
    slices: tuple[Mapping[str, Any], ...]
    patch: Patch


Line: TypeAlias = tuple[tuple[float, float, float], tuple[float, float, float]] | float | None


@dataclass(frozen=True)
class Resize:
    """A node's axes as the reader measured them: two ends ``(slice, row, column)``, mm, or None."""

    node: str
    long: Line
    short: Line


OfVoxels: TypeAlias = Voxels | Split | Merge
OfNode: TypeAlias = Decide | Impress | Doubt | Locate | Resize
Body: TypeAlias = OfVoxels | OfNode | Region


@dataclass(frozen=True)
class Undo:
    """A change that takes an earlier one back."""

    undoes: UUID
    inverse: Body


def parse_change(body: Mapping[str, Any], grid: Grid) -> Body | Undo:
    """Read the body of a change; raises `BadInput` naming the first thing that is wrong."""
    if body.get("kind") == "undo":
        _require_fields(body, "undo")
        return _undo(body, grid)
    return parse_body(body, grid)


def parse_body(body: Mapping[str, Any], grid: Grid, *, undoing: bool = False) -> Body:
    """Read the body of a change that is not an undo, or of the inverse an undo carries."""
    kind = str(body.get("kind"))
    if kind in FIELDS:
        _require_fields(body, kind)
    if kind == "voxels":
        return Voxels(_patch(body, grid), _prompt(body, undoing), _source(body, undoing))
    if kind == "decision":
        return _decide(body, undoing)
    if kind == "impression":
        return _impress(body)
    if kind == "doubt":
        if not isinstance(body.get("value"), bool):
            raise _bad("The value of a doubt is true or false.")
        return Doubt(_node(body), body["value"])
    if kind == "level":
        return _locate(body)
    if kind == "split":
        return _split(body, grid)
    if kind == "merge":
        return _merge(body)
    if kind == "region":
        return _region(body, grid)
    if kind == "size":
        return Resize(_node(body), _line(body.get("long"), grid), _line(body.get("short"), grid))
    raise BadInput(
        "UNKNOWN_KIND",
        f"There is no change of kind {kind!r} here.",
        "Send one of the kinds that exist.",
        possible=list(KINDS),
    )


def parse_shape(shape: Mapping[str, Any], node: str, grid: Grid) -> Patch:
    """Read a shape drawn on an empty map: the slices of a change of voxels, with k 0 or 1."""
    unknown = sorted(set(shape) - {"slices"})
    if unknown:
        raise _bad(f"A shape has no field {str(unknown[0])[:40]!r}.")
    return _patch({"nodes": [node], "slices": shape.get("slices")}, grid)


def _require_fields(body: Mapping[str, Any], kind: str) -> None:
    """Refuse what a change of this kind does not say: it would be kept for ever, unread."""
    unknown = sorted(set(body) - FIELDS[kind] - {"kind"})
    if unknown:
        raise _bad(f"A change of kind {kind} has no field {unknown[0][:40]!r}.")


def _bad(message: str) -> BadInput:
    return BadInput("BAD_CHANGE", message, "Correct the change and send it again.")


def _uuid(value: Any, what: str) -> UUID:
    try:
        return UUID(str(value))
    except ValueError:
        raise _bad(f"{what} is not a UUID.") from None


def _node(body: Mapping[str, Any]) -> str:
    return str(_uuid(body.get("node"), "The node"))


def _patch(body: Mapping[str, Any], grid: Grid) -> Patch:
    """The patch, with slices named by SOP Instance UID in any order."""
    slices = body.get("slices")
    if not isinstance(slices, list):
        raise _bad("`slices` is not a list.")
    index_of = {uid: index for index, uid in enumerate(grid.sop_uids)}
    indexed = []
    for entry in slices:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("sop"), str):
            raise _bad("A slice does not name its image.")
        if entry["sop"] not in index_of:
            raise _bad(f"The image {entry['sop'][:80]} is not of this case.")
        rest = {key: value for key, value in entry.items() if key != "sop"}
        indexed.append({**rest, "index": index_of[entry["sop"]]})
    indexed.sort(key=lambda entry: entry["index"])
    try:
        return parse_patch({"nodes": body.get("nodes"), "slices": indexed}, grid.shape)
    except InvalidPatch as error:
        raise _bad(str(error)) from error


def _prompt(body: Mapping[str, Any], undoing: bool) -> str | None:
    if body.get("prompt") is None:
        return None
    if undoing:
        raise _bad("What is undone was proposed by nobody.")
    return str(_uuid(body["prompt"], "The prompt"))


def _source(body: Mapping[str, Any], undoing: bool) -> Source | None:
    given = body.get("proposal")
    if given is None:
        return None
    if undoing:
        raise _bad("What is undone was proposed by nobody.")
    if not isinstance(given, Mapping) or set(given) != {"mask", "nodes"}:
        raise _bad("A proposal has a mask and nodes.")
    mask, nodes = given["mask"], given["nodes"]
    if not isinstance(mask, str) or not _SHA256.fullmatch(mask):
        raise _bad("The mask of a proposal is named by its SHA-256.")
    if not isinstance(nodes, list) or len(nodes) > MOST_NODES:
        raise _bad(f"The nodes of a proposal are a list of at most {MOST_NODES}.")
    return Source(mask, tuple(str(_uuid(node, "A node of the proposal")) for node in nodes))


def _decide(body: Mapping[str, Any], undoing: bool) -> Decide:
    allowed = tuple(Decision.values) if undoing else SAID
    decision, reason = body.get("decision"), body.get("reason") or ""
    if decision not in allowed:
        raise _bad(f"A decision is one of {', '.join(allowed)}.")
    if reason and (decision != Decision.REJECTED or reason not in Reason.values):
        raise _bad(f"A rejection has one of the reasons {', '.join(Reason.values)}.")
    return Decide(_node(body), decision, reason, _source(body, undoing))


def _impress(body: Mapping[str, Any]) -> Impress:
    value, confidence = body.get("value") or "", body.get("confidence")
    reason = body.get("reason") or ""
    if value and value not in Impression.values:
        raise _bad(f"An impression is one of {', '.join(Impression.values)}.")
    if confidence is not None and (type(confidence) is not int or not 0 <= confidence <= 100):
        raise _bad("Confidence is a whole number from 0 to 100.")
    if not isinstance(reason, str) or len(reason) > 200:
        raise _bad("The reason of an impression is a text of at most 200 characters.")
    if not value:
        return Impress(_node(body), "", None, "")
    return Impress(_node(body), value, confidence, reason)


def _locate(body: Mapping[str, Any]) -> Locate:
    side, level = body.get("side") or "", body.get("level") or ""
    if side not in ("", *SIDES):
        raise _bad(f"A side is one of {', '.join(SIDES)}, or null where it is not set.")
    if level not in ("", *LEVELS):
        raise _bad(f"A level is one of {', '.join(LEVELS)}, or null where it is not set.")
    return Locate(_node(body), side, level)


def _split(body: Mapping[str, Any], grid: Grid) -> Split:
    node, part = _node(body), str(_uuid(body.get("part"), "The part"))
    if part == node:
        raise _bad("A part is a new node of its own.")
    return Split(node, part, _solid(body, part, grid))


def _solid(body: Mapping[str, Any], name: str, grid: Grid) -> Patch:
    """The slices of a shape: a patch of one node whose runs are all its own."""
    patch = _patch({"nodes": [name], "slices": body.get("slices")}, grid)
    if any(k != 1 for part in patch.slices for _, _, k in part.runs):
        raise _bad("Every run of a shape has k = 1.")
    return patch


def _merge(body: Mapping[str, Any]) -> Merge:
    node, merged = _node(body), str(_uuid(body.get("merged"), "The merged node"))
    if node == merged:
        raise _bad("A node is merged with another one.")
    return Merge(node, merged)


def _region(body: Mapping[str, Any], grid: Grid) -> Region:
    name, reason = str(_uuid(body.get("region"), "The region")), body.get("reason") or ""
    patch = _solid(body, name, grid)
    filled = any(part.runs for part in patch.slices)
    if reason not in ("", *WhyNotAssessable.values):
        raise _bad(f"A region has one of the reasons {', '.join(WhyNotAssessable.values)}.")
    if filled != bool(reason):
        raise _bad("A region has voxels and a reason; one that is taken back has neither.")
    return Region(name, reason, tuple(body["slices"]) if filled else (), patch)


def _line(value: Any, grid: Grid) -> Line:
    """Two ends within the images, a length in mm, or None."""
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 < value <= LONGEST_MM:
            raise _bad(f"An axis is longer than 0 and at most {LONGEST_MM} mm.")
        return float(value)
    ends = value if isinstance(value, list) else []
    if len(ends) != 2 or not all(_is_place(end, grid) for end in ends) or ends[0] == ends[1]:
        raise _bad("An axis is a length in mm, or two places (slice, row, column) in the images.")
    first, second = (tuple(float(n) for n in end) for end in ends)
    return (first[0], first[1], first[2]), (second[0], second[1], second[2])


def _is_place(value: Any, grid: Grid) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(n, int | float) and not isinstance(n, bool) for n in value)
        and all(-0.5 <= n <= size - 0.5 for n, size in zip(value, grid.shape, strict=True))
    )


def _undo(body: Mapping[str, Any], grid: Grid) -> Undo:
    inverse = body.get("inverse")
    if not isinstance(inverse, Mapping):
        raise _bad("An undo carries the inverse of what it takes back.")
    undoes = _uuid(body.get("undoes"), "What is undone")
    return Undo(undoes, parse_body(inverse, grid, undoing=True))
