"""`manage.py verify_store` on an archive: what it finds, repairs, says and records."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from backend.accounts.models import User
from backend.archive import visibility
from backend.archive.content.models import ContentCheck
from backend.archive.models import Instance, KeptAside, Receipt, Series
from backend.audit.models import Event
from backend.store import store
from tests.archive.made import ct_series, written


@pytest.fixture
def archive(tmp_path: Path, receive: Callable[..., Receipt]) -> Path:
    """A series of four slices, a file kept aside, and the folder they came from."""
    slices = ct_series(4)
    folder = written(tmp_path / "neck", slices)
    twin = ct_series(1)[0]
    twin.SOPInstanceUID = slices[0].SOPInstanceUID
    receive(folder, written(tmp_path / "twin", [twin]))
    return folder


def run(*arguments: str) -> tuple[int, str]:
    """Exit status and output."""
    out = io.StringIO()
    try:
        call_command("verify_store", *arguments, stdout=out, stderr=io.StringIO())
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def age(path: Path) -> None:
    """Make a blob two days old."""
    long_ago = path.stat().st_mtime - 2 * 86400
    os.utime(path, (long_ago, long_ago))


def test_a_whole_archive_holds_and_that_is_recorded(archive: Path) -> None:
    assert KeptAside.objects.get().blob
    status, said = run("--orphan-hours", "0")
    assert status == 0
    assert "The content store holds: 5 blobs" in said
    assert "0 damaged, 0 missing, 0 orphaned, 0 left over" in said
    check = ContentCheck.objects.get()
    assert (check.holds, check.blobs, check.hashed) == (True, 5, 5)
    event = Event.objects.get(action="content.verified")
    assert (event.subject_id, event.outcome, event.facts["faults"]) == (
        str(check.pk),
        "success",
        [],
    )


def test_a_flipped_byte_of_an_image_is_found_and_the_image_comes_back_from_its_files(
    archive: Path,
) -> None:
    instance = Instance.objects.order_by("number")[1]
    path = store().path(instance.blob)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert run("--fast")[0] == 0
    status, said = run()
    assert status == 1
    assert f"DAMAGED The bytes of {instance.blob}" in said
    assert "does not hold" in said
    assert path.exists()
    status, said = run("--repair")
    assert status == 1
    assert "MISSING" in said
    assert f"archive.Instance.blob of {instance.pk}" in said
    assert not path.exists()
    assert run("--fast")[0] == 1
    status, said = run("--repair", "--from", str(archive))
    assert status == 0
    assert run()[0] == 0
    assert len(path.read_bytes()) == len(data)
    told = [e.outcome for e in Event.objects.filter(action="content.verified").order_by("number")]
    assert told == ["success", "failure", "failure", "failure", "success", "success"]


def test_a_lost_cache_of_metadata_is_made_again_when_it_is_asked_for(
    archive: Path, client: Client, person: User, sees_all: None
) -> None:
    client.force_login(person)
    series = Series.objects.select_related("study").get()
    address = f"/dicom-web/studies/{series.study.uid}/series/{series.uid}/metadata"
    first = client.get(address).content
    series.refresh_from_db()
    kept = series.metadata_blob or series.metadata_blob_unnamed
    store().path(kept).unlink()
    assert run("--fast")[0] == 1
    status, said = run("--fast", "--repair")
    assert status == 0
    assert "Will be made again when asked for" in said
    assert client.get(address).content == first


def test_an_orphan_is_moved_into_quarantine_and_not_deleted(archive: Path, content: Path) -> None:
    name = store().put(b"nobody's")
    assert "0 orphaned" in run()[1]
    age(store().path(name))
    status, said = run()
    assert status == 0
    assert f"ORPHAN Nothing names {name}" in said
    assert "--repair does what can be done" in said
    assert run("--repair")[0] == 0
    assert (content / "quarantine" / name).read_bytes() == b"nobody's"
    assert "0 orphaned" in run()[1]


def test_the_verdict_is_given_as_json(archive: Path) -> None:
    name = Instance.objects.first().blob  # type: ignore[union-attr]
    store().path(name).unlink()
    status, said = run("--json", "--fast")
    verdict = json.loads(said)
    assert (status, verdict["holds"], verdict["blobs"]) == (1, False, 4)
    assert [(f["kind"], f["name"]) for f in verdict["faults"]] == [("missing", name)]


def test_nothing_is_changed_unless_repair_is_asked_for(archive: Path, content: Path) -> None:
    orphan = store().put(b"nobody's")
    age(store().path(orphan))
    left = store().path(orphan).parent / ".incoming-x"
    left.write_bytes(b"half")
    age(left)
    path = store().path(Instance.objects.order_by("number")[0].blob)
    path.write_bytes(b"damaged")
    before = {p: p.read_bytes() for p in content.rglob("*") if p.is_file()}
    assert run()[0] == 1
    assert {p: p.read_bytes() for p in content.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sample", "0"], "--sample needs"),
        (["--from", "/"], "only --repair does"),
        (["--repair", "--from", "/no/such/place"], "There is no /no/such/place"),
    ],
)
def test_what_cannot_be_meant_is_said(db: None, arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run(*arguments)


def test_the_page_tells_when_the_store_was_verified(
    archive: Path, client: Client, person: User, content: Path
) -> None:
    visibility.register_uploader(lambda user: user == person)
    client.force_login(person)
    assert "Content store verified" not in client.get("/archive/").content.decode()
    run()
    page = client.get("/archive/").content.decode()
    assert "5 blobs, all that is needed is here" in page
    store().path(Instance.objects.order_by("number")[0].blob).unlink()
    run("--fast")
    assert "something is missing or damaged" in client.get("/archive/").content.decode()


def test_a_bucket_is_verified_like_a_folder(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, receive: Callable[..., Receipt]
) -> None:
    from tests import s3

    with s3.server() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        settings.CONTENT_ROOT = f"s3://{s3.bucket(environment)}/site"
        folder = written(tmp_path / "neck", ct_series(4))
        receive(folder)
        assert Series.objects.get().volume_state == "volume"
        assert run("--orphan-hours", "0")[0] == 0
        instance = Instance.objects.order_by("number")[2]
        (entry,) = [e for e in store().entries() if e.name == instance.blob]
        store().discard(entry)
        assert run("--fast")[0] == 1
        assert run("--fast", "--repair", "--from", str(folder))[0] == 0
        status, said = run("--json")
        assert (status, json.loads(said)["hashed"]) == (0, 4)
