"""De-identification at the doors: on by default, the same everywhere, and who may switch it."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from backend.accounts.models import User
from backend.archive import services, visibility
from backend.archive.deidentify.keys import KeyUnusable
from backend.archive.deidentify.links import DATABASE, links
from backend.archive.models import Door, Instance, KeptAside, Receipt, Series, Source, Study
from backend.archive.origins import set_deidentify
from backend.archive.reidentifying import reidentify
from backend.audit.models import Event
from backend.errors import BadInput, Missing, NotAllowed
from backend.store import store
from tests.archive.client import dicomweb
from tests.archive.made import ct_series, encoded, written

pytestmark = pytest.mark.django_db
Receive = Callable[..., Receipt]


@pytest.fixture
def admin() -> User:
    return User.objects.create_superuser("admin", password="x")


@pytest.fixture
def uploader(client: Client, person: User) -> Client:
    visibility.register_uploader(lambda user: user == person)
    client.force_login(person)
    return client


def test_every_door_gives_the_same_objects(
    tmp_path: Path, receive: Receive, uploader: Client
) -> None:
    slices = ct_series(4)
    assert receive(written(tmp_path / "a", slices)).stored == 4
    stored = dicomweb(uploader).store_instances(slices)
    assert len(stored.ReferencedSOPSequence) == 4
    for number, ds in enumerate(slices):
        answer = uploader.post(
            "/archive/upload",
            {
                "receipt": str(uuid.UUID(int=7)),
                "name": f"{number}.dcm",
                "file": SimpleUploadedFile("x.dcm", encoded(ds)),
            },
        )
        assert answer.json()["counts"] == {"already_here": 1}
    assert Instance.objects.count() == 4
    assert {r.door: (r.stored, r.already_here) for r in Receipt.objects.all()} == {
        "receive": (4, 0),
        "stow": (0, 4),
        "upload": (0, 4),
    }
    sources = {(s.door, s.name, s.deidentify) for s in Source.objects.all()}
    assert sources == {
        ("receive", "test", True),
        ("stow", "person", True),
        ("upload", "upload page", True),
    }


def test_what_is_stored_is_answered_by_the_uid_it_has_here(uploader: Client) -> None:
    (ds,) = ct_series(1)
    (stored,) = dicomweb(uploader).store_instances([ds]).ReferencedSOPSequence
    assert stored.ReferencedSOPInstanceUID == Instance.objects.get().sop_uid
    assert stored.ReferencedSOPInstanceUID != ds.SOPInstanceUID
    assert stored.WarningReason == 0xB000


def test_other_pixels_under_the_same_uid_are_still_refused(
    tmp_path: Path, receive: Receive
) -> None:
    slices = ct_series(2)
    receive(written(tmp_path / "a", slices))
    slices[0].PixelData = bytes(len(slices[0].PixelData))
    kept = receive(written(tmp_path / "b", slices)).kept.get()
    assert kept.code == "SAME_UID_OTHER_PIXELS"
    assert slices[0].SOPInstanceUID not in f"{kept.message}{kept.sop_uid}{kept.series_uid}"
    assert kept.sop_uid in kept.message


def test_as_it_is_is_another_source_and_changes_nothing_for_the_next(
    tmp_path: Path, receive: Receive
) -> None:
    slices = ct_series(2)
    folder = written(tmp_path / "a", slices)
    assert receive(folder, as_is=True).stored == 2
    assert set(Instance.objects.values_list("sop_uid", flat=True)) == {
        ds.SOPInstanceUID for ds in slices
    }
    assert receive(folder).stored == 2
    assert Study.objects.count() == 2
    assert list(Source.objects.order_by("name").values_list("name", "deidentify")) == [
        ("test", True),
        ("test (as is)", False),
    ]
    added = Event.objects.filter(action="source.added")
    assert [e.facts["deidentify"] for e in added.order_by("number")] == [False, True]


def test_a_switch_holds_for_the_next_batch_and_is_on_record(
    tmp_path: Path, receive: Receive, admin: User
) -> None:
    (ds,) = ct_series(1)
    open_one = services.open_receipt(source="test", door=Door.RECEIVE, actor=None)
    source = Source.objects.get()
    set_deidentify(source=source, on=False, actor=admin, reason="our own phantom")
    assert open_one.deidentified
    assert not services.open_receipt(source="test", door=Door.RECEIVE, actor=None).deidentified
    event = Event.objects.get(action="source.changed")
    assert (event.actor_id, event.reason, event.facts["deidentify"]) == (
        admin.pk,
        "our own phantom",
        False,
    )
    assert receive(written(tmp_path / "a", [ds])).stored == 1
    assert Instance.objects.get().sop_uid == ds.SOPInstanceUID


def test_only_an_administrator_switches_and_only_with_a_reason(
    person: User, admin: User, uploader: Client, client: Client
) -> None:
    services.open_receipt(source="test", door=Door.RECEIVE, actor=None)
    source = Source.objects.get()
    with pytest.raises(NotAllowed):
        set_deidentify(source=source, on=False, actor=person, reason="please")
    with pytest.raises(BadInput):
        set_deidentify(source=source, on=False, actor=admin, reason=" ")
    path = f"/archive/sources/{source.pk}"
    given = {"deidentify": "off", "reason": "our own phantom"}
    json = {"Accept": "application/json"}
    assert uploader.post(path, given, headers=json).status_code == 403
    page = uploader.get("/archive/sources/").content.decode()
    assert "test" in page
    assert path not in page
    client.force_login(User.objects.create(username="nobody"))
    assert client.get("/archive/sources/", headers=json).status_code == 403
    assert client.post(path, given, headers=json).status_code == 403
    assert Source.objects.get().deidentify
    client.force_login(admin)
    assert path in client.get("/archive/sources/").content.decode()
    assert client.post(path, given | {"reason": ""}, headers=json).status_code == 400
    assert client.post(path, given | {"deidentify": "x"}, headers=json).status_code == 400
    assert client.post(f"/archive/sources/{uuid.uuid4()}", given, headers=json).status_code == 404
    assert Source.objects.get().deidentify
    assert client.post(path, given).status_code == 302
    assert not Source.objects.get().deidentify


def test_the_commands_say_loudly_what_they_do(tmp_path: Path, db: None) -> None:
    folder = written(tmp_path / "Zyxquell", ct_series(2))
    (folder / "Zyxquell.txt").write_text("x")

    def run(*arguments: str) -> tuple[str, str]:
        out, err = io.StringIO(), io.StringIO()
        call_command(*arguments, stdout=out, stderr=err)
        return out.getvalue(), err.getvalue()

    out, err = run("receive", str(folder))
    assert "de-identified" in out
    assert "Zyxquell/Zyxquell.txt is not a DICOM file." in out
    assert "Zyxquell" not in KeptAside.objects.get().message
    out, err = run("receive", "--as-is", str(folder))
    assert "NOTHING IS DE-IDENTIFIED" in err
    assert "de-identified (PS3.15" not in out
    out, _ = run("sources", "--as-is", "stow", "ward 3", "--reason", "phantoms")
    assert "stow ward 3 is taken AS IT IS" in out
    with pytest.raises(CommandError, match="reason"):
        run("sources", "--deidentify", "stow", "ward 3")
    with pytest.raises(CommandError, match="no door"):
        run("sources", "--as-is", "window", "ward 3", "--reason", "x")
    out, _ = run("sources")
    assert "stow  ward 3  AS IT IS" in out
    assert "receive  manage.py receive  de-identified" in out


def test_without_its_key_nothing_is_taken_and_what_is_here_is_read(
    tmp_path: Path, receive: Receive, pseudonyms: Path, settings: Any, uploader: Client
) -> None:
    folder = written(tmp_path / "a", ct_series(3))
    (folder / "x.txt").write_text("x")
    receive(folder)
    settings.PSEUDONYM_KEY_FILE = pseudonyms / "gone"
    with pytest.raises(KeyUnusable):
        receive(folder)
    settings.PSEUDONYM_STORE = pseudonyms / "gone too"
    with pytest.raises(KeyUnusable):
        receive(folder)
    assert not (pseudonyms / "gone").exists()
    assert Receipt.objects.count() == 1
    series = Series.objects.get()
    assert services.load_volume(series)[1].shape == (3, 12, 16)
    assert uploader.get("/archive/").status_code == 200


def test_where_links_cannot_be_written_nothing_is_stored(
    tmp_path: Path, receive: Receive, pseudonyms: Path, content: Path
) -> None:
    folder = written(tmp_path / "a", ct_series(2))
    links().flush()
    (pseudonyms / "store" / DATABASE).unlink()
    (pseudonyms / "store" / DATABASE).mkdir()
    receipt = receive(folder)
    assert (receipt.stored, receipt.kept_aside) == (0, 2)
    assert {k.code for k in receipt.kept.all()} == {"NOT_STORED"}
    assert not Instance.objects.exists()
    assert not [path for path in content.rglob("*") if path.is_file()]


def test_an_administrator_finds_the_way_back_and_it_is_on_record(
    tmp_path: Path, receive: Receive, admin: User, person: User
) -> None:
    slices = ct_series(2)
    receive(written(tmp_path / "a", slices))
    study, instance = Study.objects.get(), Instance.objects.order_by("number").first()
    assert instance is not None
    found = reidentify(what=study.patient_id, actor=admin, reason="incidental finding")
    assert found.people == [
        {"patient_id": "PID-1", "name": "Planted^Name", "birth_date": "19600520"}
    ]
    assert found.shift_days == services.shift_days(study.uid)
    for what, original in (
        (instance.sop_uid, slices[0].SOPInstanceUID),
        (study.uid, slices[0].StudyInstanceUID),
        (instance.series.uid, slices[0].SeriesInstanceUID),
    ):
        assert reidentify(what=what, actor=admin, reason="why").uid == original
    events = Event.objects.filter(action="subject.reidentified")
    assert events.count() == 4
    assert "PID-1" not in str(list(events.values()))
    with pytest.raises(NotAllowed):
        reidentify(what=study.patient_id, actor=person, reason="curious")
    with pytest.raises(BadInput):
        reidentify(what=study.patient_id, actor=admin, reason="")
    with pytest.raises(Missing):
        reidentify(what="SUBJ-00000000", actor=admin, reason="why")
    assert Event.objects.filter(action="subject.reidentified").count() == 4
    out = io.StringIO()
    given = ("--by", "admin", "--reason", "incidental finding")
    call_command("reidentify", study.patient_id, *given, stdout=out)
    assert "name: Planted^Name" in out.getvalue()
    with pytest.raises(CommandError):
        call_command("reidentify", study.patient_id, "--by", "person", "--reason", "x")


def test_a_patient_without_a_number_is_known_by_the_study_alone(
    tmp_path: Path, receive: Receive
) -> None:
    receive(written(tmp_path / "a", ct_series(2, PatientID="")))
    receive(written(tmp_path / "b", ct_series(2, PatientID="")))
    names = set(Study.objects.values_list("patient_id", flat=True))
    assert len(names) == 2
    assert all(name.startswith("SUBJ-") for name in names)


def test_encodings_come_through_as_they_were(tmp_path: Path, receive: Receive) -> None:
    from pydicom.uid import (
        DeflatedExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        RLELossless,
    )

    for number, syntax in enumerate(
        (ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless)
    ):
        (ds,) = ct_series(1)
        if syntax == RLELossless:
            ds.compress(RLELossless, generate_instance_uid=False)
        else:
            ds.file_meta.TransferSyntaxUID = syntax
        receipt = receive(written(tmp_path / str(number), [ds]))
        assert receipt.stored == 1, list(receipt.kept.values("code", "message"))
        new = pydicom.dcmread(io.BytesIO(store().read(receipt.instances.get().blob)))
        assert new.file_meta.TransferSyntaxUID == syntax
        assert new.PixelData.rstrip(b"\0") == ds.PixelData.rstrip(b"\0")
        assert (new.pixel_array == ds.pixel_array).all()
