"""The API of labels, evidence and signatures."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.accounts.models import User
from backend.errors import Missing, WrongState
from backend.reading import selectors, services
from backend.reading.api import read_body
from backend.reading.consensus_selectors import Asker, consensus_for
from backend.reading.evidence_access import Sight, evidence_for, evidence_sight
from backend.reading.label_presentation import items_json, node_json, signing_json
from backend.reading.label_selectors import labelled_nodes
from backend.reading.label_serializers import (
    DeferLabelRequest,
    EvidenceListAnswer,
    EvidenceOneAnswer,
    EvidenceRequest,
    LabelActAnswer,
    LabelRequest,
    ObjectRequest,
    ReopenAnswer,
    ReopenRequest,
    SignAnswer,
    SignRequest,
    WithdrawRequest,
)
from backend.reading.models import Consensus
from backend.reading.serializers import ErrorAnswer
from backend.reading.services.evidence import Entry

ERRORS = {400: ErrorAnswer, 403: ErrorAnswer, 404: ErrorAnswer, 409: ErrorAnswer}


def _node(consensus: Consensus, number: int, asker: Asker) -> dict[str, Any] | None:
    consensus.refresh_from_db(fields=["state"])
    found = (each for each in labelled_nodes(consensus) if each.node.number == number)
    return next((node_json(each, asker, consensus) for each in found), None)


def _told(consensus: Consensus, number: int, asker: Asker) -> Response:
    node = _node(consensus, number, asker)
    return Response({"node": node, "consensus": {"state": consensus.state}})


def _label(user: User, consensus: UUID, number: int) -> tuple[Consensus, Asker]:
    """The consensus a user labels in; who sees only its state sees no node."""
    found, asker = consensus_for(user, consensus)
    if not asker.whole:
        raise Missing("node")
    return found, asker


class LabelView(APIView):
    """`PUT /api/consensus/{id}/nodes/{number}/label`."""

    @extend_schema(
        operation_id="set_label", request=LabelRequest, responses={200: LabelActAnswer, **ERRORS}
    )
    def put(self, request: Request, consensus: UUID, number: int) -> Response:
        """Say what an agreed node is; metastatic rests on evidence that counts for it."""
        user = selectors.person(request.user)
        found, asker = _label(user, consensus, number)
        body = read_body(request, LabelRequest)
        try:
            services.set_label(consensus=found, number=number, user=user, **body)
        except WrongState as refused:
            raise _with_node(refused, found, number, asker) from None
        return _told(found, number, asker)


class DeferLabelView(APIView):
    """`POST /api/consensus/{id}/nodes/{number}/defer`."""

    @extend_schema(
        operation_id="defer_label",
        request=DeferLabelRequest,
        responses={200: LabelActAnswer, **ERRORS},
    )
    def post(self, request: Request, consensus: UUID, number: int) -> Response:
        """Leave a node to the adjudicator, who then alone labels it."""
        user = selectors.person(request.user)
        found, asker = _label(user, consensus, number)
        body = read_body(request, DeferLabelRequest)
        try:
            services.defer_label(consensus=found, number=number, user=user, **body)
        except WrongState as refused:
            raise _with_node(refused, found, number, asker) from None
        return _told(found, number, asker)


def _with_node(refused: WrongState, found: Consensus, number: int, asker: Asker) -> WrongState:
    if refused.code == "MOVED_ON":
        refused.extra["node"] = _node(found, number, asker)
    return refused


class EvidenceView(APIView):
    """`/api/cases/{id}/evidence`."""

    @extend_schema(operation_id="evidence", responses={200: EvidenceListAnswer, 404: ErrorAnswer})
    def get(self, request: Request, case: UUID) -> Response:
        """The evidence of a case: to its abstractor and auditor, to readers once nodes are agreed.

        For anyone else, and before that, there is no such case.
        """
        user = selectors.person(request.user)
        sight = evidence_sight(user, case)
        services.note_look(user=user, case=sight.case, what="evidence")
        return Response({"evidence": _items(sight)})

    @extend_schema(
        operation_id="enter_evidence",
        request=EvidenceRequest,
        responses={200: EvidenceOneAnswer, **ERRORS},
    )
    def post(self, request: Request, case: UUID) -> Response:
        """Enter a piece of evidence; who labels enters the necrosis they see, and nothing else."""
        user = selectors.person(request.user)
        sight = evidence_sight(user, case)
        body = read_body(request, EvidenceRequest)
        client = body.pop("client")
        entry = Entry(**body | {"side": body["side"] or "", "level": body["level"] or ""})
        evidence = services.enter_evidence(case=sight.case, user=user, client=client, entry=entry)
        return Response({"evidence": _items(sight, only=evidence.pk)[0]})


def _items(sight: Sight, only: UUID | None = None) -> list[dict[str, Any]]:
    shown = sight.evidence if only is None else sight.evidence.filter(pk=only)
    return items_json(sight.case, shown, sight.nodes)


class WithdrawView(APIView):
    """`POST /api/evidence/{id}/withdraw`."""

    @extend_schema(
        operation_id="withdraw_evidence",
        request=WithdrawRequest,
        responses={200: EvidenceOneAnswer, **ERRORS},
    )
    def post(self, request: Request, evidence: UUID) -> Response:
        """Take a piece of evidence back; labels that rest on it are to be given again."""
        user = selectors.person(request.user)
        found, sight = evidence_for(user, evidence)
        body = read_body(request, WithdrawRequest)
        services.withdraw_evidence(evidence=found, user=user, reason=body["reason"])
        return Response({"evidence": _items(sight, only=found.pk)[0]})


class SignView(APIView):
    """`POST /api/consensus/{id}/sign`."""

    @extend_schema(
        operation_id="sign_consensus", request=SignRequest, responses={200: SignAnswer, **ERRORS}
    )
    def post(self, request: Request, consensus: UUID) -> Response:
        """Sign what was shown; the last signature publishes it."""
        user = selectors.person(request.user)
        found, _ = consensus_for(user, consensus)
        body = read_body(request, SignRequest)
        services.sign_consensus(consensus=found, user=user, **body)
        return _signing(user, consensus)


class ObjectView(APIView):
    """`POST /api/consensus/{id}/object`."""

    @extend_schema(
        operation_id="object_to_consensus",
        request=ObjectRequest,
        responses={200: SignAnswer, **ERRORS},
    )
    def post(self, request: Request, consensus: UUID) -> Response:
        """Refuse what is being signed; the signatures given are void, and stay on record."""
        user = selectors.person(request.user)
        found, _ = consensus_for(user, consensus)
        body = read_body(request, ObjectRequest)
        services.object_to_consensus(consensus=found, user=user, **body)
        return _signing(user, consensus)


def _signing(user: User, consensus: UUID) -> Response:
    found, asker = consensus_for(user, consensus)
    return Response({"state": found.state, "signing": signing_json(found, asker)})


class ReopenView(APIView):
    """`POST /api/consensus/{id}/reopen`."""

    @extend_schema(
        operation_id="reopen_consensus",
        request=ReopenRequest,
        responses={200: ReopenAnswer, **ERRORS},
    )
    def post(self, request: Request, consensus: UUID) -> Response:
        """Begin the next version; the one that was published stays until that one is."""
        user = selectors.person(request.user)
        found, _ = consensus_for(user, consensus)
        body = read_body(request, ReopenRequest)
        following = services.reopen_consensus(consensus=found, actor=user, **body)
        return Response({"consensus": str(following.pk)})
