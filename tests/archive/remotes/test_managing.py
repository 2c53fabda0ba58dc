"""Naming remotes: by administrators alone, with a secret that nobody ever sees again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from backend.accounts.models import User
from backend.archive.remotes.asking import Wanted, request_pull, retry_transfer
from backend.archive.remotes.carrying import TransferAction, step
from backend.archive.remotes.managing import (
    RemoteFacts,
    add_remote,
    address_of,
    change_remote,
    remote_named,
    remove_remote,
)
from backend.archive.remotes.models import Remote
from backend.archive.remotes.sealing import CannotUnseal, seal, unseal
from backend.audit.models import Event, NewsItem
from backend.errors import BadInput, ConcordError, Missing, NotAllowed, WrongState

pytestmark = pytest.mark.django_db

URL = "https://pacs.example.org/dicom-web"
BASIC = {"sign_in": "basic", "username": "concord", "secret": "planted-secret"}


def test_only_an_administrator_names_changes_and_removes(
    named: Callable[..., Remote], coordinator: User
) -> None:
    facts = RemoteFacts(url=URL)
    with pytest.raises(NotAllowed):
        add_remote(name="pacs", facts=facts, actor=coordinator)
    remote = named(URL)
    with pytest.raises(NotAllowed):
        change_remote(remote=remote, facts=facts, actor=coordinator)
    with pytest.raises(NotAllowed):
        remove_remote(remote=remote, actor=coordinator)
    assert Remote.objects.get().removed is None


def test_the_secret_lies_encrypted_and_in_no_event(
    named: Callable[..., Remote], admin: User, settings: Any
) -> None:
    remote = named(URL, **BASIC)
    facts = RemoteFacts(url=URL, sign_in="basic", username="other", secret=None)
    change_remote(remote=remote, facts=facts, actor=admin)
    row = Remote.objects.get()
    assert (row.password, row.username) == ("planted-secret", "other")
    told = str(Remote.objects.values()[0])
    told += json.dumps(list(Event.objects.values_list("facts", flat=True)))
    told += json.dumps(list(NewsItem.objects.values_list("payload", flat=True)))
    assert "planted-secret" not in told
    events = Event.objects.filter(subject_id=str(remote.pk)).order_by("number")
    assert [e.action for e in events] == ["remote.added", "remote.changed"]
    settings.SECRET_KEY = "another installation's"
    with pytest.raises(CannotUnseal):
        _ = row.password


def test_what_is_sealed_differs_every_time_and_is_not_to_be_altered() -> None:
    first, second = seal({"a": 1}), seal({"a": 1})
    assert first != second
    assert unseal(first) == unseal(second) == {"a": 1}
    with pytest.raises(CannotUnseal):
        unseal(first[:-6] + "AAAAAA")


def test_a_secret_does_not_go_to_another_server(named: Callable[..., Remote], admin: User) -> None:
    remote = named(URL, **BASIC)
    for url in ("https://elsewhere.example.org/dicom-web", "http://pacs.example.org/dicom-web"):
        facts = RemoteFacts(url=url, sign_in="basic", username="concord")
        with pytest.raises(BadInput, match="another server"):
            change_remote(remote=remote, facts=facts, actor=admin)
    other_path = RemoteFacts(url="https://pacs.example.org/rs", sign_in="basic", username="concord")
    assert change_remote(remote=remote, facts=other_path, actor=admin).url.endswith("/rs")
    none = RemoteFacts(url="https://elsewhere.example.org/rs")
    assert change_remote(remote=remote, facts=none, actor=admin).secret == ""


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pacs.example.org",
        "ftp://pacs.example.org",
        "file:///etc/passwd",
        "http://",
        "https://user:secret@pacs.example.org/rs",
        "https://pacs.example.org/rs?x=1",
        "https://pacs.example.org/rs#x",
        "https://pacs.example.org:99999/rs",
        "https://pacs.example.org:0/rs",
        "https://pacs.example.org/a b",
        "https://[::1",
        "https://pacs.example.org/" + "a" * 400,
        "https://päcs.example.org/",
    ],
)
def test_an_address_is_one_of_a_web_service(url: str) -> None:
    with pytest.raises(BadInput):
        address_of(url)


def test_a_proper_address_loses_only_its_last_slash() -> None:
    assert address_of(f" {URL}/ ") == URL
    assert address_of("http://127.0.0.1:8042/dicom-web") == "http://127.0.0.1:8042/dicom-web"


@pytest.mark.parametrize(
    "facts",
    [
        {"sign_in": "odd"},
        {"sign_in": "basic", "username": "a"},
        {"sign_in": "basic", "username": "", "secret": "x"},
        {"sign_in": "basic", "username": "a:b", "secret": "x"},
        {"sign_in": "bearer"},
        {"sign_in": "bearer", "secret": "two\nlines"},
        {"sign_in": "bearer", "secret": "grüße"},
        {"ca_certificates": "no certificate"},
    ],
)
def test_facts_that_cannot_be_are_refused(
    named: Callable[..., Remote], facts: dict[str, Any]
) -> None:
    with pytest.raises(ConcordError):
        named(URL, **facts)
    assert not Remote.objects.exists()


def test_a_name_is_free_again_once_removed(
    named: Callable[..., Remote], admin: User, coordinator: User
) -> None:
    remote = named(URL, **BASIC)
    with pytest.raises(WrongState, match="called pacs"):
        named(URL)
    transfer = request_pull(remote=remote, wanted=Wanted("1.2.3"), actor=coordinator)
    with pytest.raises(WrongState, match="being moved"):
        remove_remote(remote=remote, actor=admin)
    step(transfer, TransferAction.CANCEL)
    transfer.save()
    remove_remote(remote=remote, actor=admin)
    assert Remote.objects.get().secret == ""
    with pytest.raises(Missing):
        remote_named("pacs")
    with pytest.raises(Missing):
        request_pull(remote=remote, wanted=Wanted("1.2.3"), actor=coordinator)
    with pytest.raises(WrongState, match="removed"):
        retry_transfer(transfer=transfer, actor=coordinator)
    assert named("https://new.example.org/rs").pk != remote.pk
    assert remote_named("pacs").url == "https://new.example.org/rs"


def test_the_database_holds_the_rules_too(named: Callable[..., Remote]) -> None:
    remote = named(URL)
    for wrong in ({"sign_in": "odd"}, {"removed": remote.created, "secret": "x"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Remote.objects.filter(pk=remote.pk).update(**wrong)
