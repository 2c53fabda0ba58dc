"""Files that were not taken, by the names they came with."""

from __future__ import annotations

from collections.abc import Iterable

from backend.archive import services
from backend.archive.models import KeptAside


def named(kept: Iterable[KeptAside]) -> list[KeptAside]:
    """Rows under the names that who may upload knows; not to be saved so."""
    rows = list(kept)
    names = services.names_of(rows)
    for row in rows:
        row.message = row.message.replace(row.name, names[row.pk])
        row.name = names[row.pk]
    return rows
