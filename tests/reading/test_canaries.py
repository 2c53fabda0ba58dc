"""Through no address does anyone learn of work that is hidden from them.

Worlds are alike but for what one of them holds more: the first reader's whole signed reading (with
a report and an export); both readings, their comparison and the settling; a piece of evidence. The
same people ask the same questions in both. Nobody may be answered differently, and nobody may be
told an id, a hash or a word of what is hidden from them. Of an answer only what is new in every
answer is left out of the comparison: form tokens, cookies, multipart boundaries, the expiry of
what is never kept, and UUIDs made for the answer itself. The clock stands still.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.test.utils import override_settings
from django.utils import timezone

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.accounts.services import create_worker_token, worker_of
from backend.archive.models import Series
from backend.jobs import services as jobs
from backend.jobs import sessions
from backend.jobs.models import ModelVersion
from backend.jobs.protocol import RunKind
from backend.reading import maskstore, services, tasks
from backend.reading.models import Consensus, Project, Reading
from backend.reading.services.evidence import Entry
from backend.reports import exporting, reporting
from backend.reports import services as reports
from tests.reading import canaries, walk
from tests.reading.canaries import Canaries
from tests.reading.walk import Addresses, Answer, Asker, Walk, ids_of
from tests.reports.room import PASSWORD, SHAPE, build_room

# One fixture asks everything once, of every route and everyone: minutes of work in one test's time.
pytestmark = [pytest.mark.timeout(1800), pytest.mark.deep]
SETTINGS = {
    "SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies",  # Spares many queries.
}
ADDED = 17  # Nodes of the first reader alone: nobody else has so many.
ELSEWHERE = "reader2, a coordinator elsewhere"
NO_ROLE, STRANGER, WORKER, LEASED = "no role", "a stranger", "a worker", "a worker with a lease"
OTHER_READER = "a reader of another project"
# Who asks before both have submitted. (Coordinators and auditors may know that one has.)
BLIND = ("reader2", ELSEWHERE, "adjudicator", STRANGER, LEASED)
# Who learns nothing of readings, comparison and settling, whatever was done.
OUTSIDE = ("abstractor", "scientist", OTHER_READER, NO_ROLE, STRANGER, WORKER, LEASED)
# Who learns of evidence only when nodes are labelled.
BEFORE_LABELS = ("reader1", "adjudicator")

# Who may read everything is told it: the walk finds what there is to find.
CONTROL = "control"

Answers = dict[str, Answer]


@dataclass
class Asked:
    """What someone was answered in two worlds, and what they were told of what is hidden."""

    less: Answers = field(default_factory=dict)
    more: Answers = field(default_factory=dict)
    told: list[str] = field(default_factory=list)


class World:
    """One room in several states, each a savepoint in the same transaction."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.room = build_room(folder / "series", signed=False)
        self.case = self.room.case
        ModelVersion.objects.filter(is_default=True).update(manifest={"files": {}})
        self._rename("reader1", canaries.FIRST_LOGIN, canaries.FIRST)
        self._rename("reader2", canaries.SECOND_LOGIN, canaries.SECOND)
        self.askers = self._askers()
        self.evidence = self.enter_evidence()

    def _rename(self, person: str, login: str, name: str) -> None:
        user = self.room.users[person]
        user.username, user.display_name = login, name
        user.save()

    def _askers(self) -> dict[str, Asker]:
        other = services.create_project(code="X", name="X")
        for number, name in enumerate((NO_ROLE, OTHER_READER)):
            self.room.users[name] = User.objects.create_user(f"extra{number}", password=PASSWORD)
        other_reader = self.room.users[OTHER_READER]
        services.grant_role(project=other, user=other_reader, role=Role.READER, actor=None)
        token = create_worker_token(name="w")
        leased = self._lease(token)
        found = {name: Asker(name, self.room.client(name)) for name in self.room.users}
        found[ELSEWHERE] = Asker(ELSEWHERE, self.room.client("reader2"))
        found[STRANGER] = Asker(STRANGER, Client())
        found[WORKER] = Asker(WORKER, Client(), {"Authorization": f"Bearer {token}"})
        found[LEASED] = Asker(LEASED, Client(), {"Authorization": f"Bearer {leased}"})
        return found

    def _lease(self, token: str) -> str:
        """The token of a live attempt on the very series of the case."""
        series = Series.objects.select_related("study").get(pk=self.case.series_id)
        run = jobs.enqueue(
            kind=RunKind.PRESEGMENT,
            subject=series,
            series_id=series.pk,
            study_uid=series.study.uid,
            series_uid=series.uid,
            model=ModelVersion.objects.get(is_default=True),
            parameters={"geometry_hash": self.case.geometry_hash, "shape": list(SHAPE)},
            actor=None,
            chain="system",
        )
        worker = worker_of(token)
        assert worker is not None
        session = sessions.greet(token=worker, session=uuid.uuid4(), number=7, facts={"name": "w"})
        return jobs.claim(run=run.pk, session=session).token

    def read(self, person: str, text: str, added: int) -> Reading:
        """A whole reading with its reader's words wherever they fit, signed."""
        reading = Reading.objects.get(case=self.case, reader=self.room.users[person])
        desk: dict[str, Any] = {"reading": reading, "user": self.room.users[person]}
        lease = services.take_lease(**desk, client=uuid.uuid4(), take_over=False)

        def change(kind: str, **body: Any) -> None:
            head = Reading.objects.get(pk=reading.pk).head.hash
            made = {"id": str(uuid.uuid4()), "base": head, "kind": kind, **body}
            services.apply_changes(**desk, lease=lease, changes=[made])

        nodes = [str(uuid.uuid4()) for _ in range(added)]
        wide = 3 * added
        runs = [[row * wide + 3 * i, 2, i + 1] for row in (0, 1) for i in range(added)]
        sops = reading.case.grid.sop_uids[8:10]
        slices = [{"sop": sop, "box": [2, 2, 4, 2 + wide], "runs": runs} for sop in sops]
        change("voxels", nodes=nodes, slices=slices)
        gone = self.room.nodes[1 if person == "reader1" else 2]
        for node in list(self.room.nodes.values())[:5]:
            given = {"decision": "rejected", "reason": "thyroid"}
            change("decision", node=node, **(given if node == gone else {"decision": "accepted"}))
        change("impression", node=self.room.nodes[3], value="not_assessable", reason=text)
        change("impression", node=nodes[0], value="metastatic", confidence=83)
        change("doubt", node=self.room.nodes[4], value=True)
        for plane in ("axial", "coronal", "sagittal"):
            services.note_seen(
                **desk,
                plane=plane,
                ranges=[[0, SHAPE[0] - 1]],
                active_seconds=417.0,
                resume={"note": text, "node": nodes[0]},
            )
        found = uuid.uuid4()
        services.report_incidental(
            reading=reading, user=desk["user"], finding=found, words=text, slice_index=3
        )
        now = Reading.objects.get(pk=reading.pk)
        services.submit(
            reading=now, user=desk["user"], lease=lease, head=now.head.hash, password=PASSWORD
        )
        return Reading.objects.get(pk=reading.pk)

    def report(self, reading: Reading) -> None:
        """A report and an export of a signed reading, as the auditor makes them."""
        auditor = self.room.users["auditor"]
        reporting.make_report(reporting.request_report(case=self.case, actor=auditor).pk)
        export = reports.request_export(reading=reading, file_format="seg", actor=auditor)
        exporting.make_export(export.pk)

    def settle(self) -> None:
        """The comparison, a proposal and a deferral."""
        tasks.compare(str(self.case.pk))
        consensus = Consensus.objects.get(case=self.case)
        first, second, *_ = consensus.discrepancies.filter(by_rule=False, state="open")
        services.propose(
            discrepancy=first,
            user=self.room.users["reader1"],
            client=uuid.uuid4(),
            seen=0,
            resolution="union",
            rationale=canaries.FIRST_TEXT,
        )
        services.defer(
            discrepancy=second,
            user=self.room.users["reader2"],
            client=uuid.uuid4(),
            seen=0,
            rationale=canaries.SECOND_TEXT,
        )

    def enter_evidence(self) -> str:
        """Histology with words of its own."""
        client = uuid.uuid4()
        entry = Entry(
            kind="HIST",
            result="positive",
            source=canaries.EVIDENCE_TEXT,
            scope="side_level",
            side="L",
            level="II",
            date=timezone.now().date(),
            known_at=timezone.now().date(),
            details={"procedure": "excision", "correspondence": canaries.EVIDENCE_TEXT},
        )
        abstractor = self.room.users["abstractor"]
        services.enter_evidence(case=self.case, user=abstractor, client=client, entry=entry)
        return str(client)

    def addresses(self, own_of: str, hidden: Canaries) -> Addresses:
        """Everything there is to ask for now; a reading of `own_of` comes first."""
        labels = {label for label in walk.RECORDS.values() if label}
        own = Reading.objects.get(case=self.case, reader=self.room.users[own_of])
        peer = Reading.objects.exclude(pk=own.pk).get(case=self.case)
        series = Series.objects.select_related("study").get(pk=self.case.series_id)
        sops = list(series.instances.order_by("number").values_list("sop_uid", flat=True)[:2])
        others = [str(one.client_id) for one in peer.changes.all()[:1]]
        others += [str(one.pk) for one in peer.signatures.all()]
        others += [node for node in ids_of("reading.Node") if node in hidden.ids][:1]
        return Addresses(
            records={label: ids_of(label) for label in labels},
            own={
                "reading": [str(own.pk)],
                "scope_id": [str(own.pk), str(peer.pk), *ids_of("reading.Consensus")],
                "mask": [own.base.hash],
                "blob": list(own.base.manifest.slices.values())[:1],
            },
            hashes=hidden.hashes,
            uids={"study": [series.study.uid], "series": [series.uid], "sop": sops},
            common=[str(peer.pk), str(own.pk), str(self.case.pk), *others],
            username=canaries.FIRST_LOGIN,
        )

    def walk(self, walking: Walk, name: str, **how: Any) -> Answers:
        """Everything, asked by someone; undone."""
        point = transaction.savepoint()
        if name == ELSEWHERE:
            reader = self.room.users["reader2"]
            other = Project.objects.get(code="X")
            services.grant_role(project=other, user=reader, role=Role.COORDINATOR, actor=None)
        try:
            return walking.of(self.askers[name], **how)
        finally:
            transaction.savepoint_rollback(point)


@pytest.fixture(scope="module")
def asked(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, dict[str, Asked]]]:
    """What was hidden → who asked → what they were answered."""
    folder, still = tmp_path_factory.mktemp("blind"), timezone.now()
    settings = override_settings(CONTENT_ROOT=folder / "content", **SETTINGS)
    with (
        django_db_blocker.unblock(),
        transaction.atomic(),
        pytest.MonkeyPatch.context() as patch,
        settings,
    ):
        maskstore._read_slice.cache_clear()
        patch.setattr(timezone, "now", lambda: still)
        yield ask_everything(World(folder))
        transaction.set_rollback(True)


def ask_everything(world: World) -> dict[str, dict[str, Asked]]:
    """Go through the states from the least to the most and back, asking in each."""
    found = {
        "a reading": {name: Asked() for name in BLIND},
        "the settling": {name: Asked() for name in OUTSIDE},
        "evidence": {name: Asked() for name in BEFORE_LABELS},
    }
    words = canaries.OF_FIRST + canaries.OF_EVIDENCE
    nothing = State(world)
    world.report(world.read("reader1", canaries.FIRST_TEXT, ADDED))
    one_read = State(world)
    blind = one_read.walk_beyond(nothing, "reader2", words)
    for name, each in found["a reading"].items():
        each.more = world.walk(blind, name, **how(blind, name))
        each.told, blind.told = blind.told, []
    world.walk(blind, "auditor", **how(blind, "auditor"))
    found[CONTROL] = {"auditor": Asked(told=blind.told)}
    blind.told = []
    world.read("reader2", canaries.SECOND_TEXT, 2)
    world.settle()
    settling = State(world)
    outside = settling.walk_beyond(nothing, "reader2", words + canaries.OF_SECOND)
    entered = world.enter_evidence()
    with_evidence = State(world)
    early = with_evidence.walk_beyond(settling, "reader1", canaries.OF_EVIDENCE)
    early.hidden = Canaries(early.hidden.ids | {entered, world.evidence}, early.hidden.words)
    for name, each in found["evidence"].items():
        each.more = world.walk(early, name, without=blind.missing)
        each.told, early.told = early.told, []
    settling.come_back()
    for name, each in found["evidence"].items():
        each.less = world.walk(early, name, without=blind.missing)
    for name, each in found["the settling"].items():
        own = canaries.OF_EVIDENCE if name == "abstractor" else ()
        known = {world.evidence} if name == "abstractor" else set()
        kept = tuple(word for word in outside.hidden.words if word not in own)
        outside.hidden = Canaries(outside.hidden.ids - known, kept)
        each.more = world.walk(outside, name, without=blind.missing)
        each.told, outside.told = outside.told, []
    nothing.come_back()
    for name, each in found["the settling"].items():
        each.less = world.walk(outside, name, without=blind.missing)
    for name, each in found["a reading"].items():
        each.less = world.walk(blind, name, **how(blind, name))
    return found


def how(walking: Walk, name: str) -> dict[str, Any]:
    """The second reader, who asks first, is thorough; the others skip what no route takes."""
    return {"thorough": True} if name == "reader2" else {"without": walking.missing}


class State:
    """The database and the content store as they are now, to come back to."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tokens = canaries.tokens_of_database()
        self._content = world.folder / f"content-{uuid.uuid4()}"
        shutil.copytree(world.folder / "content", self._content)
        self._point = transaction.savepoint()

    def come_back(self) -> None:
        """Undo all that was done since."""
        transaction.savepoint_rollback(self._point)
        content = self.world.folder / "content"
        shutil.rmtree(content)
        shutil.copytree(self._content, content)
        maskstore._read_slice.cache_clear()

    def walk_beyond(self, less: State, own_of: str, words: tuple[str, ...]) -> Walk:
        """A walk that asks for all there is in this state; what `less` lacks is hidden."""
        hidden = Canaries(frozenset(self.tokens - less.tokens), words)
        addresses = self.world.addresses(own_of, hidden)
        return Walk(addresses, frozenset(self.tokens | less.tokens), hidden)


CASES = [
    *(("a reading", name) for name in BLIND),
    *(("the settling", name) for name in OUTSIDE),
    *(("evidence", name) for name in BEFORE_LABELS),
]
each_case = pytest.mark.parametrize(("hidden", "who"), CASES, ids=[": ".join(c) for c in CASES])


def test_the_walk_knows_every_parameter_of_every_route() -> None:
    found = list(walk.routes())
    assert len(found) > 80
    for route in found:
        walk.require_known(route)


def test_the_walk_finds_what_the_auditor_may_read(asked: dict[str, dict[str, Asked]]) -> None:
    told = asked[CONTROL]["auditor"].told
    found = {what for line in told for what in [line.rsplit(" tells ", 1)[1]]}
    assert {*canaries.OF_FIRST, *canaries.OF_EVIDENCE} - {canaries.FIRST_LOGIN} <= found
    assert sum(len(token) == 36 for token in found) > ADDED
    assert sum(len(token) == 64 for token in found) > 5


def test_the_second_reader_is_answered_what_is_their_own(
    asked: dict[str, dict[str, Asked]],
) -> None:
    answers = asked["a reading"]["reader2"].more
    good = {attempt.split("?")[0] for attempt, one in answers.items() if one.status == 200}
    for part in ("GET /api/readings/", "GET /dicom-web/readings/", "GET /api/masks/", "POST /api/"):
        assert [one for one in good if one.startswith(part)], part
    assert len(good) > 30


@each_case
def test_nobody_is_told_an_id_a_hash_or_a_word_of_it(
    asked: dict[str, dict[str, Asked]], hidden: str, who: str
) -> None:
    assert asked[hidden][who].told == []


@each_case
def test_everyone_is_answered_as_if_it_did_not_exist(
    asked: dict[str, dict[str, Asked]], hidden: str, who: str
) -> None:
    less, more = asked[hidden][who].less, asked[hidden][who].more
    assert len(more) > 200
    assert list(less) == list(more)
    differing = {
        attempt: (answer, more[attempt])
        for attempt, answer in less.items()
        if answer != more[attempt]
    }
    assert not differing, f"{len(differing)} of {len(less)}: {list(differing.items())[:2]}"


@each_case
def test_no_question_breaks_the_server(
    asked: dict[str, dict[str, Asked]], hidden: str, who: str
) -> None:
    broken = {a: one.start for a, one in asked[hidden][who].more.items() if one.status >= 500}
    assert not broken
