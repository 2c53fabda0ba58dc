"""A DICOM sender without manners: any bytes as an object, and lines that end in the middle."""

from __future__ import annotations

import io
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE

from tests.archive.made import CT


class RoughSender:
    """One association with the listener on 127.0.0.1:port, as `title`; `with` ends it."""

    def __init__(self, port: int, *, title: str = "SCANNER", called: str = "CONCORD") -> None:
        entity = AE(ae_title=title)
        entity.add_requested_context(CT, ExplicitVRLittleEndian)
        entity.add_requested_context("1.2.840.10008.1.1")
        entity.maximum_pdu_size = 16384
        self.line = entity.associate("127.0.0.1", port, ae_title=called)

    def __enter__(self) -> RoughSender:
        return self

    def __exit__(self, *_: object) -> None:
        if self.line.is_established:
            self.line.release()

    @property
    def accepted(self) -> bool:
        """Whether the listener lets it speak."""
        return bool(self.line.is_established)

    def echo(self) -> int:
        """What C-ECHO is answered with."""
        return int(self.line.send_c_echo().Status)

    def store(self, data: bytes | None, uid: str) -> int:
        """The status with which these bytes, said to be a CT image, are answered (None: none)."""
        self._hold()
        self.line.dimse.send_msg(_request(data, uid), self._context)
        _, answer = self.line.dimse.get_msg(block=True)
        self.line._reactor_checkpoint.set()
        assert answer is not None, "the listener said nothing"
        return int(answer.Status)

    def begin(self, data: bytes, uid: str) -> None:
        """Send an image but for its last fragment."""
        message = C_STORE_RQ()
        message.primitive_to_message(_request(data, uid))
        self._hold()
        fragments = list(message.encode_msg(self._context, 256))
        assert len(fragments) > 3
        for fragment in fragments[:-1]:
            self.line.dul.send_pdu(fragment)

    def abort(self) -> None:
        """End the association in the words of the protocol."""
        self.line._reactor_checkpoint.set()
        self.line.abort()

    def cut(self) -> None:
        """End the line without a word."""
        socket: Any = self.line.dul.socket
        socket.close()
        self.line._reactor_checkpoint.set()

    @property
    def _context(self) -> int:
        (found,) = (c.context_id for c in self.line.accepted_contexts if c.abstract_syntax == CT)
        return int(found)

    def _hold(self) -> None:
        """Keep pynetdicom's own thread from taking the answer."""
        self.line._reactor_checkpoint.clear()


def _request(data: bytes | None, uid: str) -> C_STORE:
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = CT, uid
    if data is not None:
        request.DataSet = io.BytesIO(data)
    return request
