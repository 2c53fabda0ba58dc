"""A small, real case: received DICOM, an AI proposal, one reading corrected and signed."""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.test import Client
from django.utils import timezone

from backend.accounts.models import User
from backend.archive import services as archive
from backend.imaging.masks import PackedMask, pack_mask
from backend.jobs.models import ModelVersion, Run
from backend.reading import services
from backend.reading.models import Case, Reading
from backend.store import store
from tests.archive.made import ct_series, written

Volume = np.ndarray[Any, np.dtype[np.uint16]]
SHAPE = (20, 56, 64)
SPACING = (2.0, 0.8, 0.8)
PASSWORD = "correct horse battery"
PEOPLE = ("coordinator", "abstractor", "reader1", "reader2", "adjudicator", "scientist", "auditor")


def ball(z: float, y: float, x: float, radius_mm: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Voxels within `radius_mm` of a voxel index."""
    grid = np.indices(SHAPE).astype(float)
    away = [
        (axis - centre) * step for axis, centre, step in zip(grid, (z, y, x), SPACING, strict=True)
    ]
    return sum(part**2 for part in away) <= radius_mm**2  # type: ignore[no-any-return]


def offered() -> Volume:
    """The AI's labels: a good node, one to reshape, a vessel, a speck, a part of a large node."""
    volume = np.zeros(SHAPE, np.uint16)
    volume[ball(5, 15, 15, 5)] = 1
    volume[ball(10, 15, 45, 5.2)] = 2
    volume[ball(14, 42, 15, 6)] = 3
    volume[7, 40, 30:32] = 4
    volume[ball(14, 40, 48, 3.4)] = 5
    return volume


def wanted() -> Volume:
    """What the reader leaves: 1 as it was, 2 moved, 3 rejected, 4 kept, 5 far larger, 6 added."""
    volume = offered()
    volume[volume == 3] = 0
    volume[volume == 2] = 0
    volume[ball(10, 16, 46.5, 5.2)] = 2
    volume[ball(14, 40, 48, 7)] = 5
    volume[ball(4, 45, 32, 4)] = 6
    return volume


def hounsfield() -> np.ndarray[Any, np.dtype[np.int16]]:
    """An image in which the nodes can be seen."""
    rng = np.random.default_rng(7)
    image = rng.normal(20, 12, SHAPE)
    image[wanted() > 0] += 60
    return np.asarray(np.rint(image), np.int16)


@dataclass
class Room:
    """The people, the case, and the first reader's signed reading."""

    users: dict[str, User]
    case: Case
    reading: Reading
    nodes: dict[int, str]

    def fresh(self) -> Room:
        """The same room, read anew."""
        users = {user.username: user for user in User.objects.filter(username__in=self.users)}
        reading = Reading.objects.get(pk=self.reading.pk)
        return Room(users, Case.objects.get(pk=self.case.pk), reading, self.nodes)

    def client(self, name: str) -> Client:
        """A browser; signed in unless it is the stranger's."""
        client = Client()
        if name != "stranger":
            client.force_login(self.users[name])
        return client


def receive_series(folder: Path, *, as_is: bool = True) -> None:
    """Files of the image, taken in by the archive."""
    stored = (hounsfield() + 1024).astype(np.int16)
    slices = ct_series(SHAPE[0], Rows=SHAPE[1], Columns=SHAPE[2], PixelSpacing=[0.8, 0.8])
    for index, dataset in enumerate(slices):
        dataset.PixelData = stored[index].tobytes()
        dataset.ImagePositionPatient = [-25.0, -22.0, -100 + SPACING[0] * index]
        dataset.SliceThickness = SPACING[0]
    archive.receive([written(folder, slices)], source="test", actor=None, as_is=as_is)


def build_room(
    folder: Path, *, with_ai: bool = True, signed: bool = True, as_is: bool = True
) -> Room:
    """Receive (without `as_is` de-identified), open, propose, correct and sign."""
    users = {
        name: User.objects.create_user(name, password=PASSWORD, display_name=f"Dr {name.title()}")
        for name in PEOPLE
    }
    users["admin"] = User.objects.create_superuser("admin", password=PASSWORD)
    users["outsider"] = User.objects.create_user("outsider", password=PASSWORD)
    services.install_demo(users=users)
    ModelVersion.objects.filter(is_default=True).update(is_default=False)
    if with_ai:
        ModelVersion.objects.create(
            name="Test net",
            version="1.2",
            kind="constant",
            manifest={},
            sha256="ab" * 32,
            folder="nowhere",
            notice="Made for tests.",
            is_default=True,
            verified=timezone.now(),
        )
    receive_series(folder, as_is=as_is)
    case = Case.objects.get()
    nodes = {number: str(uuid.UUID(int=1000 + number)) for number in range(1, 7)}
    if with_ai:
        _propose(case, nodes)
    reading = Reading.objects.get(case=case, slot="R1")
    if signed:
        reading = _read_and_sign(reading, nodes, with_ai=with_ai)
    return Room(users, Case.objects.get(pk=case.pk), reading, nodes)


def _propose(case: Case, nodes: dict[int, str]) -> None:
    labels = {number: node for number, node in nodes.items() if number < 6}
    packed = PackedMask.of_volume(offered(), case.geometry_hash, labels)
    run = Run.objects.get(pk=Case.objects.get(pk=case.pk).ai_run_id)
    run.mask_blob = store().put(pack_mask(packed), compress=True)
    run.result, run.state = {"nodes": [], "provenance": {}}, "succeeded"
    run.timings = {"fetch": 0.4, "infer": 3.25}
    run.finished = datetime.datetime(2026, 3, 4, 9, 0, tzinfo=datetime.UTC)
    run.save()
    services.on_run_changed(run, "succeeded", {})


def _read_and_sign(reading: Reading, nodes: dict[int, str], *, with_ai: bool) -> Reading:
    user = reading.reader
    lease = services.take_lease(reading=reading, user=user, client=uuid.uuid4(), take_over=False)

    def change(kind: str, **body: Any) -> None:
        head = Reading.objects.get(pk=reading.pk).head.hash
        made = {"id": str(uuid.uuid4()), "base": head, "kind": kind, **body}
        services.apply_changes(reading=reading, user=user, lease=lease, changes=[made])

    if with_ai:
        change("decision", node=nodes[1], decision="accepted")
        change("decision", node=nodes[3], decision="rejected", reason="vessel")
        change("decision", node=nodes[4], decision="accepted")
        change("voxels", **_strokes(reading, nodes[2], offered() == 2, wanted() == 2))
        change("voxels", **_strokes(reading, nodes[5], offered() == 5, wanted() == 5))
        change("impression", node=nodes[1], value="metastatic", confidence=80)
        change("doubt", node=nodes[2], value=True)
    change("voxels", **_strokes(reading, nodes[6], wanted() == 99, wanted() == 6))
    for plane in ("axial", "coronal", "sagittal"):
        services.note_seen(
            reading=reading,
            user=user,
            plane=plane,
            ranges=[[0, SHAPE[0] - 1]],
            active_seconds=12.5,
            resume=None,
        )
    reading = Reading.objects.get(pk=reading.pk)
    head = reading.head.hash
    services.submit(reading=reading, user=user, lease=lease, head=head, password=PASSWORD)
    return Reading.objects.get(pk=reading.pk)


def _strokes(reading: Reading, node: str, before: Any, after: Any) -> dict[str, Any]:
    """The change of voxels that turns one node's mask into another."""
    uids = reading.case.grid.sop_uids
    slices = []
    for index in np.flatnonzero((before != after).any(axis=(1, 2))):
        runs = [
            [int(i), 1, int(after[index].flat[i])]
            for i in np.flatnonzero(before[index] != after[index])
        ]
        box = [0, 0, SHAPE[1], SHAPE[2]]
        slices.append({"sop": uids[index], "box": box, "runs": runs})
    return {"nodes": [node], "slices": slices}
