"""One UUID of a client never stands for two acts, in whatever cases they were."""

from __future__ import annotations

import pytest
from django.db import IntegrityError

from backend.errors import WrongState
from backend.jobs.models import Run
from backend.reading.services.acts import named_by_client
from tests.reading.site import Site, build_site


def test_a_uuid_that_another_case_took_at_the_same_moment_is_a_409_in_words(ready: Site) -> None:
    taken, other = ready.run(), build_site(serial=2).run()
    with pytest.raises(WrongState) as refused, named_by_client(Run):
        Run.objects.create(
            id=taken.pk,
            kind=other.kind,
            subject_type=other.subject_type,
            subject_id=other.subject_id,
            chain=other.chain,
            series_id=other.series_id,
            series_uid=other.series_uid,
            study_uid=other.study_uid,
            model=other.model,
            queued=other.queued,
        )
    assert (refused.value.code, refused.value.status) == ("CLIENT_REUSED", 409)
    assert Run.objects.get(pk=taken.pk).subject_id == ready.case.pk, "and nothing else was undone"


def test_any_other_broken_rule_is_no_matter_of_uuids(ready: Site) -> None:
    with pytest.raises(IntegrityError), named_by_client(Run):
        Run.objects.filter(pk=ready.run().pk).update(state="nonsense")
