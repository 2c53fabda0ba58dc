"""`python -m inference`: a worker that pre-segments studies; `python -m inference train LN-CT`.

Environment: CONCORD_QUEUE_URL (the queue's database role), CONCORD_WEB_URL, CONCORD_WORKER_TOKEN
(from `manage.py create_worker_token NAME`), CONCORD_MODELS (folder of model folders),
CONCORD_WORKER_CACHE and CONCORD_WORKER_CACHE_BYTES (series kept for prompts), CONCORD_LOG (level).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from backend.jobs.protocol import STAGES
from inference.adapters import LOADERS, Loader
from inference.link import TokenRefused
from inference.prompting.lane import PROMPT
from inference.volume_cache import DEFAULT_BYTES
from inference.worker import DRAIN_SECONDS, Settings, Worker

MODELS = Path(__file__).resolve().parent / "models"


def main(arguments: Sequence[str], loaders: Mapping[str, Loader] = LOADERS) -> int:
    """Run a worker until it is asked to stop, or train a model; returns the exit status."""
    if arguments and arguments[0] == "train":
        # Training needs torch, which a worker never loads.
        from inference.training.__main__ import main as train

        train(arguments[1:])
        return 0
    parser = argparse.ArgumentParser(prog="python -m inference", description=__doc__)
    parser.add_argument("--name", default=f"{platform.node()}/{os.getpid()}")
    parser.add_argument("--threads", type=int, help="processor threads of a network; all if unset")
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where networks run; auto: the GPU where torch finds one",
    )
    parser.add_argument(
        "--drain",
        type=float,
        default=DRAIN_SECONDS,
        metavar="SECONDS",
        help="how long a run may still take after SIGTERM before it is handed back",
    )
    parser.add_argument(
        "--pause-before",
        action="append",
        default=[],
        type=_pause,
        metavar="STAGE=SECONDS",
        help="for developers: wait before a stage, to look at a run midway",
    )
    chosen = parser.parse_args(arguments)
    logging.basicConfig(
        level=os.environ.get("CONCORD_LOG", "INFO"),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    for noisy in ("httpx", "httpcore", "procrastinate", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    missing = [n for n in ("CONCORD_QUEUE_URL", "CONCORD_WORKER_TOKEN") if not os.environ.get(n)]
    if missing:
        parser.error(f"set {' and '.join(missing)} (see README, “Workers”)")
    settings = Settings(
        queue_url=os.environ["CONCORD_QUEUE_URL"],
        web_url=os.environ.get("CONCORD_WEB_URL", "http://127.0.0.1:8000"),
        token=os.environ["CONCORD_WORKER_TOKEN"],
        models=Path(os.environ.get("CONCORD_MODELS", MODELS)),
        name=chosen.name,
        threads=chosen.threads,
        device=chosen.device,
        drain_seconds=chosen.drain,
        pauses=dict(chosen.pause_before),
        cache=Path(os.environ.get("CONCORD_WORKER_CACHE") or _state() / "worker-cache"),
        cache_bytes=int(os.environ.get("CONCORD_WORKER_CACHE_BYTES") or DEFAULT_BYTES),
    )
    try:
        asyncio.run(_run(settings, loaders))
    except TokenRefused as refused:
        logging.getLogger(__name__).error("%s", refused)
        return 2
    return 0


async def _run(settings: Settings, loaders: Mapping[str, Loader]) -> None:
    await Worker(settings, loaders).run()


def _state() -> Path:
    return Path(os.environ.get("CONCORD_STATE", "var"))


def _pause(text: str) -> tuple[str, float]:
    stage, _, seconds = text.partition("=")
    if stage not in (*STAGES, PROMPT):
        raise argparse.ArgumentTypeError(f"stages are {', '.join((*STAGES, PROMPT))}")
    return stage, float(seconds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
