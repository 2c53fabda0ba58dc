"""Images of a remote as they arrive (WADO-RS): one at a time in memory, never a whole series."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator

import pydicom

from backend.archive.findings import NotTaken
from backend.archive.parsing import text
from backend.archive.remotes.line import Answer, Line
from backend.archive.remotes.problems import RemoteProblem, not_dicomweb, require_good
from backend.archive.remotes.searching import uid_in_path
from backend.archive.sources import MAX_FILE_BYTES
from backend.archive.streaming import parts_of
from backend.errors import BadInput

# As the remote keeps them: nothing is encoded anew on the way.
_ACCEPT = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
_HEADERS_BYTES = 1 << 20
_UIDS = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]


def images_of_series(line: Line, study: str, series: str) -> Iterator[bytes]:
    """The files of a series; raises `RemoteProblem`, also in the middle."""
    path = f"/studies/{uid_in_path(study)}/series/{uid_in_path(series)}"
    yield from _retrieved(line, path, "the series")


def images_of_instance(line: Line, study: str, series: str, sop: str) -> Iterator[bytes]:
    """The file of one instance (a remote might send more); raises `RemoteProblem`."""
    path = f"/studies/{uid_in_path(study)}/series/{uid_in_path(series)}"
    yield from _retrieved(line, f"{path}/instances/{uid_in_path(sop)}", "the image")


def _retrieved(line: Line, path: str, what: str) -> Iterator[bytes]:
    with line.answer("GET", path, headers=_ACCEPT) as answer:
        require_good(answer.response, what)
        answer.allow(MAX_FILE_BYTES + _HEADERS_BYTES)
        if answer.kind == "application/dicom":
            yield answer.all()
            return
        boundary = _boundary(answer)
        if answer.kind != "multipart/related" or not boundary:
            raise not_dicomweb(answer.kind)
        try:
            for _header, read in parts_of(answer, boundary):
                try:
                    data = read()
                except NotTaken as problem:
                    raise _too_large() from problem
                yield data
                answer.allow(MAX_FILE_BYTES + _HEADERS_BYTES)
        except BadInput as error:
            raise _as_remote(error) from error


def _boundary(answer: Answer) -> str:
    header = str(answer.response.headers.get("content-type", ""))
    for parameter in header.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "boundary":
            return value.strip().strip('"')
    return ""


def _too_large() -> RemoteProblem:
    return RemoteProblem(
        "REMOTE_IMAGE_TOO_LARGE",
        f"One of the remote's images is larger than the {MAX_FILE_BYTES >> 20} MiB allowed.",
        "Have the series sent as single-frame images.",
    )


def _as_remote(error: BadInput) -> BadInput:
    if error.code != "BROKEN_MULTIPART":
        return error
    return RemoteProblem(
        "REMOTE_BROKE_OFF",
        "The remote's answer broke off before its end.",
        "Try again; what came before stays.",
        passing=True,
    )


def uids_of(data: bytes) -> tuple[str, str, str] | None:
    """Study, series and SOP Instance UID of a file; None where they cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(
                io.BytesIO(data), stop_before_pixels=True, specific_tags=_UIDS
            )
            study, series, sop = (text(dataset, keyword) for keyword in _UIDS)
        except Exception:  # noqa: BLE001  receiving says what is wrong with it
            return None
    return (study, series, sop) if study and series and sop else None
