"""The next case as the protocol chooses it: deterministic, explained, blind to the other reader."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.jobs.models import Run
from backend.reading import services
from backend.reading.models import Case, NodeState, Protocol, Reading
from backend.reading.next_order import (
    Order,
    Ranked,
    disagreement,
    in_places,
    rank,
    rejected_shares,
    uncertainty,
)
from backend.reading.presentation import worklist_rows
from backend.reading.selectors import worklist
from tests.reading.site import Site, build_site, default_model, make_series

scores = st.lists(st.floats(0, 1), max_size=8)


@given(st.dictionaries(st.uuids().map(str), scores, max_size=8), st.sampled_from(list(Order)))
def test_an_order_is_one_and_the_same_whenever_it_is_asked_for(some: Any, order: Order) -> None:
    keys = list(some)
    shares = [0.1 * n for n in range(10)]
    first = in_places(keys, rank(order, some, shares))
    assert sorted(first) == sorted(keys)
    assert first == in_places(keys, rank(order, dict(reversed(some.items())), shares))
    if order is Order.NEWEST:
        assert first == keys


def test_what_the_model_is_least_sure_of_comes_first_and_the_rest_keeps_its_place() -> None:
    assert uncertainty([0.5, 0.5]) == 1.0
    assert uncertainty([0.99, 0.01]) < 0.1 < uncertainty([0.7])
    assert uncertainty([]) == 0.0
    ranked = {"a": Ranked(0.1, ""), "c": Ranked(0.9, ""), "d": Ranked(0.9, "")}
    assert in_places(["a", "b", "c", "d"], ranked) == ["c", "b", "d", "a"]


def test_disagreement_is_learnt_from_enough_published_decisions_or_not_at_all() -> None:
    few = [(0.5, True)] * 19
    assert rejected_shares(few) is None
    assert rank(Order.DISAGREEMENT, {"a": [0.5]}, None) == {}
    # Readers reject what the model scores around 0.9 here, and keep what it is unsure of.
    shares = rejected_shares([(0.55, False)] * 30 + [(0.95, True)] * 30)
    assert shares is not None
    assert disagreement([0.95], shares) > 0.9 > 0.1 > disagreement([0.55], shares)
    told = rank(Order.DISAGREEMENT, {"sure": [0.95], "unsure": [0.55]}, shares)
    assert told["sure"].worth > told["unsure"].worth


@pytest.fixture
def site(db: None) -> Site:
    default_model()
    return build_site()


SCORES = {1: [0.97, 0.98], 2: [0.52, 0.55], 3: [0.8]}


def three_cases(site: Site, order: str | None) -> dict[int, Case]:
    """Three cases with proposals of these scores, all assigned to both readers."""
    if order is not None:
        protocol = site.case.protocol
        made = {**protocol.definition, "next_case": order}
        Protocol.objects.filter(code=protocol.code).update(active=False)
        Protocol.objects.create(
            code="ACTIVE", version=1, name="active", design=protocol.design, definition=made,
            active=True,
        )  # fmt: skip
    cases = {}
    for number, some in SCORES.items():
        case = services.open_case(series=make_series(number + 1))
        assert case is not None
        of_case = Site(site.users, case)
        run = of_case.presegment()
        nodes = [
            {"uuid": node, "score": score} for node, score in zip(of_case.nodes, some, strict=False)
        ]
        Run.objects.filter(pk=run.pk).update(result={"nodes": nodes, "provenance": {}})
        cases[number] = Case.objects.get(pk=case.pk)
    return cases


def listed(site: Site, name: str, cases: dict[int, Case]) -> list[tuple[int, str | None]]:
    rows = worklist_rows(site.users[name], list(worklist(site.users[name])), {})
    numbers = {case.label: number for number, case in cases.items()}
    return [
        (numbers[row["case"]["label"]], row["why"])
        for row in rows
        if row["case"]["label"] in numbers
    ]


def test_the_newest_is_first_unless_the_protocol_says_else(site: Site) -> None:
    cases = three_cases(site, None)
    assert listed(site, "reader1", cases) == [(3, None), (2, None), (1, None)]


def test_the_worklist_says_why_a_case_is_next_and_shows_no_score(site: Site) -> None:
    cases = three_cases(site, "uncertainty")
    order = listed(site, "reader1", cases)
    assert [number for number, _ in order] == [2, 3, 1]
    assert order[0][1] == "The model is less sure of this case than of most of yours."
    assert order[2][1] == "The model is surer of this case than of most of yours."
    page = site.client("reader1").get("/").content.decode()
    assert page.index("less sure of this case") < page.index("surer of this case")
    assert not any(f"{score}" in page for some in SCORES.values() for score in some)
    rows = site.client("reader1").get("/api/worklist").json()["results"]
    assert next(row["why"] for row in rows if row["why"]) == order[0][1]


def test_who_is_not_shown_the_ai_is_not_ordered_by_it(site: Site) -> None:
    cases = three_cases(site, "uncertainty")
    mine = Reading.objects.filter(reader=site.users["reader2"])
    for arm in ("no_ai", "ai_after_first_pass"):
        mine.update(arm=arm)
        assert listed(site, "reader2", cases) == [(3, None), (2, None), (1, None)]


@pytest.mark.parametrize("order", ["uncertainty", "disagreement"])
def test_nothing_the_first_reader_does_moves_a_case_of_the_second(site: Site, order: str) -> None:
    cases = three_cases(site, order)
    before = listed(site, "reader2", cases)
    firsts = Reading.objects.filter(case__in=[c.pk for c in cases.values()], slot="R1")

    for reading in firsts.select_related("reader"):
        for state in reading.node_states.all():
            NodeState.objects.filter(pk=state.pk).update(
                decision="rejected", reason="vessel", touched=True, doubt=True
            )
        assert listed(site, "reader2", cases) == before
        opened = services.open_reading(reading=reading, user=reading.reader)
        assert listed(site, "reader2", cases) == before
        services.take_lease(
            reading=opened, user=reading.reader, client=uuid.uuid4(), take_over=False
        )
        Reading.objects.filter(pk=reading.pk).update(
            active_seconds=500, changes_count=40, head=reading.base
        )
        assert listed(site, "reader2", cases) == before
    # Signed by the first alone: neither compared nor published.
    firsts.update(lease=None)
    for reading in firsts:
        reading.state, reading.effective, reading.submitted_at = (
            "submitted", reading.head, reading.assigned_at,
        )  # fmt: skip
        reading.save()
        assert listed(site, "reader2", cases) == before
