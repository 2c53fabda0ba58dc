"""A pull from a PACS whose images are de-identified: its UIDs are counted, ours are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from backend.accounts.models import User
from backend.archive import visibility
from backend.archive.deidentify.links import links
from backend.archive.models import Instance, Series, Study
from backend.archive.remotes.asking import Wanted, request_pull
from backend.archive.remotes.carrying import carry_out, counts_of
from backend.archive.remotes.doers import DOERS
from backend.archive.remotes.here import studies_here
from backend.archive.remotes.managing import RemoteFacts, add_remote
from backend.archive.remotes.models import Transfer
from tests.archive.made import ct_series
from tests.archive.remotes.pacs import Network, Wire, orthanc

pytestmark = pytest.mark.django_db


@pytest.fixture
def coordinator(person: User) -> User:
    visibility.register_uploader(lambda user: user == person)
    return person


def test_a_pull_that_is_resumed_counts_by_the_uids_of_the_pacs(
    orthanc_installed: None, tmp_path: Any, coordinator: User, settings: Any
) -> None:
    settings.REMOTE_TRIES = 1
    slices = ct_series(12)
    study = slices[0].StudyInstanceUID
    whole = {f"/dicom-web/studies/{study}/series/{slices[0].SeriesInstanceUID}": 6000}
    admin = User.objects.create(username="the-admin", is_superuser=True)
    with (
        orthanc(tmp_path) as pacs,
        Network(Wire(pacs.port, lambda asked: whole.get(asked.path))).listening() as network,
    ):
        pacs.store(slices)
        remote = add_remote(name="pacs", facts=RemoteFacts(url=network.url), actor=admin)

        def pull(ask: Callable[[], Transfer]) -> Transfer:
            transfer = ask()
            carry_out(transfer.pk, DOERS)
            transfer.refresh_from_db()
            return transfer

        def again() -> Transfer:
            return request_pull(remote=remote, wanted=Wanted(study), actor=coordinator)

        assert pull(again).state == "failed"
        came = Instance.objects.count()
        assert 0 < came < 12
        second = pull(again)
        assert (second.state, counts_of(second)) == (
            "done",
            {"expected": 12, "moved": 12 - came, "there": came},
        )
        fetched = network.fetched()
        assert len(fetched) == len(set(fetched)) == 12 - came
        assert studies_here(remote, [study]) == {study: 12}
        third = pull(again)
        assert counts_of(third) == {"expected": 12, "moved": 0, "there": 12}
    mapped = links().keys.uid
    assert Study.objects.get().uid == mapped(study)
    assert Study.objects.get().patient_name != "Planted^Name"
    assert set(Instance.objects.values_list("sop_uid", flat=True)) == {
        mapped(s.SOPInstanceUID) for s in slices
    }
    # The first pull ended in the middle; the second made the series whole, so it was judged.
    assert Series.objects.get().volume_state == "volume"
