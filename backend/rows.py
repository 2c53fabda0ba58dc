"""Rows written and read with SQL made once: for the few statements that every received file needs.

Django builds each statement anew, which takes longer than the database takes to run it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

from django.db import connection, models

M = TypeVar("M", bound=models.Model)


def insert(row: models.Model) -> None:
    """What `row.save(force_insert=True)` does, without signals; a number of the database is read.

    Raises what Django raises (`IntegrityError`).
    """
    statement, fields, auto = _statement(type(row))
    values = [field.get_db_prep_save(field.pre_save(row, add=True), connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        if auto is not None:
            setattr(row, auto, cursor.fetchone()[0])
    row._state.adding, row._state.db = False, connection.alias


@cache
def _statement(
    model: type[models.Model],
) -> tuple[str, Sequence[models.Field[Any, Any]], str | None]:
    quote = connection.ops.quote_name
    meta = model._meta
    auto = meta.pk.attname if isinstance(meta.pk, models.AutoField) else None
    fields = [field for field in meta.concrete_fields if field.attname != auto]
    columns = ", ".join(quote(field.column or "") for field in fields)
    places = ", ".join(["%s"] * len(fields))
    statement = f"insert into {quote(meta.db_table)} ({columns}) values ({places})"  # noqa: S608
    return (
        f"{statement} returning {quote(meta.pk.column or '')}" if auto else statement,
        fields,
        auto,
    )


def columns_of(model: type[models.Model], alias: str, names: Iterable[str] | None = None) -> str:
    """The columns of a model (of these fields), for a `select` from it under an alias."""
    fields = _fields(model, names)
    return ", ".join(f"{alias}.{connection.ops.quote_name(field.column or '')}" for field in fields)


def read(model: type[M], values: Sequence[Any], names: Iterable[str] | None = None) -> M:
    """A row as Django would give it; fields that were not asked for are read when they are."""
    found = {}
    for field, value in zip(_fields(model, names), values, strict=True):
        convert = getattr(field, "from_db_value", None)
        found[field.attname] = value if convert is None else convert(value, None, connection)
    return model.from_db(connection.alias, list(found), list(found.values()))


def _fields(model: type[models.Model], names: Iterable[str] | None) -> list[models.Field[Any, Any]]:
    wanted = None if names is None else set(names)
    return [f for f in model._meta.concrete_fields if wanted is None or f.attname in wanted]
