"""What leaves for another archive of a study that was de-identified when it came."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest

from backend.archive.models import Series
from backend.archive.remotes.carrying import carry_out
from backend.archive.remotes.doers import DOERS
from backend.archive.remotes.models import Transfer
from tests.archive.remotes.pacs import orthanc
from tests.reports import agreed
from tests.reports.room import build_room
from tests.reports.test_pushing import form_of, made, name_remote


@pytest.mark.django_db
def test_what_is_pushed_of_a_deidentified_study_is_pseudonymous_and_the_page_says_so(
    content: None, orthanc_installed: None, tmp_path: Path
) -> None:
    room = build_room(tmp_path / "images", as_is=False)
    export = made(room, agreed.published(room))
    desk = room.client("coordinator")
    with orthanc(tmp_path) as pacs:
        name_remote(room, pacs.url)
        page = desk.get(f"/cases/{room.case.pk}/").content.decode()
        assert "by pseudonym and new UIDs" in page
        desk.post("/archive/remotes/hospital/push", form_of(export))
        carry_out(Transfer.objects.get().pk, DOERS)
        assert Transfer.objects.get().state == "done"
        (sent,) = pacs.files().values()
    study = Series.objects.get(pk=room.case.series_id).study
    back = pydicom.dcmread(io.BytesIO(sent))
    assert (back.StudyInstanceUID, back.PatientID) == (study.uid, study.patient_id)
    assert back.PatientIdentityRemoved == "YES"
    assert study.patient_id.startswith("SUBJ-")
    for path in (tmp_path / "images").iterdir():
        came = pydicom.dcmread(path)
        for keyword in (
            *("PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID"),
            *("SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"),
        ):
            assert str(came[keyword].value).encode() not in sent, keyword
