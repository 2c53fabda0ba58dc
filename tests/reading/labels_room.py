"""A settled case whose nodes are labelled and signed, as tests need it."""

from __future__ import annotations

import datetime
import json
import uuid
from typing import Any

from django.test import Client

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.reading import services
from backend.reading.consensus_record import hash_of, record_of_consensus
from backend.reading.label_selectors import labelled_nodes
from backend.reading.models import (
    Consensus,
    ConsensusNode,
    ConsensusSignature,
    Evidence,
    ReferenceLabel,
)
from backend.reading.services.evidence import Entry
from tests.reading.site import PASSWORD, Site
from tests.reading.test_comparing import compare, two_readers

STUDY = datetime.date(2026, 3, 4)


def day(offset: int) -> datetime.date:
    """A day, counted from the study."""
    return STUDY + datetime.timedelta(days=offset)


class LabelRoom:
    """A compared case with one discrepancy to settle; an abstractor among its people."""

    def __init__(self, site: Site) -> None:
        self.site, self.case = site, site.case
        abstractor = User.objects.create_user(
            "abstractor", password=PASSWORD, display_name="Abel Abstractor"
        )
        site.users["abstractor"] = abstractor
        services.grant_role(
            project=site.case.project, user=abstractor, role=Role.ABSTRACTOR, actor=None
        )
        two_readers(site)
        self.comparison = compare(site)
        self.users = site.users

    @property
    def consensus(self) -> Consensus:
        """The newest version."""
        found = Consensus.objects.filter(case=self.case).order_by("version").last()
        assert found is not None
        return found

    def version(self, number: int) -> Consensus:
        """A version by its number."""
        return Consensus.objects.get(case=self.case, version=number)

    def settle(self, resolution: str = "union", *, deferred: bool = False) -> Consensus:
        """Decide everything that is open."""
        for found in self.consensus.discrepancies.filter(by_rule=False, state="open"):
            if deferred:
                services.defer(
                    discrepancy=found, user=self.users["reader1"], client=uuid.uuid4(), seen=0,
                    rationale="left to you",
                )  # fmt: skip
                services.resolve(
                    discrepancy=found, user=self.users["adjudicator"], client=uuid.uuid4(), seen=1,
                    resolution=resolution, rationale="seen on all slices",
                )  # fmt: skip
                continue
            step = services.propose(
                discrepancy=found, user=self.users["reader1"], client=uuid.uuid4(), seen=0,
                resolution=resolution, rationale="the border is seen here",
            )  # fmt: skip
            services.agree(
                discrepancy=found, user=self.users["reader2"], client=uuid.uuid4(), seen=1,
                step=step.pk,
            )  # fmt: skip
        return self.consensus

    def node(self, number: int) -> ConsensusNode:
        """An agreed node of the newest version."""
        return self.consensus.nodes.get(number=number)

    @property
    def numbers(self) -> list[int]:
        """The numbers of the agreed nodes."""
        return [node.number for node in self.consensus.nodes.all()]

    def seen(self, number: int) -> int:
        """The position of a node's newest label."""
        return ReferenceLabel.objects.filter(node=self.node(number)).count()

    def enter(self, kind: str = "PET", by: str = "abstractor", **own: Any) -> Evidence:
        """A piece of evidence; positive, of node 1 once nodes are agreed, else of the patient."""
        given: dict[str, Any] = {"source": "report", "date": day(10), "result": "positive"}
        agreed = self.consensus.settled_at is not None
        version = self.consensus.version
        of_node = {"scope": "node", "node": 1, "version": version}
        given |= of_node if agreed else {"scope": "patient"}
        if kind == "HIST":
            details = {"procedure": "excision", "correspondence": "the largest node"}
            given |= {"details": details}
        if kind == "CHEMO":
            given |= {"result": "regression", "date": day(60)}
        if kind == "NECR":
            given |= {"result": "present", "date": None, "details": {"slice_index": 3}}
        client = own.pop("client", None) or uuid.uuid4()
        return services.enter_evidence(
            case=self.case,
            user=self.users[by],
            client=client,
            entry=Entry(kind=kind, **{**given, **own}),
        )

    def label(self, number: int, value: str, by: str = "reader1", **own: Any) -> ReferenceLabel:
        """A label, given by someone who has seen the node as it is."""
        given: dict[str, Any] = {"client": uuid.uuid4(), "seen": self.seen(number), **own}
        given["evidence"] = [getattr(one, "pk", one) for one in given.get("evidence", ())]
        return services.set_label(
            consensus=self.consensus, number=number, user=self.users[by], value=value, **given
        )

    def leave(self, number: int, by: str = "reader1", **own: Any) -> ReferenceLabel:
        """A node, left to the adjudicator."""
        given: dict[str, Any] = {"client": uuid.uuid4(), "seen": self.seen(number), **own}
        return services.defer_label(
            consensus=self.consensus,
            number=number,
            user=self.users[by],
            **{"rationale": "cannot be told", **given},
        )

    def label_all(self, value: str = "non_metastatic") -> Consensus:
        """Every node that needs a label."""
        for each in labelled_nodes(self.consensus):
            if each.needs:
                self.label(each.node.number, value)
        return self.consensus

    def ready(self) -> Consensus:
        """A version that is ready to be signed."""
        self.settle()
        return self.label_all()

    @property
    def hash(self) -> str:
        """The hash of what would be signed now."""
        return hash_of(record_of_consensus(self.consensus))

    def sign(self, name: str, session: str | None = None, **own: Any) -> ConsensusSignature:
        """A signature; at somebody else's screen where `session` is given."""
        given: dict[str, Any] = {
            "client": uuid.uuid4(),
            "record_hash": self.hash,
            "password": PASSWORD,
        }
        if session is not None:
            given["username"] = name
        return services.sign_consensus(
            consensus=self.consensus, user=self.users[session or name], **{**given, **own}
        )

    def publish(self) -> Consensus:
        """Settled, labelled, signed by both."""
        if self.consensus.state == "draft":
            self.settle()
        self.label_all()
        self.sign("reader1")
        self.sign("reader2")
        return self.consensus

    def reopen(self, *discrepancies: Any, by: str = "coordinator", **own: Any) -> Consensus:
        """The next version."""
        given: dict[str, Any] = {"client": uuid.uuid4(), "reason": "a late report", **own}
        return services.reopen_consensus(
            consensus=given.pop("consensus", self.consensus),
            actor=self.users[by],
            discrepancies=[each.pk for each in discrepancies],
            **given,
        )

    def client(self, name: str) -> Client:
        """A browser, signed in."""
        return self.site.client(name)

    def send(self, name: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A request of the API."""
        text = json.dumps(body) if body is not None else ""
        return self.client(name).generic(method, path, text, content_type="application/json")
