"""Three roles, kept apart."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from backend.database import DatabaseUrls, RolesNotApart, require_roles_apart
from tests import postgres

APART = DatabaseUrls(
    owner="postgresql://owner:a@db/x", web="postgresql://web:b@db/x", queue="postgresql://q:c@db/x"
)


def test_three_roles_may_set_up() -> None:
    require_roles_apart(APART)


@pytest.mark.parametrize("one", ["owner", "web"])
def test_two_roles_in_one_may_not(one: str) -> None:
    with pytest.raises(RolesNotApart, match="workers must see only the queue"):
        require_roles_apart(replace(APART, queue=getattr(APART, one)))


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["accounts_user", "audit_event", "reading_reading", "jobs_run"])
def test_the_queue_role_sees_nothing_but_the_queue(table: str) -> None:
    with psycopg.connect(postgres.TESTS.queue, autocommit=True) as connection:
        connection.execute("select id from procrastinate_jobs limit 1")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(sql.SQL("select * from {}").format(sql.Identifier(table)))
