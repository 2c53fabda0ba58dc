"""Who sees a comparison, from when on, and what it says: X and Y, never who they are."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.test import Client

from backend.accounts.roles import Role
from backend.audit.models import Event
from backend.reading import services
from backend.reading.comparison_presentation import beside
from backend.reading.models import Comparison
from backend.reading.services import comparing
from tests.reading.site import PASSWORD, Site, Twin, other_project
from tests.reading.test_comparing import compare, finish, jobs, two_readers

SEERS = ("reader1", "reader2", "auditor", "coordinator")


def ask(client: Client, case: Any) -> Any:
    return client.get(f"/api/cases/{case}/comparison")


def hidden(site: Site, name: str) -> bool:
    """Whether a person gets exactly what they get for a case that does not exist."""
    client = site.client(name)
    found, absent = ask(client, site.case.pk), ask(client, uuid.uuid4())
    assert found.status_code in (200, 404)
    if found.status_code == 200:
        return False
    assert (found.status_code, found.content) == (absent.status_code, absent.content)
    assert sorted(found.headers.items()) == sorted(absent.headers.items())
    return True


@pytest.fixture
def made(ready: Site) -> Site:
    """A case whose comparison is made."""
    two_readers(ready)
    compare(ready)
    return ready


def test_until_it_is_made_there_is_no_such_case_for_anyone(ready: Site) -> None:
    people = [*SEERS, "adjudicator"]
    assert all(hidden(ready, name) for name in people)
    finish(Twin(ready))
    assert jobs(ready) == []
    assert all(hidden(ready, name) for name in people)
    finish(Twin(ready, "reader2"))
    assert jobs(ready) == ["todo"]
    assert all(hidden(ready, name) for name in people)
    compare(ready)
    assert [name for name in people if not hidden(ready, name)] == list(SEERS)


def test_what_the_second_reader_sees_does_not_change_when_the_first_submits(ready: Site) -> None:
    def all_of_reader2() -> list[Any]:
        client, reading = ready.client("reader2"), ready.reading("reader2")
        paths = ["/api/worklist", f"/api/readings/{reading.pk}", "/worklist/rows/"]
        paths += [f"/api/cases/{ready.case.pk}/comparison"]
        return [(client.get(path).status_code, client.get(path).content) for path in paths]

    before = all_of_reader2()
    finish(Twin(ready))
    assert all_of_reader2() == before


def test_strangers_and_readers_of_other_projects_never_see_it(made: Site) -> None:
    assert ask(Client(), made.case.pk).status_code in (401, 403)
    outsider = type(made.users["reader1"]).objects.create_user("outsider", password=PASSWORD)
    services.grant_role(project=other_project(), user=outsider, role=Role.AUDITOR, actor=None)
    made.users["outsider"] = outsider
    assert hidden(made, "outsider")


def test_an_administrators_look_is_on_record(made: Site) -> None:
    admin = type(made.users["reader1"]).objects.create_superuser("root", password=PASSWORD)
    client = Client()
    client.force_login(admin)
    assert ask(client, made.case.pk).status_code == 200
    looked = Event.objects.get(action="admin.looked", chain=made.case.chain)
    assert looked.facts == {"what": "comparison"}


def test_it_names_x_and_y_and_nobody(made: Site) -> None:
    for name in SEERS:
        text = ask(made.client(name), made.case.pk).content.decode()
        found = json.loads(text)
        assert set(found["clusters"][0]) >= {"x", "y", "kind"}
        for secret in ("Rita", "Rolf", "reader1", "reader2", '"first"', '"second"', "R1", "R2"):
            assert secret not in text
        for reader in ("reader1", "reader2"):
            reading = made.reading(reader)
            assert str(reading.pk) not in text


@pytest.mark.parametrize("x_is_first", [True, False])
def test_what_is_said_of_x_is_what_x_did(
    ready: Site, monkeypatch: pytest.MonkeyPatch, x_is_first: bool
) -> None:
    monkeypatch.setattr(comparing, "_x_is_first", lambda _: x_is_first)
    two_readers(ready)
    compare(ready)
    found = ask(ready.client("reader1"), ready.case.pk).json()
    assert Comparison.objects.get().x_is_first == x_is_first
    first, second = ("x", "y") if x_is_first else ("y", "x")
    one, two, three = ready.nodes
    clusters = {cluster["outcome"]: cluster for cluster in found["clusters"]}
    assert clusters["open"][first] is None
    assert [node["uuid"] for node in clusters["open"][second]["nodes"]] == [one]
    assert clusters["open"]["kind"] == f"only-{second}"
    assert clusters["ignored"]["kind"] == f"only-{first}"
    assert clusters["identical"][second]["nodes"][0]["impression"] == "non_metastatic"
    assert clusters["identical"][first]["nodes"][0]["impression"] is None
    assert clusters["identical"]["dice"] == 1.0
    assert [(pair["x"], pair["y"]) for pair in found["pairs"]] == [(three, three), (two, two)]
    pair = found["pairs"][0]
    assert 0.9 < pair["dice"] < 1
    assert (pair["asd_mm"] > 0, pair["sad_difference_mm"] > 0) == (True, True)
    discrepancies = {entry["cluster"]: entry for entry in found["discrepancies"]}
    opened = discrepancies[clusters["open"]["id"]]
    (trigger,) = opened["triggers"]
    assert trigger["text"].startswith(f"Only {second.upper()} has it: a short axis of ")
    assert (trigger[first], trigger["limit_mm"]) == (None, 5.0)
    assert opened["id"] == clusters["open"]["discrepancy"]
    assert clusters["identical"]["discrepancy"] is None
    assert found["counts"] == {
        "clusters": 4,
        "identical": 1,
        "settled": 1,
        "ignored": 1,
        "to_settle": 1,
        "by_trigger": {"presence": 1},
    }
    assert found["agreement"]["positive_agreement"]["value"] == pytest.approx(4 / 6)


def test_every_kind_of_trigger_is_said_in_words(ready: Site) -> None:
    first, second = Twin(ready), Twin(ready, "reader2")
    one, two, three = ready.nodes
    for index in range(4, 8):
        second.send(second.paint(two, index, (9, 8, 20, 13)))
    second.send(second.make("impression", node=one, value="metastatic", confidence=80))
    first.send(first.make("doubt", node=one, value=True))
    other = str(uuid.uuid4())
    for index in (6, 7, 8):
        second.send(second.paint(other, index, (14, 17, 20, 20)))
    finish(first)
    finish(second)
    comparison = compare(ready)
    found = ask(ready.client("auditor"), ready.case.pk).json()
    said = {t["kind"]: t["text"] for d in found["discrepancies"] for t in d["triggers"]}
    me, them = ("X", "Y") if comparison.x_is_first else ("Y", "X")
    wanted = {"border", "short_axis", "size_class", "impression", "doubt", "split_merge"}
    assert set(said) == wanted
    assert said["doubt"] == f"{me} is in doubt."
    words = {me: "non-metastatic", them: "metastatic"}
    assert said["impression"] == f"X says {words['X']}, Y {words['Y']}."
    numbers = {me: 1, them: 2}
    plural = "s" if numbers["X"] > 1 else ""
    assert said["split_merge"] == f"X has {numbers['X']} node{plural} where Y has {numbers['Y']}."
    assert "mm apart on average; 1 mm are tolerated." in said["border"]
    assert "mm apart; 2 mm are tolerated." in said["short_axis"]
    assert said["size_class"].startswith("The size class is ")
    assert three in {n["uuid"] for c in found["clusters"] for n in (c["x"] or c["y"])["nodes"]}


@pytest.mark.parametrize(
    ("value_mm", "text"), [(1.23, "1.2"), (1.04, "1.04"), (1.004, "1.004"), (0.96, "0.96")]
)
def test_a_length_is_shown_on_its_side_of_the_limit(value_mm: float, text: str) -> None:
    assert beside(value_mm, 1.0) == text


def panel(site: Site) -> str:
    return site.client("coordinator").get(f"/cases/{site.case.pk}/").content.decode()


def test_the_coordinators_panel_follows_the_comparison_in_counts_alone(ready: Site) -> None:
    assert "None yet. Both readings are compared" in panel(ready)
    two_readers(ready)
    assert 'data-state="queued"' in panel(ready)
    compare(ready)
    text = panel(ready)
    for name, count in (
        ("clusters", 4),
        ("agreed", 2),
        ("ignored", 1),
        ("decided", 0),
        ("to-settle", 1),
    ):
        assert f'data-count="{name}">{count}<' in text.replace(" <", "<")
    assert "only one reader has it" in text
    assert not [node for node in ready.nodes if node in text]


def test_a_failed_comparison_says_why_to_the_coordinator_who_has_it_made_again(
    ready: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("A slice is gone.")

    two_readers(ready)
    with monkeypatch.context() as patch:
        patch.setattr(comparing, "compare", broken)
        compare(ready)
    text = panel(ready)
    assert "A slice is gone." in text
    assert "Try again" in text
    path = f"/cases/{ready.case.pk}/compare"
    for name in ("reader1", "adjudicator"):
        assert ready.client(name).post(path).status_code == 404
    assert ready.client("auditor").post(path).status_code == 403
    assert "Try again" not in (
        ready.client("auditor").get(f"/cases/{ready.case.pk}/").content.decode()
    )
    client = ready.client("coordinator")
    assert client.post(path).status_code == 302
    assert compare(ready).state == "made"
    client.post(path)
    assert "No comparison of LN-0001 has failed" in panel_with(client, ready)


def panel_with(client: Client, site: Site) -> str:
    return client.get(f"/cases/{site.case.pk}/").content.decode()


def test_a_returned_reading_closes_the_comparison_to_its_readers(made: Site) -> None:
    reading = made.reading("reader2")
    type(reading).objects.filter(pk=reading.pk).update(state="returned")
    assert [name for name in SEERS if not hidden(made, name)] == ["auditor", "coordinator"]


def test_the_schema_describes_it(made: Site) -> None:
    client = made.client("coordinator")
    schema = client.get("/api/schema/?format=json").json()
    path = schema["paths"]["/api/cases/{case}/comparison"]["get"]
    assert path["operationId"] == "comparison"
    reference = path["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    described = schema["components"]["schemas"][reference.rsplit("/", 1)[1]]
    assert set(described["properties"]) == set(ask(client, made.case.pk).json())
