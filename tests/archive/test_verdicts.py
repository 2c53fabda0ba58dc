"""One verdict, whatever the order and the batches in which the images of a series come."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as chosen
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from backend.archive import services
from backend.archive.models import Series
from tests.archive.made import ct_series, encoded
from tests.archive.made_frames import enhanced, localizer, tilted_series

pytestmark = pytest.mark.django_db


def gap() -> list[Dataset]:
    slices = ct_series(8)
    del slices[3]
    return slices


def turned() -> list[Dataset]:
    slices = ct_series(8)
    slices[5].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    return slices


def doubled() -> list[Dataset]:
    slices = ct_series(8)
    slices[6].ImagePositionPatient = slices[2].ImagePositionPatient
    return slices


def no_slope() -> list[Dataset]:
    slices = ct_series(8)
    slices[2].RescaleSlope = 0
    return slices


def in_two_objects() -> list[Dataset]:
    slices = ct_series(8)
    uid = f"{slices[0].SeriesInstanceUID}.901"
    return [enhanced(slices[:3]), enhanced(slices[3:], SOPInstanceUID=uid)]


def screenshot_among() -> list[Dataset]:
    slices = ct_series(7)
    shot = localizer(slices[0], SOPClassUID="1.2.840.10008.5.1.4.1.1.7", index=801)
    return [*slices, localizer(slices[0]), shot]


KINDS: dict[str, tuple[Callable[[], list[Dataset]], str, str]] = {
    "straight": (lambda: ct_series(8), "volume", ""),
    "gap": (gap, "quarantined", "MISSING_SLICES"),
    "turned": (turned, "quarantined", "MIXED_ORIENTATION"),
    "doubled": (doubled, "quarantined", "DUPLICATE_POSITION"),
    "no slope": (no_slope, "quarantined", "BAD_RESCALE"),
    "tilted": (lambda: tilted_series(8), "quarantined", "GANTRY_TILT"),
    "two objects": (in_two_objects, "set_aside", "READ_AS_SINGLE_FRAMES"),
    "screenshot": (screenshot_among, "set_aside", "READ_WITHOUT_OTHERS"),
}


@pytest.mark.parametrize("kind", KINDS)
@chosen(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shuffle=st.randoms(use_true_random=False), parts=st.integers(1, 4))
def test_order_and_batches_change_nothing(kind: str, shuffle: random.Random, parts: int) -> None:
    make, state, code = KINDS[kind]
    datasets = make()
    expected = _told(datasets, 1, code)
    shuffle.shuffle(datasets)
    found = _told(datasets, parts, code)
    assert found[:2] == (state, code)
    assert found == expected


def _told(datasets: list[Dataset], parts: int, code: str) -> tuple[Any, ...]:
    """State, code, reason and geometry hash of the series (and of what is made of it)."""
    with transaction.atomic():
        for start in range(parts):
            files = [lambda one=one: encoded(one) for one in datasets[start::parts]]
            services.store_instances(files=files, actor=None, source="stow")
        series = Series.objects.get(uid=datasets[0].SeriesInstanceUID)
        services.judge_series(series.pk)
        made = services.derive(series_id=series.pk)
        series.refresh_from_db()
        transaction.set_rollback(True)
    assert series.volume_code == code
    hashes = (series.geometry_hash, made and made.uid, made and made.geometry_hash)
    return series.volume_state, series.volume_code, series.volume_reason, *hashes
