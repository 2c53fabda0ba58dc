"""Sending images and exports to a remote (STOW-RS), as they lie in the store."""

from __future__ import annotations

import io
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pydicom

from backend.archive.models import Series
from backend.archive.parsing import text
from backend.archive.remotes.carrying import Work
from backend.archive.remotes.line import Line
from backend.archive.remotes.models import TransferSeries
from backend.archive.remotes.patience import patiently
from backend.archive.remotes.problems import RemoteProblem, require_good
from backend.archive.remotes.sealing import seal
from backend.archive.remotes.searching import ANSWER_BYTES, JSON_KINDS, images_of, json_of
from backend.archive.streaming import Multipart
from backend.errors import Missing
from backend.store import store

BATCH_FILES = 32
BATCH_BYTES = 64 << 20
_FAILED, _STORED = "00081198", "00081199"
_SOP, _REASON, _WORDS = "00081155", "00081197", "0040A160"
# PS3.18 table I.2-2 and PS3.4 B.2.3, in words.
_REASONS = {
    0x0110: "the remote failed on it",
    0x0111: "the remote has another one under the same UID",
    0x0122: "the remote does not take this kind of object",
    0x0124: "this account may not store it there",
    0x0211: "the remote does not take this kind of object",
    0xA700: "the remote has no room for it",
    0xA773: "it does not fit its series there",
    0xA774: "it does not fit its study there",
    0xA776: "the remote has another one under the same UID",
    0xA900: "it does not fit its study or kind there",
    0xC000: "the remote cannot read it",
    0xC112: "the remote says it changed on the way",
    0xC122: "the remote does not take how its pixels are encoded",
}


@dataclass(frozen=True)
class Outgoing:
    """One file to send: where it lies, how long it is, and who it is."""

    blob: str
    size: int
    study: str
    series: str
    sop: str


def push(work: Work) -> None:
    """Send what the transfer asks for; raises where something could not be sent."""
    asked = work.transfer.asked
    with Line(work.transfer.remote, go_on=work.go_on) as line:
        groups = files_of(asked)
        _plan(work, groups)
        rows = {row.asked["uid"]: row for row in work.transfer.series.all()}
        for files in groups:
            _SeriesPush(work, line, rows[files[0].series], files).send()
    if work.transfer.refused:
        many = work.transfer.refused > 1
        raise RemoteProblem(
            "REMOTE_REFUSED_IMAGES",
            f"The remote did not take {work.transfer.refused} file{'s' if many else ''}.",
            "Its reasons stand beside; what it took stays there.",
        )


def files_of(asked: dict[str, Any]) -> list[list[Outgoing]]:
    """The files of a study, a series or an export, series by series; raises `Missing`."""
    kind = asked["kind"]
    if kind == "export":
        return [[outgoing_of(asked["blob"])]]
    subject = uuid.UUID(asked["id"])
    chosen = Series.objects.filter(**{"study" if kind == "study" else "pk": subject})
    groups = [
        [
            Outgoing(i.blob, i.size, series.study.uid, series.uid, i.sop_uid)
            for i in series.instances.only("blob", "size", "sop_uid", "series").order_by(
                "number", "sop_uid"
            )
        ]
        for series in chosen.select_related("study").order_by("number", "uid")
    ]
    found = [group for group in groups if group]
    if not found:
        raise Missing(kind)
    return found


def outgoing_of(blob: str) -> Outgoing:
    """A DICOM file of the content store that is no instance of the archive."""
    data = store().read(blob)
    dataset = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
    keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    study, series, sop = (text(dataset, keyword) for keyword in keywords)
    return Outgoing(blob, len(data), study, series, sop)


def _plan(work: Work, groups: Sequence[Sequence[Outgoing]]) -> None:
    known = {row.asked["uid"] for row in work.transfer.series.all()}
    new = [files for files in groups if files[0].series not in known]
    told = {
        series.uid: series for series in Series.objects.filter(uid__in=[f[0].series for f in new])
    }
    TransferSeries.objects.bulk_create(
        TransferSeries(
            transfer=work.transfer,
            position=len(known) + number,
            sealed=seal(_told(files[0], told.get(files[0].series))),
            expected=len(files),
        )
        for number, files in enumerate(new, start=1)
    )


def _told(first: Outgoing, series: Series | None) -> dict[str, Any]:
    if series is None:
        return {"uid": first.series, "number": None, "modality": "SEG", "description": "export"}
    return {
        "uid": series.uid,
        "number": series.number,
        "modality": series.modality,
        "description": series.description,
    }


class _SeriesPush:
    """One series being sent."""

    def __init__(
        self, work: Work, line: Line, row: TransferSeries, files: Sequence[Outgoing]
    ) -> None:
        self.work, self.line, self.row, self.files = work, line, row, files

    def send(self) -> None:
        """Send what the remote does not have yet; some files again where the connection fails."""
        there = self._there()
        self.row.expected = len(self.files)
        self.row.there = sum(file.sop in there for file in self.files)
        self.row.moved = 0
        self.work.progress(self.row, now=True)
        doubtful: list[Outgoing] = []
        for batch in _batches([file for file in self.files if file.sop not in there]):
            doubtful += patiently(self.line, partial(self._sent, batch))
            self.work.progress(self.row)
        if doubtful:  # Neither stored nor refused, says the answer: the remote is asked.
            there = self._there()
            for file in doubtful:
                if file.sop in there:
                    self.row.moved += 1
                else:
                    self.work.refuse(self._name(file), "The remote did not say what became of it.")
        self.row.whole = self.row.moved + self.row.there == len(self.files)
        self.work.progress(self.row, now=True)

    def _there(self) -> set[str]:
        """The files of this series that the remote has; none where it does not say."""
        first = self.files[0]
        try:
            return set(images_of(self.line, first.study, first.series))
        except RemoteProblem as problem:
            if problem.code in ("REMOTE_SIGN_IN", "REMOTE_CERTIFICATE", "REMOTE_REDIRECTS"):
                raise
            return set()

    def _sent(self, batch: Sequence[Outgoing]) -> list[Outgoing]:
        """Send some files; those that the answer does not name."""
        message = Multipart("application/dicom")
        frame = len(message.around(b""))
        length = sum(file.size + frame for file in batch) + len(message.end)

        async def body() -> AsyncIterator[bytes]:
            for file in batch:
                yield message.around(store().read(file.blob))
            yield message.end

        headers = {
            "Content-Type": message.content_type,
            "Content-Length": str(length),
            "Accept": "application/dicom+json",
        }
        with self.line.answer("POST", "/studies", headers=headers, body=body) as answer:
            if answer.response.status_code != 409:
                require_good(answer.response, "to store")
            answer.allow(ANSWER_BYTES)
            told = json_of(answer) if answer.kind in JSON_KINDS else {}
        return self._judge(batch, told if isinstance(told, dict) else {})

    def _judge(self, batch: Sequence[Outgoing], told: dict[str, Any]) -> list[Outgoing]:
        failed = {_first(item, _SOP): item for item in _items(told, _FAILED)}
        stored = {_first(item, _SOP) for item in _items(told, _STORED)}
        doubtful = []
        for file in batch:
            if file.sop in failed:
                self.work.refuse(self._name(file), reason_of(failed[file.sop]))
            elif file.sop in stored:
                self.row.moved += 1
            else:
                doubtful.append(file)
        return doubtful

    def _name(self, file: Outgoing) -> str:
        return f"file {self.files.index(file) + 1} of series {self.row.position}"


def reason_of(item: dict[str, Any]) -> str:
    """Why the remote did not store one, as a sentence; its own words where it gives some."""
    words = _first(item, _WORDS)
    if isinstance(words, str) and words.strip():
        return words.strip()[:500]
    code = _first(item, _REASON)
    number = code if isinstance(code, int) else 0
    known = _REASONS.get(number) or _REASONS.get(number & 0xFF00) or _REASONS.get(number & 0xF000)
    if not number:
        return "The remote gives no reason."
    return f"{(known or 'the remote gives no known reason').capitalize()} ({number:04X})."


def _items(told: dict[str, Any], tag: str) -> Iterator[dict[str, Any]]:
    element = told.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    yield from (item for item in values or () if isinstance(item, dict))


def _first(item: dict[str, Any], tag: str) -> Any:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _batches(files: Sequence[Outgoing]) -> Iterator[list[Outgoing]]:
    batch: list[Outgoing] = []
    size = 0
    for file in files:
        if batch and (len(batch) >= BATCH_FILES or size + file.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size
    if batch:
        yield batch
