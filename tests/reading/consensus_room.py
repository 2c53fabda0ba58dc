"""A case that two readers settle, as tests need it: what they differ in, and who asks."""

from __future__ import annotations

import json
import uuid
from typing import Any

import numpy as np
from django.test import Client

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.accounts.services import create_worker_token
from backend.reading import services
from backend.reading.models import Consensus, Discrepancy
from tests.reading.site import PASSWORD, Site, Twin, ai_volume, other_project
from tests.reading.test_comparing import compare, finish

LONG = "Because the border to the vessel is seen here."


def four_nodes() -> np.ndarray[Any, np.dtype[np.uint16]]:
    """The AI's nodes: the three of `site`, and one that both readers leave as it is."""
    volume = ai_volume()
    volume[1:4, 18:23, 2:8] = 4
    return volume


class Room:
    """A compared case: four things to settle, one node alike, one ignored by rule.

    Only the second reader has node 1, only the first `added`; they differ in the size of 2, and
    the first is in doubt about 3. A small node of the first is ignored.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.clients: dict[str, Client] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.added, self.small = str(uuid.uuid4()), str(uuid.uuid4())
        site.presegment(four_nodes())
        first, second = Twin(site), Twin(site, "reader2")
        one, two, three, _ = site.nodes
        first.send(first.make("decision", node=one, decision="rejected", reason="vessel"))
        for index in (9, 10, 11):
            first.send(first.paint(self.added, index, (2, 14, 9, 22)))
        first.send(first.paint(self.small, 11, (14, 2, 17, 5)))
        first.send(first.make("doubt", node=three, value=True))
        for index in range(4, 8):
            second.send(second.paint(two, index, (9, 8, 20, 13)))
        second.send(second.make("impression", node=three, value="non_metastatic"))
        finish(first)
        finish(second)
        self.comparison = compare(site)

    @property
    def consensus(self) -> Consensus:
        """The newest version."""
        found = Consensus.objects.filter(case=self.site.case).order_by("version").last()
        assert found is not None
        return found

    def discrepancies(self, **wanted: Any) -> list[Discrepancy]:
        """Those of people, in the clusters' order."""
        found = self.consensus.discrepancies.filter(by_rule=False, **wanted)
        return list(found.order_by("cluster__number"))

    def client(self, name: str) -> Client:
        """A browser, signed in; a stranger's, and a machine's."""
        if name not in self.clients:
            if name in ("stranger", "worker"):
                self.clients[name] = Client()
            else:
                self.clients[name] = self.site.client(name)
        if name == "worker" and name not in self.headers:
            token = create_worker_token(name="w")
            self.headers[name] = {"Authorization": f"Bearer {token}"}
        return self.clients[name]

    def get(self, name: str, path: str, **headers: str) -> Any:
        """GET as someone."""
        client = self.client(name)
        return client.get(path, headers={**self.headers.get(name, {}), **headers})

    def post(self, name: str, path: str, body: dict[str, Any]) -> Any:
        """POST JSON as someone."""
        return self._send("POST", name, path, body)

    def put(self, name: str, path: str, body: dict[str, Any]) -> Any:
        """PUT JSON as someone."""
        return self._send("PUT", name, path, body)

    def _send(self, method: str, name: str, path: str, body: dict[str, Any]) -> Any:
        client = self.client(name)
        return client.generic(
            method,
            path,
            json.dumps(body),
            content_type="application/json",
            headers=self.headers.get(name, {}),
        )

    def detail(self, name: str) -> dict[str, Any]:
        """GET /api/consensus/{id}."""
        answer = self.get(name, f"/api/consensus/{self.consensus.pk}")
        assert answer.status_code == 200, answer.content
        found: dict[str, Any] = answer.json()
        return found

    def act(self, name: str, verb: str, found: Discrepancy, **body: Any) -> Any:
        """One verb, with what it takes at least, as it stands now."""
        found.refresh_from_db()
        given = {"client": str(uuid.uuid4()), "seen": found.version, "rationale": LONG}
        if verb in ("propose", "resolve"):
            given["resolution"] = "union"
        if verb == "agree":
            given["step"] = str(found.proposal_id or uuid.uuid4())
        return self.post(name, f"/api/discrepancies/{found.pk}/{verb}", {**given, **body})

    def settle(self, resolution: str = "union") -> None:
        """Propose and agree on everything that is open."""
        for found in self.discrepancies(state="open"):
            proposed = self.act("reader1", "propose", found, resolution=resolution)
            assert proposed.status_code == 200, proposed.content
            agreed = self.act("reader2", "agree", found)
            assert agreed.status_code == 200, agreed.content

    def shape(self, index: int, box: tuple[int, int, int, int]) -> dict[str, Any]:
        """A filled box of one slice, as a redrawn shape."""
        size = (box[2] - box[0]) * (box[3] - box[1])
        sop = self.site.case.grid_json["sop_uids"][index]
        return {"slices": [{"sop": sop, "box": list(box), "runs": [[0, size, 1]]}]}

    def add_people(self) -> None:
        """Everyone who may not see it, each for a reason of their own; and an administrator."""
        roles = {"abstractor": Role.ABSTRACTOR, "scientist": Role.SCIENTIST}
        for name, role in roles.items():
            self.site.users[name] = User.objects.create_user(name, password=PASSWORD)
            services.grant_role(
                project=self.site.case.project, user=self.site.users[name], role=role, actor=None
            )
        elsewhere = other_project()
        for name in ("reader", "adjudicator", "auditor", "coordinator"):
            user = User.objects.create_user(f"other_{name}", password=PASSWORD)
            self.site.users[f"other_{name}"] = user
            services.grant_role(project=elsewhere, user=user, role=Role(name), actor=None)
        self.site.users["reader3"] = User.objects.create_user("reader3", password=PASSWORD)
        services.grant_role(
            project=self.site.case.project,
            user=self.site.users["reader3"],
            role=Role.READER,
            actor=None,
        )
        self.site.users["root"] = User.objects.create_superuser("root", password=PASSWORD)


OUTSIDERS = (
    "abstractor",
    "scientist",
    "reader3",
    "other_reader",
    "other_adjudicator",
    "other_auditor",
    "other_coordinator",
)
