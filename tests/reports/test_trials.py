"""A model tried on a case: nothing of the case changes, and no reader learns of it."""

from __future__ import annotations

import uuid

import pytest

from backend.accounts.roles import Role
from backend.audit.models import Event, NewsItem
from backend.errors import Missing, WrongState
from backend.imaging.masks import PackedMask
from backend.jobs.models import ModelVersion, Run
from backend.jobs.selectors import runs_seen_by
from backend.reading import services
from backend.reading.models import Case, Mask, Reading
from backend.reports import trying
from tests.reports.room import Room, wanted
from tests.reports.trials import done, first_model, other, tried

__all__ = ["other"]


def test_a_trial_changes_nothing_of_the_case_and_no_reader_hears_of_it(
    room: Room, other: ModelVersion
) -> None:
    case, reading = Case.objects.get(pk=room.case.pk), Reading.objects.get(pk=room.reading.pk)
    events = Event.objects.filter(chain=case.chain).count()
    masks, news = Mask.objects.count(), NewsItem.objects.count()

    run = tried(room, other, wanted())

    after = Case.objects.get(pk=case.pk)
    for name in ("ai_state", "ai_message", "ai_run_id", "stage"):
        assert getattr(after, name) == getattr(case, name)
    now = Reading.objects.get(pk=reading.pk)
    assert (now.head_id, now.proposed_id, now.ai_mask_id) == (
        reading.head_id,
        reading.proposed_id,
        reading.ai_mask_id,
    )
    assert Mask.objects.count() == masks
    assert Event.objects.filter(chain=case.chain).count() == events
    heard = NewsItem.objects.order_by("pk")[news:].values_list("audience", flat=True)
    assert set(heard) == {f"run:{run.pk}"}


def test_only_who_coordinates_or_does_science_sees_what_a_trial_marked(
    room: Room, other: ModelVersion
) -> None:
    run = tried(room, other, wanted())
    picture = f"/runs/{run.pk}/slices/10.png"

    for name in ("coordinator", "scientist", "admin"):
        shown = room.client(name).get(picture)
        assert (shown.status_code, shown.headers["Content-Type"]) == (200, "image/png")
        assert b"What it marked on" in room.client(name).get(f"/runs/{run.pk}/").content
    for name in ("reader1", "reader2", "adjudicator", "abstractor", "auditor", "outsider"):
        assert room.client(name).get(picture).status_code == 404
        asked = {"case": str(room.case.pk), "with": str(first_model().pk)}
        for verb in ("try", "compare"):
            answer = room.client(name).post(f"/models/{other.pk}/{verb}", asked)
            assert answer.status_code == 404
    for name in ("reader1", "reader2", "adjudicator", "abstractor", "outsider"):
        assert not runs_seen_by(room.users[name]).filter(pk=run.pk).exists()
        for path in (f"/runs/{run.pk}/", f"/api/runs/{run.pk}", f"/models/{other.pk}/"):
            assert room.client(name).get(path).status_code == 404
    assert b"What it marked on" not in room.client("auditor").get(f"/runs/{run.pk}/").content
    assert Run.objects.filter(kind="trial").count() == 1


def test_a_mask_of_a_trial_is_no_mask_that_anyone_can_fetch(
    room: Room, other: ModelVersion
) -> None:
    run = tried(room, other, wanted())
    packed = PackedMask.of_volume(wanted(), room.case.geometry_hash, {})

    for name in ("reader1", "reader2", "auditor", "coordinator", "scientist"):
        assert room.client(name).get(f"/api/masks/{run.mask_blob}").status_code == 404
        for mask in (packed.manifest().hash, packed.manifest(["0" * 64]).hash):
            assert room.client(name).get(f"/api/masks/{mask}/volume").status_code == 404
    assert not Mask.objects.filter(hash=run.mask_blob).exists()


def test_who_reads_the_images_in_another_project_tries_no_model_on_them(
    room: Room, other: ModelVersion
) -> None:
    elsewhere = services.create_project(code="ELSE", name="Elsewhere")
    reader = room.users["reader2"]
    for role in (Role.SCIENTIST, Role.COORDINATOR):
        services.grant_role(project=elsewhere, user=reader, role=role, actor=None)
    twin = Case.objects.get(pk=room.case.pk)
    twin.pk, twin.project, twin.label = uuid.uuid4(), elsewhere, "LN-9001"
    twin.subject = elsewhere.subjects.create(key="k" * 64, pseudonym="S-1")
    twin.save(force_insert=True)
    run = done(trying.try_model(model=other, case=twin, actor=room.users["admin"]), wanted())

    with pytest.raises(Missing):
        trying.try_model(model=other, case=twin, actor=reader)
    assert room.client("reader2").get(f"/runs/{run.pk}/slices/10.png").status_code == 404
    assert b"What it marked" not in room.client("reader2").get(f"/runs/{run.pk}/").content
    assert b"LN-9001" not in room.client("reader2").get(f"/models/{other.pk}/").content


def test_a_model_is_tried_on_a_case_once_at_a_time_and_only_while_it_is_fit(
    room: Room, other: ModelVersion
) -> None:
    scientist = room.users["scientist"]
    trying.try_model(model=other, case=room.case, actor=scientist)
    with pytest.raises(WrongState, match="is being tried"):
        trying.try_model(model=other, case=room.case, actor=scientist)
    ModelVersion.objects.filter(pk=other.pk).update(verified=None, fault="weights are gone.")
    other.refresh_from_db()
    with pytest.raises(WrongState, match=r"weights are gone\."):
        trying.try_model(model=other, case=room.case, actor=scientist)
