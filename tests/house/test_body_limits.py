"""No request's body is longer than its address takes, whoever sends it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from backend import body_limits
from backend.body_limits import BodyLimits


class Inner:
    """What stands for Django: reads the whole body, and answers how long it was."""

    def __init__(self) -> None:
        self.read = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            self.read += len(message.get("body", b""))
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def asked(
    inner: Inner, path: str, size: int, *, told: int | None = -1, signed_in: bool = False
) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer to a POST of `size` bytes; `told` is its Content-Length."""
    headers = [(b"content-length", str(size if told == -1 else told).encode())]
    if told is None:
        headers = [(b"transfer-encoding", b"chunked")]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    left = size
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        nonlocal left
        piece = min(left, 1 << 10)
        left -= piece
        return {"type": "http.request", "body": bytes(piece), "more_body": left > 0}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(BodyLimits(inner)(scope, receive, send))
    body = sent[1]["body"]
    return sent[0]["status"], json.loads(body) if body else {}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """10 KiB for most, 100 KiB for masks and what is uploaded by who is signed in."""
    monkeypatch.setattr(body_limits, "USUAL_BYTES", 10 << 10)
    monkeypatch.setattr(body_limits, "MAX_BODY_BYTES", 100 << 10)
    monkeypatch.setattr(body_limits, "_DRESSING_BYTES", 0)
    settings.MAX_UPLOAD_BYTES = 100 << 10


MASK = "/api/runs/00000000-0000-0000-0000-000000000000/attempts/1/mask"


@pytest.mark.parametrize("told", [-1, None])
@pytest.mark.parametrize(
    ("path", "signed_in", "limit"),
    [
        ("/sign-in/", False, 10),
        ("/nowhere", True, 10),
        ("/archive/upload", False, 10),
        ("/archive/upload", True, 100),
        ("/archive/upload/files/x", True, 10),
        (MASK, False, 100),
    ],
)
def test_a_body_is_cut_off_at_its_limit(
    small: None,
    monkeypatch: pytest.MonkeyPatch,
    told: int | None,
    path: str,
    signed_in: bool,
    limit: int,
) -> None:
    monkeypatch.setattr(body_limits, "_signed_in", lambda scope: signed_in)
    inner = Inner()
    assert asked(inner, path, limit << 10, told=told)[0] == 200
    assert inner.read == limit << 10
    inner = Inner()
    status, body = asked(inner, path, (limit << 10) + 1, told=told)
    assert (status, body["error"]) == (413, "TOO_LARGE")
    assert inner.read == (0 if told == -1 else limit << 10)


def test_who_says_less_than_they_send_is_cut_off_too(small: None) -> None:
    inner = Inner()
    assert asked(inner, "/sign-in/", 50 << 10, told=5)[0] == 413
    assert inner.read <= 10 << 10


def test_what_is_stored_over_dicomweb_reads_its_own_body(small: None) -> None:
    inner = Inner()
    assert asked(inner, "/dicom-web/studies", 50 << 10)[0] == 200
    assert inner.read == 50 << 10


@pytest.mark.django_db
def test_only_a_session_of_somebody_counts(client: Any) -> None:
    from django.contrib.auth import get_user_model

    assert not body_limits.is_somebodys({"headers": []})
    assert not body_limits.is_somebodys({"headers": [(b"cookie", b"concord_session=made-up")]})
    client.force_login(get_user_model().objects.create(username="somebody"))
    session = client.cookies["concord_session"].value
    assert body_limits.is_somebodys(
        {"headers": [(b"cookie", f"concord_session={session}".encode())]}
    )
