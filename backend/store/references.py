"""Which columns of the database name blobs: a registry that each room fills in its `ready()`.

What stands here must be in the store; what stands nowhere here is an orphan. So a room that keeps
a new kind of blob registers its column (a test finds the one that was forgotten).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from django.db.models import Model

Rows: TypeAlias = Callable[[], Iterable[tuple[str, str]]]
_ROWS_AT_ONCE = 2000


@dataclass(frozen=True)
class Column:
    """A column that names blobs.

    Attributes:
        model: label of the model, `archive.Instance`.
        field: name of the field.
        rows: gives (id of the row, name of the blob), some names more than once.
        required: whether the blobs must be here; False only keeps them from being orphans.
        remake: makes the bytes of a lost blob again, None where it cannot.
        forget: takes a lost blob's name out of the rows, for what is made again when it is asked
            for; returns how many rows that was.
        cure: what a person does about a blob that is lost for good.
    """

    model: str
    field: str
    rows: Rows
    required: bool = True
    remake: Callable[[str], bytes | None] | None = None
    forget: Callable[[str], int] | None = None
    cure: str = ""

    @property
    def label(self) -> str:
        """`archive.Instance.blob`."""
        return f"{self.model}.{self.field}"


columns: list[Column] = []


def register(
    model: type[Model],
    field: str,
    *,
    names: Callable[[Any], Iterable[str]] | None = None,
    rows: Rows | None = None,
    required: bool = True,
    remake: Callable[[str], bytes | None] | None = None,
    forget: Callable[[str], int] | None = None,
    cure: str = "",
) -> None:
    """Say that a column names blobs: as its value, as `names(value)`, or as `rows()` says."""
    columns.append(
        Column(
            model=model._meta.label,
            field=field,
            rows=rows or (lambda: _rows_of(model, field, names)),
            required=required,
            remake=remake,
            forget=forget,
            cure=cure,
        )
    )


def _rows_of(
    model: type[Model], field: str, names: Callable[[Any], Iterable[str]] | None
) -> Iterator[tuple[str, str]]:
    found = model._base_manager.values_list("pk", field)
    for pk, value in found.iterator(chunk_size=_ROWS_AT_ONCE):
        for name in (value,) if names is None else names(value):
            if name:
                yield str(pk), name


def forgets(model: type[Model], field: str) -> Callable[[str], int]:
    """For `register(forget=…)`: empties the column where it names the lost blob."""

    def forget(name: str) -> int:
        rows = model._base_manager.filter(**{field: name})
        return rows.update(**{field: ""})

    return forget
