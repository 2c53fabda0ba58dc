"""Remotes that are not there, turn us away, send rubbish, or never end."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from backend.accounts.models import User
from backend.archive.judging import judge_quiet_series
from backend.archive.models import Instance, KeptAside
from backend.archive.remotes import line, retrieving, searching
from backend.archive.remotes.asking import accept_transfer
from backend.archive.remotes.line import Line
from backend.archive.remotes.managing import test_remote as try_remote
from backend.archive.remotes.models import Remote, Transfer
from backend.archive.remotes.problems import RemoteProblem, Stopped
from backend.archive.remotes.searching import Criteria, search_studies, series_of
from backend.database import free_port
from tests.archive.made import ct_series, encoded
from tests.archive.remotes.pacs import Network, Pacs, head, orthanc, saying

pytestmark = pytest.mark.django_db

Named = Callable[..., Remote]


@pytest.fixture(scope="module")
def guarded(orthanc_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    with orthanc(tmp_path_factory.mktemp("guarded"), auth=("concord", "right")) as running:
        yield running


def problem_of(remote: Remote) -> RemoteProblem:
    with pytest.raises(RemoteProblem) as caught, Line(remote) as open_line:
        search_studies(open_line, Criteria())
    return caught.value


def test_nothing_at_the_address_is_said(named: Named) -> None:
    problem = problem_of(named(f"http://127.0.0.1:{free_port()}/dicom-web"))
    assert (problem.code, problem.passing) == ("REMOTE_UNREACHABLE", True)


def test_a_wrong_password_is_said_and_the_right_one_works(guarded: Pacs, named: Named) -> None:
    basic = {"sign_in": "basic", "username": "concord"}
    assert problem_of(named(guarded.url)).code == "REMOTE_SIGN_IN"
    wrong = named(guarded.url, "wrong", **basic, secret="wrong")
    problem = problem_of(wrong)
    assert problem.code == "REMOTE_SIGN_IN"
    assert "wrong" not in str(problem)
    try_remote(named(guarded.url, "right", **basic, secret="right"))


def test_a_token_is_sent_as_bearer(named: Named) -> None:
    with Network(saying(head() + b"[]")).listening() as network:
        try_remote(named(network.url, sign_in="bearer", secret="tok-1"))
        assert network.asked[0].headers["authorization"] == "Bearer tok-1"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (head(kind="text/html") + b"<h1>Welcome</h1>", "REMOTE_NOT_DICOMWEB"),
        (head(kind="application/json") + b"<h1>Welcome</h1>", "REMOTE_UNREADABLE"),
        (head() + b'{"an": "object"}', "REMOTE_UNREADABLE"),
        (head() + b"[1, 2]", "REMOTE_UNREADABLE"),
        (head() + b"[" * 100_000, "REMOTE_UNREADABLE"),
        (head("302 Found", location="http://192.0.2.9/other"), "REMOTE_REDIRECTS"),
        (head("301 Moved", location="file:///etc/passwd"), "REMOTE_REDIRECTS"),
        (head("303 See Other", location="http://169.254.169.254/latest/"), "REMOTE_REDIRECTS"),
        (head("308 Moved", location="//[::1]:22/x"), "REMOTE_REDIRECTS"),
        (head("307 Moved"), "REMOTE_REDIRECTS"),
        (head("403 Forbidden"), "REMOTE_FORBIDS"),
        (head("404 Not Found"), "REMOTE_HAS_NOT"),
        (head("418 Teapot"), "REMOTE_REFUSES"),
        (head("413 Too Large"), "REMOTE_TOO_LARGE"),
        (head("503 Busy"), "REMOTE_FAILS"),
        (b"not HTTP at all\r\n\r\n", "REMOTE_BROKE_OFF"),
        (b"", "REMOTE_BROKE_OFF"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_wrong_answer_has_its_sentence(named: Named, answer: bytes, code: str) -> None:
    with Network(saying(answer)).listening() as network:
        problem = problem_of(named(network.url))
        assert problem.code == code
        assert problem.message.endswith((".", ")"))
        assert problem.cure
        assert len(network.asked) == 1


def test_a_redirect_is_not_followed(named: Named) -> None:
    with (
        Network(saying(head() + b"[]")).listening() as inside,
        Network(saying(head("307 Moved", location=f"{inside.url}/studies"))).listening() as outside,
    ):
        secret = {"sign_in": "bearer", "secret": "tok"}
        assert problem_of(named(outside.url, **secret)).code == "REMOTE_REDIRECTS"
        assert inside.asked == []


def test_an_answer_without_end_is_not_read_to_it(
    named: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "ANSWER_BYTES", 1 << 20)
    with Network(saying(head() + b"[", then=b" " * 65536)).listening() as network:
        assert problem_of(named(network.url)).code == "REMOTE_ENDLESS"


def test_an_answer_that_drips_ends_with_the_time_given(named: Named) -> None:
    with Network(saying(head() + b"[", then=b" ", every=0.05)).listening() as network:
        remote = named(network.url)
        with pytest.raises(RemoteProblem) as caught, Line(remote, seconds=0.6) as open_line:
            search_studies(open_line, Criteria())
        assert caught.value.code == "REMOTE_SILENT"


def test_a_silent_remote_is_given_up_and_can_be_stopped(named: Named, settings: Any) -> None:
    settings.REMOTE_TIMEOUT_SECONDS = 0.3
    with Network(saying(then=b"")).listening() as network:
        remote = named(network.url)
        assert problem_of(remote).code == "REMOTE_SILENT"
        settings.REMOTE_TIMEOUT_SECONDS = 300.0

        def stop() -> None:
            raise Stopped

        with pytest.raises(Stopped), Line(remote, go_on=stop) as open_line:
            search_studies(open_line, Criteria())


def test_a_certificate_nobody_vouches_for_is_said_and_can_be_trusted(
    named: Named, tmp_path: Path
) -> None:
    pem = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    with Network(saying(head() + b"[]")).listening(context) as network:
        url = network.url.replace("http:", "https:")
        assert problem_of(named(url)).code == "REMOTE_CERTIFICATE"
        try_remote(named(url, "trusted", ca_certificates=pem))
        try_remote(named(url, "careless", verify_tls=False))


def test_what_a_remote_calls_itself_is_read_leniently(named: Named) -> None:
    rows = [
        {"0020000D": {"vr": "UI", "Value": ["1.2.3"]}, "00100010": {"vr": "PN", "Value": [{}]}},
        {"0020000D": {"vr": "UI", "Value": ["../../etc"]}},
        {"0020000D": {"vr": "UI"}},
        {"0020000D": {"Value": "1.2.9"}},
        {
            "0020000D": {"Value": ["1.2.4"]},
            "00080020": {"Value": ["20240519"]},
            "00100010": {"Value": [{"Alphabetic": "A\u0000B^C"}]},
            "00201208": {"Value": ["many"]},
            "00201206": {"Value": [-4]},
            "00080061": {"Value": [None, "CT", "SEG"]},
        },
    ]
    with Network(saying(head() + json.dumps(rows).encode())).listening() as network:
        remote = named(network.url)
        with Line(remote) as open_line:
            found = search_studies(open_line, Criteria())
    assert [study.uid for study in found.studies] == ["1.2.4", "1.2.3"]
    first = found.studies[0]
    assert (first.date, first.patient_name) == (dt.date(2024, 5, 19), "AB^C")
    assert (first.images, first.series, first.modalities) == (None, None, ("CT", "SEG"))


def test_no_uid_of_a_form_leads_to_another_address(named: Named) -> None:
    with Network(saying(head() + b"[]")).listening() as network:
        remote = named(network.url)
        for uid in ("../../admin", "1.2.3/../../x", "", "1.2.3?x=1"):
            with Line(remote) as open_line, pytest.raises(Exception, match="no UID"):
                series_of(open_line, uid)
        assert network.asked == []


def listing(
    slices: list[Any],
    retrieve: bytes,
    then: bytes | None = None,
    *,
    told: int | None = None,
    at_once: int = 1000,
) -> Any:
    """A service that lists a series, and answers with `retrieve` when it is to send it.

    It says that the series has `told` images (None: it does not say), and lists at most `at_once`
    of them in one answer.
    """
    study, series = slices[0].StudyInstanceUID, slices[0].SeriesInstanceUID
    of_series: Any = [{"0020000D": {"Value": [study]}, "0020000E": {"Value": [series]}}]
    if told is not None:
        of_series[0]["00201209"] = {"Value": [told]}
    of_images = [{"00080018": {"Value": [s.SOPInstanceUID]}} for s in slices]

    async def answer(asked: Any, reader: Any, writer: Any) -> None:
        if asked.path.endswith("/series"):
            way = saying(head() + json.dumps(of_series).encode())
        elif asked.path.endswith("/instances"):
            offset = int(parse_qs(urlsplit(asked.target).query)["offset"][0])
            page = of_images[offset : offset + at_once]
            way = saying(head() + json.dumps(page).encode())
        else:
            way = saying(retrieve, then=then)
        await way(asked, reader, writer)

    return answer


MULTIPART = head(kind='multipart/related; type="application/dicom"; boundary=b')


def part(data: bytes) -> bytes:
    return b"--b\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n"


Pull = Callable[..., Transfer]


def test_images_of_other_series_are_not_kept(named: Named, pulled: Pull, hasty: None) -> None:
    slices, other = ct_series(3), ct_series(30)
    body = MULTIPART + b"".join(part(encoded(ds)) for ds in other) + b"--b--\r\n"
    with Network(listing(slices, body)).listening() as network:
        transfer = pulled(named(network.url), slices[0].StudyInstanceUID)
    assert (transfer.state, transfer.message) == (
        "failed",
        "The remote sends other images than were asked for.",
    )
    assert not Instance.objects.exists()
    assert set(KeptAside.objects.values_list("code", "blob")) == {("OTHER_SERIES", "")}
    assert KeptAside.objects.count() == 20


def multipart(slices: list[Any]) -> bytes:
    return MULTIPART + b"".join(part(encoded(ds)) for ds in slices) + b"--b--\r\n"


def test_a_remote_that_lists_some_at_a_time_is_asked_on(
    named: Named, pulled: Pull, hasty: None
) -> None:
    slices = ct_series(7)
    way = listing(slices, multipart(slices), told=7, at_once=3)
    with Network(way).listening() as network:
        transfer = pulled(named(network.url), slices[0].StudyInstanceUID)
        pages = [a for a in network.asked if a.path.endswith("/instances")]
    assert (transfer.state, transfer.message) == ("done", "")
    assert Instance.objects.count() == 7
    assert len(pages) == 3


def test_a_remote_that_lists_fewer_than_it_says_is_not_believed(
    named: Named, pulled: Pull, hasty: None
) -> None:
    """What is not listed is lacking: half a series must not become a volume by itself."""
    slices = ct_series(5)
    with Network(listing(slices, multipart(slices), told=9)).listening() as network:
        transfer = pulled(named(network.url), slices[0].StudyInstanceUID)
    assert transfer.state == "failed"
    assert transfer.message == "The remote has 4 images that it does not give."
    assert transfer.refusals[0]["message"].endswith("has 9 images, and lists 5.")
    assert Instance.objects.count() == 5
    series = Instance.objects.all()[0].series
    judge_quiet_series()
    series.refresh_from_db()
    assert series.volume_state == "pending"
    accept_transfer(transfer=transfer, actor=User.objects.get(username="person"))
    series.refresh_from_db()
    assert series.volume_state == "volume"


def test_a_remote_that_says_fewer_than_it_lists_gives_all(
    named: Named, pulled: Pull, hasty: None
) -> None:
    slices = ct_series(4)
    with Network(listing(slices, multipart(slices), told=1)).listening() as network:
        transfer = pulled(named(network.url), slices[0].StudyInstanceUID)
    assert (transfer.state, Instance.objects.count()) == ("done", 4)


def test_another_patients_images_under_the_same_uids_are_kept_aside_and_said(
    named: Named, pulled: Pull, hasty: None
) -> None:
    slices = ct_series(4)
    for ds in slices[2:]:
        ds.PatientID, ds.PatientName = "SOMEBODY-ELSE", "Else^Somebody"
    with Network(listing(slices, multipart(slices))).listening() as network:
        transfer = pulled(named(network.url), slices[0].StudyInstanceUID)
    assert (Instance.objects.count(), transfer.refused) == (2, 2)
    assert set(KeptAside.objects.values_list("code", flat=True)) == {"STUDY_PATIENT"}
    assert all("another Patient ID" in told["message"] for told in transfer.refusals)
    assert "SOMEBODY-ELSE" not in json.dumps(transfer.refusals)


def test_an_image_under_another_uid_than_asked_for_is_lacking(
    named: Named, pulled: Pull, hasty: None
) -> None:
    slices, other = ct_series(2), ct_series(2)
    for ds, wanted in zip(other, slices, strict=True):
        ds.StudyInstanceUID, ds.SeriesInstanceUID = (
            wanted.StudyInstanceUID,
            wanted.SeriesInstanceUID,
        )
    with Network(listing(slices, multipart(other))).listening() as network:
        transfer = pulled(named(network.url), slices[0].StudyInstanceUID)
    assert transfer.state == "failed"
    assert not Instance.objects.exists()


def test_an_answer_that_comes_too_slowly_to_end_is_given_up(
    named: Named, pulled: Pull, hasty: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REMOTE_TRIES = 2
    monkeypatch.setattr(line, "SLOW_SECONDS", 0.5)
    slices = ct_series(3)

    async def way(asked: Any, reader: Any, writer: Any) -> None:
        inner = listing(slices, MULTIPART)
        if asked.path.endswith(("/series", "/instances")):
            await inner(asked, reader, writer)
        else:
            await saying(MULTIPART + b"--b\r\n\r\n", then=b"x", every=0.05)(asked, reader, writer)

    with Network(way).listening() as network:
        transfer = pulled(named(network.url), slices[0].StudyInstanceUID)
    assert transfer.message == "The remote's answer comes too slowly to end."


def test_the_same_image_without_end_is_stored_once(named: Named, pulled: Pull, hasty: None) -> None:
    slices = ct_series(3)
    way = listing(slices, MULTIPART, then=part(encoded(slices[0])))
    with Network(way).listening() as network:
        transfer = pulled(named(network.url), slices[0].StudyInstanceUID)
    assert transfer.message == "The remote sends other images than were asked for."
    assert Instance.objects.count() == 1


def test_an_image_without_end_fills_no_memory(
    named: Named, pulled: Pull, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieving, "MAX_FILE_BYTES", 1 << 20)
    slices = ct_series(2)
    way = listing(slices, MULTIPART + b"--b\r\n\r\n", then=bytes(65536))
    with Network(way).listening() as network:
        transfer = pulled(named(network.url), slices[0].StudyInstanceUID)
    assert transfer.state == "failed"
    assert transfer.message.startswith("The remote's answer is longer than")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (head(kind="text/html") + b"<p>Please sign in</p>", "a web page"),
        (MULTIPART + part(b"rubbish") * 2 + b"--b--\r\n", "does not give"),
        (head(kind="multipart/related") + b"x", "not with DICOMweb"),
    ],
    ids=["a page", "rubbish in parts", "no boundary"],
)
def test_rubbish_instead_of_images_ends_the_pull(
    named: Named, pulled: Pull, hasty: None, body: bytes, said: str
) -> None:
    slices = ct_series(2)
    with Network(listing(slices, body)).listening() as network:
        transfer = pulled(named(network.url), slices[0].StudyInstanceUID)
    assert not Instance.objects.exists()
    if said == "does not give":
        # Unreadable as it is, each was given under its own address: kept aside, and said.
        assert (transfer.state, transfer.refused) == ("done", 2)
    else:
        assert transfer.state == "failed"
        assert said in transfer.message


def test_a_study_that_is_gone_is_said(named: Named, pulled: Pull) -> None:
    with Network(saying(head() + b"[]")).listening() as network:
        transfer = pulled(named(network.url), "1.2.3")
    assert transfer.message == "The remote no longer lists this study."


def certificate(folder: Path) -> str:
    """A certificate for 127.0.0.1 that signs itself; `both.pem` also holds its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pacs")])
    now = dt.datetime.now(dt.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "both.pem").write_bytes(private + pem)
    return pem.decode()
