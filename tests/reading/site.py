"""A small reading room for tests, and a second, independent account of what a mask should be."""

from __future__ import annotations

import datetime
import hashlib
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.test import Client
from django.utils import timezone

from backend.accounts.models import User
from backend.archive.models import Series, Study
from backend.imaging.grid import Grid
from backend.imaging.masks import PackedMask, pack_mask
from backend.jobs.models import ModelVersion, Run
from backend.reading import services
from backend.reading.models import Case, Project, Reading
from backend.store import store

SHAPE = (12, 24, 24)
PASSWORD = "correct horse battery"
PEOPLE = {
    "coordinator": "Cora",
    "reader1": "Rita Reader",
    "reader2": "Rolf Reader",
    "adjudicator": "Ada",
    "auditor": "Audra",
}
# Three AI nodes as (slice, row, column) boxes, half-open.
BOXES = (
    ((2, 5), (3, 8), (3, 9)),
    ((4, 8), (12, 17), (4, 8)),
    ((6, 9), (14, 20), (14, 20)),
)


def ai_volume() -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Labels 1 to 3 in their boxes."""
    volume = np.zeros(SHAPE, np.uint16)
    for number, (z, y, x) in enumerate(BOXES, 1):
        volume[z[0] : z[1], y[0] : y[1], x[0] : x[1]] = number
    return volume


def make_series(serial: int = 1, **own: Any) -> Series:
    """A judged CT series of a study of its own."""
    grid = Grid.axial(SHAPE, (2.0, 1.0, 1.0))
    data = grid.to_json()
    root = f"2.25.7{serial}"
    data["sop_uids"] = [f"{root}.{index}" for index in range(SHAPE[0])]
    data.pop("geometry_hash")
    grid = Grid.from_json(data)
    study = Study.objects.create(
        uid=f"{root}.100", patient_id=f"P{serial}", date=datetime.date(2026, 3, 4)
    )
    facts: dict[str, Any] = {
        "modality": "CT",
        "slice_thickness_mm": 2.0,
        "contrast": True,
        "patient_age_years": 60,
        "is_image": True,
        "volume_state": "volume",
    }
    return Series.objects.create(
        uid=f"{root}.200",
        study=study,
        grid=grid.to_json(),
        geometry_hash=grid.geometry_hash,
        received_at=timezone.now(),
        **(facts | own),
    )


def default_model() -> ModelVersion:
    """The one default model."""
    ModelVersion.objects.filter(is_default=True).update(is_default=False)
    return ModelVersion.objects.create(
        name="tests",
        version="1",
        kind="constant",
        manifest={},
        sha256="a" * 64,
        folder="nowhere",
        is_default=True,
        verified=timezone.now(),
    )


@dataclass
class Site:
    """People in their roles, and one case of one series."""

    users: dict[str, User]
    case: Case
    nodes: list[str] = field(default_factory=list)

    def reading(self, name: str = "reader1") -> Reading:
        """The current reading of a person."""
        return Reading.objects.select_related("case__protocol", "reader", "head", "base").get(
            case=self.case, reader=self.users[name]
        )

    def run(self) -> Run:
        """The case's pre-segmentation."""
        self.case.refresh_from_db()
        return Run.objects.get(pk=self.case.ai_run_id)

    def presegment(
        self, volume: np.ndarray[Any, Any] | None = None, nodes: list[str] | None = None
    ) -> Run:
        """Let the AI's run succeed with these labels."""
        volume = ai_volume() if volume is None else volume
        count = int(volume.max())
        self.nodes = nodes or [str(uuid.uuid4()) for _ in range(count)]
        labels = dict(enumerate(self.nodes, 1))
        packed = PackedMask.of_volume(volume, self.case.geometry_hash, labels)
        run = self.run()
        run.mask_blob = store().put(pack_mask(packed), compress=True)
        run.result = {"nodes": [], "provenance": {}}
        run.state = "succeeded"
        run.save()
        services.on_run_changed(run, "succeeded", {})
        self.case.refresh_from_db()
        return run

    def client(self, name: str) -> Client:
        """A browser, signed in."""
        client = Client()
        client.force_login(self.users[name])
        return client


def build_site(serial: int = 1, **facts: Any) -> Site:
    """The default project with its people, and one case of which both readers have a reading."""
    users = {
        name: User.objects.filter(username=name).first()
        or User.objects.create_user(name, password=PASSWORD, display_name=display)
        for name, display in PEOPLE.items()
    }
    services.install_demo(users=users)
    case = services.open_case(series=make_series(serial, **facts))
    assert case is not None
    return Site(users, case)


def other_project() -> Project:
    """A project nobody of the site belongs to."""
    return services.create_project(code="OTHER", name="Another group")


class Twin:
    """A client's own idea of its reading: whole volume, whole manifest, hashed from scratch."""

    def __init__(self, site: Site, name: str = "reader1") -> None:
        self.site, self.name = site, name
        self.user = site.users[name]
        self.client_id = uuid.uuid4()
        reading = site.reading(name)
        self.lease: uuid.UUID | None = services.take_lease(
            reading=reading, user=self.user, client=self.client_id, take_over=False
        )
        manifest = reading.head.manifest_json
        self.geometry = manifest["geometry"]
        self.labels = {int(number): node for number, node in manifest["labels"]}
        self.parents = list(manifest["parents"])
        self.volume = np.zeros(SHAPE, np.uint16)
        for index, blob in manifest["slices"]:
            self.volume[index] = np.frombuffer(store().read(blob), "<u2").reshape(SHAPE[1:])
        self.sops = reading.case.grid_json["sop_uids"]

    @property
    def slices(self) -> list[list[Any]]:
        return [
            [index, hashlib.sha256(plane.astype("<u2").tobytes()).hexdigest()]
            for index, plane in enumerate(self.volume)
            if plane.any()
        ]

    @property
    def head(self) -> str:
        text = json.dumps(
            {
                "geometry": self.geometry,
                "labels": sorted([number, node] for number, node in self.labels.items()),
                "parents": self.parents,
                "slices": self.slices,
                "version": 1,
            },
            sort_keys=True,
            separators=(",", ":"),
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def make(self, kind: str, **body: Any) -> dict[str, Any]:
        """A change on the present head, taken over into our own idea at once."""
        change = {"id": str(uuid.uuid4()), "base": self.head, "kind": kind, **body}
        inner = body.get("inverse", change) if kind == "undo" else change
        before = self.head
        if inner["kind"] == "voxels":
            self._paint(inner)
        elif inner["kind"] == "split":
            self._paint({"nodes": [inner["part"]], "slices": inner["slices"]})
        elif inner["kind"] == "merge":
            known = {node: number for number, node in self.labels.items()}
            self.volume[self.volume == known[inner["merged"]]] = known[inner["node"]]
        self.parents = [before]
        return change

    def _paint(self, body: dict[str, Any]) -> None:
        known = {node: number for number, node in self.labels.items()}
        for node in body["nodes"]:
            if node not in known:
                known[node] = max(self.labels, default=0) + 1
                self.labels[known[node]] = node
        for part in body["slices"]:
            r0, c0, _, c1 = part["box"]
            for offset, length, k in part["runs"]:
                for flat in range(offset, offset + length):
                    row, column = divmod(flat, c1 - c0)
                    value = known[body["nodes"][k - 1]] if k else 0
                    self.volume[self.sops.index(part["sop"]), r0 + row, c0 + column] = value

    def stroke(
        self, node: str, index: int, box: tuple[int, int, int, int], *, erase: bool = False
    ) -> dict[str, Any]:
        """Fill (or erase) a box of one slice with a node."""
        size = (box[2] - box[0]) * (box[3] - box[1])
        part = {"sop": self.sops[index], "box": list(box), "runs": [[0, size, 0 if erase else 1]]}
        return {"kind": "voxels", "nodes": [node], "slices": [part]}

    def number(self, node: str) -> int:
        """The label number of a node."""
        return {name: number for number, name in self.labels.items()}[node]

    def shape(self, voxels: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
        """Yes/no voxels ``(slices, rows, columns)`` as the slices of a change, one run a voxel."""
        box = [0, 0, *SHAPE[1:]]
        return [
            {
                "sop": self.sops[index],
                "box": box,
                "runs": [[int(at), 1, 1] for at in np.flatnonzero(plane)],
            }
            for index, plane in enumerate(voxels)
            if plane.any()
        ]

    def difference(self, before: np.ndarray[Any, Any]) -> dict[str, Any]:
        """The change of voxels that brings back what stood before."""
        nodes = [self.labels[number] for number in sorted(self.labels)]
        place = {number: at for at, number in enumerate(sorted(self.labels), 1)} | {0: 0}
        slices = [
            {
                "sop": self.sops[index],
                "box": [0, 0, *SHAPE[1:]],
                "runs": [
                    [int(at), 1, place[int(old.flat[at])]] for at in np.flatnonzero(old != new)
                ],
            }
            for index, (old, new) in enumerate(zip(before, self.volume, strict=True))
            if (old != new).any()
        ]
        return {"kind": "voxels", "nodes": nodes, "slices": slices}

    def paint(self, *args: Any, **options: Any) -> dict[str, Any]:
        """A stroke as a change."""
        return self.make(**self.stroke(*args, **options))

    def send(self, *changes: dict[str, Any]) -> list[dict[str, Any]]:
        """Send changes to the service."""
        return services.apply_changes(
            reading=self.site.reading(self.name),
            user=self.user,
            lease=self.lease,
            changes=list(changes),
        )

    def look_through(self) -> None:
        """See enough of all planes."""
        for plane, ranges in (("axial", [[0, 11]]), ("coronal", [[3, 3]]), ("sagittal", [[4, 9]])):
            services.note_seen(
                reading=self.site.reading(self.name),
                user=self.user,
                plane=plane,
                ranges=ranges,
                active_seconds=2.5,
                resume={"node": None},
            )

    def decide_all(self, decision: str = "accepted") -> None:
        """Decide every AI node alike."""
        for node in self.site.nodes:
            reason = {"reason": "vessel"} if decision == "rejected" else {}
            self.send(self.make("decision", node=node, decision=decision, **reason))

    def submit(self, password: str = PASSWORD, head: str | None = None) -> Any:
        """Sign the present head."""
        return services.submit(
            reading=self.site.reading(self.name),
            user=self.user,
            lease=self.lease,
            head=head or self.head,
            password=password,
        )
