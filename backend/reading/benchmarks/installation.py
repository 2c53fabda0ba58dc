"""A whole installation for the benchmarks of inference: studies in, runs out, times from rows."""

from __future__ import annotations

import http
import http.client
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from backend.archive.benchmarks.servers import Concord
from backend.database import DatabaseUrls
from backend.supervisor import Child

LOOK_SECONDS = 0.2
# Asked of the database itself: a Django process a look would take the cores from what is measured.
_ROWS = """
select r.id::text, r.subject_id::text as case, r.state, r.attempt, r.timings,
       r.result -> 'provenance' as provenance,
       extract(epoch from r.queued)::float8 as queued,
       extract(epoch from r.leased)::float8 as leased,
       extract(epoch from r.finished)::float8 as finished,
       (select coalesce(jsonb_agg(jsonb_build_object(
            'number', a.number, 'worker', a.worker, 'outcome', a.outcome,
            'leased', extract(epoch from a.leased)::float8) order by a.number), '[]')
        from jobs_runattempt a where a.run_id = r.id) as attempts
from jobs_run r order by r.created
"""
_AGAIN = """
import json
from django.apps import apps
from backend.jobs import services
from backend.jobs.models import Run
firsts = {}
for run in Run.objects.order_by("created"):
    firsts.setdefault(run.subject_id, run)
firsts = list(firsts.values())
made = []
for number in range(LIMIT):
    old = firsts[number % len(firsts)]
    subject = apps.get_model(old.subject_type).objects.get(pk=old.subject_id)
    made.append(str(services.enqueue(
        kind=old.kind, subject=subject, series_id=old.series_id, study_uid=old.study_uid,
        series_uid=old.series_uid, model=old.model, parameters=old.parameters, actor=None,
        chain=old.chain).pk))
print(json.dumps(made))
"""

_WARM = """
select 1 from jobs_workersession
where name = %s and gone is null and jsonb_array_length(facts -> 'models') > 0
"""
_STATE = """
select state, stage, exists (
    select 1 from procrastinate_jobs where args ->> 'run' = %s and status = 'doing') as doing
from jobs_run where id = %s::uuid
"""


class Unfinished(RuntimeError):
    """The runs did not end in time; the worker's log says why."""


class Installation:
    """Web, work and as many workers as a measurement wants."""

    def __init__(self, server: Concord) -> None:
        self.server = server
        self.work = server.supervisor.add("work", sys.executable, "manage.py", "work")
        self._workers = 0
        self._urls = DatabaseUrls(**json.loads((server.state / "postgres/urls.json").read_text()))
        self._database = psycopg.connect(self._urls.owner, autocommit=True, row_factory=dict_row)

    def worker(self, *arguments: str, **environment: str) -> Child:
        """Start a worker; the supervisor does not start it again when it dies."""
        self._workers += 1
        name = f"worker{self._workers}"
        environment = {
            **self.server.environment,
            **environment,
            "CONCORD_WORKER_TOKEN": (self.server.state / "worker-token").read_text().strip(),
            "CONCORD_QUEUE_URL": self._urls.queue,
            "CONCORD_LOG": "INFO",
        }
        child = Child(
            name,
            [sys.executable, "-m", "inference", "--name", name, *arguments],
            environment,
            self.server.state / "logs" / f"{name}.log",
        )
        child.start()
        return child

    def receive(self, *folders: Path) -> None:
        """Take folders of DICOM files in."""
        self.server.manage("receive", "--as-is", *map(str, folders))

    def is_warm(self, worker: Child) -> bool:
        """Whether a worker is connected and has said which models it holds."""
        return bool(self._database.execute(_WARM, [worker.name]).fetchone())

    def runs(self) -> list[dict[str, Any]]:
        """Every run, the oldest first, with its attempts; times are seconds since 1970."""
        return self._database.execute(_ROWS).fetchall()

    def again(self, count: int) -> list[str]:
        """Queue so many runs, of one case after the other; their ids."""
        made: list[str] = self._shell(_AGAIN.replace("LIMIT", str(count)))
        return made

    def ended(self, wanted: Sequence[str] | int, seconds: float = 600.0) -> list[dict[str, Any]]:
        """The runs (by id, or the first so many) when all have succeeded; raises `Unfinished`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            rows = self.runs()
            if isinstance(wanted, int):
                chosen, count = rows[:wanted], wanted
            else:
                chosen, count = [row for row in rows if row["id"] in wanted], len(wanted)
            if len(chosen) == count and all(row["state"] == "succeeded" for row in chosen):
                return chosen
            if any(row["state"] == "dead" for row in chosen):
                break
            threading.Event().wait(LOOK_SECONDS)
        logs = sorted((self.server.state / "logs").glob("w*.log"))
        words = "".join(f"\n--- {log.name}\n{log.read_text()[-1500:]}" for log in logs)
        raise Unfinished(f"The runs did not end in {seconds:.0f} s.{words}")

    def cancel(self, run: str) -> bool:
        """Cancel a run as a coordinator would; False where it had ended."""
        return self._post(f"/api/runs/{run}/cancel") == http.HTTPStatus.OK

    def retry(self, run: str) -> None:
        """Queue a cancelled run again."""
        if (status := self._post(f"/api/runs/{run}/retry")) != http.HTTPStatus.OK:
            raise Unfinished(f"The run {run} could not be queued again ({status}).")

    def state(self, run: str) -> tuple[str, str, bool]:
        """A run's state and stage, and whether a worker is still at its job."""
        row = self._database.execute(_STATE, [run, run]).fetchone() or {}
        return str(row["state"]), str(row["stage"]), bool(row["doing"])

    def processor_seconds(self, *workers: Child) -> dict[str, float]:
        """What web, work, database and these workers took of the processors until now."""
        web = self.server.process
        parts = {
            "web": [web],
            "work": _pids([self.work]),
            "database": [self.server.database, *_children(self.server.database)],
            "workers": _pids(workers),
        }
        return {name: sum(map(_spent, pids)) for name, pids in parts.items()}

    def _post(self, path: str) -> int:
        line = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            line.request("POST", path, headers=self.server.headers)
            answer = line.getresponse()
            answer.read()
            return answer.status
        finally:
            line.close()

    def _shell(self, code: str) -> Any:
        said = self.server.manage("shell", "-c", code)
        return json.loads(said.strip().splitlines()[-1])


def _pids(children: Sequence[Child]) -> list[int]:
    return [child.process.pid for child in children if child.process is not None]


def _children(parent: int) -> list[int]:
    listed = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(pid) for pid in listed.read_text().split()]


def _spent(pid: int) -> float:
    """Processor seconds of a process and of its children that ended; 0 once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
