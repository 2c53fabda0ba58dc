"""The route in front of Django: the same answers, and nothing that Django would not allow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from tests.archive.made import ct_series, values
from tests.archive.test_live import web_of
from tests.stack import Stack, until

MULTIPART = {"Accept": 'multipart/related; type="application/octet-stream"'}
SINGLE = {"Accept": "application/octet-stream"}


@pytest.fixture(scope="module")
def alone() -> Iterator[Stack]:
    """Web and work, without an inference worker."""
    stack = Stack()
    stack.as_is("stow", "coordinator")
    try:
        yield stack.start(worker=False)
    finally:
        stack.close()


@pytest.fixture(scope="module")
def slices(alone: Stack) -> list[object]:
    made = ct_series(4)
    web_of(alone, "coordinator").store_instances(made)
    return list(made)


def client(stack: Stack, user: str) -> closing[httpx.Client]:
    """A client with a session (not a token)."""
    return closing(stack.client(user))


def address(ds: object, frame: int = 1) -> str:
    return (
        f"/dicom-web/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"  # type: ignore[attr-defined]
        f"/instances/{ds.SOPInstanceUID}/frames/{frame}"  # type: ignore[attr-defined]
    )


def by_route(answer: httpx.Response) -> bool:
    """Django sets this header on every answer; the route has no use for it."""
    return "x-frame-options" not in answer.headers


def granted(stack: Stack, web: httpx.Client, ds: object) -> None:
    """Ask until the route answers: a process that begins to listen forgets its grants once."""
    until(lambda: by_route(web.get(address(ds))), "a grant", 5, stack.words)


def body_of(answer: httpx.Response) -> bytes:
    """The one part of an answer, whichever way it came."""
    kind = answer.headers["content-type"]
    if not kind.startswith("multipart/"):
        return answer.content
    boundary = kind.partition("boundary=")[2].strip('"')
    head, _, rest = answer.content.partition(b"\r\n\r\n")
    assert head.startswith(b"--" + boundary.encode())
    return rest.removesuffix(f"\r\n--{boundary}--\r\n".encode())


@pytest.mark.parametrize("accept", [MULTIPART, SINGLE, {}])
def test_the_route_answers_as_django_does(
    alone: Stack, slices: list[object], accept: dict[str, str]
) -> None:
    with client(alone, "coordinator") as web:
        first = web.get(address(slices[2]), headers=accept)
        assert not by_route(first)
        granted(alone, web, slices[2])
        again = web.get(address(slices[2]), headers=accept)
        assert by_route(again)
        assert body_of(first) == body_of(again) == values(2).tobytes()
        for name in ("etag", "cache-control", "vary", "x-content-type-options"):
            assert first.headers[name] == again.headers[name]
        strip = lambda kind: kind.partition("boundary=")[0]  # noqa: E731
        assert strip(first.headers["content-type"]) == strip(again.headers["content-type"])
        unchanged = web.get(
            address(slices[2]), headers={**accept, "If-None-Match": again.headers["etag"]}
        )
        assert unchanged.status_code == 304
        assert by_route(unchanged)


def test_a_grant_opens_nothing_for_another_person_or_for_a_stranger(
    alone: Stack, slices: list[object]
) -> None:
    with client(alone, "coordinator") as web, client(alone, "reader1") as reader:
        granted(alone, web, slices[0])
        assert reader.get(address(slices[0])).status_code == 404
        with httpx.Client(base_url=alone.url) as stranger:
            assert stranger.get(address(slices[0])).status_code == 401
            # A header that Django does not take for a credential borrows nobody's grant.
            odd = {"Authorization": "Other thing"}
            web.get(address(slices[0]), headers=odd)
            assert web.get(address(slices[0]), headers=odd).status_code == 200
            assert stranger.get(address(slices[0]), headers=odd).status_code == 401


def test_signing_out_ends_a_grant_at_once(alone: Stack, slices: list[object]) -> None:
    with client(alone, "coordinator") as web:
        granted(alone, web, slices[1])
        kept = dict(web.cookies)
        assert web.post("/sign-out/").status_code == 302
        with httpx.Client(base_url=alone.url, cookies=kept) as stale:
            until(
                lambda: stale.get(address(slices[1])).status_code == 401,
                "the grant to end",
                2,
                alone.words,
            )


def test_what_the_route_cannot_give_is_django_s_to_answer(
    alone: Stack, slices: list[object]
) -> None:
    with client(alone, "coordinator") as web:
        web.get(address(slices[3]))
        assert web.get(address(slices[3], 2)).status_code == 404
        refused = web.get(address(slices[3]), headers={"Accept": "image/webp"})
        assert refused.status_code == 406
        assert refused.json()["cure"]
        several = web.get(address(slices[3]).replace("/frames/1", "/frames/1,1"))
        assert several.content.count(values(3).tobytes()) == 2


def test_the_first_look_at_a_series_is_on_record_once(alone: Stack, slices: list[object]) -> None:
    with client(alone, "auditor") as web:
        for ds in slices:
            assert web.get(address(ds)).status_code == 200
    found = alone.query(
        "select count(*) from audit_event where action = 'images.viewed' and actor_name = %s",
        "Audra Auditor",
    )
    assert found[0][0] == 1


def test_metadata_come_from_the_route_and_are_fresh_after_another_image(alone: Stack) -> None:
    made = ct_series(3)
    web = web_of(alone, "coordinator")
    web.store_instances(made[:2])
    path = address(made[0]).partition("/instances/")[0] + "/metadata"
    with client(alone, "coordinator") as asking:
        first = asking.get(path)
        until(lambda: by_route(asking.get(path)), "a grant", 5, alone.words)
        again = asking.get(path)
        for name in ("etag", "cache-control", "content-type", "content-encoding"):
            assert first.headers[name] == again.headers[name]
        assert first.json() == again.json()
        assert len(again.json()) == 2
        plain = asking.get(path, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.json() == again.json()
        unchanged = asking.get(path, headers={"If-None-Match": again.headers["etag"]})
        assert unchanged.status_code == 304
        assert asking.get(path, headers={"Accept": "image/png"}).status_code == 406
        web.store_instances(made[2:])
        until(lambda: len(asking.get(path).json()) == 3, "the third image", 2, alone.words)
    with client(alone, "reader1") as reader:
        assert reader.get(path).status_code == 404


def test_a_list_of_instances_is_given_again_until_another_image_comes(alone: Stack) -> None:
    made = ct_series(3)
    web = web_of(alone, "coordinator")
    web.store_instances(made[:2])
    series = address(made[0]).partition("/instances/")[0]
    path = f"{series}/instances"
    with client(alone, "coordinator") as asking:
        assert not by_route(asking.get(path))
        assert not by_route(asking.get(path))  # Nobody had its metadata: nothing would revoke it.
        asking.get(f"{series}/metadata")
        first = asking.get(path)
        until(lambda: by_route(asking.get(path)), "a grant", 5, alone.words)
        again = asking.get(path)
        assert again.json() == first.json()
        assert len(again.json()) == 2
        for name in ("cache-control", "content-type"):
            assert first.headers[name] == again.headers[name]
        plain = asking.get(path, headers={"Accept": "application/json"})
        assert plain.headers["content-type"] == "application/json"
        assert asking.get(path, params={"limit": "1"}).json() == first.json()[:1]
        elsewhere = asking.get(path, headers={"Host": f"localhost:{alone.port}"})
        assert "//localhost:" in elsewhere.json()[0]["00081190"]["Value"][0]
        web.store_instances(made[2:])
        until(lambda: len(asking.get(path).json()) == 3, "the third image", 2, alone.words)
    with client(alone, "reader1") as reader:
        assert reader.get(path).status_code == 404
