"""Pushing to a real PACS and reading back: the same data sets, once."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from django.core.management import CommandError, call_command

from backend.accounts.models import User
from backend.archive import registry
from backend.archive.models import Instance, Series, Study
from backend.archive.registry import Pushable
from backend.archive.remotes import pushing
from backend.archive.remotes.asking import request_push
from backend.archive.remotes.carrying import carry_out, counts_of
from backend.archive.remotes.doers import DOERS
from backend.archive.remotes.models import Remote, Transfer
from backend.archive.services import receive
from backend.audit.models import Event
from backend.errors import BadInput, Missing
from backend.store import store
from tests.archive.made import ct_series, encoded, written
from tests.archive.remotes.pacs import Network, Pacs, Wire, head, saying

pytestmark = pytest.mark.django_db

Named = Callable[..., Remote]


@pytest.fixture
def slices(db: None, tmp_path: Path) -> list[Any]:
    """A series that is here."""
    made = ct_series(7)
    receive([written(tmp_path / "neck", made)], source="disk", actor=None)
    return made


def pushed(remote: Remote, actor: User, kind: str = "study", subject: Any = None) -> Transfer:
    subject = subject or Study.objects.get().pk
    transfer = request_push(remote=remote, kind=kind, subject=subject, actor=actor)
    carry_out(transfer.pk, DOERS)
    transfer.refresh_from_db()
    return transfer


def test_a_pushed_study_is_in_the_pacs_byte_by_byte(
    pacs: Pacs, named: Named, coordinator: User, slices: list[Any]
) -> None:
    remote = named(pacs.url)
    transfer = pushed(remote, coordinator)
    assert (transfer.state, transfer.message) == ("done", "")
    assert counts_of(transfer) == {"expected": 7, "moved": 7, "there": 0}
    there = pacs.files()
    assert set(there) == {s.SOPInstanceUID for s in slices}
    for instance in Instance.objects.all():
        here = pydicom.dcmread(io.BytesIO(store().read(instance.blob)))
        assert pydicom.dcmread(io.BytesIO(there[instance.sop_uid])) == here
    again = pushed(remote, coordinator)
    assert (again.state, counts_of(again)["moved"], counts_of(again)["there"]) == ("done", 0, 7)
    (done,) = Event.objects.filter(action="push.done", subject_id=str(transfer.pk))
    assert done.facts["of"]["study"] == str(Study.objects.get().pk)
    assert done.facts["moved"] == 7


def test_only_what_the_pacs_lacks_is_sent(
    pacs: Pacs, named: Named, coordinator: User, slices: list[Any]
) -> None:
    pacs.store(slices[:4])
    with Network(Wire(pacs.port)).listening() as network:
        transfer = pushed(named(network.url), coordinator, "series", Series.objects.get().pk)
        sent = sum(a.length for a in network.asked if a.method == "POST")
    assert counts_of(transfer) == {"expected": 7, "moved": 3, "there": 4}
    assert sum(len(encoded(s)) for s in slices[4:]) < sent < sum(len(encoded(s)) for s in slices)


def test_a_line_that_breaks_while_sending_is_tried_again(
    pacs: Pacs, named: Named, coordinator: User, slices: list[Any], hasty: None
) -> None:
    cuts = iter([0, 20, None])
    wire = Wire(pacs.port, lambda asked: next(cuts) if asked.method == "POST" else None)
    with Network(wire).listening() as network:
        transfer = pushed(named(network.url), coordinator)
    assert (transfer.state, counts_of(transfer)["moved"]) == ("done", 7)
    assert len(pacs.files()) == 7


def test_what_the_remote_does_not_take_is_told_with_its_reason(
    named: Named, coordinator: User, slices: list[Any]
) -> None:
    failed = [
        {"00081155": {"Value": [slices[0].SOPInstanceUID]}, "00081197": {"Value": [0xA700]}},
        {"00081155": {"Value": [slices[1].SOPInstanceUID]}, "00081197": {"Value": [0xA9FE]}},
        {"00081155": {"Value": [slices[2].SOPInstanceUID]}, "0040A160": {"Value": ["No."]}},
        {"00081155": {"Value": [slices[3].SOPInstanceUID]}},
    ]
    stored = [{"00081155": {"Value": [s.SOPInstanceUID]}} for s in slices[4:6]]
    body = {"00081198": {"Value": failed}, "00081199": {"Value": stored}}

    async def answer(asked: Any, reader: Any, writer: Any) -> None:
        rows: Any = body if asked.method == "POST" else []
        status = "202 Accepted" if asked.method == "POST" else "200 OK"
        await saying(head(status) + json.dumps(rows).encode())(asked, reader, writer)

    with Network(answer).listening() as network:
        transfer = pushed(named(network.url), coordinator)
    assert (transfer.state, transfer.refused) == ("failed", 5)
    assert transfer.message == "The remote did not take 5 files."
    assert [refusal["message"] for refusal in transfer.refusals] == [
        "The remote has no room for it (A700).",
        "It does not fit its study or kind there (A9FE).",
        "No.",
        "The remote gives no reason.",
        "The remote did not say what became of it.",
    ]
    assert counts_of(transfer)["moved"] == 2


def test_a_remote_that_forbids_storing_is_said(
    named: Named, coordinator: User, slices: list[Any]
) -> None:
    with Network(saying(head("403 Forbidden"))).listening() as network:
        transfer = pushed(named(network.url), coordinator)
    assert transfer.state == "failed"
    assert transfer.message == "The remote forbids us to store (403)."


@pytest.fixture
def export(monkeypatch: pytest.MonkeyPatch, db: None) -> tuple[uuid.UUID, Any]:
    """An export of an upper room: one file in the store."""
    made, number = ct_series(1, Modality="SEG")[0], uuid.uuid4()
    blob = store().put(encoded(made))

    def of(user: User | None, asked: uuid.UUID) -> Pushable:
        if asked != number:
            raise Missing("export")
        return Pushable(blob, "case:of-it", {"file": blob})

    monkeypatch.setattr(registry, "exports_to_push", [of])
    return number, made


def test_an_export_is_pushed_and_told_in_the_chain_of_its_case(
    pacs: Pacs, named: Named, coordinator: User, export: tuple[uuid.UUID, Any]
) -> None:
    number, made = export
    transfer = pushed(named(pacs.url), coordinator, "export", number)
    assert transfer.state == "done"
    assert pacs.files() == {made.SOPInstanceUID: encoded(made)}
    told = Event.objects.filter(chain="case:of-it").order_by("number")
    assert [event.action for event in told] == ["push.requested", "push.done"]
    assert told[1].facts["of"]["export"] == str(number)
    with pytest.raises(Missing):
        request_push(
            remote=Remote.objects.get(), kind="export", subject=uuid.uuid4(), actor=coordinator
        )


def test_who_may_not_upload_pushes_nothing(
    pacs: Pacs, named: Named, slices: list[Any], db: None
) -> None:
    stranger, study = User.objects.create(username="stranger"), Study.objects.get().pk
    remote = named(pacs.url)
    with pytest.raises(Missing):
        request_push(remote=remote, kind="study", subject=study, actor=stranger)
    with pytest.raises(BadInput):
        request_push(remote=remote, kind="odd", subject=study, actor=stranger)
    assert not Transfer.objects.exists()


def command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("push", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_sends_and_says_what_was_answered(
    pacs: Pacs, named: Named, slices: list[Any], export: tuple[uuid.UUID, Any]
) -> None:
    named(pacs.url)
    study, series = slices[0].StudyInstanceUID, slices[0].SeriesInstanceUID
    assert command("pacs", "--series", series) == "7 sent, 0 there already, 0 not taken.\n"
    assert command("pacs", "--study", study) == "0 sent, 7 there already, 0 not taken.\n"
    assert command("pacs", "--export", str(export[0])).startswith("1 sent")
    for wrong, said in (
        (("nobody", "--study", study), "no such remote"),
        (("pacs", "--study", "1.2.3"), "no such study"),
        (("pacs", "--export", "x"), "UUID"),
        (("pacs", "--export", str(uuid.uuid4())), "no such export"),
    ):
        with pytest.raises(CommandError, match=said):
            command(*wrong)


def test_the_command_fails_where_the_remote_does(
    named: Named, slices: list[Any], hasty: None, settings: Any
) -> None:
    settings.REMOTE_TRIES = 2
    with Network(saying(head("503 Busy"))).listening() as network:
        named(network.url)
        with pytest.raises(CommandError, match="cannot answer now"):
            command("pacs", "--study", slices[0].StudyInstanceUID)


def test_files_are_sent_some_at_a_time(
    pacs: Pacs,
    named: Named,
    coordinator: User,
    slices: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pushing, "BATCH_FILES", 3)
    with Network(Wire(pacs.port)).listening() as network:
        pushed(named(network.url), coordinator)
        assert [a.method for a in network.asked].count("POST") == 3
    assert len(pacs.files()) == 7
