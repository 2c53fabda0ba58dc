"""No file, however broken, crashes or hangs the archive; and what it stores it can serve."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests import postgres
from tests.archive.mutants import MUTATIONS, corpus

SEED = 20261121


def received(seed: int, first: int, count: int, state: Path) -> Counter[str]:
    """How many mutants ended how; fails for the first that ends wrong, and names it."""
    urls = postgres.copy_database("concord_mutants")
    done = subprocess.run(
        [sys.executable, "-m", "tests.archive.receive_mutants", *map(str, (seed, first, count))],
        cwd=postgres.ROOT,
        env={**os.environ, **postgres.environment(urls, state)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines, done.stderr[-2000:]
    again = f"python -m tests.archive.receive_mutants {seed} {lines[-1]['number']} 1"
    assert done.returncode == 0, (
        f"exit {done.returncode} (-27: over five seconds of processor time) at {lines[-1]}; {again}"
        f"\n{done.stderr[-2000:]}"
    )
    ends = [line for line in lines if "end" in line]
    wrong = [f"seed {seed}: {line}" for line in ends if line["end"].startswith("wrong")]
    assert not wrong, "\n".join(wrong)
    assert len(ends) == count
    return Counter(line["end"] for line in ends)


def test_the_files_that_are_mutated_are_taken_as_they_are(tmp_path: Path) -> None:
    """With the mutations left out everything is stored: the corpus is valid."""
    assert len(corpus()) >= 16
    assert len(MUTATIONS) >= 16
    assert received(SEED, -len(corpus()), len(corpus()), tmp_path) == {"stored": len(corpus())}


def test_five_hundred_mutants_are_stored_or_kept_aside_and_served(tmp_path: Path) -> None:
    ends = received(SEED, 0, 500, tmp_path)
    assert ends["stored"] >= 50
    assert sum(ends.values()) - ends["stored"] >= 50


@pytest.mark.parametrize(
    ("seed", "number", "end"),
    [
        pytest.param(790530796, 4651, "stored", id="an error far inside, told anew at every level"),
        pytest.param(1062738141, 3325, "stored", id="a palette that is not there"),
        pytest.param(
            1062738141, 3401, "stored", id="the delimiter of an item where an element should be"
        ),
        pytest.param(1012949638, 7948, "PIXELS_UNREADABLE", id="no bit is stored of sixteen"),
        pytest.param(515352399, 7276, "PIXELS_UNREADABLE", id="a codestream of negative width"),
        pytest.param(1925522652, 2818, "stored", id="a name of its own that cannot be written"),
        pytest.param(474776444, 950, "stored", id="frames of single bits, and bytes behind them"),
    ],
)
def test_what_once_ended_wrong_ends_well(tmp_path: Path, seed: int, number: int, end: str) -> None:
    assert received(seed, number, 1, tmp_path) == {end: 1}


@pytest.mark.long
@pytest.mark.parametrize("thousand", range(10))
def test_ten_thousand_mutants_of_a_seed_of_the_day(tmp_path: Path, thousand: int) -> None:
    seed = int(os.environ.get("CONCORD_MUTATION_SEED", np.random.default_rng().integers(2**31)))
    sys.stdout.write(f"CONCORD_MUTATION_SEED={seed}\n")
    received(seed, 1000 * thousand, 1000, tmp_path)
