"""The viewer's files: for signed-in users, under a strict policy, compressed, and nothing else."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from backend.accounts.models import User
from backend.viewer import HOST

pytestmark = pytest.mark.django_db
PAGE = "/viewer/lymph?StudyInstanceUIDs=1.2.3&reading=4f6f5b90-151c-4f09-9105-ed29adaf0ab3"


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("viewer-files", display_name="Vera </script>"))
    return client


def _hashed() -> str:
    return next(HOST.glob("app.bundle.*.js")).name


@pytest.mark.parametrize("path", [PAGE, "/viewer/app-config.js", "/viewer/ext/concord-mode.js"])
def test_a_stranger_is_sent_to_sign_in_and_back(path: str) -> None:
    answer = Client().get(path)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/?next=%2Fviewer%2F")


def test_any_route_of_the_viewer_is_its_page_with_a_csrf_cookie(client: Client) -> None:
    answer = client.get(PAGE)
    assert answer.status_code == 200
    assert 'src="/viewer/app-config.js"' in answer.content.decode()
    assert "csrftoken" in answer.cookies


def test_no_script_of_the_page_is_inline_and_the_policy_forbids_it(client: Client) -> None:
    answer = client.get(PAGE)
    assert not re.search(r"<script[^>]*>[^<]", answer.content.decode())
    assert "script-src 'self';" in answer["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]


def test_the_configuration_names_the_reader_and_is_never_kept(client: Client) -> None:
    answer = client.get("/viewer/app-config.js")
    assert answer["Cache-Control"] == "no-store"
    assert answer.content.decode().startswith('window.concord={"user": "')
    assert "/viewer/ext/concord-extension.js" in answer.content.decode()


def test_hashed_files_come_compressed_and_are_kept_for_ever(client: Client) -> None:
    answer = client.get(f"/viewer/{_hashed()}", headers={"Accept-Encoding": "gzip, br"})
    assert answer["Content-Encoding"] == "gzip"
    assert answer["Content-Type"] == "text/javascript"
    assert "immutable" in answer["Cache-Control"]
    assert "Content-Encoding" not in client.get(f"/viewer/{_hashed()}")


def test_our_extension_is_asked_for_again_but_not_sent_again(client: Client) -> None:
    answer = client.get("/viewer/ext/concord-extension.js")
    assert answer["Cache-Control"] == "private, no-cache"
    again = client.get(
        "/viewer/ext/concord-extension.js", headers={"If-None-Match": answer["ETag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "none.js",
        "ext/../../../package.json",
        "ext/%2e%2e/viewer/index.html",
        f"{'a' * 300}.js",
        "assets/%00",
    ],
)
def test_nothing_else_is_served(client: Client, path: str) -> None:
    assert client.get(f"/viewer/{path}").status_code == 404


def test_only_reading_is_allowed(client: Client) -> None:
    assert client.post("/viewer/lymph").status_code in {403, 405}
