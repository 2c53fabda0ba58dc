"""Through no socket, and at no moment, does anyone hear of a reading that is hidden from them.

The sockets are those of the application's own table; an address of a kind that is not known here
fails. Everyone opens all of them before reader1 begins, stays while reader1 reads and signs, and
opens all of them again: nothing may have come, and all must answer as before.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from channels.routing import URLRouter
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

import backend.asgi
from fixtures.phantom_dicom import write_series
from fixtures.small import small_phantom
from tests.reading.test_comparison_live import SHAPE, Reader
from tests.reading.walk import ABSENT, parameters
from tests.stack import Stack, until

# How long nothing is waited for, and how long something that has to come.
QUIET_SECONDS, SLOW_SECONDS = 0.5, 30
ELSEWHERE = "elsewhere"
# Who hears nothing of reader1. `elsewhere` reads here and coordinates another project.
BLIND = ("reader2", "adjudicator", "abstractor", "scientist", ELSEWHERE, "stranger", "worker")
MAKE_ELSEWHERE = """
from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.reading import services
from backend.reading.models import Project
user = User.objects.create_user("elsewhere", password="a long enough password")
other = services.create_project(code="X", name="X")
services.grant_role(project=other, user=user, role=Role.COORDINATOR, actor=None)
main = Project.objects.get(default=True)
services.grant_role(project=main, user=user, role=Role.READER, actor=None)
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Web and work, and one study that both readers are to read."""
    stack = Stack()
    try:
        stack.start(worker=False)
        folder = tmp_path_factory.mktemp("study")
        write_series(small_phantom(11, SHAPE), folder, patient_id="P11")
        stack.manage("receive", str(folder))
        # Nobody takes a run; that is said once of each, to whoever may know of the case.
        said = "select 1 from jobs_run having count(*) > 0 and bool_and(message <> '')"
        until(lambda: stack.query(said), "runs that wait in vain", 60, stack.words)
        stack.manage("shell", "-c", MAKE_ELSEWHERE)
        stack.users[ELSEWHERE] = "a long enough password"
        yield stack
    finally:
        stack.close()


@dataclass(frozen=True)
class Door:
    """One socket, as someone tries it."""

    who: str
    path: str


def socket_paths(values: dict[str, list[str]]) -> list[str]:
    """Every address of the application's sockets, its parameters filled; and some of none."""
    routers = [each for each in map(router_of, vars(backend.asgi).values()) if each is not None]
    templates = {str(route.pattern) for router in routers for route in router.routes}
    found = []
    for template in templates:
        paths = [template]
        for name in parameters(template):
            if name not in values:
                raise AssertionError(
                    f"No value is known for the parameter {name!r} of the socket {template!r}: "
                    f"give `values` some in {__name__}."
                )
            paths = [
                path.replace(f"<uuid:{name}>", value) for path in paths for value in values[name]
            ]
        found += ["/" + path for path in paths]
    assert len(templates) > 3
    return sorted({*found, "/ws/me/", "/ws/x", "/ws/readings/x", "/ws/workers"})


def router_of(application: Any) -> URLRouter | None:
    """The table inside the layers around it."""
    while application is not None and not isinstance(application, URLRouter):
        inner = vars(application) if hasattr(application, "__dict__") else {}
        application = inner.get("application") or inner.get("inner")
    return application


class Listeners:
    """Everyone with all sockets."""

    def __init__(self, stack: Stack, say: list[str]) -> None:
        self.stack, self.say = stack, say
        token = (stack.state / "worker-token").read_text().strip()
        self.headers: dict[str, dict[str, str]] = {"stranger": {}}
        self.headers["worker"] = {"Authorization": f"Bearer {token}"}
        for name in ("reader1", "coordinator", *BLIND):
            if name in stack.users:
                with closing(stack.client(name)) as client:
                    cookies = "; ".join(f"{k}={v}" for k, v in client.cookies.items())
                self.headers[name] = {"Cookie": cookies}

    async def open(self, door: Door) -> ClientConnection:
        """Connect."""
        return await connect(
            self.stack.url.replace("http", "ws") + door.path,
            origin=self.stack.url,  # type: ignore[arg-type]
            additional_headers=self.headers[door.who],
            proxy=None,
        )

    async def answer(self, door: Door) -> list[Any]:
        """All that a socket says until it is quiet: answer's headers, messages, how it closed."""
        socket = await self.open(door)
        assert socket.response is not None
        headers = sorted(k.lower() for k, _ in socket.response.headers.raw_items())
        said: list[Any] = [socket.response.status_code, headers]
        try:
            for each in self.say:
                await socket.send(each)
            answers = len(self.say) - 1 if (door.who, door.path) == ("worker", "/ws/worker") else 1
            while True:
                patience = QUIET_SECONDS if len(said) >= 2 + answers else SLOW_SECONDS
                said.append(await asyncio.wait_for(socket.recv(), patience))
                if '"hello"' in said[-1]:  # All that is asked for again has to come.
                    answers += sum(json.loads(said[-1]).get("seen", {}).values())
        except TimeoutError:
            await socket.close()
        except ConnectionClosed as closed:
            said.append(closed.rcvd and (closed.rcvd.code, closed.rcvd.reason))
        return said

    async def answers(self, doors: list[Door]) -> dict[Door, list[Any]]:
        """What all doors say, a few at a time."""
        several = asyncio.Semaphore(16)

        async def one(door: Door) -> list[Any]:
            async with several:
                return await self.answer(door)

        return dict(zip(doors, await asyncio.gather(*map(one, doors)), strict=True))


def asked_of_sockets(stack: Stack, first: Reader, second: Reader) -> list[str]:
    """What is said to every socket: to be told of everyone's news from the start, where one looks,
    and a worker's words about what is no run."""
    audiences = [f"reading:{first.reading}", f"reading:{second.reading}", "coordinators", "grants"]
    audiences += [f"{kind}:{first.case}" for kind in ("case", "consensus", "run")]
    audiences += [f"run:{pk}" for (pk,) in stack.query("select id from jobs_run")]
    audiences += [f"user:{pk}" for (pk,) in stack.query("select id from accounts_user")]
    audiences += [f"coordinators:{pk}" for (pk,) in stack.query("select id from reading_project")]
    # A worker that holds no model: else runs would be said to wait for it no longer, then again.
    hello = {"type": "hello", "session": ABSENT, "number": 5, "facts": {"name": "w", "models": []}}
    claims = [{"type": "claim", "run": run} for run in (first.reading, first.case, ABSENT)]
    looking = {"looking": {"phase": "settle", "discrepancy": ABSENT, "node": 1}}
    asked = [{"since": dict.fromkeys(audiences, 0)}, looking, hello, *claims]
    return [json.dumps({"n": n, **message}) for n, message in enumerate(asked)]


async def test_nobody_hears_of_what_reader1_does_nor_finds_a_socket_changed(stack: Stack) -> None:
    first, second = Reader(stack, "reader1"), Reader(stack, "reader2")
    values = {"reading": [first.reading, second.reading, first.case, ABSENT]}
    values["consensus"] = [first.case, first.reading, ABSENT]
    values["run"] = [*(str(pk) for (pk,) in stack.query("select id from jobs_run")), ABSENT]
    doors = [Door(who, path) for who in BLIND for path in socket_paths(values)]
    listeners = Listeners(stack, asked_of_sockets(stack, first, second))
    await listeners.answers(doors)  # A worker's session is made the first time.
    before = await listeners.answers(doors)
    assert sum(map(told_anything, before.values())) == 7

    own = [Door("reader1", f"/ws/readings/{first.reading}"), Door("coordinator", "/ws/me")]
    sockets = {door: await listeners.open(door) for door in [*doors, *own]}
    heard: dict[Door, list[str]] = {door: [] for door in sockets}
    ears = [asyncio.create_task(listen(sockets[door], heard[door])) for door in sockets]
    await asyncio.to_thread(read_and_submit, first)
    await eventually(lambda: any("reading.submitted" in m for m in heard[own[0]]))
    await eventually(lambda: any("case.changed" in m for m in heard[own[1]]))
    second.look_through()
    await asyncio.sleep(QUIET_SECONDS)
    for ear in ears:
        ear.cancel()
    for socket in sockets.values():
        await socket.close()
    late = {door: said for door, said in heard.items() if door not in own and len(said) > 1}
    assert not late, late
    assert all("hello" in m for door, said in heard.items() if door not in own for m in said)

    after = await listeners.answers(doors)
    changed = {door: (before[door], said) for door, said in after.items() if before[door] != said}
    assert not changed, changed
    first.http.close()
    second.http.close()


def told_anything(said: list[Any]) -> bool:
    """Whether a socket took its asker in."""
    return any(isinstance(message, str) and "hello" in message for message in said)


async def listen(socket: ClientConnection, heard: list[str]) -> None:
    """Note all that comes."""
    try:
        while True:
            heard.append(str(await socket.recv()))
    except ConnectionClosed:
        return


async def eventually(condition: Any) -> None:
    """Wait until it is so."""
    await asyncio.to_thread(until, condition, "news of reader1's own", 20)


def read_and_submit(reader: Reader) -> None:
    """A whole reading over HTTP."""
    reader.paint((10, 10, 22, 22), range(4, 10))
    reader.paint((30, 30, 42, 42), range(12, 18))
    reader.look_through()
    reader.submit()


ACCESS_ENDS = """
from django.db import transaction
from backend.accounts.models import User
from backend.audit.services import announce
from backend.reading.models import Membership, Project
elsewhere = User.objects.get(username="elsewhere")
other = Project.objects.get(code="X")
Membership.objects.filter(user=elsewhere, project=other).delete()
reader = User.objects.get(username="reader2")
User.objects.filter(pk=reader.pk).update(is_active=False)
with transaction.atomic():
    announce(f"coordinators:{other.pk}", "case.changed", {"told": "of a project left"})
    announce(f"user:{elsewhere.pk}", "worklist.changed", {"told": "own"})
    announce(f"user:{reader.pk}", "worklist.changed", {"told": "who may not sign in"})
    announce("coordinators", "archive.changed", {"told": "who signed out"})
"""


ACCESS_RETURNS = """
from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.reading import services
from backend.reading.models import Project
User.objects.filter(username="reader2").update(is_active=True)
user, other = User.objects.get(username="elsewhere"), Project.objects.get(code="X")
services.grant_role(project=other, user=user, role=Role.COORDINATOR, actor=None)
"""


async def test_an_open_line_ends_with_what_it_was_opened_by(stack: Stack) -> None:
    listeners = Listeners(stack, [])
    with closing(stack.client("coordinator")) as leaving:
        cookies = "; ".join(f"{k}={v}" for k, v in leaving.cookies.items())
        listeners.headers["coordinator"] = {"Cookie": cookies}
        doors = [Door(who, "/ws/me") for who in ("coordinator", "reader2", ELSEWHERE)]
        sockets = {door: await listeners.open(door) for door in doors}
        heard: dict[Door, list[str]] = {door: [] for door in doors}
        ears = [asyncio.create_task(listen(sockets[door], heard[door])) for door in doors]
        for door in doors:
            await eventually(lambda door=door: heard[door])
        assert leaving.post("/sign-out/").status_code == 302
    await asyncio.to_thread(stack.manage, "shell", "-c", ACCESS_ENDS)
    await asyncio.wait_for(asyncio.gather(*ears[:2]), SLOW_SECONDS)
    assert [sockets[door].close_code for door in doors[:2]] == [4401, 4401]
    await eventually(lambda: len(heard[doors[2]]) == 2)
    assert [len(heard[door]) for door in doors] == [1, 1, 2]
    assert json.loads(heard[doors[2]][1])["payload"] == {"told": "own"}
    ears[2].cancel()
    await sockets[doors[2]].close()
    await asyncio.to_thread(stack.manage, "shell", "-c", ACCESS_RETURNS)


MUCH_NEWS = """
from django.db import transaction
from backend.audit.services import announce
for n in range(300):
    with transaction.atomic():
        announce("coordinators", "archive.changed", {"n": n})
"""


async def test_a_line_cut_again_and_again_brings_all_news_in_order_and_each_once(
    stack: Stack,
) -> None:
    listeners = Listeners(stack, [])
    since: dict[str, int] = {}
    heard: list[dict[str, Any]] = []
    first = await listeners.open(Door("coordinator", "/ws/me"))
    since = json.loads(await first.recv())["seen"]
    begin = since["coordinators"]
    first.transport.abort()
    told = asyncio.create_task(asyncio.to_thread(stack.manage, "shell", "-c", MUCH_NEWS))
    cuts = 0
    while since["coordinators"] < begin + 300:
        said = quote(json.dumps(since))
        line = await listeners.open(Door("coordinator", f"/ws/me?since={said}"))
        assert json.loads(await line.recv())["type"] == "hello"
        for _ in range(40):
            message = json.loads(await asyncio.wait_for(line.recv(), SLOW_SECONDS))
            heard.append(message)
            since[message["audience"]] = message["seq"]
            if since["coordinators"] == begin + 300:
                break
        line.transport.abort()
        cuts += 1
    await told
    ours = [m for m in heard if m["audience"] == "coordinators"]
    assert [m["seq"] for m in ours] == list(range(begin + 1, begin + 301))
    assert [m["payload"]["n"] for m in ours] == list(range(300))
    assert cuts > 5
    for nonsense in ("{}", "[]", "x", '{"coordinators": "9"}', '{"coordinators": 99999}'):
        line = await listeners.open(Door("coordinator", f"/ws/me?since={quote(nonsense)}"))
        assert json.loads(await line.recv())["seen"]["coordinators"] == begin + 300, nonsense
        await line.close()
