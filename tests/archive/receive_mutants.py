"""A process that receives mutated files and serves what it stored; run by test_mutation.

Every other file comes from a source that is de-identified, the others as they are.

`python -m tests.archive.receive_mutants SEED FIRST COUNT` writes a line of JSON before and after
each file. It is killed by the kernel where one takes more than five seconds of processor time.
"""

from __future__ import annotations

import json
import logging
import resource
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

CPU_SECONDS = 5.0
MORE_MEMORY_BYTES = 3 << 30  # The largest file that is taken, a few times over.


def main(seed: int, first: int, count: int) -> None:
    """Receive `count` mutants, from number `first`."""
    import django

    django.setup()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    from django.db.models import Q
    from django.test import Client

    from backend.accounts.models import User
    from backend.archive import origins, visibility
    from tests.archive.mutants import corpus, mutate

    visibility.register(lambda user: Q(pk__isnull=False))
    visibility.register_uploader(lambda user: user.username == "sees-names")
    clients = []
    for name in ("sees-names", "sees-none"):
        user, _ = User.objects.get_or_create(username=name)
        clients.append(Client())
        clients[-1].force_login(user)
    files = corpus()
    _limit_memory()
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    for number in range(first, first + count):
        rng = np.random.default_rng([seed, abs(number)])
        name = sorted(files)[number % len(files)]
        how, data = mutate(files[name], rng) if number >= 0 else ("", files[name])
        told = {"number": number, "file": name, "how": how}
        _say(told)
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        origins.NEW_ONES_DEIDENTIFY = number > 0 and number % 2 == 1
        told["end"] = _one(data, *clients)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _say(told)


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MORE_MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _one(data: bytes, client: Any, reader: Any) -> str:
    """What became of the file; a sentence that begins with `wrong` where that is not right."""
    from django.db import transaction

    from backend.archive.models import Door
    from backend.archive.receipts import open_receipt
    from backend.archive.sources import Offer
    from backend.archive.taking import take

    try:
        with transaction.atomic():
            receipt = open_receipt(source="mutants", door=Door.RECEIVE, actor=None)
            (taken,) = take(receipt=receipt, offers=[Offer("mutant.dcm", lambda: data)])
            end = _judged(taken, client, reader)
            transaction.set_rollback(True)
    except BaseException as error:  # noqa: BLE001  that is what is looked for
        return f"wrong: {type(error).__name__}: {error}"[:600]
    return end


def _judged(taken: Any, client: Any, reader: Any) -> str:
    if taken.outcome != "stored":
        kept = taken.kept
        if kept is not None and not (kept.code and kept.message and kept.cure):
            return "wrong: kept aside without a reason"
        return kept.code if kept is not None else taken.outcome
    one = taken.instance
    if len(one.sop_uid) > 64 or "/" in one.sop_uid:
        return "wrong: a UID that cannot stand in an address"
    path = f"/dicom-web/studies/{one.series.study.uid}/series/{one.series.uid}"
    path += f"/instances/{one.sop_uid}"
    for asker, tail, accept, size in _questions(one, client, reader):
        answer = asker.get(f"{path}{tail}", headers={"Accept": accept})
        if answer.status_code != 200:
            return f"wrong: {answer.status_code} for {tail or 'the object'} as {accept}"
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        if not body or (size is not None and len(body) != size):
            return f"wrong: {len(body)} of {size} bytes for {tail or 'the object'}"
    found = client.get(
        "/dicom-web/instances", {"SOPInstanceUID": one.sop_uid, "includefield": "all"}
    )
    if found.status_code != 200 or len(found.json()) != 1:
        return "wrong: not found"
    return "stored"


def _questions(one: Any, client: Any, reader: Any) -> list[tuple[Any, str, str, int | None]]:
    """What is asked of a stored object: by whom, address, what is accepted, the answer's length."""
    asked: list[tuple[Any, str, str, int | None]] = [
        (client, "", "application/dicom; transfer-syntax=*", one.size),
        (client, "", "application/dicom; transfer-syntax=1.2.840.10008.1.2.1", None),
        (client, "/metadata", "application/dicom+json", None),
        (reader, "", "application/dicom", None),
        (reader, "/metadata", "application/dicom+json", None),
    ]
    facts = one.pixels
    for number in [*range(1, one.frames + 1)][:8]:
        bits = facts["rows"] * facts["columns"] * facts["samples"] * facts["bits_allocated"]
        size = one.frame_bytes or -(-bits // 8)
        asked.append((client, f"/frames/{number}", "application/octet-stream", size))
    if one.frames:
        asked += [
            (client, "/rendered", "image/png", None),
            (client, "/thumbnail", "image/jpeg", None),
            (client, "/bulkdata/7FE00010", "application/octet-stream", None),
        ]
    return asked


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:4]))
