"""Tokens, roles and sign-in."""

from __future__ import annotations

import pytest
from django.test import Client

from backend.accounts import services
from backend.accounts.models import ApiToken, User, WorkerToken
from backend.accounts.roles import Role, forbidden_pair
from backend.audit.models import Event
from backend.errors import NotAllowed

pytestmark = pytest.mark.django_db


@pytest.fixture
def rita() -> User:
    return User.objects.create_user(username="rita", password="a long enough secret")


def test_a_token_acts_as_its_user_and_only_its_hash_is_kept(rita: User) -> None:
    token = services.create_token(user=rita)
    assert services.user_of(token) == rita
    assert token not in str(ApiToken.objects.values_list())
    assert services.user_of(token + "x") is None


def test_a_user_token_is_no_worker_and_a_worker_token_no_user(rita: User) -> None:
    user_token = services.create_token(user=rita)
    worker_token = services.create_worker_token(name="gpu-1")
    assert services.worker_of(user_token) is None
    assert services.user_of(worker_token) is None
    assert services.worker_of(worker_token) == WorkerToken.objects.get(name="gpu-1")


def test_a_revoked_or_locked_out_token_is_nobody(rita: User) -> None:
    token = services.create_token(user=rita)
    rita.is_active = False
    rita.save()
    assert services.user_of(token) is None


def test_signing_needs_the_own_password_and_a_refusal_is_recorded(rita: User) -> None:
    services.reauthenticate(user=rita, password="a long enough secret")
    with pytest.raises(NotAllowed, match="not your password"):
        services.reauthenticate(user=rita, password="guess")
    assert Event.objects.filter(action="signature.refused", actor=rita, outcome="failure").exists()


def test_sign_in_and_its_failures_are_recorded(rita: User, client: Client) -> None:
    client.post("/sign-in/", {"username": "rita", "password": "wrong"})
    answer = client.post("/sign-in/", {"username": "rita", "password": "a long enough secret"})
    assert answer.status_code == 302
    actions = list(Event.objects.filter(subject_id=str(rita.pk)).values_list("action", flat=True))
    assert actions == ["user.sign_in_refused", "user.signed_in"]


def test_passwords_are_not_guessed_for_ever(rita: User, client: Client) -> None:
    right = {"username": "rita", "password": "a long enough secret"}
    for _ in range(services.MOST_ATTEMPTS):
        assert client.post("/sign-in/", {**right, "password": "guess"}).status_code == 200
    answer = client.post("/sign-in/", right)
    assert (answer.status_code, "_auth_user_id" in client.session) == (403, False)
    assert "Wait 10 minutes" in answer.content.decode()
    User.objects.create_user("rolf", password="a long enough secret")
    assert client.post("/sign-in/", {**right, "username": "rolf"}).status_code == 302


@pytest.mark.parametrize(
    "wanted", ["/sign-in/", "https://evil.example/", "//evil.example", "/\\evil.example"]
)
def test_signing_in_leads_nowhere_else_and_not_back_to_itself(
    rita: User, client: Client, wanted: str
) -> None:
    words = {"username": "rita", "password": "a long enough secret", "next": wanted}
    assert client.post("/sign-in/", words)["Location"] == "/"
    assert client.get("/sign-in/", {"next": wanted})["Location"] == "/"


@pytest.mark.parametrize(
    ("roles", "pair"),
    [
        ({Role.READER, Role.ABSTRACTOR}, (Role.ABSTRACTOR, Role.READER)),
        ({Role.READER, Role.AUDITOR}, (Role.AUDITOR, Role.READER)),
        ({Role.READER, Role.ADJUDICATOR}, None),
        ({Role.COORDINATOR}, None),
    ],
)
def test_forbidden_roles_do_not_meet_in_one_person(
    roles: set[Role], pair: tuple[Role, Role] | None
) -> None:
    assert forbidden_pair(roles) == pair


def _again(client: Client, user: User, password: str) -> tuple[int, str]:
    body = {"user": str(user.pk), "password": password}
    answer = client.post("/api/sign-in", body, content_type="application/json")
    return answer.status_code, answer.json()["error"] if answer.content else ""


def test_the_same_person_signs_in_again_where_they_work(rita: User, client: Client) -> None:
    assert _again(client, rita, "guess") == (403, "WRONG_PASSWORD")
    assert "_auth_user_id" not in client.session
    assert _again(client, rita, "a long enough secret") == (204, "")
    assert client.session["_auth_user_id"] == str(rita.pk)
    actions = list(Event.objects.filter(subject_id=str(rita.pk)).values_list("action", flat=True))
    assert actions == ["user.sign_in_refused", "user.signed_in"]


def test_signing_in_again_takes_nobody_elses_place(rita: User, client: Client) -> None:
    rolf = User.objects.create_user("rolf", password="another long secret")
    client.force_login(rolf)
    assert _again(client, rita, "a long enough secret") == (409, "ANOTHER_PERSON")
    assert client.session["_auth_user_id"] == str(rolf.pk)


def test_who_is_locked_out_or_unknown_does_not_sign_in_again(rita: User, client: Client) -> None:
    User.objects.filter(pk=rita.pk).update(is_active=False)
    assert _again(client, rita, "a long enough secret") == (403, "WRONG_PASSWORD")
    assert _again(client, User(username="nobody"), "x") == (403, "WRONG_PASSWORD")


def test_passwords_are_not_guessed_by_signing_in_again(rita: User, client: Client) -> None:
    for _ in range(services.MOST_ATTEMPTS):
        assert _again(client, rita, "guess")[1] == "WRONG_PASSWORD"
    assert _again(client, rita, "a long enough secret") == (403, "TOO_MANY_ATTEMPTS")


@pytest.mark.parametrize(
    "body",
    ["", "x", "[]", "{}", '{"user": 1, "password": "x"}', '{"user": "\\u0000", "password": "x"}',
     '{"user": "00000000-0000-4000-8000-000000000000", "password": ["x"]}', "[" * 9000],
)  # fmt: skip
def test_rubbish_does_not_sign_in_again(client: Client, body: str) -> None:
    answer = client.post("/api/sign-in", body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]) == (400, "BAD_INPUT")


def test_another_site_cannot_sign_a_browser_in(rita: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    body = {"user": str(rita.pk), "password": "a long enough secret"}
    answer = strict.post("/api/sign-in", body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]) == (400, "FORM_EXPIRED")
    assert "_auth_user_id" not in strict.session


def test_a_page_of_one_person_is_refused_in_anothers_session(rita: User, client: Client) -> None:
    rolf = User.objects.create_user("rolf", password="another long secret")
    client.force_login(rolf)
    answer = client.get("/api/worklist", headers={"X-Concord-User": str(rita.pk)})
    assert (answer.status_code, answer.json()["error"]) == (401, "ANOTHER_PERSON")
    same = client.get("/api/worklist", headers={"X-Concord-User": str(rolf.pk)})
    assert same.status_code == 200


def test_a_persons_keys_are_kept_for_them_alone(rita: User) -> None:
    other = User.objects.create_user(username="rolf", password="another long secret")
    client, others = Client(), Client()
    client.force_login(rita)
    others.force_login(other)
    keys = {"accept": ["j"], "undo": ["ctrl+z", "space"], "help": ["?"], "larger": ["+"]}
    answer = client.put("/api/me/keys", {"keys": keys}, content_type="application/json")
    assert answer.json() == {"keys": keys}
    assert client.get("/api/me/keys").json() == {"keys": keys}
    assert others.get("/api/me/keys").json() == {"keys": {}}
    assert Client().get("/api/me/keys").status_code in (401, 403)
    client.put("/api/me/keys", {"keys": {}}, content_type="application/json")
    assert client.get("/api/me/keys").json() == {"keys": {}}


def test_one_key_may_start_something_else_on_every_screen(rita: User) -> None:
    client = Client()
    client.force_login(rita)
    keys = {"accept": ["1"], "settle.takeX": ["1"], "redraw.fromX": ["1"]}
    answer = client.put("/api/me/keys", {"keys": keys}, content_type="application/json")
    assert answer.json() == {"keys": keys}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"accept": ["a"], "reject": ["a"]}, "both accept and reject"),
        ({"settle.takeX": ["k"], "settle.union": ["k"]}, "both settle.takeX and settle.union"),
        ({"settle.": ["a"]}, "no name of an action"),
        ({"a.b.c": ["a"]}, "no name of an action"),
        ({"accept": ["a b"]}, "no key"),
        ({"<script>": ["a"]}, "no name of an action"),
        ({"accept": list("abcdefg")}, "more than 6"),
        ({f"action{i}": [] for i in range(201)}, "At most 200"),
    ],
)
def test_keys_that_cannot_be_meant_are_refused_with_the_cure(
    rita: User, keys: dict[str, list[str]], words: str
) -> None:
    client = Client()
    client.force_login(rita)
    answer = client.put("/api/me/keys", {"keys": keys}, content_type="application/json")
    assert answer.status_code == 400
    assert words in answer.json()["message"]
    assert answer.json()["cure"]
    rita.refresh_from_db()
    assert rita.keys == {}
