"""`manage.py benchmark viewer`: the reading room beside stock OHIF on Orthanc, in one run.

The same study, the same layout (three planes), the same browser, software GL; each opening begins
with an empty browser cache, the two taking turns. What the reader waits for between a stroke and
its acknowledgement has no peer: the stock viewer saves nothing by itself.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser

from backend.archive.benchmarks import servers
from backend.archive.benchmarks.client import body_of, p95
from backend.archive.benchmarks.measuring import Row
from backend.archive.benchmarks.servers import Concord
from backend.archive.benchmarks.slices import SIDE, Files, write_series
from backend.database import free_port
from backend.reading.benchmarks.following import next_rows
from backend.reading.benchmarks.pages import SIZE, Opening, Visit, chromium

SLICES, NODES, RUNS, STROKES, CASES, OPENINGS = 250, 30, 3, 40, 3, 60
STROKE_TARGET_MS = 150.0
_READER = "reader1"


def viewer_benchmark(
    slices: int = SLICES, runs: int = RUNS, strokes: int = STROKES, openings: int = OPENINGS
) -> dict[str, Any]:
    """Cold openings of both, the server's share of them, strokes until acknowledged, and going on.

    Needs Chromium and Orthanc (`make system`).

    Raises:
        NoOrthanc: when it is not installed.
    """
    folder = Path(tempfile.mkdtemp(prefix="concord-benchmark-"))
    try:
        with ExitStack() as stack:
            ours = stack.enter_context(servers.concord(folder))
            peer = stack.enter_context(servers.orthanc(folder))
            files = write_series(folder / "files", slices, 1)
            ours.manage("receive", "--as-is", str(files.paths[0].parent))
            for at in range(0, slices, 10):
                peer.connections(1)[0].store(body_of(files.paths[at : at + 10]))
            desk = Desk(ours)
            desk.draw(NODES)
            theirs_at = stack.enter_context(stock_viewer(f"http://127.0.0.1:{peer.port}/dicom-web"))
            browser = stack.enter_context(chromium())
            mine, theirs = [], []
            for _ in range(runs):
                theirs.append(_stock(browser, theirs_at, files))
                mine.append(_reading_room(browser, desk, files))
            rows = _openings(mine, theirs, slices)
            rows.append(_strokes(browser, desk, files, strokes))
            for number in range(2, CASES + 1):
                more = write_series(folder / f"files{number}", slices, number)
                ours.manage("receive", "--as-is", str(more.paths[0].parent))
            with Visit(browser, desk.origin, desk.cookies) as visit:
                visit.open(desk.address, slices, _READY)
                rows += next_rows(visit, goings=2 * CASES, openings=openings)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "sizes": {"slices": slices, "pixels": [SIDE, SIDE], "nodes": NODES, "screen": SIZE},
        "peer_config": {
            "version": servers.version_of("Orthanc"),
            "viewer": "@ohif/app, as shipped",
        },
        "rows": rows,
    }


class Desk:
    """A reader with a session, in front of the one case."""

    def __init__(self, ours: Concord) -> None:
        self.origin = f"http://127.0.0.1:{ours.port}"
        self._http = http.client.HTTPConnection("127.0.0.1", ours.port, timeout=60)
        users = json.loads((ours.state / "demo-users.json").read_text())
        self.cookies: dict[str, str] = {}
        self._send("GET", "/sign-in/")
        form = urlencode({"username": _READER, "password": users[_READER]})
        self._send("POST", "/sign-in/", form, "application/x-www-form-urlencoded")
        (row,) = self._json("GET", "/api/worklist")["results"]
        self.address: str = row["url"]
        self.root = f"/api/readings/{row['reading']}"

    def draw(self, nodes: int) -> None:
        """Give the reading so many nodes, each a block of 10 × 12 × 12 voxels."""
        detail = self._json("GET", self.root)
        sops, head = detail["grid"]["sop_uids"], detail["head"]
        body = {"client": str(uuid.uuid4()), "take_over": True}
        lease = self._json("POST", f"{self.root}/lease", body)["lease"]
        deep = min(10, len(sops))
        for number in range(nodes):
            first = number * max(1, (len(sops) - deep) // nodes)
            left, top = 60 + 60 * (number % 6), 60 + 70 * (number // 6)
            box = [top, left, top + 12, left + 12]
            parts = [
                {"sop": sop, "box": box, "runs": [[0, 144, 1]]}
                for sop in sops[first : first + deep]
            ]
            change = {"kind": "voxels", "nodes": [str(uuid.uuid4())], "slices": parts}
            change |= {"id": str(uuid.uuid4()), "base": head}
            answer = {"lease": lease, "changes": [change]}
            head = self._json("POST", f"{self.root}/changes", answer)["results"][0]["head"]

    def _json(self, method: str, path: str, body: object = None) -> Any:
        text = None if body is None else json.dumps(body)
        return json.loads(self._send(method, path, text, "application/json"))

    def _send(self, method: str, path: str, body: str | None = None, kind: str = "") -> bytes:
        headers = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "X-CSRFToken": self.cookies.get("csrftoken", ""),
            "Referer": self.origin,
            **({"Content-Type": kind} if kind else {}),
        }
        self._http.request(method, path, body, headers)
        answer = self._http.getresponse()
        data = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{path}: {answer.status} {data[:300]!r}")
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return data


_READY = "window.__concord?.ready === true"


def _reading_room(browser: Browser, desk: Desk, files: Files) -> Opening:
    with Visit(browser, desk.origin, desk.cookies) as visit:
        return visit.open(desk.address, len(files.paths), _READY)


def _stock(browser: Browser, origin: str, files: Files) -> Opening:
    query = urlencode({"StudyInstanceUIDs": files.study, "hangingprotocolId": "mpr"})
    with Visit(browser, origin, {}) as visit:
        return visit.open(f"/viewer?{query}", len(files.paths))


@contextmanager
def stock_viewer(root: str) -> Iterator[str]:
    """The viewer as the npm package has it, on that DICOMweb root; its origin."""
    port = free_port()
    application = "backend.reading.benchmarks.stock:application"
    command = [sys.executable, "-m", "uvicorn", application, "--port", str(port)]
    environment = {**os.environ, "STOCK_DICOMWEB_ROOT": root}
    process = subprocess.Popen([*command, "--log-level", "warning"], env=environment)
    try:
        servers.wait_for_port(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _openings(mine: list[Opening], theirs: list[Opening], slices: int) -> list[Row]:
    def row(what: str, name: str, target: float) -> Row:
        ours, peer = (statistics.median(getattr(one, name) for one in of) for of in (mine, theirs))
        ratio = ours / peer
        return {
            "what": what,
            "ours": round(ours, 3),
            "unit": "s",
            "peer": round(peer, 3),
            "peer_name": "stock OHIF on Orthanc",
            "peer_runs": len(theirs),
            "ratio": round(ratio, 2),
            "target": f"<= {target:g} x",
            "met": ratio <= target,
        }

    waits = row("sum of the waits for the server on that path", "waits", 0.3)
    waits["requests"] = statistics.median(one.requests for one in mine)
    waits["peer_requests"] = statistics.median(one.requests for one in theirs)
    return [
        row(f"case opened cold → first image ({slices} slices)", "first", 1.0),
        row(f"case opened cold → all {slices} slices, and the mask, usable", "usable", 1.0),
        waits,
    ]


def _strokes(browser: Browser, desk: Desk, files: Files, count: int) -> Row:
    """Strokes of the brush, from the pointer's leaving to the server's answer."""
    with Visit(browser, desk.origin, desk.cookies) as visit:
        visit.open(desk.address, len(files.paths), _READY)
        page = visit.page
        _settled(visit)
        page.get_by_test_id("continue-here").click()  # The nodes were drawn at another desk.
        page.evaluate("window.__seen.strokes.length = 0")
        _settled(visit, "saved")
        page.keyboard.press("n")
        times: list[float] = []
        parts: dict[str, list[float]] = {}
        for number in range(count):  # Each a little lower, so that it paints something new.
            slice_, row, column = page.evaluate("window.__concord.focus")
            path = f"window.__concord.canvasPoint('axial', {slice_}, {row - count + 2 * number}, "
            start, end = (page.evaluate(f"{path}{column + step})") for step in (0, 6))
            page.evaluate("window.__seen.strokes.length = 0")
            page.mouse.move(*start)
            page.mouse.down()
            page.mouse.move(*end, steps=4)
            page.mouse.up()
            _settled(visit)
            told = page.evaluate("window.__seen.strokes[0]")
            times.append(told["acknowledged"] - told["up"])
            for name, milliseconds in told["parts"].items():
                parts.setdefault(name, []).append(milliseconds)
    slowest = p95(times)
    return {
        "what": f"stroke of the brush → acknowledged, p95 of {count}",
        "ours": round(slowest, 1),
        "unit": "ms",
        "peer": None,
        "peer_name": None,
        "peer_runs": 0,
        "ratio": None,
        "target": f"<= {STROKE_TARGET_MS:g} ms",
        "met": slowest <= STROKE_TARGET_MS,
        "median": round(statistics.median(times), 1),
        "parts_median_ms": {name: round(statistics.median(of), 1) for name, of in parts.items()},
    }


def _settled(visit: Visit, *states: str) -> None:
    """Until nothing waits to be sent, and the last answer is noted."""
    for _ in range(1200):
        noted = "(window.__seen.strokes[0]?.acknowledged ?? !window.__seen.strokes.length)"
        known = list(states) or ["saved", "read_only"]
        done = f"{noted} && {known}.includes(window.__concord.saveState)"
        if visit.page.evaluate(done):
            return
        visit.page.wait_for_timeout(25)
    raise TimeoutError("the strokes were not acknowledged within half a minute")
