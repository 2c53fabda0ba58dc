"""Node-RADS 1.0 (Elsholtz et al. 2021; METHODS.md §6.5): computed, never typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Size: TypeAlias = Literal["normal", "enlarged", "bulk"]
Texture: TypeAlias = Literal[
    "homogeneous", "heterogeneous", "focal_necrosis", "gross_necrosis", "entity_specific"
]
Border: TypeAlias = Literal["smooth", "irregular"]
Shape: TypeAlias = Literal["fatty_hilum", "oval", "spherical"]
Score: TypeAlias = Literal[1, 2, 3, 4, 5]

BULK_MM = 30.0
GROWTH_MM = 2.0
ENLARGED_MM = 10.0
INGUINAL_MM = 15.0
SMALL_SITE_MM = 5.0
SMALL_SITES = frozenset(
    {
        "facial",
        "parotid",
        "retroauricular",
        "occipital",
        "retropharyngeal",
        "anterior_jugular",
        "retrocrural",
        "cardiophrenic",
        "mesenteric",
        "obturator",
        "mesorectal",
    }
)
LIKELIHOOD: dict[Score, str] = {
    1: "very low",
    2: "low",
    3: "equivocal",
    4: "high",
    5: "very high",
}

_TEXTURE: dict[Texture, int] = {
    "homogeneous": 0,
    "heterogeneous": 1,
    "focal_necrosis": 2,
    "gross_necrosis": 3,
    "entity_specific": 3,
}
_BORDER: dict[Border, int] = {"smooth": 0, "irregular": 1}
_SHAPE: dict[Shape, int] = {"fatty_hilum": 0, "oval": 0, "spherical": 1}
_SCORES: dict[Size, tuple[Score, Score, Score, Score]] = {
    "normal": (1, 2, 3, 4),
    "enlarged": (2, 3, 4, 5),
    "bulk": (5, 5, 5, 5),
}


@dataclass(frozen=True)
class NodeRads:
    """The score with the size class and configuration (0–5) it follows from."""

    score: Score
    size: Size
    configuration: int

    @property
    def likelihood(self) -> str:
        """How likely malignancy is, in the system's words."""
        return LIKELIHOOD[self.score]


def short_axis_threshold_mm(site: str) -> float:
    """Short axis from which a node of this site counts as enlarged, mm."""
    if site == "inguinal":
        return INGUINAL_MM
    return SMALL_SITE_MM if site in SMALL_SITES else ENLARGED_MM


def size_of(
    sad_mm: float,
    longest_any_plane_mm: float,
    *,
    site: str = "cervical",
    growth_mm: float | None = None,
) -> Size:
    """Size class: bulk by the longest diameter in any plane, enlarged by short axis or growth."""
    if longest_any_plane_mm >= BULK_MM:
        return "bulk"
    grown = growth_mm is not None and growth_mm >= GROWTH_MM
    return "enlarged" if grown or sad_mm >= short_axis_threshold_mm(site) else "normal"


def node_rads(
    sad_mm: float,
    longest_any_plane_mm: float,
    *,
    texture: Texture = "homogeneous",
    border: Border = "smooth",
    shape: Shape = "oval",
    site: str = "cervical",
    growth_mm: float | None = None,
) -> NodeRads:
    """Node-RADS of one node.

    Args:
        sad_mm: axial short axis from the mask, mm.
        longest_any_plane_mm: longest diameter in any plane, mm; not the axial long axis.
        texture, border, shape: what the reader chose.
        site: anatomical site; see `SMALL_SITES` and "inguinal" for other thresholds than 10 mm.
        growth_mm: growth since the earlier examination, mm; None without one.
    """
    size = size_of(sad_mm, longest_any_plane_mm, site=site, growth_mm=growth_mm)
    configuration = _TEXTURE[texture] + _BORDER[border] + _SHAPE[shape]
    return NodeRads(_SCORES[size][min(configuration, 3)], size, configuration)
