"""Rows written and read with SQL made once: for the few statements that every received file needs.

Django builds each statement anew, which takes longer than the database takes to run it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any, TypeVar

from django.db import connection, models
from psycopg.pq import PipelineStatus

M = TypeVar("M", bound=models.Model)


@contextmanager
def in_one_go() -> Iterator[None]:
    """Statements of this block are sent without waiting for one another's answers.

    Inside a transaction, and for statements of this module: what Django writes by itself looks at
    how many rows it met. Numbers that the database gives are not read. What fails is raised as
    Django raises it, at the end of the block at the latest.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield


def ask(*statements: tuple[str, Sequence[Any]]) -> list[list[tuple[Any, ...]]]:
    """What each statement gives, with its values; sent in one go, inside a transaction."""
    with ExitStack() as open_cursors:
        cursors = []
        with in_one_go():
            for statement, values in statements:
                cursor = open_cursors.enter_context(connection.cursor())
                cursor.execute(statement, values)
                cursors.append(cursor)
        return [cursor.fetchall() for cursor in cursors]


def insert(row: models.Model) -> None:
    """What `row.save(force_insert=True)` does, without signals; a number of the database is read.

    Raises what Django raises (`IntegrityError`).
    """
    statement, fields, auto = _statement(type(row))
    values = [field.get_db_prep_save(field.pre_save(row, add=True), connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        if auto is not None and not _goes_in_one_go():
            setattr(row, auto, cursor.fetchone()[0])
    row._state.adding, row._state.db = False, connection.alias


def update(row: models.Model, names: Sequence[str]) -> None:
    """What `row.save(update_fields=names)` does, without signals, for a row that is there."""
    statement, fields = _alteration(type(row), tuple(names))
    values = [
        field.get_db_prep_save(field.pre_save(row, add=False), connection) for field in fields
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, [*values, row.pk])


@cache
def _alteration(
    model: type[models.Model], names: tuple[str, ...]
) -> tuple[str, Sequence[models.Field[Any, Any]]]:
    quote = connection.ops.quote_name
    known = {field.name: field for field in model._meta.concrete_fields}
    fields = [known[name] for name in names]
    columns = ", ".join(f"{quote(field.column or '')} = %s" for field in fields)
    key = quote(model._meta.pk.column or "")
    table = quote(model._meta.db_table)
    return f"update {table} set {columns} where {key} = %s", fields  # noqa: S608


def _goes_in_one_go() -> bool:
    status: PipelineStatus = connection.connection.info.pipeline_status
    return status != PipelineStatus.OFF


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


def read(model: type[M], values: Sequence[Any], names: tuple[str, ...] | None = None) -> M:
    """A row as Django would give it; fields that were not asked for are read when they are."""
    plan = _plan(model, names)
    found = [
        value if convert is None else convert(value, None, connection)
        for (_, convert), value in zip(plan, values, strict=True)
    ]
    return model.from_db(connection.alias, [name for name, _ in plan], found)


@cache
def _plan(
    model: type[models.Model], names: tuple[str, ...] | None
) -> list[tuple[str, Callable[..., Any] | None]]:
    """Of each field its attribute, and what makes its value of the database's."""
    fields = _fields(model, names)
    return [(field.attname, getattr(field, "from_db_value", None)) for field in fields]


def _fields(model: type[models.Model], names: Iterable[str] | None) -> list[models.Field[Any, Any]]:
    wanted = None if names is None else set(names)
    return [f for f in model._meta.concrete_fields if wanted is None or f.attname in wanted]
