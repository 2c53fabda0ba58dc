"""A walk over every address of the URL table, generated from it: nothing is left out by hand.

`Addresses` says what stands for each parameter of an address. A route with a parameter it does
not know fails with a sentence that says what to add, so that nothing new goes unwalked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.apps import apps
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import UUIDConverter
from drf_spectacular.generators import SchemaGenerator

from tests.reading.canaries import Canaries

HERE = "tests/reading/walk.py"
LARGE = 1 << 20
ABSENT = "0ddba11c-a115-4a11-8bad-c0ffee00feed"
ABSENT_HASH = "0ddba11c" * 8
ABSENT_UID = "2.25.318000000000000000000000000000000001"

# The record that a UUID parameter of this name stands for. None: it stands for no record of ours.
RECORDS: dict[str, str | None] = {
    "case": "reading.Case",
    "cluster": "reading.Cluster",
    "comparison": "reports.ModelComparison",
    "consensus": "reading.Consensus",
    "discrepancy": "reading.Discrepancy",
    "evidence": "reading.Evidence",
    "export": "reports.Export",
    "finding": "reading.IncidentalFinding",
    "kept": "archive.KeptAside",
    "model": "jobs.ModelVersion",
    "node": "reading.Node",
    "project": "reading.Project",
    "prompt": "jobs.Run",
    "reading": "reading.Reading",
    "release": "reports.Release",
    "report": "reports.Report",
    "run": "jobs.Run",
    "scope_id": None,
    "series": "archive.Series",
    "signature": "reading.Signature",
    "source": "archive.Source",
    "step": "reading.Step",
    "uploaded_file": "archive.UploadedFile",
    "study": "archive.Study",
    "transfer": "archive.Transfer",
    "user": "accounts.User",
}
UIDS = ("study", "series", "sop")
# What stands for a parameter that is no UUID and does not depend on what was done.
WORDS: dict[str, list[str]] = {
    "action": ["cancel", "accept", "odd"],
    "attempt": ["1", "2"],
    "file_format": ["seg", "nifti", "csv", "odd"],
    "first": ["0", "1", "7"],
    "format": ["seg", "nifti", "csv", "pdf", "odd"],
    "number": ["1", "2", "99"],
    "numbers": ["1", "1,2", "99"],
    "part": ["x", "y", "ai", "agreed", "ignored", "redrawn", "odd"],
    "path": ["00880200/00880200", "", "index.html"],
    "picture": ["overlay.png", "../model.json"],
    "position": ["1", "99"],
    "remote": ["pacs", "odd"],
    "scope": ["readings", "consensus", "cases", "odd"],
    "version": ["1", "2"],
    "volume": ["x", "y", "ai", "agreed", "ignored", "redrawn", "odd"],
    "which": ["x", "y", "ai", "agreed", "ignored", "redrawn", "odd"],
}
QIDO = (
    "StudyInstanceUID={study}&SeriesInstanceUID={series}&PatientName=*&includefield=all"
    "&limit=1000&offset=0&fuzzymatching=true"
)
WADO = "requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={sop}&contentType=image/png"
JSON, FORM_KIND = "application/json", "application/x-www-form-urlencoded"
FORM = {
    "slot": "R1",
    "reader": "{username}",
    "reason": "some+words",
    "format": "seg",
    "username": "{username}",
    "password": "not+theirs",
    "receipt": ABSENT,
    "next": "/cases/",
    "client": ABSENT,
    "series": ABSENT,
}


@dataclass
class Addresses:
    """What there is to ask for: the values of every parameter, the best of one's own first.

    `records` maps a model's label to ids of it; `own` maps a parameter's name to the asker's own;
    `common` are ids asked for in the place of any other.
    """

    records: dict[str, list[str]]
    own: dict[str, list[str]]
    hashes: list[str]
    uids: dict[str, list[str]]
    common: list[str]
    username: str

    def of(self, name: str, is_uuid: bool) -> list[str]:
        """The values to try for a parameter."""
        if name in self.uids and not is_uuid:
            return _once([*self.uids[name], ABSENT_UID])
        if name in ("mask", "blob", "hash"):
            return _once([*self.own.get(name, []), *self.hashes, ABSENT_HASH, *self.common[:1]])
        if not is_uuid and name in WORDS:
            return WORDS[name]
        if name not in RECORDS:
            raise AssertionError(
                f"No value is known for the parameter {name!r} of a route, so nobody has tried it "
                f"as someone who may not: add it to RECORDS (a UUID: the model it names) or to "
                f"WORDS in {HERE}."
            )
        model = RECORDS[name]
        found = self.records.get(model, []) if model else []
        return _once([*self.own.get(name, []), *found, *self.common, ABSENT])

    def one(self, name: str) -> str:
        """Something for a field of a body: what is not the asker's own, where there is any."""
        if name in ("head", "base", "mask", "record_hash", "blob"):
            return self.hashes[0] if self.hashes else ABSENT_HASH
        model = RECORDS.get(name)
        found = [i for i in self.records.get(model or "", []) if i not in self.own.get(name, [])]
        return found[-1] if found else self.common[0] if self.common else ABSENT


def _once(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


@dataclass(frozen=True)
class Route:
    """An address of the URL table: text and parameters `(name, is a UUID)` in turn."""

    parts: tuple[str | tuple[str, bool], ...]

    @property
    def template(self) -> str:
        """As OpenAPI writes it."""
        return "/" + "".join(p if isinstance(p, str) else f"{{{p[0]}}}" for p in self.parts)

    def paths(self, addresses: Addresses) -> list[str]:
        """The route with each parameter varied in turn, the others at their best."""
        return self._varied([addresses.of(*p) for p in self._names()])

    def few(self, addresses: Addresses, others: int) -> list[str]:
        """The route at its best, and with each id or hash changed for others in turn."""
        hashes = {"mask", "blob", "hash"}
        choices = []
        for name, is_uuid in self._names():
            varied = 1 + others if is_uuid or name in hashes else 1
            choices.append(addresses.of(name, is_uuid)[:varied])
        return self._varied(choices)

    def _names(self) -> list[tuple[str, bool]]:
        return [part for part in self.parts if not isinstance(part, str)]

    def _varied(self, choices: list[list[str]]) -> list[str]:
        best = [options[0] for options in choices]
        found = [best]
        for place, options in enumerate(choices):
            found += [[*best[:place], other, *best[place + 1 :]] for other in options[1:]]
        return _once([self._filled(values) for values in found])

    def _filled(self, values: list[str]) -> str:
        following = iter(values)
        return "/" + "".join(p if isinstance(p, str) else next(following) for p in self.parts)


def routes(patterns: Any = None, before: tuple[Any, ...] = ()) -> Iterator[Route]:
    """Every address of the URL table."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        parts = (*before, *_parts(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, parts)
        elif isinstance(pattern, URLPattern):
            yield Route(parts)


_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^)]*\)")


def parameters(template: str) -> list[str]:
    """The names of the parameters of a route as the URL table writes it."""
    return [found[1] or found[2] for found in _PARAMETER.finditer(template)]


def _parts(pattern: Any) -> list[str | tuple[str, bool]]:
    text = str(pattern)
    if text.startswith("^") or "(?P" in text:
        text = re.sub(r"^\^|\$$", "", text).replace("\\", "")
    parts: list[str | tuple[str, bool]] = []
    end = 0
    for found in _PARAMETER.finditer(text):
        name = found[1] or found[2]
        parts += [text[end : found.start()]]
        parts += [(name, isinstance(pattern.converters.get(name), UUIDConverter))]
        end = found.end()
    return [*parts, text[end:]]


def require_known(route: Route) -> None:
    """Fail where a route has a parameter that nothing stands for."""
    nothing = Addresses({}, {}, [], {name: [] for name in UIDS}, [], "")
    for part in route.parts:
        if not isinstance(part, str):
            nothing.of(*part)


@dataclass(frozen=True)
class Attempt:
    """One request."""

    method: str
    path: str
    body: str = ""
    kind: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        asked = " ".join(name for name, _ in self.headers)
        return f"{self.method} {self.path} {self.body[:160]} {asked}"


Questions = dict[str, list[Attempt]]


def questions(addresses: Addresses, *, thorough: bool) -> Iterator[tuple[str, Questions]]:
    """Every route with what is asked of it by each method.

    Thorough: all values by GET, plain and laden with what could make a cache or a filter speak, and
    three by the other methods. Else: the best of one's own plainly, one of another's laden, by GET
    and POST alone, and errors in JSON (a page of error costs many queries).
    """
    described = _described()
    tags = ", ".join(f'"{h}{more}"' for h in addresses.hashes[:40] for more in ("", "-volume"))
    laden = (
        ("If-None-Match", tags or "*"),
        ("Accept", "application/json, */*"),
        ("If-Modified-Since", "Sat, 01 Jan 2050 00:00:00 GMT"),
    )
    form = "&".join(f"{k}={v}" for k, v in FORM.items()).format(username=addresses.username)
    plain = () if thorough else (("Accept", "application/json, */*"),)
    for route in routes():
        asked = described.get(route.template, {})
        query = _query(route, asked, addresses)
        few = route.few(addresses, 2 if thorough else 1)
        everything, ends = (route.paths(addresses), few) if thorough else (few[:-1], few[-1:])
        empty, filled = (json.dumps(body) for body in _bodies(asked, "POST", addresses))
        found = {
            "GET": [Attempt("GET", p, headers=plain) for p in everything or few],
            "POST": [Attempt("POST", path, form, FORM_KIND, plain) for path in ends],
        }
        found["GET"] += [Attempt("GET", f"{path}?{query}", headers=laden) for path in ends]
        found["POST"] += [Attempt("POST", path, filled, JSON, plain) for path in few]
        if thorough:
            found["POST"] += [Attempt("POST", few[-1], empty, JSON)]
            for method in ("HEAD", "OPTIONS", "DELETE"):
                found[method] = [Attempt(method, path) for path in few]
            for method in ("PUT", "PATCH"):
                body = json.dumps(_bodies(asked, method, addresses)[-1])
                found[method] = [Attempt(method, path, body, JSON) for path in few]
        yield route.template, found


def _query(route: Route, asked: dict[str, Any], addresses: Addresses) -> str:
    if route.template.endswith("/wado"):
        return WADO.format(**{name: addresses.uids[name][0] for name in UIDS})
    if route.template.startswith("/dicom-web"):
        return QIDO.format(study=addresses.uids["study"][0], series=addresses.uids["series"][0])
    named = [p["name"] for p in asked.get("get", {}).get("parameters", []) if p["in"] == "query"]
    words = {"limit": "1000", "offset": "0", "since": "0", "cursor": "2050-01-01T00:00:00Z"}
    names = _once([*named, "client", "step", "reading", "node", "consensus", "limit", "cursor"])
    values = {name: words.get(name) or addresses.one(name) for name in names if name != "format"}
    return "&".join(f"{name}={value}" for name, value in values.items())


@cache
def _described() -> dict[str, dict[str, Any]]:
    """What the API says of itself, by address."""
    schema = SchemaGenerator().get_schema(request=None, public=True)
    assert schema is not None
    components = schema["components"]["schemas"]
    found = {}
    for path, verbs in schema["paths"].items():
        verbs = {k: dict(v) for k, v in verbs.items() if k != "parameters"}
        for verb in verbs.values():
            content = verb.get("requestBody", {}).get("content", {}).get("application/json", {})
            verb["body"] = _resolved(content.get("schema", {}), components)
        found[path] = verbs
    return found


def _resolved(schema: dict[str, Any], components: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    if depth > 6:
        return {}
    if "$ref" in schema:
        return _resolved(components[schema["$ref"].rsplit("/", 1)[1]], components, depth + 1)
    for several in ("allOf", "oneOf", "anyOf"):
        if several in schema:
            return _resolved(schema[several][0], components, depth + 1)
    found = dict(schema)
    if "properties" in schema:
        found["properties"] = {
            k: _resolved(v, components, depth + 1) for k, v in schema["properties"].items()
        }
    if isinstance(schema.get("items"), dict):
        found["items"] = _resolved(schema["items"], components, depth + 1)
    return found


def _bodies(asked: dict[str, Any], method: str, addresses: Addresses) -> list[Any]:
    """An empty body; and one of what the schema asks for, and is often asked for: another's."""
    named = ("client", "lease", "head", "reading", "node", "step", "format", "reason")
    anything = {name: "seg" if name == "format" else addresses.one(name) for name in named}
    schema = asked.get(method.lower(), {}).get("body", {})
    return [{}, {**anything, **_filled("", schema, addresses)} if schema else anything]


def _filled(name: str, schema: dict[str, Any], addresses: Addresses) -> Any:
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        properties = schema.get("properties", {})
        return {k: _filled(k, v, addresses) for k, v in properties.items()}
    if kind == "array":
        return [_filled(name.removesuffix("s"), schema.get("items", {}), addresses)]
    if kind in ("integer", "number"):
        return max(1, int(schema.get("minimum", 1)))
    if kind == "boolean":
        return True
    if schema.get("format") == "date":
        return "2026-01-02"
    if schema.get("format") == "uuid" or name in RECORDS:
        return addresses.one(name)
    if name in ("head", "base", "mask", "record_hash"):
        return addresses.one(name)
    return "some words"


@dataclass(frozen=True)
class Answer:
    """What came back, without what is new in every answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    length: int
    digest: str
    start: str = field(compare=False)


@dataclass
class Asker:
    """Someone (or a machine) who asks."""

    name: str
    client: Client
    headers: dict[str, str] = field(default_factory=dict)


class Walk:
    """Asks everything as someone; what an unsafe request did is undone before the next.

    `told` is filled with what answers tell of `hidden`, `missing` with (route, method) that do not
    exist (405): such a method is asked of a route once.
    """

    def __init__(self, addresses: Addresses, known: frozenset[str], hidden: Canaries) -> None:
        self.addresses, self.known, self.hidden = addresses, known, hidden
        self.told: list[str] = []
        self.missing: set[tuple[str, str]] = set()

    def of(
        self,
        asker: Asker,
        *,
        thorough: bool = False,
        without: Collection[tuple[str, str]] = (),
    ) -> dict[str, Answer]:
        """Attempt → answer."""
        found: dict[str, Answer] = {}
        for template, asked in questions(self.addresses, thorough=thorough):
            for method, attempts in asked.items():
                if (template, method) in without:
                    continue
                for attempt in attempts:
                    answer = found[str(attempt)] = self.ask(asker, attempt)
                    if answer.status == 405:
                        self.missing.add((template, method))
                        break
        return found

    def ask(self, asker: Asker, attempt: Attempt) -> Answer:
        """One request, undone."""
        cookies = asker.client.cookies.copy()
        asker.client.raise_request_exception = False
        point = transaction.savepoint()
        try:
            response = asker.client.generic(
                attempt.method,
                attempt.path,
                attempt.body,
                content_type=attempt.kind or "application/octet-stream",
                headers={**asker.headers, **dict(attempt.headers)},
            )
            streaming = getattr(response, "streaming", False)
            body = b"".join(response.streaming_content) if streaming else response.content
        finally:
            transaction.savepoint_rollback(point)
            asker.client.cookies = cookies
        told = self.hidden.in_answer(body, response.items(), attempt.path + attempt.body)
        self.told += [f"{attempt} tells {what}" for what in sorted(told)]
        return self.plain(response, body)

    def plain(self, response: Any, body: bytes) -> Answer:
        """The answer without its own tokens, boundaries and ids made for it."""
        headers = {k.lower(): str(v) for k, v in response.items()}
        boundary = re.search(r'boundary="?([^";]+)', headers.get("content-type", ""))
        if boundary:
            body = body.replace(boundary[1].encode(), b"BOUNDARY")
            headers["content-type"] = headers["content-type"].replace(boundary[1], "BOUNDARY")
        headers.pop("expires", None)  # Of answers that are never kept: the time they were made.
        for name, cookie in response.cookies.items():
            headers[f"set-cookie {name}"] = re.sub("=.{20,}?;|expires=[^;]+", "=…;", str(cookie))
        told = {k: _FRESH.sub(self._fresh, v.encode()).decode() for k, v in headers.items()}
        if len(body) < LARGE:  # Images are larger, and hold nothing that is made for an answer.
            body = _FRESH.sub(self._fresh, body)
        digest = hashlib.sha256(body).hexdigest()
        start = body[:1500].decode("latin-1")
        return Answer(response.status_code, tuple(sorted(told.items())), len(body), digest, start)

    def _fresh(self, found: re.Match[bytes]) -> bytes:
        """A UUID or form token that was in neither world before this answer was made."""
        text = found[0].decode()
        kept = text.lower() in self.known or re.fullmatch("[0-9a-f]{64}", text)
        return found[0] if kept else b"~" * len(found[0])


_FRESH = re.compile(
    rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    rb"|(?<![A-Za-z0-9])[A-Za-z0-9]{64}(?![A-Za-z0-9])"
)


def ids_of(label: str) -> list[str]:
    """The ids of the records of a model, a few; none where there is no such model (yet)."""
    try:
        model = apps.get_model(label)
    except LookupError:
        return []
    return sorted(str(pk) for pk in model._default_manager.values_list("pk", flat=True)[:6])
