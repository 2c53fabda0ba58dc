"""`python -m tests.journey.simulated_readers read TRUTHS`: every case read and signed by two.

Then, once the work process has compared them, `… agree`: what was agreed on is labelled, and signed
by both. Runs beside a Concord at work, in its environment, and does what two readers who know the
truth do: each rejects what the AI offered, paints the phantom's nodes and looks through all planes.
Every act is a service's, with all its guards. (Nothing of `tests.postgres` is imported here: it
would lead to another database.)
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import django
import numpy as np
from numpy.typing import NDArray

PLANES = {"axial": 0, "coronal": 1, "sagittal": 2}


def read_everything(passwords: dict[str, str], truths: Path) -> int:
    """Both readings of every case; how many there are."""
    from backend.reading.models import Case

    known = {
        told["series_uid"]: np.load(path.with_name(path.name.replace(".json", ".npz")))["labels"]
        for path in sorted(truths.glob("*.truth.json"))
        if (told := json.loads(path.read_text()))
    }
    done = 0
    for case in Case.objects.order_by("label"):
        for reading in case.readings.order_by("slot"):
            read(reading, known[case.series_uid], passwords[reading.reader.username])
            done += 1
    return done


def agree_on_everything(passwords: dict[str, str]) -> int:
    """Every case that is agreed on, labelled and signed; how many there are."""
    from backend.reading.models import Case

    cases = list(Case.objects.order_by("label"))
    for case in cases:
        agree(case, passwords)
    return len(cases)


def read(reading: Any, truth: NDArray[np.uint16], password: str) -> None:
    """One reading: the truth painted, the AI's own offers rejected, everything seen, signed."""
    from backend.reading import maskstore, services
    from backend.reading.models import Reading

    user = reading.reader
    reading = services.open_reading(reading=reading, user=user)
    lease = services.take_lease(reading=reading, user=user, client=uuid.uuid4(), take_over=False)

    def change(kind: str, **body: Any) -> None:
        head = Reading.objects.get(pk=reading.pk).head.hash
        made = {"id": str(uuid.uuid4()), "base": head, "kind": kind, **body}
        services.apply_changes(reading=reading, user=user, lease=lease, changes=[made])

    head = Reading.objects.get(pk=reading.pk).head
    offered = maskstore.volume(head)
    for number, node in head.manifest.labels.items():
        change("voxels", **_strokes(reading, node, (offered == number) & (truth > 0), False))
        change("decision", node=node, decision="rejected", reason="other")
    for number in (int(n) for n in np.unique(truth) if n):
        # Both readers name a node alike only where they mean the same one.
        node = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{reading.pk} {number}"))
        change("voxels", **_strokes(reading, node, truth == number, True))
    for plane, axis in PLANES.items():
        services.note_seen(
            reading=reading, user=user, plane=plane, ranges=[[0, truth.shape[axis] - 1]],
            active_seconds=20.0, resume=None,
        )  # fmt: skip
    reading = Reading.objects.get(pk=reading.pk)
    head = reading.head.hash
    services.submit(reading=reading, user=user, lease=lease, head=head, password=password)


def agree(case: Any, passwords: dict[str, str]) -> None:
    """Every agreed node gets a label; both sign."""
    from backend.reading import services
    from backend.reading.consensus_record import hash_of, record_of_consensus
    from backend.reading.label_selectors import labelled_nodes
    from backend.reading.models import Consensus

    consensus = Consensus.objects.get(case=case, state__in=("labelling", "ready"))
    first, second = (reading.reader for reading in case.readings.order_by("slot"))
    for each in labelled_nodes(consensus):
        if each.needs:
            services.set_label(
                consensus=consensus, number=each.node.number, user=first, client=uuid.uuid4(),
                seen=0, value="non_metastatic",
            )  # fmt: skip
    for user in (first, second):
        consensus.refresh_from_db()
        services.sign_consensus(
            consensus=consensus, user=user, client=uuid.uuid4(),
            record_hash=hash_of(record_of_consensus(consensus)), password=passwords[user.username],
        )  # fmt: skip


def _strokes(reading: Any, node: str, where: NDArray[np.bool_], within: bool) -> dict[str, Any]:
    """The change that makes these voxels (slices, rows, columns) the node's, or no longer."""
    uids = reading.case.grid.sop_uids
    box = [0, 0, where.shape[1], where.shape[2]]
    slices = []
    for index in np.flatnonzero(where.any(axis=(1, 2))):
        runs = [[int(i), 1, int(within)] for i in np.flatnonzero(where[index])]
        slices.append({"sop": uids[index], "box": box, "runs": runs})
    return {"nodes": [node], "slices": slices}


def main(verb: str, *folders: str) -> int:
    """Do one of the two."""
    django.setup()
    passwords = json.loads((Path(os.environ["CONCORD_STATE"]) / "demo-users.json").read_text())
    if verb == "read":
        return read_everything(passwords, Path(folders[0]))
    return agree_on_everything(passwords)


if __name__ == "__main__":
    sys.stdout.write(f"{main(*sys.argv[1:])}\n")
