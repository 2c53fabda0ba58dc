"""What adds steps to a node's life: out of lines, with the shapes that stored masks hold. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from backend.imaging.masks import Manifest
from backend.reports.timeline_cast import Cast
from backend.reports.timeline_steps import Life, Shape, Step
from backend.reports.timeline_story import Line

ManifestOf: TypeAlias = Callable[[str], Manifest | None]


@dataclass
class Teller:
    """Adds steps to a life.

    Attributes:
        life: what it adds to.
        cast: who is who.
        manifest_of: mask hash → manifest, or None where this case has no such mask.
    """

    life: Life
    cast: Cast
    manifest_of: ManifestOf

    def shape(self, mask: str, nodes: Iterable[str] | None = None) -> Shape | None:
        """Voxels of nodes (the kin's, if none are named) in a mask; None where it has none."""
        manifest = self.manifest_of(mask) if mask else None
        wanted = self.life.kin if nodes is None else nodes
        here = tuple(node for node in wanted if manifest and node in manifest.numbers)
        return Shape(((mask, here),)) if here else None

    def tell(self, lane: str, group: str, line: Line, **own: Any) -> None:
        """Add a line as a step; `own` says otherwise than the line does."""
        told = {
            "position": line.first,
            "at": line.at,
            "until": line.until,
            "who": line.who,
            "role": line.role,
            "what": line.said.what,
            "detail": line.said.detail,
            "reason": line.reason,
            "was": line.said.before,
            "now": line.said.after,
            **own,
        }
        self.life.steps.append(Step(lane=lane, group=group, **told))
