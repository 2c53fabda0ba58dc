"""Choosing on the upload page where files come from; who may add one, or switch one off."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from backend.accounts.models import User
from backend.archive import origins, visibility
from backend.archive.models import Door, Instance, KeptAside, Receipt, Source, Study
from backend.archive.origins import add_source, set_deidentify, set_issuer
from backend.archive.reviewing import release
from backend.audit.models import Event
from backend.errors import BadInput, Missing, NotAllowed, WrongState
from tests.archive.made import ct_series, encoded

JSON = {"Accept": "application/json"}


@pytest.fixture(autouse=True)
def as_in_the_product(monkeypatch: pytest.MonkeyPatch, as_it_is: None) -> None:
    """New sources de-identify."""
    monkeypatch.setattr(origins, "NEW_ONES_DEIDENTIFY", True)


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("admin", password="x")


@pytest.fixture
def uploader(client: Client, person: User) -> Client:
    visibility.register_uploader(lambda user: user == person)
    client.force_login(person)
    return client


@pytest.fixture
def phantoms(admin: User) -> Source:
    """A source of the upload page that takes files as they are."""
    source = add_source(door=Door.UPLOAD, name="phantoms", actor=admin)
    return set_deidentify(source=source, on=False, actor=admin, reason="no patients")


def begun(client: Client, source: str | None, receipt: str = "") -> Any:
    fields = {"receipt": receipt or str(uuid.uuid4()), "files": "1", "bytes": "9"}
    if source is not None:
        fields["source"] = source
    return client.post("/archive/upload/batches", fields, headers=JSON)


def sent(client: Client, receipt: str, data: bytes) -> Any:
    fields = {"receipt": receipt, "name": "a.dcm", "file": SimpleUploadedFile("file", data)}
    return client.post("/archive/upload", fields, headers=JSON)


def test_the_page_offers_the_sources_there_are_and_says_what_each_does(
    uploader: Client, phantoms: Source, admin: User
) -> None:
    add_source(door=Door.UPLOAD, name="<b>north", actor=admin)
    Source.objects.create(door=Door.STOW, name="not of this door")
    page = uploader.get("/archive/").content.decode()
    offered = page[page.index('<select name="source"') : page.index("</select>")]
    assert offered.index("upload page") < offered.index("&lt;b&gt;north") < offered.index("phantom")
    assert 'value="phantoms" data-deidentify="0"' in offered
    assert 'value="upload page" data-deidentify="1"' in offered
    assert "not of this door" not in offered
    assert "Nothing is removed" in page
    assert "wait below until somebody has looked at them" in page


def test_with_one_source_there_is_nothing_to_choose_and_it_is_said(uploader: Client) -> None:
    page = uploader.get("/archive/").content.decode()
    assert "<select" not in page
    assert "dates are moved before anything is stored" in page
    assert "Nothing is removed" not in page
    assert not Source.objects.exists(), "looking makes nothing"


def test_a_batch_is_taken_as_its_source_says(uploader: Client, phantoms: Source) -> None:
    (ds,) = ct_series(1)
    for source, deidentified in (("phantoms", False), ("upload page", True), (None, True)):
        told = begun(uploader, source)
        assert told.status_code == 200
        assert told.json()["source"] == (source or "upload page")
        assert sent(uploader, told.json()["receipt"], encoded(ds)).json()["counts"]
        receipt = Receipt.objects.get(pk=told.json()["receipt"])
        assert (receipt.deidentified, receipt.origin.door) == (deidentified, "upload")
    names = set(Study.objects.values_list("patient_id", flat=True))
    assert names == {"PID-1", next(n for n in names if n.startswith("SUBJ-"))}
    assert Instance.objects.count() == 2


def test_without_script_the_form_says_so_too(uploader: Client, phantoms: Source) -> None:
    (ds,) = ct_series(1)
    fields = {"source": "phantoms", "files": SimpleUploadedFile("a.dcm", encoded(ds))}
    assert uploader.post("/archive/upload", fields).status_code == 302
    assert Receipt.objects.get().deidentified is False
    fields = {"source": "nowhere", "files": SimpleUploadedFile("a.dcm", encoded(ds))}
    assert uploader.post("/archive/upload", fields, headers=JSON).status_code == 404
    assert Receipt.objects.count() == 1


@pytest.mark.parametrize("source", ["nowhere", "ward", "Phantoms", "phantoms ", "x" * 5000])
def test_only_what_is_there_can_be_chosen(uploader: Client, phantoms: Source, source: str) -> None:
    """Not one that is made up, nor one of another door, which may be taken as it is."""
    Source.objects.create(door=Door.DIMSE, name="ward", deidentify=False)
    assert begun(uploader, source).status_code == 404
    assert not Receipt.objects.exists()
    assert Source.objects.count() == 2


def test_a_batch_that_goes_on_stays_what_it_was(uploader: Client, phantoms: Source) -> None:
    receipt = begun(uploader, "upload page").json()["receipt"]
    assert begun(uploader, "phantoms", receipt).json()["source"] == "upload page"
    (ds,) = ct_series(1)
    sent(uploader, receipt, encoded(ds))
    assert Study.objects.get().patient_id.startswith("SUBJ-")


def test_who_may_not_upload_chooses_nothing(client: Client, phantoms: Source) -> None:
    assert begun(client, "phantoms").status_code == 401
    client.force_login(User.objects.create(username="stranger"))
    assert begun(client, "phantoms").status_code == 403
    assert begun(client, "nowhere").status_code == 403, "what there is, is not told either"


def test_only_an_administrator_adds_one_and_names_an_issuer(
    uploader: Client, person: User, admin: User, client: Client
) -> None:
    assert uploader.post("/archive/sources/", {"name": "mine"}, headers=JSON).status_code == 403
    assert "One more for the upload page" not in uploader.get("/archive/sources/").content.decode()
    with pytest.raises(NotAllowed):
        add_source(door=Door.UPLOAD, name="mine", actor=person)
    client.force_login(admin)
    assert client.post("/archive/sources/", {"name": " north "}).status_code == 302
    source = Source.objects.get()
    assert (source.door, source.name, source.deidentify) == ("upload", "north", True)
    again = client.post("/archive/sources/", {"name": "north"}, headers=JSON)
    assert (again.status_code, again.json()["error"]) == (409, "NAME_TAKEN")
    for bad in ("", "  ", "two\nlines", "x" * 121):
        assert client.post("/archive/sources/", {"name": bad}, headers=JSON).status_code == 400
    with pytest.raises(NotAllowed):
        set_issuer(source=source, issuer="N", actor=person, reason="please")
    path = f"/archive/sources/{source.pk}"
    assert client.post(path, {"issuer": "N", "reason": ""}, headers=JSON).status_code == 400
    assert client.post(path, {"issuer": "NORTH", "reason": "two send here"}).status_code == 302
    source.refresh_from_db()
    assert source.issuer == "NORTH"
    event = Event.objects.get(action="source.changed")
    assert (event.facts["issuer"], event.reason) == ("NORTH", "two send here")


def test_the_same_number_of_two_hospitals_is_two_people_once_their_issuers_are_named(
    uploader: Client, admin: User
) -> None:
    for name in ("north", "south", "east"):
        source = add_source(door=Door.UPLOAD, name=name, actor=admin)
        if name != "east":
            set_issuer(source=source, issuer=name.upper(), actor=admin, reason="two hospitals")
    named = ct_series(1, IssuerOfPatientID="NORTH")
    sets = {"north": ct_series(1), "south": ct_series(1), "east": ct_series(1), "": named}
    found = {}
    for source, slices in sets.items():
        receipt = begun(uploader, source or None).json()["receipt"]
        assert sent(uploader, receipt, encoded(slices[0])).json()["counts"] == {"stored": 1}
        made = Receipt.objects.get(pk=receipt).instances.get()
        found[source] = made.series.study.patient_id
    assert found["north"] == found[""], "the file's own word and its source's are the same"
    assert len({found["north"], found["south"], found["east"]}) == 3


def test_what_is_released_after_a_look_is_the_same_person_as_the_rest(
    uploader: Client, admin: User, person: User
) -> None:
    source = add_source(door=Door.UPLOAD, name="north", actor=admin)
    set_issuer(source=source, issuer="NORTH", actor=admin, reason="two hospitals")
    receipt = begun(uploader, "north").json()["receipt"]
    (image,) = ct_series(1)
    (screen,) = ct_series(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="OT")
    sent(uploader, receipt, encoded(image))
    uploader.post(
        "/archive/upload",
        {"receipt": receipt, "name": "b.dcm", "file": SimpleUploadedFile("f", encoded(screen))},
        headers=JSON,
    )
    release(kept=KeptAside.objects.get(), actor=person, reason="a scale")
    assert len(set(Study.objects.values_list("patient_id", flat=True))) == 1
    assert Study.objects.count() == 2


def test_no_source_is_asked_for_by_a_name_that_is_none(db: None) -> None:
    with pytest.raises(Missing):
        origins.chosen_at(Door.UPLOAD, "upload page", "other")
    with pytest.raises(BadInput):
        add_source(door=Door.UPLOAD, name="\u2028", actor=User(is_active=True, is_superuser=True))
    assert origins.chosen_at(Door.UPLOAD, "upload page", "") == "upload page"
    Source.objects.create(door=Door.UPLOAD, name="a")
    with pytest.raises(WrongState):
        add_source(door=Door.UPLOAD, name="a", actor=User(is_active=True, is_superuser=True))
