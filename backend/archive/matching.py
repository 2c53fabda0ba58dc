"""QIDO's matching: which query keys mean which column, and how their values match."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from django.db.models import BooleanField, Exists, F, Func, OuterRef, Q, QuerySet, Value
from django.db.models.functions import RPad
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual
from django.http import QueryDict
from pydicom.datadict import dictionary_has_tag, tag_for_keyword

from backend.archive.facts import date_of
from backend.archive.models import Instance, Series
from backend.errors import BadInput

Kind: TypeAlias = Literal["uid", "text", "name", "date", "time", "number", "modalities", "header"]
MAX_VALUE = 4096
# More of `*` and `?` than any search has; Postgres does not take an expression of any size.
MAX_WILDCARDS = 64


@dataclass(frozen=True)
class Key:
    """A matching key.

    Attributes:
        column: seen from the level's own model; for `header`, the tags of a path in an image's
            metadata, joined by dots; for `modalities`, the series' study.
        kind: how values match.
        identifying: whether only those match by it who see names.
    """

    column: str
    kind: Kind
    identifying: bool = False


STUDY_KEYS = {
    "0020000D": Key("uid", "uid"),
    "00080020": Key("date", "date"),
    "00080030": Key("time", "time"),
    "00080050": Key("accession_number", "text", identifying=True),
    "00080061": Key("pk", "modalities"),
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
    "00080031": Key("time", "time"),
    "00180015": Key("body_part", "text"),
    "00200011": Key("number", "number"),
    "00200052": Key("frame_of_reference_uid", "uid"),
    "00080070": Key("manufacturer", "text"),
    "00081090": Key("station_model", "text"),
    "00400244": Key("00400244", "header", identifying=True),
    "00400245": Key("00400245", "header", identifying=True),
    "00400275.00400009": Key("00400275.00400009", "header", identifying=True),
    "00400275.00401001": Key("00400275.00401001", "header", identifying=True),
}
INSTANCE_KEYS = {
    "00080018": Key("sop_uid", "uid"),
    "00080016": Key("sop_class_uid", "uid"),
    "00083002": Key("transfer_syntax", "uid"),
    "00200013": Key("number", "number"),
    "00280010": Key("rows", "number"),
    "00280011": Key("columns", "number"),
    "00280008": Key("frames", "number"),
}
_CONTROLS = frozenset(
    {"limit", "offset", "includefield", "fuzzymatching", "accept", "charset", "emptyvaluematching"}
)


@dataclass(frozen=True)
class Matched:
    """The condition of a query, and what of it could not be heeded."""

    condition: Q
    ignored: list[str]
    warnings: list[str] = field(default_factory=list)


def conditions(
    query: QueryDict,
    levels: Mapping[str, Mapping[str, Key]],
    *,
    series: QuerySet[Series],
    sees_names: bool,
) -> Matched:
    """The condition all keys of the query make.

    Args:
        query: the request's parameters.
        levels: prefix of the columns ("", "study__", …) → keys of that level.
        series: the series that exist for the asker.
        sees_names: whether identifying keys may match; for others their values are empty, as
            they are in what they are answered.
    """
    condition, ignored, warnings = Q(), [], []
    known = {tag: (prefix, key) for prefix, keys in levels.items() for tag, key in keys.items()}
    for name in query:
        path = path_of(name)
        if path not in known:
            if name.lower() not in _CONTROLS:
                ignored.append(name)
            continue
        prefix, key = known[path]
        for value in query.getlist(name):
            if value.strip() in ("", "*", '""'):
                continue
            if key.identifying and not sees_names:
                condition &= Q(pk__in=[])
            else:
                condition &= _match(f"{prefix}{key.column}", prefix, key, value, name, series)
    if query.get("fuzzymatching", "").lower() == "true":
        warnings.append(
            "The fuzzymatching parameter is not supported. Only literal matching has been performed"
        )
    return Matched(condition, ignored, warnings)


def page_of(query: QueryDict) -> tuple[int, int | None]:
    """`offset` and `limit`; raises `BadInput`."""
    numbers: list[int | None] = []
    for name in ("offset", "limit"):
        text = query.get(name, "").strip()
        if text and not text.isdecimal():
            raise BadInput("BAD_PAGE", f"{name} is not a number.", "Send a number from 0 up.")
        numbers.append(min(int(text[:4000]), 10**9) if text else None)
    return numbers[0] or 0, numbers[1]


@dataclass(frozen=True)
class Included:
    """What `includefield` asks for: tags (of a path, its first), or all of a level's."""

    everything: bool
    tags: frozenset[str]
    unknown: list[str]

    def __bool__(self) -> bool:
        return self.everything or bool(self.tags)

    def wants(self, tag: str) -> bool:
        """Whether the tag is asked for."""
        return self.everything or tag in self.tags


def included(query: QueryDict) -> Included:
    """The fields asked for by keyword, tag, or a path of either with dots."""
    names = {n.strip() for v in query.getlist("includefield") for n in v.split(",") if n.strip()}
    paths = {name: path_of(name) for name in names if name.lower() != "all"}
    tags = frozenset(path.partition(".")[0] for path in paths.values() if path)
    unknown = sorted(name for name, path in paths.items() if not path)
    return Included(any(n.lower() == "all" for n in names), tags, unknown)


def path_of(name: str) -> str:
    """Eight hex digits of a key given as such or as a keyword, several joined by dots; or ""."""
    tags = [_tag(part) for part in name.split(".")]
    return ".".join(tags) if all(tags) else ""


def _tag(name: str) -> str:
    if re.fullmatch(r"[0-9a-fA-F]{8}", name):
        private = int(name[:4], 16) % 2 == 1
        return name.upper() if private or dictionary_has_tag(int(name, 16)) else ""
    number = tag_for_keyword(name)
    return "" if number is None else f"{number:08X}"


def _match(
    column: str, prefix: str, key: Key, value: str, name: str, series: QuerySet[Series]
) -> Q:
    value = value.strip()
    wild = value.count("*") + value.count("?")
    if "\x00" in value or len(value) > MAX_VALUE or wild > MAX_WILDCARDS:
        raise BadInput("BAD_QUERY", f"The value of {name} cannot be matched.", "Make it shorter.")
    match key.kind:
        case "uid":
            return Q(**{f"{column}__in": [v for v in re.split(r"[,\\]", value) if v]})
        case "number":
            if not re.fullmatch(r"[+-]?\d{1,10}", value) or abs(int(value)) >= 2**31:
                raise BadInput("BAD_QUERY", f"{name} is not a number.", "Send a number.")
            return Q(**{column: int(value)})
        case "date":
            return _date(column, value, name)
        case "time":
            return _time(column, value, name)
        case "modalities":
            return _modalities(column, value, series)
        case "header":
            return _in_header(prefix, key.column, value)
    return _text(column, value, of_name=key.kind == "name")


def _text(column: str, value: str, *, of_name: bool = False) -> Q:
    """Case counts except in names; a name matches by any of its three groups."""
    if of_name:
        value = value.rstrip("^")
        return Q(**{f"{column}__iregex": rf"(^|=){_pattern(value, '[^=]')}\^*(=|$)"})
    if "*" in value or "?" in value:
        return Q(**{f"{column}__regex": f"^{_pattern(value)}$"})
    return Q(**{column: value})


def _pattern(value: str, any_character: str = ".") -> str:
    """A regular expression for `*` and `?`; everything else stands for itself."""
    wild = {"*": f"{any_character}*", "?": any_character}
    return "".join(wild.get(c, re.escape(c)) for c in re.sub(r"\*+", "*", value))


def _modalities(column: str, value: str, series: QuerySet[Series]) -> Q:
    """Studies with a series of one of the modalities that the asker may know of."""
    wanted = Q()
    for modality in re.split(r"[,\\]", value):
        if modality == "*":
            return Q()
        if modality:
            wanted |= _text("modality", modality)
    return Q(**{f"{column}__in": series.filter(wanted).values("study")}) if wanted else Q()


class _PathExists(Func):
    """Whether JSON has something on a JSON path."""

    function = "jsonb_path_exists"
    template = "%(function)s(%(expressions)s::jsonpath)"
    output_field = BooleanField()


def _in_header(prefix: str, path: str, value: str) -> Q:
    """Series with an image whose header has the value at a path of tags."""
    steps = "".join(f'."{tag}".Value[*]' for tag in path.split("."))
    first, dash, last = value.partition("-")
    if dash and path in ("00400244", "00400245"):
        bounds = [f"@ >= {json.dumps(first)}"] if first else []
        bounds += [f"@ <= {json.dumps(last)}"] if last else []
        test = " && ".join(bounds) or "@ != null"
    elif "*" in value or "?" in value:
        test = f"@ like_regex {json.dumps(f'^{_pattern(value)}$')}"
    else:
        test = f"@ == {json.dumps(value)}"
    images = Instance.objects.filter(series=OuterRef(f"{prefix}pk"))
    found: Any = _PathExists(F("metadata"), Value(f"${steps} ? ({test})"))
    return Q(Exists(images.filter(found)))


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


def _time(column: str, value: str, name: str) -> Q:
    """Times to the second; what is left out of a time means all of it, `10` the hour from 10."""
    first, dash, last = value.partition("-")
    bounds = [t.replace(":", "") for t in (first, last if dash else first)]
    for text in bounds:
        if text and not re.fullmatch(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?", text):
            raise BadInput(
                "BAD_QUERY", f"{name} is not a time.", "Send HHMMSS, or a range HHMMSS-HHMMSS."
            )
    time = RPad(F(column), 6, Value("0"))
    condition = Q(**{f"{column}__gt": ""}) if any(bounds) else Q()
    if bounds[0]:
        condition &= Q(GreaterThanOrEqual(time, Value(bounds[0][:6].ljust(6, "0"))))
    if bounds[1]:
        end = bounds[1][:6] + "235959"[len(bounds[1][:6]) :]
        condition &= Q(LessThanOrEqual(time, Value(end)))
    return condition
