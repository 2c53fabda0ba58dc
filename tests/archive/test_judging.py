"""Which series are volumes, which are quarantined or set aside, and what then happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.archive import registry, services
from backend.archive.models import Door, Receipt, Series, Study
from backend.audit.models import Event
from tests.archive.made import ct_series, encoded, written

pytestmark = pytest.mark.django_db
Receive = Callable[..., Receipt]


def test_one_slice_of_another_orientation_quarantines_the_series_by_name(
    tmp_path: Path, receive: Receive, ready: list[Series]
) -> None:
    slices = ct_series(6)
    slices[4].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    receipt = receive(written(tmp_path / "mixed", slices), written(tmp_path / "good", ct_series(4)))
    assert (receipt.stored, receipt.kept_aside) == (10, 0)
    series = Series.objects.get(uid=slices[0].SeriesInstanceUID)
    assert (series.volume_state, series.volume_code) == ("quarantined", "MIXED_ORIENTATION")
    assert series.volume_reason == (
        "The slices point in 2 directions; 5 agree, these do not: instance 5 "
        f"({slices[4].SOPInstanceUID}). "
        "Split the series by orientation (take localizers out) and send one stack."
    )
    assert [s.uid for s in ready] != [series.uid]
    assert len(ready) == 1
    event = Event.objects.filter(action="series.judged", subject_id=str(series.pk)).get()
    assert event.facts["code"] == "MIXED_ORIENTATION"


@pytest.mark.parametrize(
    ("changes", "state", "code"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "set_aside", "LOCALIZER"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "set_aside", "SCREENSHOT"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.2"}, "set_aside", "NOT_AN_IMAGE"),
        (
            {"Modality": "SR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.33"},
            "set_aside",
            "NOT_AN_IMAGE",
        ),
        (
            {"Modality": "SR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.67"},
            "set_aside",
            "DOSE_REPORT",
        ),
        ({"ImagePositionPatient": None}, "quarantined", "MISSING_TAG"),
        ({"ImagePositionPatient": [0, 0, 0]}, "quarantined", "DUPLICATE_POSITION"),
        ({"RescaleIntercept": -1000}, "volume", ""),
    ],
)
def test_what_a_series_is(
    tmp_path: Path,
    receive: Receive,
    ready: list[Series],
    changes: dict[str, Any],
    state: str,
    code: str,
) -> None:
    receive(written(tmp_path / "x", ct_series(4, **changes)))
    series = Series.objects.get()
    assert series.volume_state == state
    assert series.volume_code == code
    assert (series.volume_reason == "") == (state == "volume")
    assert len(ready) == (state == "volume")


def test_a_missing_slice_is_named(tmp_path: Path, receive: Receive) -> None:
    slices = ct_series(7)
    del slices[3]
    receive(written(tmp_path / "gap", slices))
    assert Series.objects.get().volume_code == "MISSING_SLICES"


@pytest.mark.parametrize(
    ("changes", "years"),
    [
        ({"PatientAge": "017Y"}, 17),
        ({"PatientAge": "030M"}, 2),
        ({"PatientAge": None, "PatientBirthDate": "20060520"}, 17),
        ({"PatientBirthDate": ""}, None),
        ({"PatientBirthDate": "20060519", "StudyDate": ""}, None),
    ],
)
def test_the_age_is_taken_from_what_the_header_has(
    tmp_path: Path, receive: Receive, changes: dict[str, Any], years: int | None
) -> None:
    given = {k: v for k, v in changes.items() if v is not None}
    receive(written(tmp_path / "x", ct_series(3, **given)))
    assert Series.objects.get().patient_age_years == years


@pytest.mark.parametrize(
    ("agent", "contrast"), [("Iomeron", True), ("", False), ("NONE", False), ("no", False)]
)
def test_contrast_is_what_the_header_names(
    tmp_path: Path, receive: Receive, agent: str, contrast: bool
) -> None:
    receive(written(tmp_path / "x", ct_series(3, ContrastBolusAgent=agent)))
    assert Series.objects.get().contrast is contrast


def test_a_hook_that_fails_undoes_the_judgement_and_harms_no_other_series(
    tmp_path: Path, receive: Receive, settings: Any
) -> None:
    settings.QUIET_SECONDS = 0
    bad = ct_series(3)
    failing = [True]

    def hook(study: Study) -> None:
        if study.uid == bad[0].StudyInstanceUID and failing:
            raise RuntimeError("the reading room is not ready")

    registry.on_study_ready.append(hook)
    receive(written(tmp_path / "bad", bad), written(tmp_path / "good", ct_series(3)))
    states = dict(Series.objects.values_list("uid", "volume_state"))
    assert states.pop(bad[0].SeriesInstanceUID) == "pending"
    assert set(states.values()) == {"volume"}
    failing.clear()
    assert [s.uid for s in services.judge_quiet_series()] == [bad[0].SeriesInstanceUID]


def test_a_study_is_offered_once_its_last_series_is_judged(
    tmp_path: Path, receive: Receive, settings: Any
) -> None:
    settings.QUIET_SECONDS = 0
    first = ct_series(4)
    second = ct_series(5, StudyInstanceUID=first[0].StudyInstanceUID, SeriesNumber=3)
    offered: list[list[str]] = []
    registry.on_study_ready.append(
        lambda study: offered.append([s.uid for s in study.series.order_by("number")])
    )
    files = [lambda one=one: encoded(one) for one in (*first, *second)]
    services.store_instances(files=files, actor=None, source="stow")
    assert offered == []
    one, other = Series.objects.order_by("number")
    services.judge_series(one.pk)
    assert offered == []
    services.judge_series(other.pk)
    assert offered == [[one.uid, other.uid]]


def test_what_still_arrives_at_another_door_is_not_judged(
    tmp_path: Path, receive: Receive, ready: list[Series]
) -> None:
    slices = ct_series(6)
    other = services.open_receipt(source="page", door=Door.UPLOAD, actor=None)
    file = tmp_path / "last.dcm"
    file.write_bytes(encoded(slices[5]))
    with file.open("rb") as opened:
        services.take_upload(receipt=other, name="last.dcm", file=opened, size=10_000)
    receive(written(tmp_path / "rest", slices[:5]))
    assert Series.objects.get().volume_state == "pending"
    services.close_receipt(receipt=other, actor=None)
    assert [s.grid["shape"][0] for s in ready] == [6]


def test_source_datasets_and_headers_come_in_grid_order(tmp_path: Path, receive: Receive) -> None:
    slices = ct_series(5)
    receive(written(tmp_path / "x", slices[::-1]))
    series = Series.objects.get()
    uids = [s.SOPInstanceUID for s in slices]
    assert series.grid["sop_uids"] == uids
    assert [d.SOPInstanceUID for d in services.source_datasets(series)] == uids
    headers = services.source_headers(series)
    assert [d.SOPInstanceUID for d in headers] == uids
    assert headers[0].PixelSpacing == [0.8, 0.8]


def test_judging_is_done_once_for_one_arrival(tmp_path: Path, receive: Receive) -> None:
    receive(written(tmp_path / "x", ct_series(3)))
    assert services.judge_series(Series.objects.get().pk) is None
