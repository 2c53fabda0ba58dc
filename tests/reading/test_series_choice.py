"""Which series of a study is read: the rule chooses once, a coordinator may overrule it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.archive import services as archive
from backend.archive.models import Series, Study
from backend.audit import history
from backend.audit.models import Event
from backend.errors import ConcordError, WrongState
from backend.imaging.grid import Grid
from backend.jobs.models import Run
from backend.reading import candidates, services
from backend.reading.models import Case, Protocol
from backend.reading.services.guards import stage_of
from tests.reading.site import PASSWORD, SHAPE, Site, Twin, make_series, other_project


def sibling(series: Series, number: int, **own: Any) -> Series:
    """Another volume of the same study, like the first but for what is said."""
    root = f"{series.uid}.{number}"
    data = {**(series.grid or {}), "sop_uids": [f"{root}.{i}" for i in range(SHAPE[0])]}
    data.pop("geometry_hash")
    grid = Grid.from_json({**data, **own.pop("grid", {})})
    kept = ("modality", "slice_thickness_mm", "contrast", "patient_age_years", "is_image")
    facts = {name: getattr(series, name) for name in kept} | {"volume_state": "volume"}
    return Series.objects.create(
        uid=root,
        study=series.study,
        number=number,
        grid=grid.to_json(),
        geometry_hash=grid.geometry_hash,
        received_at=timezone.now(),
        **(facts | own),
    )


def series_of(site: Site) -> Series:
    return Series.objects.get(pk=site.case.series_id)


def refused(code: str, act: Any) -> ConcordError:
    with pytest.raises(ConcordError) as caught:
        act()
    assert caught.value.code == code
    return caught.value


def choose(
    site: Site, series: Series, by: str = "coordinator", reason: str = "wrong kernel"
) -> Case:
    return services.read_instead(case=site.case, series=series, actor=site.users[by], reason=reason)


def test_of_a_studys_volumes_the_best_alone_becomes_a_case(site: Site) -> None:
    first = make_series(5, contrast=False, number=1)
    best = sibling(first, 2, contrast=True)
    sibling(first, 3, contrast=True, slice_thickness_mm=5.0)
    sibling(first, 4, modality="MR")
    (case,) = services.open_cases(study=first.study)
    assert case.series_id == best.pk
    assert Case.objects.filter(study_uid=first.study.uid).count() == 1
    told = Event.objects.get(action="case.opened", subject_id=str(case.pk)).facts["series_choice"]
    assert [each["name"] for each in told["ranking"]] == ["series 2", "series 3", "series 1"]
    assert told["ranking"][1]["reason"].startswith("Slices 5 mm thick, outside 0.75–2.5 mm;")
    best.refresh_from_db()
    first.refresh_from_db()
    assert (best.bound, first.bound) == (True, False)


def test_the_work_that_judges_the_last_series_opens_the_one_case(site: Site) -> None:
    first = make_series(5, volume_state="pending", number=1)
    best = sibling(first, 2, modality="CT")
    sibling(first, 3, modality="SR", volume_state="pending")
    before = Case.objects.count()
    archive.judge_series(first.pk)
    assert Case.objects.count() == before
    archive.judge_series(Series.objects.get(number=3).pk)
    assert Case.objects.filter(series_id=best.pk).count() == 1
    assert Case.objects.count() == before + 1


def test_a_better_series_that_comes_late_is_offered_and_switches_nothing(site: Site) -> None:
    read = series_of(site)
    Series.objects.filter(pk=read.pk).update(contrast=False, number=1)
    late = sibling(read, 2, contrast=True)
    for _ in range(2):
        assert services.open_cases(study=read.study) == []
    site.case.refresh_from_db()
    assert (site.case.series_id, site.case.offered_series_id) == (read.pk, late.pk)
    assert Event.objects.filter(action="case.series_offered").count() == 1
    page = site.client("coordinator").get(f"/cases/{site.case.pk}/").content.decode()
    assert "Series 2 came after this case was opened and fits the protocol better." in page
    assert history.verify(chain=site.case.chain).holds


def test_a_worse_series_that_comes_late_is_only_listed(site: Site) -> None:
    read = series_of(site)
    sibling(read, 2, contrast=False)
    services.open_cases(study=read.study)
    site.case.refresh_from_db()
    assert site.case.offered_series_id is None
    page = site.client("auditor").get(f"/cases/{site.case.pk}/").content.decode()
    assert "No contrast agent is recorded; series without number: contrast agent given." in page
    assert "Read this one instead" not in page


def test_a_coordinator_has_another_series_read_before_anybody_began(site: Site) -> None:
    read = series_of(site)
    other = sibling(read, 2, contrast=False)
    run = site.run()
    old, new = site.case, choose(site, other)
    old.refresh_from_db()
    assert (old.stage, stage_of(old), old.superseded_by) == ("withdrawn", "withdrawn", new)
    assert set(old.readings.values_list("state", flat=True)) == {"withdrawn"}
    assert Run.objects.get(pk=run.pk).state == "cancelled"
    assert (new.series_id, new.choice_reason, new.stage) == (other.pk, "wrong kernel", "assigned")
    assert new.exclusions == ["No contrast agent is recorded."]
    assert sorted(new.readings.values_list("slot", "reader__username")) == [
        ("R1", "reader1"),
        ("R2", "reader2"),
    ]
    assert Run.objects.get(pk=new.ai_run_id).series_id == other.pk
    event = Event.objects.get(action="case.superseded")
    assert (event.reason, event.facts["by"]) == ("wrong kernel", new.label)
    assert history.verify(chain=old.chain).holds
    assert history.verify(chain=new.chain).holds
    rows = site.client("reader1").get("/api/worklist").json()["results"]
    assert [row["case"]["label"] for row in rows] == [new.label]
    # And back again, as a third case: the first one stays withdrawn.
    site.case = new
    third = choose(site, read, reason="it was right after all")
    assert (third.series_id, third.label) == (read.pk, "LN-0003")
    assert services.open_cases(study=read.study) == []
    old_page = site.client("coordinator").get(f"/cases/{old.pk}/").content.decode()
    assert "This case is withdrawn" in old_page
    assert "Assign" not in old_page


def test_slots_go_to_who_had_them(site: Site) -> None:
    third = User.objects.create_user("reader3", password=PASSWORD, display_name="Rosa")
    services.grant_role(project=site.case.project, user=third, role=Role.READER, actor=None)
    services.assign(case=site.case, slot="R1", reader=third, actor=site.users["coordinator"])
    new = choose(site, sibling(series_of(site), 2))
    assert sorted(new.readings.values_list("slot", "reader__username")) == [
        ("R1", "reader3"),
        ("R2", "reader2"),
    ]


def test_once_somebody_reads_nothing_switches_until_that_reading_is_withdrawn(site: Site) -> None:
    other = sibling(series_of(site), 2)
    Twin(site)
    error = refused("READING_BEGAN", lambda: choose(site, other))
    assert error.cure == "Withdraw that reading first, with a reason."
    page = site.client("coordinator").get(f"/cases/{site.case.pk}/").content.decode()
    assert "Read this one instead" not in page
    services.withdraw(
        reading=site.reading(), actor=site.users["coordinator"], reason="wrong images"
    )
    assert choose(site, other).series_id == other.pk


def test_only_this_projects_coordinator_overrules_and_says_why(site: Site) -> None:
    other = sibling(series_of(site), 2)
    stranger = User.objects.create_user("elsewhere", password=PASSWORD)
    services.grant_role(project=other_project(), user=stranger, role=Role.COORDINATOR, actor=None)
    site.users["elsewhere"] = stranger
    path = f"/cases/{site.case.pk}/series"
    form = {"series": str(other.pk), "reason": "better"}
    expected = {"reader1": 404, "adjudicator": 404, "auditor": 403, "elsewhere": 404}
    for name, status in expected.items():
        refused("ROLE_NEEDED", lambda name=name: choose(site, other, by=name))
        assert site.client(name).post(path, form).status_code == status, name
    refused("REASON_NEEDED", lambda: choose(site, other, reason="  "))
    assert Case.objects.count() == 1
    answer = site.client("coordinator").post(path, form)
    assert answer.status_code == 302
    assert Case.objects.get(superseded_by=None).series_id == other.pk


def test_what_is_no_other_volume_of_the_study_is_refused(site: Site) -> None:
    read = series_of(site)
    refused("NOT_ANOTHER_SERIES", lambda: choose(site, read))
    refused("NOT_ANOTHER_SERIES", lambda: choose(site, make_series(7)))
    bad = sibling(read, 2)
    Series.objects.filter(pk=bad.pk).update(
        volume_state="quarantined", volume_code="GANTRY_TILT", volume_reason="It is tilted."
    )
    assert "It is tilted." in str(refused("NOT_READABLE", lambda: choose(site, bad)))
    refused("NOT_READABLE", lambda: choose(site, sibling(read, 3, modality="MR")))
    path = f"/cases/{site.case.pk}/series"
    for series in (str(uuid4()), "odd", str(make_series(8).pk)):
        answer = site.client("coordinator").post(
            path, {"series": series, "reason": "x"}, follow=True
        )
        assert answer.status_code == 200
    assert Case.objects.count() == 1


def test_a_withdrawn_case_takes_no_reader_and_no_second_override(site: Site) -> None:
    other = sibling(series_of(site), 2)
    new = choose(site, other)
    coordinator = site.users["coordinator"]
    refused("CASE_WITHDRAWN", lambda: choose(site, sibling(series_of(site), 3)))
    error = refused(
        "CASE_WITHDRAWN",
        lambda: services.assign(
            case=site.case, slot="R1", reader=site.users["reader1"], actor=coordinator
        ),
    )
    assert new.label in str(error)


def test_anisotropy_beyond_the_protocol_opens_no_case_and_says_why(site: Site) -> None:
    series = make_series(9)
    flat = Grid.from_json({**(series.grid or {}), "spacing_mm": [12.0, 1.0, 1.0]})
    refusal = candidates.anisotropy_refusal(series, flat)
    assert refusal is not None
    assert (refusal.code, refusal.message) == (
        "ANISOTROPY",
        "The slices lie 12 mm apart on pixels of 1 mm, 12.0 times as far; the protocol reads at "
        "most 10 times.",
    )
    fine = Grid.from_json({**(series.grid or {}), "spacing_mm": [10.0, 1.0, 1.0]})
    assert candidates.anisotropy_refusal(series, fine) is None
    series.modality = "MR"
    assert candidates.anisotropy_refusal(series, flat) is None


def test_the_protocol_says_whether_a_tilt_is_resampled(site: Site) -> None:
    series = make_series(9)
    assert not candidates.resamples_tilt(series)
    active = Protocol.objects.get(active=True)
    definition = {**active.definition}
    definition["series"] = {**definition["series"], "gantry_tilt": "resample"}
    Protocol.objects.create(
        code=active.code, version=99, name="x", design=active.design, definition=definition
    )
    assert candidates.resamples_tilt(series)


def test_the_page_lists_every_series_with_its_rank_facts_and_reasons(site: Site) -> None:
    read = series_of(site)
    Series.objects.filter(pk=read.pk).update(number=1, description="venous")
    sibling(read, 2, slice_thickness_mm=5.0, description="thick")
    Series.objects.create(
        uid=f"{read.uid}.77",
        study=read.study,
        number=77,
        modality="SR",
        volume_state="set_aside",
        volume_code="DOSE_REPORT",
        volume_reason="This series is a radiation dose report.",
        received_at=timezone.now(),
    )
    page = site.client("coordinator").get(f"/cases/{site.case.pk}/").content.decode()
    for text in (
        "Series 1 (venous)",
        "Series 2 (thick)",
        "Slices 5 mm thick, outside 0.75–2.5 mm; series 1 (venous): slices 2 mm thick.",
        "covers 24 mm from head to foot of the 150 mm needed",
        "1 more is not read",
        "This series is a radiation dose report.",
        f"/dicom-web/studies/{read.study.uid}/series/{read.uid}/thumbnail",
        "Read this one instead",
    ):
        assert text in page, text


def test_a_study_without_volumes_opens_nothing(site: Site) -> None:
    study = Study.objects.create(uid="2.25.4711")
    assert services.open_cases(study=study) == []
    with pytest.raises(WrongState):
        archive.grid_of(Series.objects.create(uid="1.9", study=study, received_at=timezone.now()))
