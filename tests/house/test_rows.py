"""Rows written and read with plain statements do what Django's own would."""

from __future__ import annotations

import uuid

import pytest
from django.db import IntegrityError, transaction

from backend import rows
from backend.accounts.models import User
from backend.audit.models import NewsItem
from backend.lasting import Lasting

pytestmark = pytest.mark.django_db


def person(name: str) -> User:
    return User(username=name, display_name=name.title(), keys={"accept": ["q"]})


def test_statements_sent_in_one_go_are_each_answered() -> None:
    first, second = person("first"), person("second")
    with transaction.atomic():
        with rows.in_one_go():
            rows.insert(first)
            rows.insert(second)
            rows.insert(NewsItem(audience=f"user:{first.pk}", type="told"))
            second.display_name, second.timezone = "Two", "Europe/Berlin"
            rows.update(second, ["display_name", "timezone"])
        found, counted = rows.ask(
            (
                f"select {rows.columns_of(User, 'u')} from accounts_user u "  # noqa: S608
                "where u.id = any(%s) order by u.username",
                [[first.pk, second.pk]],
            ),
            ("select count(*) from audit_newsitem where audience = %s", [f"user:{first.pk}"]),
        )
    assert [rows.read(User, values).shown_name for values in found] == ["First", "Two"]
    assert User.objects.get(pk=second.pk).timezone == "Europe/Berlin"
    assert rows.read(User, found[0]).keys == {"accept": ["q"]}
    assert counted == [(1,)]


def test_what_is_refused_in_one_go_is_told_as_django_tells_it_and_undone() -> None:
    kept = person("kept")
    rows.insert(kept)

    @transaction.atomic
    def two_more() -> None:
        with rows.in_one_go():
            rows.insert(person("another"))
            rows.insert(person("kept"))

    with pytest.raises(IntegrityError):
        two_more()
    assert not User.objects.filter(username="another").exists()
    assert User.objects.filter(pk=kept.pk).exists()


def test_fields_that_were_not_asked_for_are_read_when_they_are() -> None:
    someone = person("someone")
    rows.insert(someone)
    names = ("id", "username")
    columns = rows.columns_of(User, "u", names)
    statement = f"select {columns} from accounts_user u where u.id = %s"  # noqa: S608
    with transaction.atomic():
        ((values,),) = rows.ask((statement, [someone.pk]))
    found = rows.read(User, values, names)
    assert "display_name" in found.get_deferred_fields()
    assert found.display_name == "Someone"


def test_what_lasts_is_made_once_and_the_oldest_is_let_go() -> None:
    held: Lasting[str, uuid.UUID] = Lasting(at_most=2)
    first = held.of("a", uuid.uuid4)
    held.keep("b", uuid.uuid4())
    assert held.of("a", uuid.uuid4) == first
    held.keep("c", uuid.uuid4())  # "b" was asked for longest ago.
    assert held.of("a", uuid.uuid4) == first
    other = uuid.uuid4()
    assert held.of("b", lambda: other) == other
