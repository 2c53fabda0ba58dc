"""What lies beside a reading: the protocol and the blinding decide, and nobody gets round them."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest
from django.test import Client

from backend.archive.models import Series, Study
from backend.audit.models import Event
from backend.imaging.grid import Grid
from backend.reading import services
from backend.reading.beside_rules import Kind, kind_of, kinds_shown
from backend.reading.models import Protocol
from tests.reading.site import Site, Twin, build_site, default_model, make_series

SHIFT = [1.5, -2.0, 30.25]


def another(site: Site, serial: int, days: int | None, modality: str = "CT", **own: Any) -> Series:
    """A series of the case's person, so many days after the case's study; 0 is the same study."""
    series = make_series(serial, modality=modality, **own)
    read = Series.objects.get(pk=site.case.series_id).study
    if days == 0:
        Series.objects.filter(pk=series.pk).update(study=read)
        Study.objects.filter(pk=series.study_id).delete()
    else:
        assert read.date is not None
        date = None if days is None else read.date + datetime.timedelta(days=days)
        Study.objects.filter(pk=series.study_id).update(patient_id=read.patient_id, date=date)
    return Series.objects.get(pk=series.pk)


@pytest.fixture
def person(site: Site) -> dict[str, Series]:
    """Everything a person may have beside the CT that is read; and a stranger's CT."""
    return {
        "same": another(site, 2, 0),
        "prior": another(site, 3, -90),
        "later": another(site, 4, 40),
        "undated": another(site, 5, None),
        "pet": another(site, 6, -3, "PT"),
        "pet of the day": another(site, 7, 0, "PT"),
        "refused": another(
            site, 8, -30, volume_state="quarantined", volume_code="X", volume_reason="x"
        ),
        "stranger's": make_series(9),
    }


def listed(client: Client, site: Site, name: str = "reader1") -> set[str]:
    answer = client.get(f"/api/readings/{site.reading(name).pk}/beside")
    assert answer.status_code == 200, answer.content
    return {series["id"] for series in answer.json()["series"]}


def ids(person: dict[str, Series], *names: str) -> set[str]:
    return {str(person[name].pk) for name in names}


def test_while_they_read_a_reader_sees_no_pet_and_nothing_later(
    site: Site, person: dict[str, Series]
) -> None:
    client, reading = site.client("reader1"), site.reading()
    assert listed(client, site) == ids(person, "same", "prior")
    whole = client.get(f"/api/readings/{reading.pk}/beside").content
    for name in ("later", "undated", "pet", "pet of the day", "refused", "stranger's"):
        hidden = person[name]
        assert str(hidden.pk).encode() not in whole
        assert hidden.uid.encode() not in whole
        absent = f"/api/readings/{reading.pk}/beside/{uuid.uuid4()}"
        there = f"/api/readings/{reading.pk}/beside/{hidden.pk}"
        first, second = client.get(f"{there}/volume"), client.get(f"{absent}/volume")
        assert first.status_code == second.status_code == 404
        assert first.content == second.content
        body = {"lease": None, "offset_mm": SHIFT}
        sent = [
            client.post(f"{path}/registration", body, content_type="application/json")
            for path in (there, absent)
        ]
        assert [answer.status_code for answer in sent] == [404, 404]
        assert sent[0].content == sent[1].content


def test_the_readers_images_are_still_the_one_series(site: Site, person: dict[str, Series]) -> None:
    client, root = site.client("reader1"), f"/dicom-web/readings/{site.reading().pk}"
    found = client.get(f"{root}/series").json()
    assert [one["0020000E"]["Value"][0] for one in found] == [site.case.series_uid]
    studies = client.get(f"{root}/studies").json()
    assert len(studies) == 1
    for name in ("same", "prior", "pet"):
        series = person[name]
        path = f"{root}/studies/{series.study.uid}/series/{series.uid}/metadata"
        assert client.get(path).status_code == 404
        assert client.get(f"/dicom-web/studies/{series.study.uid}/series").status_code == 404


def test_nobody_elses_reading_opens_a_way_to_the_person(
    site: Site, person: dict[str, Series]
) -> None:
    reading = site.reading("reader1")
    series = person["prior"].pk
    paths = [f"/api/readings/{reading.pk}/beside", f"/readings/{reading.pk}/window/"]
    paths.append(f"/api/readings/{reading.pk}/beside/{series}/volume")
    for name in ("reader2", "coordinator", "adjudicator"):
        client = site.client(name)
        assert [client.get(path).status_code for path in paths] == [404, 404, 404], name
    assert Client().get(paths[0]).status_code in (401, 403)
    assert Client().get(paths[2]).status_code in (401, 403)
    assert listed(site.client("auditor"), site) == ids(
        person, "same", "prior", "later", "undated", "pet", "pet of the day"
    )


def test_a_protocol_that_opens_them_shows_them(db: None) -> None:
    default_model()
    services.install_protocols()
    services.use_protocol(code="LN-CT-OPEN")
    site = build_site()
    assert site.case.protocol.code == "LN-CT-OPEN"
    pet, later = another(site, 6, 2, "PT"), another(site, 4, 40)
    assert listed(site.client("reader1"), site) == {str(pet.pk), str(later.pk)}
    assert Protocol.objects.filter(active=True).count() == 1
    assert Event.objects.filter(action="protocol.chosen").count() == 1


def test_who_is_known_by_one_study_alone_has_nothing_of_others(site: Site) -> None:
    read = Series.objects.get(pk=site.case.series_id).study
    Study.objects.filter(pk=read.pk).update(patient_id="")
    stranger = make_series(3)
    Study.objects.filter(pk=stranger.study_id).update(patient_id="", date=datetime.date(2025, 1, 1))
    assert listed(site.client("reader1"), site) == set()


def _in_frame(series: Series, frame: str) -> None:
    data = dict(series.grid or {}) | {"frame_of_reference_uid": frame}
    data.pop("geometry_hash")
    grid = Grid.from_json(data)
    Series.objects.filter(pk=series.pk).update(
        grid=grid.to_json(), geometry_hash=grid.geometry_hash
    )


def confirm(client: Client, twin: Twin, series: Series, **own: Any) -> Any:
    reading = twin.site.reading(twin.name)
    body = {"lease": str(twin.lease), "offset_mm": SHIFT} | own
    path = f"/api/readings/{reading.pk}/beside/{series.pk}/registration"
    return client.post(path, body, content_type="application/json")


def test_a_registration_is_confirmed_by_the_one_writer_and_stays_on_record(twin: Twin) -> None:
    site = twin.site
    prior = another(site, 3, -90)
    _in_frame(prior, "2.25.999")
    client = site.client("reader1")
    path = f"/api/readings/{site.reading().pk}/beside"
    (before,) = client.get(path).json()["series"]
    assert (before["same_frame"], before["offset_mm"]) == (False, None)
    refused = confirm(client, twin, prior, lease=str(uuid.uuid4()))
    assert (refused.status_code, refused.json()["error"]) == (409, "LEASE_LOST")
    assert confirm(site.client("auditor"), twin, prior).status_code == 403
    for odd in ([1.0, 2.0], [0.0, 0.0, 1e9]):
        assert confirm(client, twin, prior, offset_mm=odd).status_code == 400
    assert not Event.objects.filter(action="reading.registered").exists()
    confirmed = confirm(client, twin, prior)
    assert (confirmed.status_code, confirmed.json()["offset_mm"]) == (200, SHIFT)
    event = Event.objects.get(action="reading.registered")
    assert event.chain == site.case.chain
    assert event.actor == site.users["reader1"]
    assert (event.facts["series"], event.facts["offset_mm"]) == (str(prior.pk), SHIFT)
    assert client.get(path).json()["series"][0]["offset_mm"] == SHIFT
    again = [9.0, 0.0, 0.0]
    assert confirm(client, twin, prior, offset_mm=again).status_code == 200
    assert client.get(path).json()["series"][0]["offset_mm"] == again
    other = site.client("reader2").get(f"/api/readings/{site.reading('reader2').pk}/beside")
    assert other.json()["series"][0]["offset_mm"] is None, "one reader's shift is their own"


def test_where_both_lie_in_one_frame_there_is_nothing_to_confirm(twin: Twin) -> None:
    prior = another(twin.site, 3, -90)
    answer = confirm(twin.site.client("reader1"), twin, prior)
    assert (answer.status_code, answer.json()["error"]) == (409, "SAME_FRAME")


def test_what_a_protocol_does_not_name_stays_hidden() -> None:
    assert kinds_shown({}, evidence_open=False) == frozenset()
    assert kinds_shown({"beside": ["prior"]}, evidence_open=False) == {Kind.PRIOR}
    assert kinds_shown({}, evidence_open=True) == frozenset(Kind)
    assert kind_of("CT", same_study=False, days=None) == Kind.FOLLOW_UP
    assert kind_of("PT", same_study=True, days=0) == Kind.PET
    assert kind_of("MR", same_study=False, days=0) == Kind.PRIOR
