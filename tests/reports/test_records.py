"""The record of a case in another, empty database: the same reports, byte for byte, or none."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from backend.archive.models import Instance
from backend.audit.chain import canonical
from backend.database import DatabaseUrls
from backend.errors import WrongState
from backend.reports import recording
from backend.reports.models import Report
from backend.reports.record import files as record_files
from backend.reports.record.blobs import BlobFault
from backend.reports.record.events import Event, _row, to_line
from backend.reports.record.files import BadRecord, read_record
from tests import postgres
from tests.reports.conftest import document_of, report_now
from tests.reports.room import Room
from tests.reports.settled import publish

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass
class Kept:
    """A published case, its report, and its record as a file."""

    room: Room
    report: Report
    zip: bytes


@pytest.fixture(scope="module")
def kept(made_room: Room) -> Kept:
    """Published in the module's transaction; undone with it."""
    assert publish(made_room).state == "published"
    report = report_now(made_room)
    parts = recording.hand_out_record(case=made_room.case, actor=None)
    return Kept(made_room, report, b"".join(parts))


@dataclass
class Elsewhere:
    """Another Concord: a database and a content store that never heard of the case."""

    urls: DatabaseUrls
    state: Path

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**os.environ, **postgres.environment(self.urls, self.state)},
            check=False,
            capture_output=True,
            text=True,
            timeout=200,
        )

    def execute(self, statement: str, *parameters: Any) -> int:
        with psycopg.connect(self.urls.owner, autocommit=True) as owner:
            owner.execute("alter table reports_recordevent disable trigger user")
            return owner.execute(statement, parameters).rowcount  # type: ignore[arg-type]

    def line(self, action: str) -> tuple[int, str]:
        with psycopg.connect(self.urls.owner) as owner:
            row = owner.execute(
                "select id, line from reports_recordevent where action = %s order by position",
                [action],
            ).fetchone()
        assert row
        return row[0], row[1]


@pytest.fixture(scope="module")
def elsewhere(kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    """A freshly migrated database into which the record was imported."""
    name = f"elsewhere_{uuid.uuid4().hex[:8]}"
    there = Elsewhere(postgres.copy_database(name), tmp_path_factory.mktemp("elsewhere"))
    path = there.state / "record.zip"
    path.write_bytes(kept.zip)
    done = there.manage("import_record", str(path))
    assert done.returncode == 0, done.stderr
    assert f"rebuild_report {kept.report.pk}" in done.stdout
    yield there
    with psycopg.connect(
        postgres.named(postgres.SERVER, "postgres").owner, autocommit=True
    ) as owner:
        owner.execute(f'drop database "{name}" with (force)')  # type: ignore[arg-type]


def test_a_report_is_made_again_from_the_record_byte_for_byte(
    kept: Kept, elsewhere: Elsewhere, db: None
) -> None:
    assert document_of(kept.report)["subtitle"].startswith("Consensus version 1, published")
    done = elsewhere.manage("rebuild_report", str(kept.report.pk))
    assert done.returncode == 0, done.stderr
    files = kept.report.files
    assert done.stdout.splitlines() == [
        f"same {files['html']} page",
        f"same {files['pdf']} PDF",
        f"same {files['document']} JSON",
        f"same {files['csv']} CSV",
        f"same {files['steps']} CSV of steps",
        f"same {files['readings']} CSV of readings",
    ]


def test_a_record_is_taken_once(kept: Kept, elsewhere: Elsewhere) -> None:
    done = elsewhere.manage("import_record", str(elsewhere.state / "record.zip"))
    assert done.returncode == 1
    assert "imported before" in done.stderr


@pytest.mark.parametrize(
    ("action", "was", "now"),
    [
        ("label.set", '"metastatic\\"', '"non_metastatic\\"'),
        ("discrepancy.resolved", "union", "absent"),
        ("consensus.signed", "Dr Reader1", "Dr Nobody"),
    ],
)
def test_an_event_altered_elsewhere_is_named(
    kept: Kept, elsewhere: Elsewhere, action: str, was: str, now: str
) -> None:
    key, line = elsewhere.line(action)
    position = json.loads(line)["position"]
    assert was in line
    update = "update reports_recordevent set line = %s where id = %s"
    elsewhere.execute(update, line.replace(was, now), key)
    try:
        done = elsewhere.manage("rebuild_report", str(kept.report.pk))
    finally:
        elsewhere.execute(update, line, key)
    assert done.returncode == 1
    assert "differs" in done.stdout
    assert f"event {position} was altered" in done.stderr


def test_a_blob_altered_or_lost_elsewhere_is_named(
    kept: Kept, elsewhere: Elsewhere, db: None
) -> None:
    name = kept.room.reading.effective.hash
    path = next((elsewhere.state / "content").rglob(f"{name}*"))
    whole = path.read_bytes()
    path.unlink()
    done = elsewhere.manage("rebuild_report", str(kept.report.pk))
    assert done.returncode == 1
    assert f"The mask {name} is missing" in done.stderr
    path.with_name(name).write_bytes(b"{}")
    done = elsewhere.manage("rebuild_report", str(kept.report.pk))
    assert f"The mask {name} is not what its hash says" in done.stderr
    path.with_name(name).unlink()
    path.write_bytes(whole)


def test_no_dicom_file_and_no_patient_leaves_the_house(kept: Kept, db: None) -> None:
    with zipfile.ZipFile(io.BytesIO(kept.zip)) as record:
        names = set(record.namelist())
        everything = b"".join(record.read(name) for name in names)
    for instance in Instance.objects.filter(series_id=kept.room.case.series_id):
        assert f"blobs/{instance.blob}" not in names
    study = Instance.objects.filter(series_id=kept.room.case.series_id)[0].series.study
    assert study.patient_name
    assert study.patient_name.encode() not in everything
    assert study.patient_id.encode() not in everything
    assert b"DICM" not in everything


def test_the_case_does_not_import_itself(kept: Kept, db: None) -> None:
    with pytest.raises(WrongState, match="lives in this database"):
        recording.take_record(io.BytesIO(kept.zip))


def altered(
    data: bytes, change: dict[str, bytes | None], more: dict[str, bytes] | None = None
) -> io.BytesIO:
    """The zip with entries replaced (None: left out) and others added."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as before,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for name in before.namelist():
            content = change.get(name, before.read(name))
            if content is not None:
                after.writestr(name, content)
        for name, content in (more or {}).items():
            after.writestr(name, content)
    out.seek(0)
    return out


def entry(data: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as record:
        return record.read(name)


def first_blob(data: bytes) -> str:
    return str(json.loads(entry(data, "record.json"))["blobs"][0])


def test_a_whole_record_is_read(kept: Kept) -> None:
    found = read_record(io.BytesIO(kept.zip))
    assert found.chain == kept.room.case.chain
    assert found.events[-1].action == "record.exported"


def test_the_same_record_is_the_same_file(kept: Kept, db: None) -> None:
    again = b"".join(recording.hand_out_record(case=kept.room.case, actor=None))
    listed = [json.loads(entry(data, "record.json")) for data in (kept.zip, again)]
    assert listed[1]["events"] == listed[0]["events"] + 1
    assert listed[1]["blobs"] == listed[0]["blobs"]


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085"])
def test_what_people_wrote_may_hold_any_line_separator(mark: str) -> None:
    said = f"pasted{mark}from a word processor"
    chain = f"case:{uuid.uuid4()}"
    event = Event(
        1, chain, 1, "", "0" * 64, "2026-03-04T05:06:07.000000Z", "", "", "label.set",
        "label", "1", "success", said, json.dumps({"x": said}, ensure_ascii=False), "Concord",
    )  # fmt: skip
    event = replace(event, hash=hashlib.sha256(canonical(_row(event))).hexdigest())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("events.jsonl", to_line(event) + "\n")
    head = {"position": 1, "hash": event.hash}
    with zipfile.ZipFile(out) as archive:
        found = record_files._events(archive, {"chain": chain, "events": 1, "head": head})
    assert [each.reason for each in found] == [said]


def test_what_was_tampered_with_is_refused_by_name(kept: Kept) -> None:
    lines = entry(kept.zip, "events.jsonl").decode().splitlines()
    blob = first_blob(kept.zip)
    forged = json.loads(lines[6])
    forged["actor_name"] = "Dr Nobody"
    refusals = {
        "event 7 was altered": {
            "events.jsonl": "\n".join([*lines[:6], json.dumps(forged), *lines[7:]]).encode()
        },
        "event 4 was deleted": {"events.jsonl": "\n".join(lines[:3] + lines[4:]).encode()},
        "last events are missing": {"events.jsonl": "\n".join(lines[:-2]).encode()},
        "Line 3 is no event": {"events.jsonl": "\n".join([*lines[:2], "{}", *lines[3:]]).encode()},
        f"The file {blob} is not what its name says": {f"blobs/{blob}": b"something else"},
        f"The file {blob} is missing": {f"blobs/{blob}": None},
        "“record.json” is missing": {"record.json": None},
        "does not describe a record": {"record.json": b'{"format": "concord-record"}'},
    }
    for sentence, change in refusals.items():
        with pytest.raises(BadRecord, match=sentence):
            read_record(altered(kept.zip, change))  # type: ignore[arg-type]


def test_what_is_forged_ends_in_a_sentence(kept: Kept) -> None:
    listed = json.loads(entry(kept.zip, "record.json"))
    forgeries: dict[str, dict[str, Any]] = {
        "names the case otherwise": {"label": "LN-9999"},
        "does not describe a record": {"chain": "case:" + "-" * 36},
        "does not describe": {"blobs": [*listed["blobs"], listed["blobs"][0]]},
    }
    for sentence, own in forgeries.items():
        change = {"record.json": json.dumps({**listed, **own}).encode()}
        with pytest.raises(BadRecord, match=sentence):
            read_record(altered(kept.zip, change))  # type: ignore[arg-type]


def test_a_damaged_file_is_named_before_anything_is_handed_out(
    kept: Kept, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob, whole = first_blob(kept.zip), recording.sources.of_chain

    def damaged(chain: str) -> Any:
        source = whole(chain)
        return replace(source, blob=lambda name: b"" if name == blob else source.blob(name))

    monkeypatch.setattr(recording.sources, "of_chain", damaged)
    with pytest.raises(BlobFault, match=blob):
        recording.hand_out_record(case=kept.room.case, actor=None)


def test_a_blob_that_only_the_events_name_is_missed(kept: Kept) -> None:
    listed = json.loads(entry(kept.zip, "record.json"))
    blob = listed["blobs"].pop()
    change = {"record.json": json.dumps(listed).encode(), f"blobs/{blob}": None}
    with pytest.raises(BadRecord, match=f"name the file {blob}, which is missing"):
        read_record(altered(kept.zip, change))


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/passwd", "blobs/../../evil", "blobs/" + "a" * 63, "blobs\\x", "notes.txt"],
)
def test_nothing_else_may_be_in_it(kept: Kept, name: str) -> None:
    with pytest.raises(BadRecord, match="has no place in a record"):
        read_record(altered(kept.zip, {}, {name: b"x"}))


def test_a_file_it_does_not_list_is_refused(kept: Kept) -> None:
    with pytest.raises(BadRecord, match=f"holds the file {'a' * 64}, which it does not list"):
        read_record(altered(kept.zip, {}, {"blobs/" + "a" * 64: b"x"}))


def test_bombs_are_refused_before_they_are_unpacked(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(record_files, "LARGEST_TOTAL", 1 << 20)
        bomb = altered(kept.zip, {}, {"blobs/" + "b" * 64: bytes(2 << 20)})
        with pytest.raises(BadRecord, match="Unpacked it would be larger"):
            read_record(bomb)
    with monkeypatch.context() as patch:
        patch.setattr(record_files, "MOST_ENTRIES", 5)
        with pytest.raises(BadRecord, match="more than 5 files"):
            read_record(io.BytesIO(kept.zip))
    blob = first_blob(kept.zip)
    with monkeypatch.context() as patch:
        patch.setattr(record_files, "LARGEST_BLOB", 1 << 10)
        with pytest.raises(BadRecord, match="is larger than"):
            read_record(altered(kept.zip, {f"blobs/{blob}": bytes(4 << 10)}))


def test_what_is_no_zip_is_said_so() -> None:
    with pytest.raises(BadRecord, match="no zip file"):
        read_record(io.BytesIO(b"PK\x03\x04 and then nothing"))
