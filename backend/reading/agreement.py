"""The agreed mask of a consensus: from what was settled of every cluster, shapes and names. Pure.

A voxel claimed twice is given to one shape by `sharing.DEEPER`, shapes nearer to the skull base
first. What is agreed is never ignored.

A node keeps an identity it had: the first reader's, else the second's, else the AI's; of several
the one with most voxels; where a cluster leaves more nodes than one, each takes that of the node it
shares most voxels with. No identity is used twice: a node left without one gets a new one, made of
one it might have had and of where it is, so that it is the same whenever it is made again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from backend.imaging.grid import Grid
from backend.imaging.regions import Region, union_of
from backend.reading.sharing import share_out


class Source(StrEnum):
    """Where the shapes of a cluster come from, once it is settled."""

    FIRST = "first"
    SECOND = "second"
    UNION = "union"
    INTERSECTION = "intersection"
    DRAWN = "drawn"
    OVERLAPPING = "overlapping"
    NOTHING = "nothing"
    IGNORED = "ignored"


@dataclass(frozen=True)
class Piece:
    """One node on one mask: its label there, its UUID, its voxels."""

    label: int
    node: str
    region: Region


@dataclass(frozen=True)
class Decided:
    """A cluster, and what was made of it.

    Attributes:
        number: of the cluster.
        origin: the word its nodes carry for where they come from.
        first, second: either reader's nodes in it.
        drawn: for `DRAWN` the one shape in their place, for `OVERLAPPING` the AI's nodes, of which
            those count that meet a node of the cluster.
    """

    number: int
    origin: str
    source: Source
    first: tuple[Piece, ...] = ()
    second: tuple[Piece, ...] = ()
    drawn: tuple[Piece, ...] = ()


@dataclass(frozen=True)
class AgreedNode:
    """One agreed node.

    Attributes:
        number: its label, counted from the skull base down.
        node: its UUID; `minted` says that no node had it before.
        first, second: the label of either reader's node that it stands for; None where they had
            none there.
    """

    number: int
    node: str
    cluster: int
    origin: str
    region: Region
    first: int | None
    second: int | None
    minted: bool


@dataclass(frozen=True)
class Ignored:
    """Where nothing is said; its label is the number of its cluster."""

    cluster: int
    node: str
    region: Region


@dataclass(frozen=True)
class Agreed:
    """What two readers agreed on.

    Attributes:
        contested_voxels: voxels that more than one shape claimed.
        covered: numbers of the clusters of which a shape was left without a voxel.
    """

    nodes: tuple[AgreedNode, ...]
    ignored: tuple[Ignored, ...]
    contested_voxels: int
    covered: tuple[int, ...]


@dataclass
class _Claim:
    """A shape that is to become a node.

    Attributes:
        alone: whether it is all that its cluster leaves.
        own: the identity its shape had on the mask it comes from.
    """

    decided: Decided
    region: Region
    alone: bool
    own: str | None
    node: str = ""
    minted: bool = False


def shapes_of(decided: Decided) -> list[tuple[Region, str | None]]:
    """The shapes that a decision leaves of a cluster, each with the identity it had if it had one.

    Nothing where it leaves nothing, and where it should leave something and cannot.
    """
    first = [piece.region for piece in decided.first]
    second = [piece.region for piece in decided.second]
    if decided.source == Source.FIRST:
        return [(piece.region, piece.node) for piece in decided.first]
    if decided.source == Source.SECOND:
        return [(piece.region, piece.node) for piece in decided.second]
    if decided.source == Source.DRAWN:
        return [(piece.region, None) for piece in decided.drawn]
    if decided.source == Source.OVERLAPPING:
        return [
            (piece.region, piece.node)
            for piece in decided.drawn
            if any(piece.region.shared(region) for region in (*first, *second))
        ]
    found: Region | None = None
    if decided.source == Source.UNION:
        found = union_of([*first, *second])
    elif decided.source == Source.INTERSECTION:
        one, two = union_of(first), union_of(second)
        found = one.common(two) if one and two else None
    return [] if found is None else [(found, None)]


def agree(decided: Sequence[Decided], grid: Grid, *, seed: str) -> Agreed:
    """The agreed nodes and the ignored regions of all clusters of a comparison.

    Swapping the readers changes identities and nothing else. `seed` names the comparison, for the
    identities that have to be made.
    """
    claims = [
        _Claim(cluster, region, len(shapes) == 1, own)
        for cluster, shapes in ((cluster, shapes_of(cluster)) for cluster in decided)
        for region, own in shapes
    ]
    claims.sort(key=lambda claim: (*claim.region.place(grid), claim.decided.number))
    shares = share_out([claim.region for claim in claims], grid.spacing_mm)
    kept, covered = [], set()
    for claim, region in zip(claims, shares.kept, strict=True):
        if region is None:
            covered.add(claim.decided.number)
        else:
            claim.region = region
            kept.append(claim)
    kept.sort(key=lambda claim: (*claim.region.place(grid), claim.decided.number))
    used: set[str] = set()
    _name(kept, used, seed)
    nodes = tuple(
        AgreedNode(
            number=number,
            node=claim.node,
            cluster=claim.decided.number,
            origin=claim.decided.origin,
            region=claim.region,
            first=_said(claim, claim.decided.first),
            second=_said(claim, claim.decided.second),
            minted=claim.minted,
        )
        for number, claim in enumerate(kept, 1)
    )
    ignored = tuple(_ignore(decided, [node.region for node in nodes], used, seed))
    return Agreed(nodes, ignored, shares.contested, tuple(sorted(covered)))


def _name(claims: Sequence[_Claim], used: set[str], seed: str) -> None:
    """Give every claim its identity: to all that can the first reader's, then the second's, …"""
    wishes = [*_wishes(claims, first=True), *_wishes(claims, first=False)]
    wishes += [(claim, claim.own) for claim in claims if claim.own is not None]
    for claim, node in wishes:
        if not claim.node and node not in used:
            claim.node = node
            used.add(node)
    for claim in claims:
        if not claim.node:
            pieces = (*claim.decided.first, *claim.decided.second)
            claim.node, claim.minted = _mint(pieces[0].node, claim.decided, used, seed), True


def _wishes(claims: Sequence[_Claim], *, first: bool) -> list[tuple[_Claim, str]]:
    """Which nodes of one reader the claims would be called by, the largest first."""
    wishes = []
    for place, claim in enumerate(claims):
        for piece in claim.decided.first if first else claim.decided.second:
            size = piece.region.voxels if claim.alone else piece.region.shared(claim.region)
            if size:
                wishes.append((-size, place, piece.label, claim, piece.node))
    return [(claim, node) for _, _, _, claim, node in sorted(wishes, key=lambda wish: wish[:3])]


def _mint(name: str, decided: Decided, used: set[str], seed: str) -> str:
    """A new identity, for a node whose namesakes are other nodes."""
    count = 0
    while True:
        node = str(uuid.uuid5(uuid.UUID(name), f"{seed} {decided.number} {count}"))
        if node not in used:
            used.add(node)
            return node
        count += 1


def _said(claim: _Claim, pieces: Iterable[Piece]) -> int | None:
    """The node of a reader that a claim stands for: the one it shares most voxels with."""
    sizes = [
        (piece.region.shared(claim.region), piece.region.voxels, -piece.label) for piece in pieces
    ]
    best = max(sizes, default=None)
    if best is None or (best[0] == 0 and not claim.alone):
        return None
    return -best[2]


def _ignore(
    decided: Sequence[Decided], agreed: Sequence[Region], used: set[str], seed: str
) -> Iterable[Ignored]:
    """The ignored regions without what is agreed; a voxel of two goes to the earlier cluster."""
    taken = list(agreed)
    for cluster in sorted(decided, key=lambda one: one.number):
        pieces = (*cluster.first, *cluster.second)
        whole = union_of([piece.region for piece in pieces])
        if cluster.source != Source.IGNORED or whole is None:
            continue
        free = whole.mask.copy()
        for region in taken:
            free &= ~region.inside(whole.box)
        left = Region.of(free, whole.corner)
        if left is not None:
            taken.append(left)
            yield Ignored(cluster.number, _name_of_ignored(cluster, used, seed), left)


def _name_of_ignored(cluster: Decided, used: set[str], seed: str) -> str:
    wanted = [
        piece.node
        for pieces in (cluster.first, cluster.second)
        for piece in sorted(pieces, key=lambda piece: (-piece.region.voxels, piece.label))
    ]
    free = next((node for node in wanted if node not in used), None)
    if free is None:
        return _mint(wanted[0], cluster, used, seed)
    used.add(free)
    return free
