"""What the blocks of a report need to be drawn as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import template

register = template.Library()


@register.filter
def get(mapping: Mapping[str, Any], key: str) -> Any:
    """A value by a key that is no name; "" where there is none."""
    return mapping.get(key, "")


@register.filter
def beside(cells: Sequence[str], head: Sequence[Mapping[str, Any]]) -> list[tuple[str, bool]]:
    """Each cell with whether its column holds numbers."""
    return [(cell, column["number"]) for cell, column in zip(cells, head, strict=True)]
