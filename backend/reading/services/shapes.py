"""The shapes behind a decision: read from the masks it rests on, or drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from backend.accounts.models import User
from backend.errors import BadInput, WrongState
from backend.imaging.masks import Manifest, apply_patch, canonical_json
from backend.imaging.regions import Box, Region
from backend.reading import maskstore
from backend.reading.agreement import Decided, Piece, Source, shapes_of
from backend.reading.models import Case, Cluster, Comparison, Mask, Node
from backend.reading.services.bodies import parse_shape
from backend.reading.services.masks import save_mask
from backend.reading.vocabulary import AuthorKind, MaskKind
from backend.reading.workflow import INDETERMINATE, Resolution

IDENTICAL = "identical"
LARGEST_SHAPE = 8 << 20
_SOURCES = {
    IDENTICAL: Source.FIRST,
    INDETERMINATE: Source.IGNORED,
    Resolution.IGNORE: Source.IGNORED,
    Resolution.MEAN: Source.DRAWN,
    Resolution.REDRAWN: Source.DRAWN,
    Resolution.AI: Source.OVERLAPPING,
    Resolution.UNION: Source.UNION,
    Resolution.INTERSECTION: Source.INTERSECTION,
    Resolution.ABSENT: Source.NOTHING,
}
# A cluster in which X or Y has nothing may well be settled as X or Y: then there is nothing.
_MUST_LEAVE_SOMETHING = {
    Resolution.AI: (
        "NO_AI_SHAPE",
        "The AI proposed nothing where the two differ.",
        "Choose another shape, draw one, or propose that there is nothing.",
    ),
    Resolution.INTERSECTION: (
        "NO_INTERSECTION",
        "X and Y share no voxel here, so nothing would be left.",
        "Choose another shape, draw one, or propose that there is nothing.",
    ),
}


@dataclass(frozen=True)
class Verdict:
    """What was, or is to be, made of a cluster; `mask` is the shape redrawn."""

    cluster: Cluster
    how: str
    mask: Mask | None = None


def decided(comparison: Comparison, verdicts: Sequence[Verdict]) -> list[Decided]:
    """The verdicts with the shapes they speak of, read slice by slice."""
    clusters = [verdict.cluster for verdict in verdicts]
    first = _pieces(comparison.first.effective, clusters, lambda c: c.first_nodes)
    second = _pieces(comparison.second.effective, clusters, lambda c: c.second_nodes)
    drawn = _drawn(comparison, verdicts)
    return [
        Decided(
            number=verdict.cluster.number,
            origin=verdict.how,
            source=_source(verdict.how, x_is_first=comparison.x_is_first),
            first=first[verdict.cluster.number],
            second=second[verdict.cluster.number],
            drawn=drawn.get(verdict.cluster.number, ()),
        )
        for verdict in verdicts
    ]


def _source(how: str, *, x_is_first: bool) -> Source:
    if how in (Resolution.X, Resolution.Y):
        return Source.FIRST if (how == Resolution.X) == x_is_first else Source.SECOND
    return _SOURCES[how]


def _box(values: Sequence[int]) -> Box:
    z0, y0, x0, z1, y1, x1 = values
    return (slice(z0, z1), slice(y0, y1), slice(x0, x1))


def _pieces(
    mask: Mask | None,
    clusters: Iterable[Cluster],
    nodes_of: Callable[[Cluster], Sequence[Mapping[str, Any]]],
) -> dict[int, tuple[Piece, ...]]:
    """Cluster number → the nodes of one mask in it."""
    named = {cluster.number: nodes_of(cluster) for cluster in clusters}
    boxes = {cluster.number: _box(cluster.box) for cluster in clusters if named[cluster.number]}
    found = _crops(mask, boxes)
    return {
        number: tuple(
            Piece(node["label"], node["node"], region)
            for node in nodes
            if (region := _region(found[number] == node["label"], boxes[number])) is not None
        )
        for number, nodes in named.items()
    }


def _region(crop: Any, box: Box) -> Region | None:
    return Region.of(crop, [part.start for part in box])


def _crops(mask: Mask | None, boxes: Mapping[int, Box]) -> dict[int, Any]:
    if mask is None:
        return {}
    return maskstore.crops(mask.manifest, mask.case.grid.shape, boxes)


def _drawn(comparison: Comparison, verdicts: Sequence[Verdict]) -> dict[int, tuple[Piece, ...]]:
    """Cluster number → shapes that are neither reader's: the rule's, the AI's, one redrawn."""
    found: dict[int, tuple[Piece, ...]] = {}
    by_rule = [v.cluster for v in verdicts if v.how == Resolution.MEAN]
    for number, crop in _crops(
        comparison.settled, {c.number: _box(c.box) for c in by_rule}
    ).items():
        box = next(_box(cluster.box) for cluster in by_rule if cluster.number == number)
        region = _region(crop == number, box)
        found[number] = (Piece(number, "", region),) if region else ()
    by_ai = [v.cluster for v in verdicts if v.how == Resolution.AI]
    found |= _of_the_ai(comparison.ai_mask, by_ai)
    for verdict in verdicts:
        if verdict.mask is not None:
            found[verdict.cluster.number] = (_redrawn(verdict.mask),)
    return found


def _of_the_ai(mask: Mask | None, clusters: Sequence[Cluster]) -> dict[int, tuple[Piece, ...]]:
    """Cluster number → the AI's nodes that reach into its box, each whole."""
    if mask is None or not clusters:
        return {}
    near = {
        number: sorted({int(label) for label in set(crop.ravel().tolist()) if label})
        for number, crop in _crops(mask, {c.number: _box(c.box) for c in clusters}).items()
    }
    named = mask.manifest.labels
    wanted = {label for labels in near.values() for label in labels}
    rows = Node.objects.filter(pk__in=[named[label] for label in wanted]).in_bulk()
    boxes = {label: _box(rows[UUID(named[label])].box or []) for label in wanted}
    crops = _crops(mask, boxes)
    return {
        number: tuple(
            Piece(label, named[label], region)
            for label in labels
            if (region := _region(crops[label] == label, boxes[label])) is not None
        )
        for number, labels in near.items()
    }


def _redrawn(mask: Mask) -> Piece:
    """The one shape of a redrawn mask."""
    manifest, shape = mask.manifest, mask.case.grid.shape
    box = _box((min(manifest.slices), 0, 0, max(manifest.slices) + 1, *shape[1:]))
    region = _region(_crops(mask, {1: box})[1] == 1, box)
    assert region is not None  # An empty shape is refused when it is drawn.  # noqa: S101
    return Piece(1, manifest.labels[1], region)


def require_shape(comparison: Comparison, cluster: Cluster, how: str) -> None:
    """Refuse what would leave nothing though it speaks of a shape."""
    told = _MUST_LEAVE_SOMETHING.get(Resolution(how)) if how != INDETERMINATE else None
    if told is not None and not shapes_of(decided(comparison, [Verdict(cluster, how)])[0]):
        raise WrongState(*told)


def save_redrawn(case: Case, shape: Mapping[str, Any], *, step: UUID, author: User) -> Mask:
    """A shape drawn anew, as a mask of the case; until it is agreed on its step names it.

    Raises:
        BadInput: it is too large, cannot be read, lies outside the images, or holds nothing.
    """
    if len(canonical_json(shape)) > LARGEST_SHAPE:
        raise BadInput("BODY_TOO_LARGE", "A shape is at most 8 MB.", "Draw a smaller shape.")
    patch = parse_shape(shape, str(step), case.grid)
    empty = Manifest(case.geometry_hash, {}, {})
    manifest, planes = apply_patch(
        empty, lambda index: maskstore.plane_of(empty, case.grid.shape, index), patch
    )
    if not manifest.slices:
        raise BadInput(
            "EMPTY_SHAPE",
            "The shape holds no voxel.",
            "Draw one, or propose that there is nothing.",
        )
    return save_mask(
        case=case,
        kind=MaskKind.REDRAWN,
        author_kind=AuthorKind.PERSON,
        author=author,
        manifest=Manifest(manifest.geometry_hash, manifest.slices, manifest.labels),
        planes=planes,
    )
