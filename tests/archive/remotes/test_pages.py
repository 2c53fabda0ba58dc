"""The pages of remotes: for who may upload, with sentences where something is wrong."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Q
from django.test import Client

from backend.accounts.models import User
from backend.archive import visibility
from backend.archive.models import Instance
from backend.archive.remotes.carrying import carry_out
from backend.archive.remotes.doers import DOERS
from backend.archive.remotes.models import Remote, Transfer
from backend.archive.services import receive
from backend.audit.models import Event
from tests.archive.made import ct_series, written
from tests.archive.remotes.pacs import Network, Pacs, head, saying

pytestmark = pytest.mark.django_db

Named = Callable[..., Remote]
JSON = {"Accept": "application/json"}
HTMX = {"HX-Request": "true"}


@pytest.fixture
def desk(client: Client, coordinator: User) -> Client:
    """A coordinator's browser."""
    visibility.register(lambda user: Q(pk__isnull=False) if user == coordinator else Q())
    client.force_login(coordinator)
    return client


@pytest.fixture
def chief(admin: User) -> Client:
    """An administrator's browser."""
    client = Client()
    client.force_login(admin)
    return client


FORM = {"name": "pacs", "url": "http://127.0.0.1:9/dicom-web", "sign_in": "none"}


def addresses(transfer: Any) -> list[tuple[str, str]]:
    base = "/archive/remotes/pacs/"
    posted = ("change", "remove", "test", "search", "series", "pull", "push", "studies")
    return [
        ("get", "/archive/remotes/"),
        ("post", "/archive/remotes/"),
        ("get", base),
        ("get", f"{base}transfers"),
        *(("post", base + one) for one in posted),
        *(
            ("post", f"/archive/transfers/{transfer}/{one}")
            for one in ("cancel", "retry", "accept", "odd")
        ),
    ]


def test_a_reader_a_scientist_and_a_stranger_see_nothing_of_remotes(
    named: Named, client: Client, coordinator: User
) -> None:
    remote = named(FORM["url"])
    transfer = Transfer.objects.create(remote=remote, direction="pull", sealed="x")
    other = User.objects.create(username="reader")
    for method, address in addresses(transfer.pk):
        assert getattr(client, method)(address, FORM).status_code == 302, address
    client.force_login(other)
    for known, absent in zip(addresses(transfer.pk), addresses(uuid.uuid4()), strict=True):
        answers = []
        for method, address in (known, (absent[0], absent[1].replace("/pacs/", "/none/"))):
            answer = getattr(client, method)(address, FORM, headers=JSON)
            answers.append((answer.status_code, answer.content))
        assert answers[0][0] == 403, known
        assert answers[0] == answers[1], known
    assert Remote.objects.count() == Transfer.objects.count() == 1
    told = Event.objects.filter(subject_id__in=[str(remote.pk), str(transfer.pk)])
    assert [event.action for event in told] == ["remote.added"]


def test_a_coordinator_uses_remotes_and_an_administrator_names_them(
    desk: Client, chief: Client
) -> None:
    assert "An administrator names the PACS" in desk.get("/archive/remotes/").content.decode()
    refused = desk.post("/archive/remotes/", FORM, headers=JSON)
    assert (refused.status_code, Remote.objects.count()) == (403, 0)
    said = {**FORM, "sign_in": "basic", "username": "me", "secret": "planted", "verify_tls": "on"}
    assert chief.post("/archive/remotes/", said).status_code == 302
    for page in (desk, chief):
        for address in ("/archive/remotes/", "/archive/remotes/pacs/"):
            shown = page.get(address).content.decode()
            assert FORM["url"] in shown
            assert "planted" not in shown
            assert Remote.objects.get().secret not in shown
    assert "Settings" not in desk.get("/archive/remotes/pacs/").content.decode()
    for action in ("change", "remove"):
        assert desk.post(f"/archive/remotes/pacs/{action}", said, headers=JSON).status_code == 403
    changed = {**said, "secret": "", "username": "you"}
    assert chief.post("/archive/remotes/pacs/change", changed).status_code == 302
    assert (Remote.objects.get().username, Remote.objects.get().password) == ("you", "planted")
    assert chief.post("/archive/remotes/pacs/remove").status_code == 302
    assert desk.get("/archive/remotes/pacs/", headers=JSON).status_code == 404


def test_a_form_that_cannot_be_taken_is_shown_again_with_its_fault(chief: Client) -> None:
    answer = chief.post("/archive/remotes/", {**FORM, "url": "pacs", "secret": "planted"})
    page = answer.content.decode()
    assert answer.status_code == 400
    assert "An address begins with http:// or https://" in page
    assert 'value="pacs"' in page
    assert "planted" not in page
    for name in ("", "Two Words", "a/b", "-x"):
        assert chief.post("/archive/remotes/", {**FORM, "name": name}).status_code == 400
    assert not Remote.objects.exists()


def search(client: Client, **criteria: str) -> str:
    answer = client.post("/archive/remotes/pacs/search", criteria, headers=HTMX)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_a_search_finds_by_each_field_and_says_what_is_here(
    pacs: Pacs, named: Named, desk: Client, tmp_path: Any
) -> None:
    mine = ct_series(4, PatientName="Muster^Eva", PatientID="E-1", AccessionNumber="A1")
    other = ct_series(2, PatientName="Other^Max", PatientID="M-2", StudyDate="20200101")
    pacs.store([*mine, *other])
    named(pacs.url)
    receive([written(tmp_path / "some", mine[:1])], source="disk", actor=None)
    both = search(desk)
    assert "Muster^Eva" in both
    assert "Other^Max" in both
    assert "1 of 4 here" in both
    for criteria in (
        {"patient_id": "E-1"},
        {"patient_name": "uster"},
        {"accession": "A1"},
        {"first": "2024-01-01"},
        {"first": "2024-05-19", "last": "2024-05-19", "modality": "CT"},
    ):
        found = search(desk, **criteria)
        assert "Muster^Eva" in found, criteria
        assert "Other^Max" not in found, criteria
    assert "Nothing found" in search(desk, last="2019-12-31")
    assert "Nothing found" in search(desk, modality="MR")
    series = desk.post("/archive/remotes/pacs/series", {"study": mine[0].StudyInstanceUID})
    assert mine[0].SeriesInstanceUID in series.content.decode()
    events = Event.objects.filter(action="remote.searched").order_by("number")
    assert events[1].facts["criteria"] == ["patient ID"]
    assert "E-1" not in str([event.facts for event in events])


def test_a_search_says_what_is_wrong(named: Named, desk: Client) -> None:
    named("http://127.0.0.1:9/dicom-web")
    assert "Nothing answers at the remote&#x27;s address." in search(desk)
    assert "The first day is after the last." in search(desk, first="2024-02-02", last="2024-01-01")
    assert "x is no date." in search(desk, first="x")
    assert "That is no modality." in search(desk, modality="<b>")
    tested = desk.post("/archive/remotes/pacs/test").content.decode()
    assert "Nothing answers" in tested


def test_too_many_results_are_cut_and_said(named: Named, desk: Client) -> None:
    rows = [{"0020000D": {"vr": "UI", "Value": [f"1.2.{n}"]}} for n in range(101)]
    with Network(saying(head() + json.dumps(rows).encode())).listening() as network:
        named(network.url)
        page = search(desk)
        assert "The first 100" in page
        assert page.count('name="study"') == 100
        assert "limit=101" in network.asked[0].target


def test_what_a_remote_says_is_never_markup(named: Named, desk: Client) -> None:
    row = b'[{"0020000D":{"Value":["1.2"]},"00081030":{"Value":["<script>alert(1)</script>"]}}]'
    with Network(saying(head() + row)).listening() as network:
        named(network.url)
        assert "<script>alert" not in search(desk)


def test_chosen_studies_are_queued_and_shown_to_their_end(
    pacs: Pacs, named: Named, desk: Client, coordinator: User
) -> None:
    slices, other = ct_series(3), ct_series(2)
    pacs.store([*slices, *other])
    named(pacs.url)
    study, series = other[0].StudyInstanceUID, other[0].SeriesInstanceUID
    label = '{"date": "2024-05-19", "description": "CT <neck>"}'
    form = {
        "study": [slices[0].StudyInstanceUID],
        "series": [f"{study}/{series}"],
        f"label-{slices[0].StudyInstanceUID}": label,
    }
    shown = desk.post("/archive/remotes/pacs/pull", form, headers=HTMX).content.decode()
    assert shown.count("waits its turn") == 2
    assert "2024-05-19 CT &lt;neck&gt;" in shown
    assert {t.actor for t in Transfer.objects.all()} == {coordinator}
    for transfer in Transfer.objects.all():
        carry_out(transfer.pk, DOERS)
    assert Instance.objects.count() == 5
    done = desk.get("/archive/remotes/pacs/transfers").content.decode()
    assert "3 images fetched." in done
    assert "2 images fetched." in done
    assert desk.post("/archive/remotes/pacs/pull", form)["Location"] == "/archive/remotes/pacs/"


def test_nothing_chosen_and_odd_choices_are_refused(named: Named, desk: Client) -> None:
    named("http://127.0.0.1:9/dicom-web")
    for form in ({}, {"study": "../x"}, {"series": "1.2.3/"}, {"series": "1.2.3"}):
        answer = desk.post("/archive/remotes/pacs/pull", form, headers=JSON)
        assert answer.status_code == 400, form
    assert not Transfer.objects.exists()


def test_a_transfer_is_cancelled_tried_again_and_accepted_by_its_buttons(
    named: Named, desk: Client
) -> None:
    named("http://127.0.0.1:9/dicom-web")
    desk.post("/archive/remotes/pacs/pull", {"study": "1.2.3"})
    transfer = Transfer.objects.get()

    def press(action: str) -> Any:
        return desk.post(f"/archive/transfers/{transfer.pk}/{action}", headers={**HTMX, **JSON})

    assert "Cancel" in desk.get("/archive/remotes/pacs/").content.decode()
    assert "Try again" in press("cancel").content.decode()
    assert press("cancel").json()["error"] == "WRONG_STATE"
    assert "Cancel" in press("retry").content.decode()
    assert press("accept").status_code == 409
    press("cancel")
    assert "accepted as it is" in press("accept").content.decode()
    assert press("odd").status_code == 404


def test_a_study_here_is_found_and_pushed(
    pacs: Pacs, named: Named, desk: Client, tmp_path: Any
) -> None:
    slices = ct_series(3)
    receive([written(tmp_path / "neck", slices)], source="disk", actor=None)
    named(pacs.url)
    assert "Planted^Name" in desk.get("/archive/remotes/pacs/").content.decode()
    found = desk.post("/archive/remotes/pacs/studies", {"words": "ACC-1"}).content.decode()
    assert "Planted^Name" in found
    none = desk.post("/archive/remotes/pacs/studies", {"words": "nobody"}).content.decode()
    assert "Planted^Name" not in none
    study = Instance.objects.first().series.study_id
    desk.post("/archive/remotes/pacs/push", {"kind": "study", "id": str(study)})
    carry_out(Transfer.objects.get().pk, DOERS)
    assert len(pacs.files()) == 3
    assert "3 images sent." in desk.get("/archive/remotes/pacs/transfers").content.decode()
    for form in ({"kind": "study", "id": "x"}, {"kind": "study", "id": str(uuid.uuid4())}, {}):
        answer = desk.post("/archive/remotes/pacs/push", form, headers=JSON)
        assert answer.status_code == 404, form
