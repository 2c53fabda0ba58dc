"""A DICOM listener: C-ECHO and C-STORE from senders that are named in the settings.

Every association is one batch: what a scanner or PACS sends in it stands under one receipt, and
its series are judged when nothing more arrives. An object is answered with success only after its
bytes are on the disk and its row is in the database.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import pydicom
from django.conf import settings
from django.db import close_old_connections, connections
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, VerificationPresentationContexts, evt

from backend.archive.models import Door, Receipt
from backend.archive.receipts import close_receipt, open_receipt
from backend.archive.sources import Offer
from backend.archive.taking import take

logger = logging.getLogger(__name__)

SUCCESS = 0x0000
REFUSED = {
    "SAME_UID_OTHER_PIXELS": 0x0111,  # Duplicate SOP Instance
    "SAME_UID_OTHER_HEADER": 0x0111,
    "LATE_IMAGE": 0x0122,  # SOP class not supported: nothing may be added to this series.
    "NOT_STORED": 0xA700,  # Out of resources
    "TOO_LARGE": 0xA700,
    "STUDY_PATIENT": 0xA900,  # Data set does not match
    "SERIES_ELSEWHERE": 0xA900,
    "SERIES_MODALITY": 0xA900,
}
CANNOT_UNDERSTAND = 0xC000
FAILED = 0x0110


class BadSenders(ValueError):
    """CONCORD_DIMSE_SENDERS is not a list such as `SCANNER1@10.0.0.5,PACS`. Correct it."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass(frozen=True)
class Sender:
    """Someone who may send: their AE title, and their address where it is said."""

    title: str
    address: str = ""


def senders_of(text: str) -> tuple[Sender, ...]:
    """The senders of a setting: `TITLE` or `TITLE@address`, separated by commas.

    Raises:
        BadSenders: where one has no title, or one longer than the 16 characters DICOM allows.
    """
    found = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        title, _, address = entry.partition("@")
        if not 0 < len(title.strip()) <= 16:
            raise BadSenders
        found.append(Sender(title.strip(), address.strip()))
    return tuple(found)


class Listener:
    """The service behind `manage.py dimse`."""

    def __init__(self, title: str, senders: tuple[Sender, ...]) -> None:
        self.title = title
        self.senders = senders
        self._receipts: dict[int, Receipt] = {}
        self.entity = AE(ae_title=title)
        self.entity.require_called_aet = True
        self.entity.supported_contexts = list(VerificationPresentationContexts)
        for context in AllStoragePresentationContexts:
            self.entity.add_supported_context(context.abstract_syntax, AllTransferSyntaxes)
        self.entity.maximum_pdu_size = 0  # Whatever the sender likes.
        self.entity.network_timeout = 60

    def start(self, port: int, *, host: str = "127.0.0.1") -> Any:
        """Listen in threads of its own; the answer's `shutdown()` ends it."""
        return self.entity.start_server(
            (host, port),
            block=False,
            evt_handlers=[
                (evt.EVT_REQUESTED, self._requested),
                (evt.EVT_C_ECHO, lambda event: SUCCESS),
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_RELEASED, self._ended),
                (evt.EVT_ABORTED, self._ended),
                (evt.EVT_CONN_CLOSE, self._ended),
            ],
        )

    def _known(self, title: str, address: str) -> bool:
        return any(s.title == title and s.address in ("", address) for s in self.senders)

    def _requested(self, event: evt.Event) -> None:
        """Turn away who is not on the list, before a byte of theirs is read."""
        requestor = event.assoc.requestor
        title = requestor.primitive.calling_ae_title.strip() if requestor.primitive else ""
        if not self._known(title, requestor.address):
            logger.warning("DIMSE: %s at %s may not send", title, requestor.address)
            # Rejected permanent, by the service user, calling AE title not recognised (PS3.8).
            event.assoc.acse.send_reject(0x01, 0x01, 0x03)
            event.assoc.kill()

    def _store(self, event: evt.Event) -> pydicom.Dataset | int:
        try:
            close_old_connections()
            return self._stored(event)
        except Exception:
            logger.exception("DIMSE: an object could not be stored")
            return _status(FAILED, "It could not be stored now. Send it again later.")

    def _stored(self, event: evt.Event) -> pydicom.Dataset | int:
        offer = Offer("an object", event.encoded_dataset)
        (taken,) = take(receipt=self._receipt(event), offers=[offer])
        if taken.kept is None:
            return SUCCESS
        kept = taken.kept
        return _status(REFUSED.get(kept.code, CANNOT_UNDERSTAND), f"{kept.message} {kept.cure}")

    def _receipt(self, event: evt.Event) -> Receipt:
        key = id(event.assoc)
        if key not in self._receipts:
            requestor = event.assoc.requestor
            title = requestor.ae_title.strip()
            self._receipts[key] = open_receipt(
                source=f"{title} at {requestor.address}",
                door=Door.DIMSE,
                actor=None,
                origin=title,
            )
        return self._receipts[key]

    def _ended(self, event: evt.Event) -> None:
        receipt = self._receipts.pop(id(event.assoc), None)
        if receipt is not None:
            close_old_connections()
            close_receipt(receipt=receipt, actor=None, judge=False)
            connections.close_all()  # This association's thread ends with it.


def _status(code: int, comment: str) -> pydicom.Dataset:
    """A status with a comment of at most the 64 characters DICOM allows."""
    status = pydicom.Dataset()
    status.Status = code
    status.ErrorComment = comment.encode("ascii", "replace").decode()[:64]
    return status


def listener_from_settings() -> Listener:
    """The listener as the settings describe it; raises `BadSenders`."""
    return Listener(settings.DIMSE_TITLE, senders_of(settings.DIMSE_SENDERS))
