"""QIDO's matching: which query keys mean which column, and how their values match."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from django.db.models import Q
from django.http import QueryDict
from pydicom.datadict import dictionary_has_tag, tag_for_keyword

from backend.archive.facts import date_of
from backend.errors import BadInput

Kind: TypeAlias = Literal["uid", "text", "name", "date", "number", "elsewhere"]


@dataclass(frozen=True)
class Key:
    """A matching key: its column (seen from the level's own model) and how it matches."""

    column: str
    kind: Kind
    identifying: bool = False


STUDY_KEYS = {
    "0020000D": Key("uid", "uid"),
    "00080020": Key("date", "date"),
    "00080030": Key("time", "text"),
    "00080050": Key("accession_number", "text", identifying=True),
    "00080061": Key("", "elsewhere"),  # By the series the asker sees: qido.py.
    "00080090": Key("referring_physician", "name", identifying=True),
    "00081030": Key("description", "text"),
    "00100010": Key("patient_name", "name", identifying=True),
    "00100020": Key("patient_id", "text", identifying=True),
    "00100030": Key("patient_birth_date", "date", identifying=True),
    "00100040": Key("patient_sex", "text"),
    "00200010": Key("study_id", "text", identifying=True),
}
SERIES_KEYS = {
    "0020000E": Key("uid", "uid"),
    "00080060": Key("modality", "text"),
    "0008103E": Key("description", "text"),
    "00080021": Key("date", "date"),
    "00180015": Key("body_part", "text"),
    "00200011": Key("number", "number"),
    "00200052": Key("frame_of_reference_uid", "uid"),
    "00080070": Key("manufacturer", "text"),
}
INSTANCE_KEYS = {
    "00080018": Key("sop_uid", "uid"),
    "00080016": Key("sop_class_uid", "uid"),
    "00200013": Key("number", "number"),
    "00280010": Key("rows", "number"),
    "00280011": Key("columns", "number"),
    "00280008": Key("frames", "number"),
}
_CONTROLS = frozenset({"limit", "offset", "includefield", "fuzzymatching", "accept", "charset"})


@dataclass(frozen=True)
class Matched:
    """The condition of a query, and the keys in it that are not supported."""

    condition: Q
    ignored: list[str]


def conditions(
    query: QueryDict, levels: Mapping[str, Mapping[str, Key]], *, sees_names: bool
) -> Matched:
    """The condition all keys of the query make.

    Args:
        query: the request's parameters.
        levels: prefix of the columns ("", "study__", …) → keys of that level.
        sees_names: whether identifying keys may match; for others their values are empty, as
            they are in what they are answered.
    """
    condition, ignored = Q(), []
    known = {tag: (prefix, key) for prefix, keys in levels.items() for tag, key in keys.items()}
    for name in query:
        tag = _tag(name)
        if tag not in known:
            if name.lower() not in _CONTROLS:
                ignored.append(name)
            continue
        prefix, key = known[tag]
        for value in query.getlist(name):
            if value.strip() in ("", "*", '""'):
                continue
            if key.identifying and not sees_names:
                condition &= Q(pk__in=[])
            else:
                condition &= _match(f"{prefix}{key.column}", key.kind, value.strip(), name)
    return Matched(condition, ignored)


def page_of(query: QueryDict) -> tuple[int, int | None]:
    """`offset` and `limit`; raises `BadInput`."""
    numbers: list[int | None] = []
    for name in ("offset", "limit"):
        text = query.get(name, "").strip()
        if text and not text.isdecimal():
            raise BadInput("BAD_PAGE", f"{name} is not a number.", "Send a number from 0 up.")
        numbers.append(min(int(text[:4000]), 10**9) if text else None)
    return numbers[0] or 0, numbers[1]


def included(query: QueryDict) -> set[str] | None:
    """Tags asked for with `includefield`; None for all."""
    names = {n.strip() for v in query.getlist("includefield") for n in v.split(",") if n.strip()}
    return None if "all" in names else {_tag(n) for n in names}


def _tag(name: str) -> str:
    """Eight hex digits of a key given as such or as a keyword; "" if it is neither."""
    if re.fullmatch(r"[0-9a-fA-F]{8}", name) and dictionary_has_tag(int(name, 16)):
        return name.upper()
    number = tag_for_keyword(name)
    return "" if number is None else f"{number:08X}"


def _match(column: str, kind: Kind, value: str, name: str) -> Q:
    if "\x00" in value:
        raise BadInput("BAD_QUERY", f"The value of {name} has a NUL in it.", "Correct it.")
    if kind == "uid":
        return Q(**{f"{column}__in": [v for v in re.split(r"[,\\]", value) if v]})
    if kind == "elsewhere":
        return Q()
    if kind == "number":
        if not value.isdecimal() or len(value) > 10 or int(value) >= 2**31:
            raise BadInput("BAD_QUERY", f"{name} is not a number.", "Send a number.")
        return Q(**{column: int(value)})
    if kind == "date":
        return _date(column, value, name)
    if "*" in value or "?" in value:
        pattern = "".join(
            {"*": ".*", "?": "."}.get(character, re.escape(character)) for character in value
        )
        return Q(**{f"{column}__{'iregex' if kind == 'name' else 'regex'}": f"^{pattern}$"})
    return Q(**{f"{column}__iexact" if kind == "name" else column: value})


def _date(column: str, value: str, name: str) -> Q:
    first, dash, last = value.partition("-")
    condition = Q()
    bounds = (("gte", first), ("lte", last)) if dash else (("exact", first),)
    for operator, text in bounds:
        if not text:
            continue
        day = date_of(text)
        if day is None:
            raise BadInput(
                "BAD_QUERY",
                f"{name} is not a date.",
                "Send YYYYMMDD, or a range YYYYMMDD-YYYYMMDD.",
            )
        condition &= Q(**{f"{column}__{operator}": day})
    return condition
