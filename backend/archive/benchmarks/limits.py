"""What limits each path: who used the processors, and what the web process's threads did."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, TypeAlias

from backend.archive.benchmarks.measuring import Spent

Samples: TypeAlias = list[tuple[float, list[tuple[str, str]]]]
NAMED = 6


def read_samples(path: Path) -> Samples:
    """What `Sampler.write` kept."""
    return [(at, [(d, w) for d, w in doing]) for at, doing in json.loads(path.read_text())]


def limit(what: str, spent: Spent, samples: Samples) -> dict[str, Any]:
    """One path's limit.

    Returns:
        cores_busy: of all cores, by whom (`server`, `client`, `others`); shares of working threads'
        time by what they did; the functions most of it went to; and a sentence made of these.
    """
    cores = os.cpu_count() or 1
    others = max(0.0, spent.busy - spent.server - spent.client)
    by_whom = {
        "server": spent.server / spent.wall,
        "client": spent.client / spent.wall,
        "others": others / spent.wall,
    }
    within = [doing for at, doing in samples if spent.began <= at <= spent.ended]
    doings = Counter(d for doing in within for d, _ in doing)
    places = Counter(w for doing in within for _, w in doing)
    total = sum(doings.values()) or 1
    shares = {name: round(n / total, 3) for name, n in doings.most_common()}
    busy = sum(by_whom.values()) / cores
    return {
        "what": what,
        "seconds": round(spent.wall, 2),
        "cores": cores,
        "cores_busy": {name: round(value, 2) for name, value in by_whom.items()},
        "threads_at_work": round(total / max(1, len(within)), 2),
        "shares": shares,
        "functions": {name: round(n / total, 3) for name, n in places.most_common(NAMED)},
        "says": _sentence(busy, by_whom, shares),
    }


def _sentence(busy: float, by_whom: dict[str, float], shares: dict[str, float]) -> str:
    first = ", ".join(f"{name} {share:.0%}" for name, share in list(shares.items())[:4])
    who = ", ".join(f"{name} {value:.2f}" for name, value in by_whom.items())
    cause = (
        "The processors are the limit"
        if busy > 0.85
        else "Waiting is a part of it: the processors were not all busy"
    )
    did = f"What the server's threads did or waited for: {first}."
    return f"{cause} ({busy:.0%}; cores used by {who}). {did}"
