"""One click: who may ask, what a worker is told, what comes back, and what is recorded of it."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from backend.accounts.models import WorkerToken
from backend.audit.models import Event, NewsItem
from backend.errors import BadInput
from backend.jobs import queue, services
from backend.jobs.models import ModelVersion, Run, WorkerSession
from backend.jobs.protocol import PROMPT_QUEUE, PROPOSED_NODE, held_queue
from backend.jobs.selectors import default_model
from backend.reading.models import Change, ProtocolModel, Reading
from backend.reading.services import give_up_on_prompts, prompting
from tests.reading.site import Site, Twin

HERE = [10, 9, 12]
SLICES = [{"index": 10, "box": [8, 11, 11, 14], "runs": [[0, 2, 1], [3, 3, 1]]}]


@pytest.fixture
def worker(db: None) -> WorkerSession:
    """A worker that is heard of throughout the test, however slow the machine."""
    token = WorkerToken.objects.create(name="machine", digest=uuid.uuid4().hex)
    return WorkerSession.objects.create(
        token=token, name="worker-a", number=77, heard=timezone.now() + timedelta(hours=1)
    )


def ask(site: Site, twin: Twin, name: str = "reader1", **changed: Any) -> Any:
    body = {
        "id": str(uuid.uuid4()),
        "lease": str(twin.lease),
        "clicks": [{"at": HERE, "within": True}],
        **changed,
    }
    return post(site.client(name), f"/api/readings/{site.reading().pk}/prompt", body)


def post(client: Client, path: str, body: Any) -> Any:
    return client.post(path, json.dumps(body), content_type="application/json")


def answer(run: str, session: WorkerSession, **changed: Any) -> Run:
    """What a worker does."""
    lease = services.claim(run=uuid.UUID(run), session=session)
    result = {
        "slices": SLICES,
        "voxels": 5,
        "confidence": 0.9,
        "unsure": ["faint"],
        "provenance": {"algorithm": {"name": "click", "version": "1"}, "model": {}, "input": {}},
        **changed,
    }
    return services.answered(
        run=lease.run.pk, attempt=lease.attempt, result=result, timings={"answer": 0.1}
    )


def voxels(twin: Twin, node: str, prompt: str) -> dict[str, Any]:
    part = SLICES[0]
    slices = [{"sop": twin.sops[10], "box": part["box"], "runs": part["runs"]}]
    return twin.make("voxels", nodes=[node], slices=slices, prompt=prompt)


def test_a_click_is_taken_at_once_and_its_proposal_is_news_of_the_reading(
    ready: Site, twin: Twin, worker: WorkerSession
) -> None:
    asked = ask(ready, twin)
    assert (asked.status_code, asked.json()["state"]) == (202, "waiting")
    run = asked.json()["id"]
    (job,) = queue.unfinished_jobs(uuid.UUID(run))
    assert job.run == uuid.UUID(run)

    answer(run, worker)

    reading = ready.reading()
    told = NewsItem.objects.filter(audience=f"reading:{reading.pk}", type="prompt.changed")
    assert [item.payload["state"] for item in told.order_by("seq")] == [
        "waiting",
        "waiting",
        "answered",
    ]
    got = ready.client("reader1").get(f"/api/readings/{reading.pk}/prompts/{run}").json()
    assert got["state"] == "answered"
    assert got["proposal"]["slices"][0]["sop"] == twin.sops[10]
    assert got["proposal"]["voxels"] == 5
    assert got["proposal"]["unsure"] == ["faint"]
    assert reading.head == reading.base, "a proposal changes nothing"


def test_a_prompt_waits_in_a_queue_of_its_own_and_behind_no_run_of_its_case(
    ready: Site, twin: Twin, worker: WorkerSession
) -> None:
    run = ask(ready, twin).json()["id"]
    (row,) = queue._rows(
        "select queue_name, lock from procrastinate_jobs where args ->> 'run' = %s", [run]
    )
    assert row == (
        held_queue(PROMPT_QUEUE, ready.run().model.description),
        f"reading.reading:{ready.reading().pk}",
    )


def chosen_for_the_protocol(site: Site, **facts: Any) -> ModelVersion:
    """Another model, made the default of the case's protocol alone."""
    model = ModelVersion.objects.create(
        name="of the protocol", version="2", kind="constant", manifest={"version": "2"},
        sha256="b" * 64, folder="nowhere", verified=timezone.now(), **facts,
    )  # fmt: skip
    ProtocolModel.objects.create(protocol=site.case.protocol, model=model, reason="It is better.")
    return model


def test_a_click_is_for_the_model_of_the_protocol_not_for_the_default_of_all(
    ready: Site, twin: Twin, worker: WorkerSession
) -> None:
    model = chosen_for_the_protocol(ready)

    run = Run.objects.get(pk=ask(ready, twin).json()["id"])

    assert run.model == model != default_model()
    (row,) = queue._rows(
        "select queue_name from procrastinate_jobs where args ->> 'run' = %s", [str(run.pk)]
    )
    assert row == (held_queue(PROMPT_QUEUE, model.description),)


def test_where_no_worker_holds_the_protocol_s_model_the_reader_is_told_so(
    ready: Site, twin: Twin, worker: WorkerSession
) -> None:
    model = chosen_for_the_protocol(ready)
    worker.facts = {"models": [default_model().description]}
    worker.save()

    refused = ask(ready, twin)

    assert (refused.status_code, refused.json()["error"]) == (409, "NO_WORKER")
    assert "No connected worker has of the protocol 2" in refused.json()["message"]
    worker.facts = {"models": [model.description]}
    worker.save()
    assert ask(ready, twin).status_code == 202


def test_no_other_model_answers_for_a_chosen_one_that_is_retired(
    ready: Site, twin: Twin, worker: WorkerSession
) -> None:
    chosen_for_the_protocol(ready, retired=timezone.now())

    refused = ask(ready, twin)

    assert (refused.status_code, refused.json()["error"]) == (409, "NO_MODEL")
    assert "of the protocol 2, the model of" in refused.json()["message"]


def test_what_is_taken_of_a_proposal_records_where_it_came_from(
    ready: Site, twin: Twin, worker: WorkerSession
) -> None:
    run = ask(ready, twin).json()["id"]
    answer(run, worker)
    node = str(uuid.uuid4())

    (result,) = twin.send(voxels(twin, node, run))

    assert result["head"] == twin.head
    facts = Change.objects.get(reading=ready.reading(), position=1).facts["prompt"]
    assert facts["run"] == run
    assert facts["clicks"] == [{"at": HERE, "within": True}]
    assert facts["algorithm"] == {"name": "click", "version": "1"}
    assert facts["model"]["sha256"] == "a" * 64
    assert facts["taken_as_proposed"] is True
    event = Event.objects.filter(action="reading.changed.voxels").latest("at")
    assert event.facts["prompt"]["run"] == run


def test_a_change_names_only_an_answered_prompt_of_its_own_reading(
    ready: Site, twin: Twin, worker: WorkerSession
) -> None:
    waiting = ask(ready, twin).json()["id"]
    part = SLICES[0]
    slices = [{"sop": twin.sops[10], "box": part["box"], "runs": part["runs"]}]
    for prompt in (waiting, str(uuid.uuid4()), str(ready.run().pk)):
        change = {
            "id": str(uuid.uuid4()),
            "base": twin.head,
            "kind": "voxels",
            "nodes": [str(uuid.uuid4())],
            "slices": slices,
            "prompt": prompt,
        }
        with pytest.raises(BadInput, match="no answered prompt"):
            twin.send(change)


def test_asking_twice_with_one_id_is_asking_once(
    ready: Site, twin: Twin, worker: WorkerSession
) -> None:
    one = str(uuid.uuid4())
    first, second = (ask(ready, twin, id=one) for _ in range(2))
    assert first.json()["id"] == second.json()["id"] == one
    assert Run.objects.filter(kind="prompt").count() == 1


def test_a_later_click_takes_the_place_of_one_that_waits(
    ready: Site, twin: Twin, worker: WorkerSession
) -> None:
    first = ask(ready, twin).json()["id"]
    ask(ready, twin)
    assert Run.objects.get(pk=first).state == "cancelled"
    assert not queue.unfinished_jobs(uuid.UUID(first))


def test_where_no_worker_is_connected_the_reader_is_told_at_once(ready: Site, twin: Twin) -> None:
    refused = ask(ready, twin)
    assert (refused.status_code, refused.json()["error"]) == (409, "NO_WORKER")
    assert "ask again" in refused.json()["cure"]


def test_a_prompt_nobody_answers_ends_with_a_sentence(
    ready: Site, twin: Twin, worker: WorkerSession, settings: Any
) -> None:
    run = ask(ready, twin).json()["id"]
    assert give_up_on_prompts() == 0
    late = timezone.now() - timedelta(seconds=settings.PROMPT_SECONDS + 1)
    Run.objects.filter(pk=run).update(created=late)

    assert give_up_on_prompts() == 1

    got = ready.client("reader1").get(f"/api/readings/{ready.reading().pk}/prompts/{run}").json()
    assert got["state"] == "failed"
    assert (
        got["message"] == "No worker answered within 20 seconds. Your clicks are kept: ask again."
    )


def test_a_reader_who_drops_a_prompt_hears_no_more_of_it(
    ready: Site, twin: Twin, worker: WorkerSession
) -> None:
    run = ask(ready, twin).json()["id"]
    lease = services.claim(run=uuid.UUID(run), session=worker)
    root = f"/api/readings/{ready.reading().pk}/prompts/{run}"

    dropped = post(ready.client("reader1"), f"{root}/cancel", {})

    assert dropped.json()["state"] == "failed"
    assert services.lease_of(lease.token) is None
    again = post(ready.client("reader1"), f"{root}/cancel", {})
    assert again.json()["state"] == "failed"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"clicks": []}, "1 to 64 clicks"),
        ({"clicks": [{"at": HERE, "within": False}]}, "one of them in the node"),
        ({"clicks": [{"at": [12, 0, 0], "within": True}]}, "outside the grid"),
        ({"clicks": [{"at": [0, 0, 24], "within": True}]}, "outside the grid"),
        ({"clicks": [{"at": [-1, 0, 0], "within": True}]}, "greater than or equal to 0"),
        ({"clicks": [{"at": HERE, "within": True}], "box": [[5, 5, 5], [4, 6, 6]]}, "box ends"),
        ({"node": str(uuid.uuid4())}, "no node"),
    ],
)
def test_a_prompt_that_makes_no_sense_is_refused(
    ready: Site, twin: Twin, worker: WorkerSession, changed: dict[str, Any], words: str
) -> None:
    refused = ask(ready, twin, **changed)
    assert refused.status_code == 400
    assert words in refused.json()["message"]
    assert not Run.objects.filter(kind="prompt").exists()


def test_who_asks_faster_than_a_person_clicks_is_told_to_wait(
    ready: Site, twin: Twin, worker: WorkerSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompting, "MOST_PROMPTS", 2)
    monkeypatch.setattr(prompting, "PROMPTS_SECONDS", 600)
    for _ in range(2):
        assert ask(ready, twin).status_code == 202
    refused = ask(ready, twin)
    assert (refused.status_code, refused.json()["error"]) == (429, "TOO_MANY_PROMPTS")
    wait = int(refused.headers["Retry-After"])
    assert 590 <= wait <= 600, "until the first of them is no longer counted"
    assert refused.json()["cure"] == f"Try again in {wait} s."


@pytest.mark.parametrize("name", ["reader2", "coordinator", "adjudicator"])
def test_another_persons_prompt_does_not_exist(
    ready: Site, twin: Twin, worker: WorkerSession, name: str
) -> None:
    run = ask(ready, twin).json()["id"]
    answer(run, worker)
    root = f"/api/readings/{ready.reading().pk}"
    absent = f"/api/readings/{uuid.uuid4()}"
    other = ready.client(name)
    for path in (f"/prompts/{run}", f"/prompts/{uuid.uuid4()}"):
        hidden, none = other.get(root + path), other.get(absent + path)
        assert (hidden.status_code, hidden.content) == (none.status_code, none.content)
        assert hidden.status_code == 404
    body = {"id": run, "lease": str(twin.lease), "clicks": [{"at": HERE, "within": True}]}
    for path in ("/prompt", f"/prompts/{run}/cancel"):
        hidden, none = post(other, root + path, body), post(other, absent + path, body)
        assert (hidden.status_code, hidden.content) == (none.status_code, none.content)
        assert hidden.status_code == 404


def test_a_prompt_of_one_reading_is_none_of_another_of_the_same_reader(
    ready: Site, twin: Twin, worker: WorkerSession
) -> None:
    run = ask(ready, twin).json()["id"]
    mine = ready.reading("reader2")
    other = ready.client("reader2")
    assert other.get(f"/api/readings/{mine.pk}/prompts/{run}").status_code == 404
    second = Twin(ready, "reader2")
    taken = post(
        other,
        f"/api/readings/{mine.pk}/prompt",
        {"id": run, "lease": str(second.lease), "clicks": [{"at": HERE, "within": True}]},
    )
    assert taken.status_code == 404


def test_without_the_lease_nothing_is_asked(ready: Site, twin: Twin, worker: WorkerSession) -> None:
    refused = ask(ready, twin, lease=str(uuid.uuid4()))
    assert (refused.status_code, refused.json()["error"]) == (409, "LEASE_LOST")


@pytest.mark.parametrize("arm", ["no_ai", "ai_after_first_pass"])
def test_where_the_arm_hides_the_ai_there_are_no_prompts(
    ready: Site, twin: Twin, worker: WorkerSession, arm: str
) -> None:
    run = ask(ready, twin).json()["id"]
    Reading.objects.filter(pk=ready.reading().pk).update(arm=arm)
    refused = ask(ready, twin)
    looked = ready.client("reader1").get(f"/api/readings/{ready.reading().pk}/prompts/{run}")
    for one in (refused, looked):
        assert (one.status_code, one.json()["message"]) == (404, "There is no such prompt.")


def test_a_worker_is_told_which_voxels_others_hold_but_not_those_of_rejected_nodes(
    ready: Site, twin: Twin, worker: WorkerSession
) -> None:
    first, second, _ = ready.nodes
    twin.send(twin.make("decision", node=first, decision="rejected", reason="vessel"))
    run = ask(ready, twin, node=second, clicks=[{"at": [5, 14, 6], "within": True}]).json()["id"]
    around = Run.objects.get(pk=run).parameters["around"]
    assert around["nodes"][around["nodes"].index(PROPOSED_NODE)] == PROPOSED_NODE
    counts = dict.fromkeys(around["nodes"], 0)
    for part in around["slices"]:
        for _, length, k in part["runs"]:
            counts[around["nodes"][k - 1]] += length
    assert counts[PROPOSED_NODE] == 4 * 5 * 4
    assert sum(counts.values()) == 4 * 5 * 4 + 3 * 6 * 6


@pytest.mark.parametrize(
    "changed",
    [
        {"slices": [{"index": 99, "box": [0, 0, 1, 1], "runs": [[0, 1, 1]]}]},
        {"voxels": 6},
        {"confidence": 1.5},
        {"unsure": ["because"]},
        {"provenance": {}},
    ],
)
def test_a_damaged_answer_is_refused_and_the_attempt_lives_on(
    ready: Site, twin: Twin, worker: WorkerSession, changed: dict[str, Any]
) -> None:
    run = ask(ready, twin).json()["id"]
    with pytest.raises(BadInput):
        answer(run, worker, **changed)
    assert Run.objects.get(pk=run).is_live


def test_the_answer_of_an_attempt_that_ended_is_not_taken(
    ready: Site, twin: Twin, worker: WorkerSession
) -> None:
    run = uuid.UUID(ask(ready, twin).json()["id"])
    services.claim(run=run, session=worker)
    services.lose(run=run, attempt=1, message="worker-a stopped.")
    assert Run.objects.get(pk=run).state == "queued", "another worker may answer"
    answer(str(run), worker)
    assert Run.objects.get(pk=run).attempt == 2


def test_questions_are_no_part_of_the_cases_record(
    ready: Site, twin: Twin, worker: WorkerSession
) -> None:
    before = Event.objects.filter(chain=ready.case.chain).count()
    answer(ask(ready, twin).json()["id"], worker)
    assert Event.objects.filter(chain=ready.case.chain).count() == before
