"""A series becomes a case; the AI's proposal becomes a mask that is offered and not imposed."""

from __future__ import annotations

import json
import math
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.utils import timezone
from zstandard import ZstdDecompressor

from backend.accounts.models import User, WorkerToken
from backend.accounts.roles import Role
from backend.audit import history
from backend.audit.models import Event, NewsItem
from backend.errors import BadInput, ConcordError, WrongState
from backend.imaging.masks import PackedMask, pack_mask
from backend.imaging.nodes import measure_node
from backend.jobs import results
from backend.jobs import services as jobs
from backend.jobs.leasing import Lease
from backend.jobs.models import ModelVersion, Run, WorkerSession
from backend.reading import laid_out, maskstore, services
from backend.reading.models import Case, Mask, MaskSlice, Node, Project, Reading
from backend.reading.services.guards import stage_of
from backend.store import store
from tests.reading.site import (
    BOXES,
    PASSWORD,
    Site,
    Twin,
    ai_volume,
    build_site,
    default_model,
    make_series,
)


def news_of(audience: str) -> list[tuple[str, dict[str, object]]]:
    return list(
        NewsItem.objects.filter(audience=audience).order_by("seq").values_list("type", "payload")
    )


def test_a_series_outside_the_protocol_opens_a_case_excluded_from_cohorts(db: None) -> None:
    default_model()
    site = build_site(slice_thickness_mm=3.0, contrast=False, patient_age_years=None)
    assert site.case.exclusions == [
        "Slice thickness 3.0 mm is outside 0.75–2.5 mm.",
        "No contrast agent is recorded.",
        "The patient's age is not recorded.",
    ]
    assert site.run().state == "queued"
    assert site.reading().state == "assigned"


def test_opening_binds_the_series_assigns_both_readers_and_queues_one_run(site: Site) -> None:
    case = site.case
    assert (case.label, case.exclusions, case.stage) == ("LN-0001", [], "assigned")
    assert case.ai_state == "queued"
    assert sorted(case.readings.values_list("slot", "reader__username")) == [
        ("R1", "reader1"),
        ("R2", "reader2"),
    ]
    run = site.run()
    assert run.parameters["geometry_hash"] == case.geometry_hash
    assert Run.objects.filter(subject_id=case.pk).count() == 1
    told = news_of(f"user:{site.users['reader1'].pk}")
    assert ("worklist.changed", {"reading": str(site.reading().pk)}) in told


def test_opening_twice_gives_the_same_case_and_the_next_series_the_next_number(site: Site) -> None:
    from backend.archive.models import Series

    series = Series.objects.get(pk=site.case.series_id)
    assert series.bound
    assert services.open_case(series=series) == site.case
    following = services.open_case(series=make_series(2))
    assert following is not None
    assert following.label == "LN-0002"
    assert following.subject.pseudonym != site.case.subject.pseudonym


def test_a_series_no_protocol_takes_opens_nothing(site: Site) -> None:
    assert services.open_case(series=make_series(3, modality="MR")) is None
    assert Case.objects.count() == 1


def test_without_a_model_the_case_says_so_and_can_be_read(db: None) -> None:
    ModelVersion.objects.filter(is_default=True).update(is_default=False)
    site = build_site()
    assert site.case.ai_state == "none"
    assert "No model is installed" in site.case.ai_message
    twin = Twin(site)
    node = str(uuid.uuid4())
    twin.send(twin.paint(node, 5, (2, 2, 6, 6)))
    twin.look_through()
    assert twin.submit().reading.state == "submitted"


def test_forbidden_roles_do_not_meet_in_one_person(site: Site) -> None:
    project = Project.objects.get(default=True)
    with pytest.raises(WrongState, match=r"cannot be .* and .* in one project"):
        services.grant_role(
            project=project, user=site.users["reader1"], role=Role.AUDITOR, actor=None
        )
    other = services.create_project(code="OTHER", name="Other")
    services.grant_role(project=other, user=site.users["reader1"], role=Role.AUDITOR, actor=None)


def test_the_proposal_becomes_a_mask_with_measured_nodes(ready: Site) -> None:
    case = ready.case
    assert case.ai_state == "ready"
    mask = Mask.objects.get(case=case, kind="ai")
    assert mask.manifest.labels == dict(enumerate(ready.nodes, 1))
    assert MaskSlice.objects.filter(mask=mask).count() == len(mask.manifest.slices)
    assert set(map(str, Node.objects.filter(case=case).values_list("pk", flat=True))) == set(
        ready.nodes
    )
    for name in ("reader1", "reader2"):
        reading = ready.reading(name)
        assert reading.head == reading.base == reading.ai_mask == mask
        states = list(reading.node_states.order_by("label"))
        assert [state.decision for state in states] == ["undecided"] * 3
        for state, (z, y, x) in zip(states, BOXES, strict=True):
            assert state.measures is not None
            voxels = np.prod([end - start for start, end in (z, y, x)])
            assert state.measures["voxels"] == voxels
            assert state.measures["volume_mm3"] == pytest.approx(2.0 * voxels)
    told = news_of(f"reading:{ready.reading().pk}")
    assert ("mask_ready", {"mask": mask.hash, "nodes": 3, "offered": False}) in told
    assert history.verify(chain=case.chain).holds


def _put(site: Site) -> tuple[Lease, str]:
    """A worker that leased the case's run has put its mask and what it says of it."""
    token = WorkerToken.objects.create(name="machine", digest=uuid.uuid4().hex)
    session = WorkerSession.objects.create(token=token, name="w", number=7, heard=timezone.now())
    run = site.run()
    lease = jobs.claim(run=run.pk, session=session)
    attempt = results.attempt_of(token=lease.token, run=run.pk, number=lease.attempt)
    labels = {number: str(uuid.uuid4()) for number in (1, 2, 3)}
    packed = PackedMask.of_volume(ai_volume(), site.case.geometry_hash, labels)
    mask = results.put_mask(attempt=attempt, body=pack_mask(packed))
    made_by = {**run.model.named, "description": run.model.description}
    provenance = {**dict.fromkeys(results.PROVENANCE, 1), "model": made_by, "timings": {}}
    value = {"mask": mask, "nodes": [], "provenance": provenance}
    results.put_result(attempt=attempt, value=value)
    return lease, mask


def _told_of(site: Site) -> dict[str, Any]:
    """What a worker says of the first node, whole and true, with a density as its mark."""
    (z, y, x), grid = BOXES[0], site.case.grid
    offset = (z[0], y[0], x[0])
    box = np.ones([end - start for start, end in (z, y, x)], bool)
    measures = measure_node(box, grid, offset=offset).to_json()
    return {**json.loads(json.dumps(measures)), "mean_hu": 61.0}


def _measures_kept_of(site: Site, told: dict[str, Any]) -> dict[str, Any]:
    """The first node's measures once the run has succeeded whose worker told these."""
    lease, mask = _put(site)
    attempt = results.attempt_of(token=lease.token, run=lease.run.pk, number=1)
    value = dict(attempt.result or {})
    value["nodes"] = [{"label": 1, "uuid": str(uuid.uuid4()), "score": 0.7, "measures": told}]
    results.put_result(attempt=attempt, value=value)
    jobs.mask_ready(run=lease.run.pk, attempt=1, sha256=mask, values={}, timings={})
    kept = Mask.objects.get(case=site.case, kind="ai").node_versions.get(label=1).measures
    assert kept is not None
    return dict(kept)


def test_what_the_worker_measured_of_a_node_is_kept(site: Site) -> None:
    told = _told_of(site)
    assert _measures_kept_of(site, {**told, "sad_shown": "99"}) == told


def test_measures_of_another_box_than_the_masks_are_measured_anew(site: Site) -> None:
    told = _told_of(site)
    other = {**told, "bounding_box": [0, 0, 0, 1, 1, 1], "voxels": 1}
    assert _measures_kept_of(site, other) == {**told, "mean_hu": None}


def test_measures_that_the_grid_of_the_series_cannot_hold_are_refused(site: Site) -> None:
    longest = math.hypot(*np.multiply(site.case.grid.shape, site.case.grid.spacing_mm))
    with pytest.raises(BadInput, match="cannot have sad_mm"):
        _measures_kept_of(site, {**_told_of(site), "sad_mm": 1.01 * longest})


def test_a_mask_is_laid_out_when_it_is_put_and_not_read_again_when_it_is_ready(
    site: Site, content: Path
) -> None:
    lease, mask = _put(site)
    (content / mask[:2] / f"{mask}.zst").unlink()
    jobs.mask_ready(run=lease.run.pk, attempt=1, sha256=mask, values={}, timings={})
    found = Mask.objects.get(case=site.case, kind="ai")
    assert np.array_equal(maskstore.volume(found), ai_volume())
    assert found.node_versions.count() == 3


def test_the_browser_is_given_the_very_bytes_that_the_worker_put(site: Site) -> None:
    lease, mask = _put(site)
    jobs.mask_ready(run=lease.run.pk, attempt=1, sha256=mask, values={}, timings={})
    found = Mask.objects.get(case=site.case, kind="ai")
    address = f"/api/masks/{found.hash}/volume"
    asked = site.client("reader1").get(address, HTTP_ACCEPT_ENCODING="zstd")
    assert asked["Content-Encoding"] == "zstd"
    assert asked.content == maskstore.packed_as_put(found) == store().read_zstd(mask)
    with ZstdDecompressor().stream_reader(asked.content) as stream:
        assert stream.read() == maskstore.packed(found)


def test_where_the_case_calls_a_node_otherwise_the_mask_is_packed_anew(ready: Site) -> None:
    again = build_site(serial=2)
    run = again.presegment(nodes=list(ready.nodes))
    found = Mask.objects.get(case=again.case, kind="ai")
    assert maskstore.packed_as_put(found) is None
    asked = again.client("reader1").get(
        f"/api/masks/{found.hash}/volume", HTTP_ACCEPT_ENCODING="zstd"
    )
    with ZstdDecompressor().stream_reader(asked.content) as stream:
        body = stream.read()
    assert body == maskstore.packed(found) != store().read(run.mask_blob)


def test_a_process_that_did_not_take_the_mask_lays_it_out_itself(site: Site) -> None:
    lease, mask = _put(site)
    laid_out._laid.clear()
    jobs.mask_ready(run=lease.run.pk, attempt=1, sha256=mask, values={}, timings={})
    found = Mask.objects.get(case=site.case, kind="ai")
    assert np.array_equal(maskstore.volume(found), ai_volume())


def test_a_proposal_does_not_move_under_a_readers_hands(site: Site) -> None:
    twin = Twin(site)
    own = str(uuid.uuid4())
    twin.send(twin.paint(own, 5, (2, 2, 6, 6)))
    site.presegment()
    first, second = site.reading("reader1"), site.reading("reader2")
    assert first.head.hash == twin.head
    assert [str(s.node_id) for s in first.node_states.all()] == [own]
    assert first.ai_mask is not None
    assert second.head == second.ai_mask


def test_a_proposal_that_comes_after_the_signature_is_none_of_that_reading(site: Site) -> None:
    twin = Twin(site)
    twin.send(twin.paint(str(uuid.uuid4()), 3, (2, 2, 7, 7)))
    twin.look_through()
    twin.submit()
    before = Reading.objects.filter(pk=site.reading().pk).values().get()

    site.presegment()

    assert Reading.objects.filter(pk=before["id"]).values().get() == before
    assert site.reading("reader2").ai_mask is not None


def test_a_node_uuid_that_exists_already_is_replaced(ready: Site) -> None:
    again = build_site(serial=2)
    again.presegment(nodes=list(ready.nodes))
    assert Node.objects.filter(case=again.case).count() == 3
    assert not Node.objects.filter(case=again.case, pk__in=ready.nodes).exists()


def test_progress_reaches_both_readers_and_a_failure_leaves_the_case_readable(site: Site) -> None:
    run = site.run()
    services.on_run_changed(run, "leased", {"attempt": 1, "worker": "w"})
    services.on_run_changed(run, "progress", {"stage": "infer", "progress": 0.4, "fraction": 0.5})
    services.on_run_changed(run, "metrics", {"nodes": 3, "dice_to_reader1": 0.5})
    reading = site.reading()
    told = news_of(f"reading:{reading.pk}")
    assert ("run.progress", {"stage": "infer", "progress": 0.4}) in told
    assert ("run.metrics", {"nodes": 3}) in told
    row = {"reading": str(reading.pk), "stage": "infer", "progress": 0.4}
    assert ("run.progress", row) in news_of(f"user:{reading.reader_id}")
    services.on_run_changed(run, "dead", {"message": "The worker ran out of memory."})
    site.case.refresh_from_db()
    assert (site.case.ai_state, site.case.ai_message) == ("failed", "The worker ran out of memory.")
    Twin(site)


def test_a_reader_of_the_arm_without_ai_hears_nothing_of_the_run(site: Site) -> None:
    Reading.objects.filter(pk=site.reading("reader2").pk).update(arm="no_ai")
    own = (f"user:{site.users['reader2'].pk}", f"reading:{site.reading('reader2').pk}")
    before = [news_of(audience) for audience in own]
    run = site.run()
    services.on_run_changed(run, "leased", {"attempt": 1, "worker": "w"})
    services.on_run_changed(run, "progress", {"stage": "infer", "progress": 0.4, "fraction": 0.5})
    site.presegment()
    reading = site.reading("reader2")
    assert reading.ai_mask is None
    assert not reading.node_states.exists()
    assert [news_of(audience) for audience in own] == before
    row = site.client("reader2").get("/api/worklist").json()["results"][0]
    assert row["ai"] == {
        "state": "none",
        "progress": 0.0,
        "stage": "",
        "message": "",
        "model": None,
    }
    run_mask = Mask.objects.get(kind="ai")
    assert site.client("reader2").get(f"/api/masks/{run_mask.hash}").status_code == 404


def test_assigning_takes_an_unopened_slot_and_refuses_an_open_one(ready: Site) -> None:
    third = User.objects.create_user("reader3", password=PASSWORD, display_name="Rosa")
    project = ready.case.project
    services.grant_role(project=project, user=third, role=Role.READER, actor=None)
    coordinator = ready.users["coordinator"]
    Twin(ready, "reader1")
    with pytest.raises(WrongState, match="being read already"):
        services.assign(case=ready.case, slot="R1", reader=third, actor=coordinator)
    with pytest.raises(WrongState, match="already reads this case"):
        services.assign(
            case=ready.case, slot="R2", reader=ready.users["reader1"], actor=coordinator
        )
    third.is_superuser = True
    with pytest.raises(WrongState, match="an administrator, who may look at everything"):
        services.assign(case=ready.case, slot="R2", reader=third, actor=coordinator)
    third.is_superuser = False
    given = services.assign(case=ready.case, slot="R2", reader=third, actor=coordinator)
    assert given.head == Mask.objects.get(kind="ai")
    assert given.node_states.count() == 3
    assert Reading.objects.get(reader=ready.users["reader2"]).state == "withdrawn"


def test_only_a_coordinator_assigns_and_holds(ready: Site) -> None:
    reading = ready.reading("reader2")
    for name in ("reader1", "auditor", "adjudicator"):
        with pytest.raises(ConcordError, match="Only a coordinator"):
            services.hold(reading=reading, actor=ready.users[name], reason="x")
    held = services.hold(reading=reading, actor=ready.users["coordinator"], reason="wrong patient")
    case = Case.objects.get(pk=ready.case.pk)
    assert (held.state, case.stage, stage_of(case)) == ("on_hold", "on_hold", "on_hold")
    services.release(reading=held, actor=ready.users["coordinator"])
    assert ready.reading("reader2").state == "assigned"
    assert Event.objects.filter(action="reading.held", reason="wrong patient").count() == 1


def test_an_empty_proposal_is_a_proposal(site: Site) -> None:
    site.presegment(np.zeros_like(ai_volume()))
    assert site.case.ai_state == "ready"
    assert site.reading().node_states.count() == 0
