"""The pages of runs and models."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db.models import Q
from django.test import Client

from backend.accounts.models import User
from backend.jobs import registry, services
from backend.jobs.models import ModelVersion, Run, WorkerSession

MakeRun = Callable[..., Run]


@pytest.fixture
def admin(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("jobs-admin"))
    return client


@pytest.fixture
def manager(db: None) -> Iterator[Client]:
    """Someone whom the rooms above let manage runs."""
    user = User.objects.create_user("jobs-manager")
    everything, mine = (lambda who: Q(pk__isnull=who != user)), lambda who: who == user
    registry.runs_managed_by.append(everything)
    registry.opens_runs_page.append(mine)
    client = Client()
    client.force_login(user)
    yield client
    registry.runs_managed_by.remove(everything)
    registry.opens_runs_page.remove(mine)


def test_the_page_lists_runs_workers_and_models(
    admin: Client, make_run: MakeRun, session: WorkerSession
) -> None:
    run = make_run()
    services.claim(run=run.id, session=session)
    services.progress(run=run.id, attempt=1, stage="infer", fraction=0.5)

    page = admin.get("/runs/").content.decode()

    assert f'data-run="{run.id}" data-state="running"' in page
    assert "infer" in page
    assert 'data-worker="worker-a" data-alive="yes"' in page
    assert str(run.model) in page


def test_the_list_alone_is_sent_when_it_refreshes_itself(admin: Client, make_run: MakeRun) -> None:
    make_run()

    part = admin.get("/runs/", headers={"HX-Request": "true"}).content.decode()

    assert "<table" in part
    assert "<html" not in part


def test_a_failed_run_says_why_and_can_be_run_again(
    manager: Client, make_run: MakeRun, session: WorkerSession
) -> None:
    run = make_run()
    services.claim(run=run.id, session=session)
    services.fail(run=run.id, attempt=1, message="The model is missing.", final=True)

    page = manager.get(f"/runs/{run.id}/").content.decode()
    answer = manager.post(f"/runs/{run.id}/retry")

    assert "The model is missing. The case can be read without it." in page
    assert answer.status_code == 302
    assert Run.objects.get(pk=run.pk).state == "queued"


def test_a_run_can_be_cancelled_from_the_page(manager: Client, make_run: MakeRun) -> None:
    run = make_run()

    manager.post(f"/runs/{run.id}/cancel")

    assert Run.objects.get(pk=run.pk).state == "cancelled"


def test_the_model_card_shows_what_it_is_for_and_its_files(
    admin: Client, model: ModelVersion
) -> None:
    page = admin.get(f"/models/{model.id}/").content.decode()

    assert "for tests" in page
    assert model.sha256 in page
    assert "threshold.json" in page


def test_others_do_not_know_of_these_pages(make_run: MakeRun, model: ModelVersion) -> None:
    run = make_run()
    client = Client()
    client.force_login(User.objects.create_user("jobs-nobody"))

    for url in ("/runs/", f"/runs/{run.id}/", f"/models/{model.id}/"):
        assert client.get(url).status_code == 404
        assert Client().get(url).status_code == 302
    for verb in ("cancel", "retry"):
        assert client.post(f"/runs/{run.id}/{verb}").status_code == 404
