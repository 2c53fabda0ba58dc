"""What no rule can clean waits for a person: released cleaned, or discarded."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from django.test import Client
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from backend.accounts.models import User
from backend.archive import visibility
from backend.archive.models import Instance, KeptAside, Receipt
from backend.archive.reviewing import release
from backend.audit.models import Event
from backend.errors import BadInput, NotAllowed, WrongState
from backend.store import store
from tests.archive.made import ct_series, values, written

pytestmark = pytest.mark.django_db
Receive = Callable[..., Receipt]
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
JSON = {"Accept": "application/json"}


@pytest.fixture
def uploader(client: Client, person: User) -> Client:
    visibility.register_uploader(lambda user: user == person)
    client.force_login(person)
    return client


@pytest.fixture
def kept(tmp_path: Path, receive: Receive) -> KeptAside:
    """A picture of a screen, kept aside."""
    receive(written(tmp_path / "Zyxquell", ct_series(1, SOPClassUID=CAPTURE, Modality="OT")))
    return KeptAside.objects.get()


def overlay_in_pixels(ds: Dataset) -> None:
    ds.add_new(0x60000010, "US", 12)
    ds.add_new(0x60000011, "US", 16)
    ds.add_new(0x60000100, "US", 16)
    ds.add_new(0x60000102, "US", 12)


def in_colour(ds: Dataset) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 3, "RGB"
    ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.PixelData = bytes(12 * 16 * 3)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"SOPClassUID": CAPTURE}, "BURNED_IN"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.2"}, "BURNED_IN"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1", "Modality": "US"}, "BURNED_IN"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.4"}, "BURNED_IN"),
        ({"Modality": "US"}, "BURNED_IN"),
        ({"BurnedInAnnotation": "YES"}, "BURNED_IN"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "BURNED_IN"),
        ({"ConversionType": "WSD"}, "BURNED_IN"),
        (in_colour, "BURNED_IN"),
        (overlay_in_pixels, "BURNED_IN"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.33", "Modality": "SR"}, "REPORT_TEXT"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1", "Modality": "DOC"}, "DOCUMENT"),
        ({"SOPClassUID": "1.3.46.670589.5.0.1"}, "UNKNOWN_KIND"),
    ],
)
def test_what_may_show_a_name_does_not_come_in_by_itself(
    tmp_path: Path, receive: Receive, content: Path, changes: Any, code: str
) -> None:
    (ds,) = ct_series(1)
    if callable(changes):
        changes(ds)
    else:
        for keyword, value in changes.items():
            setattr(ds, keyword, value)
    receipt = receive(written(tmp_path / "x", [ds]))
    kept = receipt.kept.get()
    assert (receipt.stored, kept.code, kept.sealed, kept.blob) == (0, code, True, "")
    assert kept.cure
    assert kept.review == ("waiting" if code in ("BURNED_IN", "REPORT_TEXT") else "")
    assert not [path for path in content.rglob("*") if path.is_file()]
    assert receive(tmp_path / "x", as_is=True).stored == 1


def test_an_ordinary_overlay_is_dropped_and_the_image_comes_in(
    tmp_path: Path, receive: Receive
) -> None:
    (ds,) = ct_series(1)
    overlay_in_pixels(ds)
    ds[0x60000100].value, ds[0x60000102].value = 1, 0
    ds.add_new(0x60003000, "OW", bytes(24))
    assert receive(written(tmp_path / "x", [ds])).stored == 1
    new = pydicom.dcmread(io.BytesIO(store().read(Instance.objects.get().blob)))
    assert not [tag for tag in new.keys() if tag.group == 0x6000]  # noqa: SIM118


def test_a_person_looks_and_releases(kept: KeptAside, uploader: Client, person: User) -> None:
    path = f"/archive/review/{kept.pk}"
    assert path in uploader.get("/archive/").content.decode()
    page = uploader.get(path).content.decode()
    assert "Zyxquell/00.dcm" in page
    assert "Planted" not in page, "what is shown is what would be stored"
    picture = uploader.get(f"{path}/1")
    assert picture.headers["Cache-Control"] == "no-store"
    shown = np.asarray(Image.open(io.BytesIO(picture.content)))
    whole = values(0).astype(float)
    expected = (whole - whole.min()) / (whole.max() - whole.min()) * 255
    assert np.abs(shown - expected).max() <= 1
    assert uploader.get(f"{path}/2", headers=JSON).status_code == 404
    assert uploader.post(path, {"decision": "release"}, headers=JSON).status_code == 400
    assert uploader.post(path, {"reason": "a scale"}, headers=JSON).status_code == 400
    given = {"decision": "release", "reason": "a dose scale, no text"}
    assert uploader.post(path, given).status_code == 302
    instance = Instance.objects.get()
    new = pydicom.dcmread(io.BytesIO(store().read(instance.blob)))
    assert (new.BurnedInAnnotation, new.PatientIdentityRemoved) == ("NO", "YES")
    assert str(new.PatientName).startswith("SUBJ-")
    assert (new.pixel_array == values(0)).all()
    event = Event.objects.get(action="kept.released")
    assert (event.actor_id, event.reason) == (person.pk, "a dose scale, no text")
    assert uploader.get(path, headers=JSON).status_code == 404
    with pytest.raises(WrongState):
        release(kept=kept, actor=person, reason="again")
    assert "released" in uploader.get("/archive/").content.decode()


def test_a_person_looks_and_discards(
    kept: KeptAside, uploader: Client, person: User, pseudonyms: Path
) -> None:
    path = f"/archive/review/{kept.pk}"
    assert list(pseudonyms.rglob(f"{kept.pk}.sealed"))
    given = {"decision": "discard", "reason": "a name in the corner"}
    assert uploader.post(path, given).status_code == 302
    assert not list(pseudonyms.rglob(f"{kept.pk}.sealed"))
    assert not Instance.objects.exists()
    assert Event.objects.get(action="kept.discarded").actor_id == person.pk
    assert KeptAside.objects.get().review == "discarded"


def test_nobody_else_looks(kept: KeptAside, uploader: Client, client: Client) -> None:
    stranger = User.objects.create(username="stranger")
    for path in (f"/archive/review/{kept.pk}", f"/archive/review/{kept.pk}/1"):
        client.force_login(stranger)
        assert client.get(path, headers=JSON).status_code == 403
        client.logout()
        assert client.get(path).status_code == 302
    client.force_login(stranger)
    given = {"decision": "release", "reason": "x"}
    assert client.post(f"/archive/review/{kept.pk}", given, headers=JSON).status_code == 403
    with pytest.raises(NotAllowed):
        release(kept=kept, actor=stranger, reason="x")
    client.force_login(User.objects.get(username="person"))
    assert client.get(f"/archive/review/{uuid.uuid4()}", headers=JSON).status_code == 404


def test_the_wrong_role_decides_nothing_whatever_it_sends(kept: KeptAside, client: Client) -> None:
    client.force_login(User.objects.create(username="stranger"))
    for decision in ("release", "discard", "", "delete"):
        given = {"decision": decision, "reason": "x"}
        answer = client.post(f"/archive/review/{kept.pk}", given, headers=JSON)
        assert answer.status_code == 403
        unknown = client.post(f"/archive/review/{uuid.uuid4()}", given, headers=JSON)
        assert unknown.content == answer.content, "whether there is such a file is not told"
    kept.refresh_from_db()
    assert (kept.review, kept.sealed) == ("waiting", True)


def test_a_released_report_holds_no_free_text(
    tmp_path: Path, receive: Receive, uploader: Client, person: User
) -> None:
    (ds,) = ct_series(1, PixelData=None)
    ds.SOPClassUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.88.33", "SR"
    del ds.Rows, ds.Columns  # A report has no pixels, and promises none.
    item, named = Dataset(), Dataset()
    item.ValueType, item.RelationshipType = "TEXT", "CONTAINS"
    item.TextValue = "Lymph node of Zyxquell, 12 mm, seen by Dr. Planted on 3.11.1957"
    named.ValueType, named.RelationshipType, named.PersonName = "PNAME", "CONTAINS", "Zyxquell"
    ds.ContentSequence = Sequence([item, named])
    receive(written(tmp_path / "x", [ds]))
    kept = KeptAside.objects.get()
    with pytest.raises(BadInput):
        release(kept=kept, actor=person, reason="")
    instance = release(kept=kept, actor=person, reason="measurements only")
    new = pydicom.dcmread(io.BytesIO(store().read(instance.blob)))
    assert new.ContentSequence[0].TextValue == "Lymph node of 12 mm seen by on"
    assert str(new.ContentSequence[1].PersonName) == "REMOVED"
    assert "113104" in [c.CodeValue for c in new.DeidentificationMethodCodeSequence]
