"""Workers are killed, stopped and cut off, the database turns everyone away: no run suffers.

At the end every run has ended exactly once, with a whole mask and its provenance, and who watched
all the while, over the same line, heard each change once and sees what the server has. What happens
is drawn from a seed, which is printed.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from backend.imaging.masks import unpack_mask
from backend.store import FolderStore
from backend.supervisor import Child
from tests import postgres
from tests.faults.line import Line
from tests.faults.watcher import Watcher
from tests.jobs.site import Site
from tests.jobs.threshold import expected_labels

pytestmark = pytest.mark.deep

SHORT_SEED = 20261122
WORKERS = 3
# Pages of runs that are open at once.
WATCHED = 12
ENDED = ("succeeded", "dead")
LIVE = "select id from jobs_run where state in ('leased', 'running')"
OPEN = "select id from jobs_run where state not in ('succeeded', 'dead')"


@pytest.fixture
def line(site: Site) -> Iterator[Line]:
    line = Line(site.port)
    yield line
    line.close()
    site.clear()


class Chaos:
    """Three workers and everything that goes wrong with them."""

    def __init__(self, site: Site, line: Line, seed: int) -> None:
        self.site, self.line = site, line
        self.chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.workers: list[Child] = []
        self.stopped: list[Child] = []
        self.started = 0
        self.happened: list[str] = []
        for _ in range(WORKERS):
            self.start()

    def start(self) -> None:
        """One more worker, over the line."""
        self.started += 1
        worker = self.site.worker(
            f"chaos{self.started}", "--pause-before", "infer=0.3", CONCORD_WEB_URL=self.line.url
        )
        self.workers.append(worker)

    def fault(self) -> None:
        """One thing goes wrong, as soon as some run is at work."""
        self.site.until(
            lambda: self.site.rows(LIVE) or not self.site.rows(OPEN), "a run at work", 90
        )
        names = ("kill", "kill", "stop", "go on", "cut", "database", "web")
        name = self.chance.choice(names)
        self.happened.append(name)
        {
            "kill": self.kill,
            "stop": self.stop,
            "go on": self.go_on,
            "cut": self.cut,
            "database": self.turn_away,
            "web": self.restart_web,
        }[name]()

    def kill(self) -> None:
        """kill -9 of a worker; another takes its place."""
        victim = self.chance.choice(self.workers)
        self.workers.remove(victim)
        self.site.kill(victim)
        self.start()

    def stop(self) -> None:
        """SIGSTOP: it says nothing any more, and comes back later with what it had."""
        if len(self.workers) > 1:
            victim = self.chance.choice(self.workers)
            self.workers.remove(victim)
            self.stopped.append(victim)
            self.signal(victim, signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT of all that were stopped."""
        for worker in self.stopped:
            self.signal(worker, signal.SIGCONT)
        self.workers += self.stopped
        self.stopped.clear()

    def cut(self) -> None:
        """The network between workers and web breaks, and is mended once some worker noticed."""
        self.line.cut()
        self.noticed("the socket to the web process|does not answer")
        self.line.mend()

    def turn_away(self) -> None:
        """What a restart of the database is to everyone: connections end, new ones are refused."""
        server = postgres.named(postgres.SERVER, "postgres").owner
        name = self.site.name
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'alter database "{name}" with allow_connections false')
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name]
            )
            self.noticed("the queue's database does not answer|the queue does not answer")
            connection.execute(f'alter database "{name}" with allow_connections true')

    def restart_web(self) -> None:
        """kill -9 of the web process, which comes back."""
        self.site.kill(self.site.web)
        self.site.start_web()

    def noticed(self, words: str) -> None:
        """Wait until a worker that is not stopped says one of these words once more."""
        before = self._said(words)
        self.site.until(lambda: self._said(words) > before, "a worker to notice", 60)

    def _said(self, words: str) -> int:
        texts = [worker.log.read_text(errors="replace") for worker in self.workers]
        return sum(text.count(one) for text in texts for one in words.split("|"))

    @staticmethod
    def signal(worker: Child, number: signal.Signals) -> None:
        if worker.alive and worker.process is not None:
            os.kill(worker.process.pid, number)


def check(site: Site, run: str) -> str:
    """One run has ended once and for all; returns how."""
    row = site.run(run)
    attempts = site.attempts(run)
    assert row["state"] in ENDED, row
    assert [one["number"] for one in attempts] == list(range(1, row["attempt"] + 1))
    assert all(one["ended"] is not None and one["outcome"] for one in attempts)
    won = [one for one in attempts if one["outcome"] == "succeeded"]
    ends = site.rows(
        "select action from audit_event where subject_id = %s"
        " and action in ('run.succeeded', 'run.dead', 'run.cancelled')",
        run,
    )
    assert [end["action"] for end in ends] == [f"run.{row['state']}"]
    if row["state"] == "dead":
        assert row["attempt"] == row["attempts_allowed"]
        assert not won
        assert row["message"]
        return "dead"
    assert [one["number"] for one in won] == [row["attempt"]]
    assert (won[0]["mask_blob"], won[0]["result"]) == (row["mask_blob"], row["result"])
    provenance: dict[str, Any] = row["result"]["provenance"]
    assert provenance["attempt"] == row["attempt"]
    assert provenance["worker"] == won[0]["worker"]
    assert provenance["timings"].keys() >= {"fetch", "decode", "preprocess", "infer", "measure"}
    assert row["result"]["mask"] == row["mask_blob"]
    mask = unpack_mask(FolderStore(site.state / "content").read(row["mask_blob"]))
    assert (mask.to_volume() == expected_labels()).all()
    return "succeeded"


def changes(site: Site, run: str) -> list[tuple[int, str]]:
    """What was told of a run's state: (seq, state)."""
    rows = site.rows(
        "select seq, payload ->> 'state' as state from audit_newsitem"
        " where audience = %s and type = 'run.changed' order by seq",
        f"run:{run}",
    )
    return [(row["seq"], row["state"]) for row in rows]


def go_through(site: Site, line: Line, seed: int, runs: int, faults: int) -> None:
    sys.stdout.write(f"CONCORD_CHAOS_SEED={seed}\n")
    queued = [site.enqueue() for _ in range(runs)]
    watcher = Watcher(line.url, site.session(), queued[:WATCHED])
    try:
        chaos = Chaos(site, line, seed)
        for _ in range(faults):
            chaos.fault()
        chaos.go_on()
        site.until(lambda: not site.rows(OPEN), f"every run to end after {chaos.happened}", 300)
        for run in watcher.heard:
            told = changes(site, run)
            site.until(
                lambda told=told, run=run: len(watcher.changes(run)) >= len(told),
                "who watches to have heard all",
            )
            assert watcher.changes(run) == told, "each change once and in order"
            assert told[-1][1] == site.run(run)["state"], "who watches sees what the server has"
        if {"cut", "web", "database"} & set(chaos.happened):
            assert watcher.came_back, "the line broke under who watches"
    finally:
        watcher.close()
    ended = [check(site, run) for run in queued]
    assert ended.count("succeeded") > runs / 2, (ended, chaos.happened)
    doing = (
        "select 1 from procrastinate_jobs"
        " where status in ('todo', 'doing') and args ->> 'run' is not null"
    )
    site.until(lambda: not site.rows(doing), "no job to be left", 60)


@pytest.mark.timeout(500)
def test_no_run_is_lost_or_done_twice_while_everything_goes_wrong(site: Site, line: Line) -> None:
    go_through(site, line, SHORT_SEED, runs=12, faults=6)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_no_run_of_sixty_is_lost_or_done_twice(site: Site, line: Line) -> None:
    seed = int(os.environ.get("CONCORD_CHAOS_SEED") or secrets.randbelow(2**32))
    go_through(site, line, seed, runs=60, faults=50)
