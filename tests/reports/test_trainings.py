"""Trainings: from frozen releases alone, people held out sealed off, versions with a lineage."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from backend.accounts.models import WorkerToken
from backend.audit.models import Event, NewsItem
from backend.errors import BadInput, NotAllowed, WrongState
from backend.imaging.masks import unpack_mask
from backend.jobs import services as jobs
from backend.jobs import training as told
from backend.jobs.model_acts import verify_model
from backend.jobs.models import ModelVersion, RunAttempt, WorkerSession
from backend.reading import maskstore
from backend.reading.models import Consensus, Subject
from backend.reports.models import Release, Training
from backend.reports.releases import services as releases
from backend.reports.training import registering, starting
from backend.store import store
from tests.postgres import ROOT
from tests.reports import agreed
from tests.reports.room import Room

SHIPPED = "foveal-ln-ct"
WEIGHTS = (20).to_bytes(8, "little") + b'{"__metadata__":{}} ' + b"\0" * 16
RESULT: dict[str, Any] = {
    "output": {"threshold": 0.5},
    "validation": {},
    "held_out": {},
    "people": 1,
    "steps": 12,
    "seconds": 3.5,
    "started_from": "parent",
    "software": {"torch": "2"},
}


@pytest.fixture
def parent(room: Room, tmp_path: Path, settings: Any) -> ModelVersion:
    """The shipped model, registered and verified, in a folder where others can be written."""
    settings.MODELS = tmp_path / "models"
    shutil.copytree(ROOT / "inference" / "models" / SHIPPED, settings.MODELS / SHIPPED)
    return jobs.register_model(folder=settings.MODELS / SHIPPED, actor=None)


@pytest.fixture
def published(room: Room) -> Consensus:
    return agreed.published(room)


@pytest.fixture
def release(room: Room, published: Consensus) -> Release:
    return frozen(room)


def frozen(room: Room, held_out: int = 20) -> Release:
    coordinator = room.users["coordinator"]
    made = releases.draft_release(
        project=room.case.project, name=f"r{held_out}", held_out=held_out, actor=coordinator
    )
    return releases.freeze(release=made.pk, actor=coordinator)


def started(room: Room, release: Release, parent: ModelVersion, **more: Any) -> Training:
    actor = room.users["coordinator"]
    return starting.start_training(release=release, parent=parent, actor=actor, **more)


def of_people_held_out(room: Room) -> Release:
    """A release whose one person is held out for life."""
    Subject.objects.filter(pk=room.case.subject_id).update(role="locked_test")
    return frozen(room)


def started_unasked(release: Release, parent: ModelVersion) -> Training:
    """A training that nobody could start: of a release with nobody to train on."""
    training = Training.objects.create(release=release, parent=parent, version="9")
    training.run = jobs.enqueue(
        kind="train", subject=training, series_id=training.pk, study_uid="", series_uid="",
        model=parent, parameters={"cases": starting.cases_of(release)}, actor=None, chain="system",
    )  # fmt: skip
    training.save()
    return training


class Worker:
    """A machine with a lease on a training."""

    def __init__(self, training: Training) -> None:
        token = WorkerToken.objects.create(name="machine", digest=uuid.uuid4().hex)
        session = WorkerSession.objects.create(
            token=token, name="trainer", number=78, heard=timezone.now(), facts={"trains": True}
        )
        assert training.run is not None
        self.training, self.run = training, training.run
        self.lease = jobs.claim(run=self.run.pk, session=session)
        self.number = self.lease.attempt
        self.client = Client(headers={"Authorization": f"Bearer {self.lease.token}"})

    @property
    def attempt(self) -> RunAttempt:
        return RunAttempt.objects.select_related("run").get(run=self.run, number=self.number)

    def asks(self, case: Any, part: str = "") -> Any:
        at = f"/api/runs/{self.run.pk}/attempts/{self.number}/references/{case}{part}"
        return self.client.get(at)

    def images(self, room: Room) -> int:
        case = room.case
        at = f"/dicom-web/studies/{case.study_uid}/series/{case.series_uid}"
        accept = {"Accept": "application/x-concord-volume"}
        return int(self.client.get(at, headers=accept).status_code)

    def puts(self, weights: bytes = WEIGHTS) -> Any:
        at = f"/api/runs/{self.run.pk}/attempts/{self.number}/weights"
        return self.client.put(at, weights, content_type="application/octet-stream")

    def point(self, curve: str, step: int, **more: Any) -> None:
        value = {"curve": curve, "step": step, "seconds": step / 2, "loss": 1 / (1 + step), **more}
        told.point(run=self.run.pk, attempt=self.number, value=value)

    def ends(self, **changed: Any) -> None:
        result = {**RESULT, **changed}
        told.trained(run=self.run.pk, attempt=self.number, result=result, timings={"train": 3.0})


def test_only_who_coordinates_starts_a_training_and_only_from_what_is_frozen(
    room: Room, release: Release, parent: ModelVersion
) -> None:
    asked = {"release": str(release.pk), "parent": str(parent.pk), "minutes": "1", "threads": "1"}
    for name in ("reader1", "reader2", "adjudicator", "abstractor", "outsider"):
        assert room.client(name).post("/models/train", asked).status_code == 404
    for name in ("scientist", "auditor"):
        assert room.client(name).post("/models/train", asked).status_code == 403
    assert not Training.objects.exists()
    with pytest.raises(NotAllowed):
        starting.start_training(release=release, parent=parent, actor=room.users["scientist"])

    answer = room.client("coordinator").post("/models/train", asked)

    (training,) = Training.objects.all()
    assert answer.headers["Location"] == f"/runs/{training.run_id}/"
    assert (training.version, training.plan["minutes"]) == (f"{parent.version}-t1", 1.0)
    said = Event.objects.get(action="training.started").facts
    assert (said["release_sha256"], said["parent"]) == (release.sha256, parent.named)
    with pytest.raises(WrongState, match="already"):
        started(room, release, parent)
    jobs.cancel(run=training.run_id, actor=None)  # type: ignore[arg-type]
    releases.withdraw(release=release.pk, reason="consent", actor=room.users["coordinator"])
    with pytest.raises(WrongState, match="frozen"):
        started(room, release, parent)


def test_what_cannot_be_trained_is_refused_with_the_cure(
    room: Room, release: Release, parent: ModelVersion
) -> None:
    for wrong in ({"minutes": 0.0}, {"minutes": 1e9}, {"threads": 0}, {"seed": -1}):
        with pytest.raises(BadInput):
            started(room, release, parent, **wrong)
    for minutes in ("nan", "inf", "x", "1e400"):
        asked = {"release": str(release.pk), "parent": str(parent.pk), "minutes": minutes}
        page = room.client("coordinator").post("/models/train", asked, follow=True)
        assert b"of minutes" in page.content or b"minutes of processor time" in page.content
    with pytest.raises(WrongState, match="constant"):
        started(room, release, ModelVersion.objects.get(kind="constant"))
    ModelVersion.objects.filter(pk=parent.pk).update(verified=None)
    with pytest.raises(WrongState, match="not runnable"):
        started(room, release, ModelVersion.objects.get(pk=parent.pk))
    ModelVersion.objects.filter(pk=parent.pk).update(verified=timezone.now())
    assert not Training.objects.exists()


def test_a_release_with_nobody_to_train_on_is_refused(
    room: Room, published: Consensus, parent: ModelVersion
) -> None:
    release = of_people_held_out(room)
    with pytest.raises(WrongState, match="nobody is left"):
        started(room, release, parent)


def test_a_lease_opens_the_cases_of_its_release_and_nothing_else(
    room: Room, release: Release, parent: ModelVersion, published: Consensus
) -> None:
    worker = Worker(started(room, release, parent))

    assert worker.images(room) == 200
    answer = worker.asks(room.case.pk)
    assert answer.status_code == 200
    assert published.mask is not None
    assert (unpack_mask(answer.content).to_volume() == maskstore.volume(published.mask)).all()
    assert worker.asks(room.case.pk, "/ignored").status_code == 404
    assert worker.asks(uuid.uuid4()).status_code == 404
    assert Client().get(answer.request["PATH_INFO"]).status_code == 401
    for name in ("reader1", "coordinator", "scientist", "admin"):
        assert room.client(name).get(answer.request["PATH_INFO"]).status_code == 401

    releases.withdraw(release=release.pk, reason="consent", actor=room.users["coordinator"])
    assert (worker.images(room), worker.asks(room.case.pk).status_code) == (404, 404)


def test_a_token_of_another_run_opens_no_reference(
    room: Room, release: Release, parent: ModelVersion
) -> None:
    from backend.reports.trying import try_model

    training = started(room, release, parent)
    trial = try_model(model=parent, case=room.case, actor=room.users["coordinator"])
    session = WorkerSession.objects.create(
        token=WorkerToken.objects.create(name="m", digest="x"),
        name="w", number=5, heard=timezone.now(),
    )  # fmt: skip
    lease = jobs.claim(run=trial.pk, session=session)
    bearer = {"Authorization": f"Bearer {lease.token}"}
    for run in (trial.pk, training.run_id):
        at = f"/api/runs/{run}/attempts/1/references/{room.case.pk}"
        assert Client().get(at, headers=bearer).status_code in (403, 404)
    at = f"/api/runs/{trial.pk}/attempts/1/weights"
    assert Client().put(at, WEIGHTS, headers=bearer).status_code == 409


def test_people_held_out_open_once_the_weights_are_sealed_and_count_as_one_look(
    room: Room, published: Consensus, parent: ModelVersion
) -> None:
    release = of_people_held_out(room)
    worker = Worker(started_unasked(release, parent))
    assert (worker.images(room), worker.asks(room.case.pk).status_code) == (404, 404)
    assert Release.objects.get(pk=release.pk).looks == 0

    assert worker.puts(b"no weights").status_code == 400
    assert worker.puts().status_code == 200
    assert (worker.images(room), worker.asks(room.case.pk).status_code) == (200, 200)
    assert worker.asks(room.case.pk).status_code == 200
    assert Release.objects.get(pk=release.pk).looks == 1
    assert Event.objects.get(action="release.looked_at").facts["model"] == str(worker.training)

    other = WEIGHTS + b"more"
    assert worker.puts(other).status_code == 409, "weights could be changed after a look"
    assert worker.puts().status_code == 200


def test_a_training_becomes_a_version_with_card_hashes_and_lineage_that_runs_once_verified(
    room: Room, release: Release, parent: ModelVersion, settings: Any
) -> None:
    worker = Worker(started(room, release, parent))
    worker.point("training", 2)
    with pytest.raises(WrongState, match="weights"):
        worker.ends()
    worker.puts()
    with pytest.raises(BadInput, match="threshold"):
        worker.ends(output={"threshold": 7})
    worker.ends()
    worker.ends()

    model = registering.register_training(worker.training.pk)
    assert model is not None
    assert registering.register_training(worker.training.pk) == model
    assert (model.name, model.version) == (parent.name, f"{parent.version}-t1")
    assert model.verified is None
    assert not model.is_default
    with pytest.raises(WrongState, match="not runnable"):
        jobs.enqueue(
            kind="trial", subject=room.case, series_id=uuid.uuid4(), study_uid="", series_uid="",
            model=model, parameters={"geometry_hash": "", "shape": []}, actor=None, chain="system",
        )  # fmt: skip
    folder = settings.MODELS / model.folder
    manifest = json.loads((folder / "model.json").read_text())
    for name, sha256 in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256
    assert manifest["training"]["release"]["sha256"] == release.sha256
    assert manifest["training"]["parent"] == parent.named
    assert manifest["output"]["threshold"] == 0.5
    assert manifest["output"]["second_look"] == parent.manifest["output"]["second_look"]
    words = (folder / "CARD.md").read_text()
    assert release.sha256 in words
    assert "0 of the cases are synthetic phantoms" in words
    assert "recall" not in words.lower()
    lineage = Event.objects.get(action="training.registered").facts
    assert (lineage["model"], lineage["weights"]) == (str(model.pk), store().put(WEIGHTS))

    verify_model(model.pk)
    page = room.client("coordinator").get(f"/models/{model.pk}/").content.decode()
    assert "Where it comes from" in page
    assert f"Compare with {parent.version}" in page
    assert f"Compare with {parent.version}" in worker_page(room, worker)
    answer = room.client("coordinator").post(
        f"/models/{model.pk}/compare",
        {"with": str(parent.pk), "case": f"release:{release.pk}"},
    )
    assert answer.headers["Location"].startswith("/models/comparisons/")


def worker_page(room: Room, worker: Worker, name: str = "coordinator") -> str:
    return room.client(name).get(f"/runs/{worker.run.pk}/").content.decode()


def test_what_cannot_be_written_is_said_on_the_page_and_registered_when_asked_again(
    room: Room, release: Release, parent: ModelVersion, settings: Any
) -> None:
    worker = Worker(started(room, release, parent))
    worker.puts()
    worker.ends()
    where = settings.MODELS
    settings.MODELS = where / SHIPPED / "model.json"

    assert registering.register_training(worker.training.pk) is None
    assert "CONCORD_MODELS" in worker_page(room, worker)
    settings.MODELS = where
    again = f"/runs/{worker.run.pk}/register"
    for name in ("scientist", "auditor", "reader1", "outsider"):
        assert room.client(name).post(again).status_code == 404
    assert room.client("coordinator").post(again).status_code == 302
    assert registering.register_training(worker.training.pk) is not None
    assert "CONCORD_MODELS" not in worker_page(room, worker)


def test_curves_are_for_who_may_know_of_the_release_and_scores_for_who_sees_what_was_agreed(
    room: Room, release: Release, parent: ModelVersion
) -> None:
    worker = Worker(started(room, release, parent))
    worker.point("training", 5)
    worker.point("validation", 5, figures={"recall": 0.75, "threshold": 0.5})
    at = f"/runs/{worker.run.pk}/points.json"

    for name in ("scientist", "auditor", "admin"):
        body = room.client(name).get(at).json()
        assert body["figures"] == [{"step": 5, "seconds": 2.5, "recall": 0.75, "threshold": 0.5}]
    body = room.client("coordinator").get(at).json()
    assert body == {
        "training": [[5, 2.5, 0.1667]],
        "validation": [[5, 2.5, 0.1667]],
        "figures": None,
    }
    for name in ("reader1", "reader2", "adjudicator", "abstractor", "outsider"):
        assert room.client(name).get(at).status_code == 404
        assert room.client(name).get(f"/runs/{worker.run.pk}/").status_code == 404
    heard = NewsItem.objects.filter(audience=f"run:{worker.run.pk}", type="run.point")
    assert [news.payload for news in heard] == [{}, {}], "news must not carry scores"


def test_a_training_that_goes_on_from_its_checkpoint_takes_back_what_came_after_it(
    room: Room, release: Release, parent: ModelVersion
) -> None:
    worker = Worker(started(room, release, parent))
    for step in (2, 4, 6):
        worker.point("training", step)
    worker.point("validation", 6)
    told.point(run=worker.run.pk, attempt=1, value={"curve": "resumed", "step": 4})
    worker.point("training", 4)
    worker.point("training", 8)

    points = worker.training.points.values_list("curve", "step")
    assert list(points) == [("training", 2), ("training", 4), ("training", 8)]
    odd: list[dict[str, Any]] = [
        {"curve": "odd", "step": 1, "seconds": 1, "loss": 1},
        {"curve": "training", "step": "1", "seconds": 1, "loss": 1},
        {"curve": "training", "step": 1, "seconds": 1, "loss": float("nan")},
        {"curve": "training", "step": 1, "seconds": 1, "loss": 1, "figures": {"node": 1}},
        {"curve": "training", "step": 2**31, "seconds": 1, "loss": 1},
    ]
    for value in odd:
        with pytest.raises(BadInput, match="no point"):
            told.point(run=worker.run.pk, attempt=1, value=value)


def test_the_pages_say_what_is_missing_and_how_a_training_ended(
    room: Room, release: Release, parent: ModelVersion
) -> None:
    listed = room.client("coordinator").get("/models/").content.decode()
    assert "Start training" in listed
    assert "No worker at work trains models" in listed
    assert "Start training" not in room.client("scientist").get("/models/").content.decode()
    training = started(room, release, parent)
    page = room.client("coordinator").get(f"/runs/{training.run_id}/").content.decode()
    assert "it waits for a worker" in page
    assert '<li data-stage="train">' in page
    assert training.run is not None
    jobs.cancel(run=training.run.pk, actor=room.users["coordinator"])
    page = room.client("coordinator").get(f"/runs/{training.run_id}/").content.decode()
    assert "No new version was made." in page
    jobs.retry(run=training.run.pk, actor=room.users["coordinator"])
    worker = Worker(Training.objects.select_related("run").get(pk=training.pk))
    jobs.fail(run=worker.run.pk, attempt=worker.number, message="It broke.", final=True)
    page = room.client("coordinator").get(f"/runs/{training.run_id}/").content.decode()
    assert "It broke. No new version was made." in page
    assert "It ended without weights." in page
