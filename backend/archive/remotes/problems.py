"""What goes wrong with a remote, each in a sentence with its cure."""

from __future__ import annotations

import ssl

import httpx

from backend.errors import BadInput


class RemoteProblem(BadInput):
    """The remote does not do what a DICOMweb service does.

    `passing`: it may go away by itself, so that it is worth trying again.
    """

    status = 502

    def __init__(self, code: str, message: str, cure: str, *, passing: bool = False) -> None:
        super().__init__(code, message, cure)
        self.passing = passing


class Stopped(BadInput):
    """The transfer was cancelled, or its process was asked to stop; what came before stays."""

    def __init__(self) -> None:
        super().__init__("STOPPED", "The transfer was stopped.", "Have it tried again.")


def unreachable(error: Exception) -> RemoteProblem:
    """What a failure of the network or of TLS means."""
    if (found := _certificate_fault(error)) is not None:
        return RemoteProblem(
            "REMOTE_CERTIFICATE",
            f"The remote's certificate is not trusted ({found}).",
            "Enter the certificate of its authority, or check that the address is the right one.",
        )
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return RemoteProblem(
            "REMOTE_UNREACHABLE",
            "Nothing answers at the remote's address.",
            "Check the address and port, and that this server may reach it.",
            passing=True,
        )
    if isinstance(error, httpx.TimeoutException):
        return RemoteProblem(
            "REMOTE_SILENT",
            "The remote stopped answering.",
            "Try again; if it stays so, ask who runs it.",
            passing=True,
        )
    return RemoteProblem(
        "REMOTE_BROKE_OFF",
        "The connection to the remote broke off.",
        "Try again; what came before stays.",
        passing=True,
    )


def _certificate_fault(error: BaseException) -> str | None:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return seen.verify_message or "it could not be verified"
        if isinstance(seen, ssl.SSLError):
            return "TLS failed"
        seen = seen.__cause__ or seen.__context__
    return None


def require_good(response: httpx.Response, what: str) -> None:
    """Let a successful answer pass; raises `RemoteProblem` for another.

    Args:
        response: headers are enough; the body is not read.
        what: what was asked for, for example "the study".
    """
    status = response.status_code
    if 200 <= status < 300:
        return
    raise _refusal(status, what, response.headers.get("location", ""))


def _refusal(status: int, what: str, location: str) -> RemoteProblem:
    if 300 <= status < 400:
        return RemoteProblem(
            "REMOTE_REDIRECTS",
            f"The remote sends us elsewhere ({_host(location)}), and that is not followed.",
            "If the service has moved there, have an administrator enter that address.",
        )
    if status == 401:
        return RemoteProblem(
            "REMOTE_SIGN_IN",
            "The remote does not accept how we sign in (401).",
            "Have an administrator enter its user name and password, or its token, anew.",
        )
    if status == 403:
        return RemoteProblem(
            "REMOTE_FORBIDS",
            f"The remote forbids us {what} (403).",
            "Ask who runs it to allow this account to search, retrieve and store.",
        )
    if status == 404:
        return RemoteProblem(
            "REMOTE_HAS_NOT",
            f"The remote does not have {what} (404).",
            "Search again; if nothing is found at all, its address may lack a part such as "
            "/dicom-web.",
        )
    if status == 413:
        return RemoteProblem(
            "REMOTE_TOO_LARGE",
            "The remote finds the request too large (413).",
            "Narrow the search, or ask who runs it to raise its limit.",
        )
    if status == 429 or status >= 500:
        return RemoteProblem(
            "REMOTE_FAILS",
            f"The remote cannot answer now ({status}).",
            "Try again later; if it stays so, ask who runs it.",
            passing=True,
        )
    return RemoteProblem(
        "REMOTE_REFUSES",
        f"The remote refuses to give {what} ({status}).",
        "Check that its address is that of a DICOMweb service.",
    )


def _host(location: str) -> str:
    try:
        url = httpx.URL(location)
    except (httpx.InvalidURL, ValueError):
        return "an address that cannot be read"
    return url.host[:120] or url.path[:120]


def not_dicomweb(kind: str) -> RemoteProblem:
    """The answer is of another kind than DICOMweb has."""
    page = "html" in kind
    found = "a web page" if page else f"{kind[:60] or 'something without a type'}"
    return RemoteProblem(
        "REMOTE_NOT_DICOMWEB",
        f"The remote answers with {found}, not with DICOMweb.",
        "Its address is probably that of a page or a sign-in: enter that of the DICOMweb service.",
    )


def unreadable(what: str) -> RemoteProblem:
    """The answer claims to be DICOMweb and is not."""
    return RemoteProblem(
        "REMOTE_UNREADABLE",
        f"The remote's answer cannot be read: {what}.",
        "Check that its address is that of a DICOMweb service, and ask who runs it.",
    )


def too_long(limit: int) -> RemoteProblem:
    """The answer does not end."""
    shown = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit >> 10} KiB"
    return RemoteProblem(
        "REMOTE_ENDLESS",
        f"The remote's answer is longer than the {shown} that one may have.",
        "Ask who runs it; nothing of this answer was kept.",
    )


def too_slow() -> RemoteProblem:
    """The answer comes, and would take days."""
    return RemoteProblem(
        "REMOTE_SLOW",
        "The remote's answer comes too slowly to end.",
        "Try again when its line is free; if it stays so, ask who runs it.",
        passing=True,
    )
