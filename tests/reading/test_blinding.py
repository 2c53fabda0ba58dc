"""Nobody learns anything of another reader's work: not by content, status, length or header."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import IntConverter, UUIDConverter

from backend.accounts.services import create_worker_token
from backend.audit.models import NewsItem
from backend.reading.consumers import audiences_of_person, audiences_of_reading
from tests.reading.site import Site, Twin

CANARY_TEXT = "canary-of-reader-one"


@dataclass
class Canaries:
    """What only reader1's work holds; made up before it exists, so that both crawls ask alike."""

    node: str = field(default_factory=lambda: str(uuid.uuid4()))
    change: str = field(default_factory=lambda: str(uuid.uuid4()))
    reading: str = ""
    head: str = "0" * 64
    effective: str = "1" * 64
    blob: str = "2" * 64
    lease: str = field(default_factory=lambda: str(uuid.uuid4()))

    def secrets(self) -> list[str]:
        return [self.node, self.change, self.reading, self.head, self.effective, self.blob]


def routes(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every address of the URL table: its form, and the converters of its parameters."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        where = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, where)
        elif isinstance(pattern, URLPattern):
            yield where, pattern.pattern.converters


def addresses(canaries: Canaries, case: str) -> Iterator[tuple[str, str]]:
    """(name of the attempt, path): every route with every canary that fits it."""
    uuids = {"reading": canaries.reading, "case": case, "node": canaries.node}
    uuids |= {"change": canaries.change}
    texts = {"head": canaries.head, "effective": canaries.effective, "blob": canaries.blob}
    all_converters = {}
    for _, resolver in _resolvers():
        all_converters |= resolver
    for where, own in routes():
        if "(?P" in where or where.startswith(("viewer", "static")):
            continue
        names = [part.split(">")[0].split(":")[-1] for part in where.split("<")[1:]]
        choices = []
        for name in names:
            converter = own.get(name) or all_converters.get(name)
            if isinstance(converter, UUIDConverter):
                choices.append(list(uuids.items()))
            elif isinstance(converter, IntConverter):
                choices.append([("one", "1")])
            elif name == "scope":
                choices.append([("scope", "readings")])
            else:
                choices.append([*texts.items(), ("reading", canaries.reading)])
        if len(choices) > 2:
            choices = [options[:1] for options in choices]
        for chosen in product(*choices):
            path, rest = "", where
            for _, value in chosen:
                before, _, after = rest.partition("<")
                path, rest = path + before + value, after.partition(">")[2]
            yield f"{where} {[name for name, _ in chosen]}", "/" + path + rest


def _resolvers(patterns: Any = None) -> Iterator[tuple[str, dict[str, Any]]]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            yield str(pattern.pattern), pattern.pattern.converters
            yield from _resolvers(pattern.url_patterns)


def bodies(canaries: Canaries, case_sop: str) -> dict[str, list[dict[str, Any]]]:
    """What could be posted where, naming what is reader1's."""
    stroke = {"sop": case_sop, "box": [0, 0, 2, 2], "runs": [[0, 2, 0]]}
    change = {"id": canaries.change, "base": canaries.head}
    return {
        "lease": [{"client": canaries.change, "take_over": True}],
        "changes": [
            {"lease": canaries.lease, "changes": [{**change, **body}]}
            for body in (
                {"kind": "doubt", "node": canaries.node, "value": True},
                {"kind": "voxels", "nodes": [canaries.node], "slices": [stroke]},
                {"kind": "undo", "undoes": canaries.change, "inverse": {"kind": "doubt"}},
            )
        ],
        "seen": [{"plane": "axial", "ranges": [[0, 1]], "active_seconds": 0}],
        "submit": [{"lease": canaries.lease, "head": canaries.head, "password": "x"}],
    }


def body_of(response: HttpResponseBase) -> bytes:
    if getattr(response, "streaming", False):
        return b"".join(response.streaming_content)  # type: ignore[attr-defined]
    return response.content  # type: ignore[attr-defined,no-any-return]


def crawl(
    client: Client, canaries: Canaries, site: Site, own: str, **headers: str
) -> dict[str, tuple[int, int]]:
    """Ask for everything; returns attempt → (status, length), having looked for the canaries."""
    client.raise_request_exception = False
    found = {}
    attempts: list[tuple[str, str, dict[str, Any] | None]] = [
        (name, path, None) for name, path in addresses(canaries, str(site.case.pk))
    ]
    sop = site.case.grid_json["sop_uids"][3]
    for verb, given in bodies(canaries, sop).items():
        for reading in ("theirs", "own"):
            target = canaries.reading if reading == "theirs" else own
            if reading == "own" and verb == "lease":
                continue
            for number, body in enumerate(given):
                path = f"/api/readings/{target}/{verb}"
                attempts.append((f"POST {verb} {reading} {number}", path, body))
    for name, path, body in attempts:
        if body is None:
            response = client.get(path, **headers)  # type: ignore[arg-type]
        else:
            text = json.dumps(body)
            response = client.post(path, text, content_type="application/json", **headers)  # type: ignore[arg-type]
        text_of = body_of(response).decode("latin-1")
        told = text_of + repr(list(response.items()))
        asked = path + json.dumps(body)
        for secret in [*canaries.secrets(), CANARY_TEXT, "Rita"]:
            assert secret not in told or secret in asked, f"{name} tells {secret}"
        found[name] = (response.status_code, len(text_of))
    return found


PEOPLE = ("reader2", "adjudicator", "stranger", "worker")


def clients(site: Site) -> dict[str, tuple[Client, dict[str, str]]]:
    token = create_worker_token(name="w")
    return {
        "reader2": (site.client("reader2"), {}),
        "adjudicator": (site.client("adjudicator"), {}),
        "stranger": (Client(), {}),
        "worker": (Client(), {"HTTP_AUTHORIZATION": f"Bearer {token}"}),
    }


def test_no_route_tells_anything_of_reader1s_work_to_anyone_else(ready: Site) -> None:
    canaries = Canaries(reading=str(ready.reading().pk))
    own = str(ready.reading("reader2").pk)
    people = clients(ready)
    before = {
        name: crawl(client, canaries, ready, own, **headers)
        for name, (client, headers) in people.items()
    }
    assert len(before["reader2"]) > 100
    work_as_reader1(ready, canaries)
    for name, (client, headers) in people.items():
        after = crawl(client, canaries, ready, own, **headers)
        changed = {k: (before[name][k], v) for k, v in after.items() if before[name][k] != v}
        assert changed == {}, name


def work_as_reader1(site: Site, canaries: Canaries) -> None:
    """Everything a reader does, leaving a canary wherever one fits."""
    twin = Twin(site)
    canaries.lease = str(twin.lease)
    stroke = twin.paint(canaries.node, 9, (2, 2, 7, 8))
    canaries.change = stroke["id"]
    twin.send(stroke)
    canaries.blob = site.reading().head.manifest.slices[9]
    twin.send(
        twin.make("impression", node=canaries.node, value="not_assessable", reason=CANARY_TEXT)
    )
    twin.decide_all("rejected")
    twin.look_through()
    twin.submit()
    reading = site.reading()
    assert reading.effective is not None
    canaries.head, canaries.effective = reading.head.hash, reading.effective.hash


def test_reader2s_worklist_reading_and_news_are_the_same_whatever_reader1_does(
    ready: Site,
) -> None:
    def all_of_reader2() -> list[Any]:
        client, reading = ready.client("reader2"), ready.reading("reader2")
        audiences = [f"user:{ready.users['reader2'].pk}", f"reading:{reading.pk}"]
        return [
            client.get("/api/worklist").content,
            client.get(f"/api/readings/{reading.pk}").content,
            client.get("/worklist/rows/").content,
            NewsItem.objects.filter(audience__in=audiences).count(),
        ]

    before = all_of_reader2()
    work_as_reader1(ready, Canaries(reading=str(ready.reading().pk)))
    assert all_of_reader2() == before


def test_coordinators_see_states_and_no_contents(ready: Site) -> None:
    canaries = Canaries(reading=str(ready.reading().pk))
    work_as_reader1(ready, canaries)
    client = ready.client("coordinator")
    page = client.get(f"/cases/{ready.case.pk}/")
    assert page.status_code == 200
    assert b"submitted" in page.content
    for secret in (canaries.node, canaries.head, canaries.effective, CANARY_TEXT):
        assert secret.encode() not in page.content
    for path in (
        f"readings/{canaries.reading}",
        f"masks/{canaries.head}",
        f"masks/{canaries.effective}/volume",
        f"slices/{canaries.blob}",
    ):
        assert client.get(f"/api/{path}").status_code == 404


def test_the_auditor_reads_everything_and_writes_nothing(ready: Site) -> None:
    canaries = Canaries(reading=str(ready.reading().pk))
    work_as_reader1(ready, canaries)
    client = ready.client("auditor")
    detail = client.get(f"/api/readings/{canaries.reading}").json()
    assert detail["head"] == canaries.head
    assert detail["lease"]["id"] is None
    assert client.get(f"/api/masks/{canaries.effective}").status_code == 200
    assert client.get(f"/api/slices/{canaries.blob}").status_code == 200
    answer = client.post(
        f"/api/readings/{ready.reading('reader2').pk}/lease",
        json.dumps({"client": str(uuid.uuid4())}),
        content_type="application/json",
    )
    assert (answer.status_code, answer.json()["error"]) == (403, "READ_ONLY")
    assert client.post(f"/cases/{ready.case.pk}/assign", {"slot": "R1"}).status_code == 403


def test_hidden_and_absent_are_the_same_answer(ready: Site) -> None:
    client = ready.client("reader2")
    hidden = client.get(f"/api/readings/{ready.reading('reader1').pk}")
    absent = client.get(f"/api/readings/{uuid.uuid4()}")
    assert (hidden.status_code, hidden.content) == (absent.status_code, absent.content)
    assert sorted(hidden.headers) == sorted(absent.headers)


def test_a_socket_hears_its_own_reading_and_worklist_alone(ready: Site) -> None:
    first, second = ready.users["reader1"], ready.users["reader2"]
    theirs, own = ready.reading("reader1").pk, ready.reading("reader2").pk
    assert audiences_of_reading(first, theirs) == [f"reading:{theirs}"]
    assert audiences_of_reading(second, own) == [f"reading:{own}"]
    for reading in (theirs, uuid.uuid4()):
        assert audiences_of_reading(second, reading) is None
    assert audiences_of_person(second) == [f"user:{second.pk}"]
    coordinator = ready.users["coordinator"]
    assert audiences_of_person(coordinator) == [
        f"user:{coordinator.pk}",
        "coordinators",
        f"coordinators:{ready.case.project_id}",
    ]
    assert audiences_of_reading(coordinator, own) is None
