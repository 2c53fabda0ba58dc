"""The API as the viewer uses it, and the pages beside it."""

from __future__ import annotations

import gzip
import hashlib
import html
import json
import re
import uuid
from typing import Any

import numpy as np
import pytest
import zstandard
from django.test import Client

from backend.archive import visibility as archive
from backend.archive.models import Series
from backend.audit.models import Event, NewsHead
from backend.imaging.masks import pack_mask, unpack_mask
from backend.jobs import selectors as jobs
from backend.reading.models import Mask
from tests.reading.site import PASSWORD, PEOPLE, Site, Twin, ai_volume, make_series


def post(browser: Client, path: str, /, **body: Any) -> Any:
    return browser.post(path, json.dumps(body), content_type="application/json")


@pytest.fixture
def reader(ready: Site) -> Client:
    return ready.client("reader1")


def test_a_reading_from_worklist_to_signature_over_http(ready: Site, reader: Client) -> None:
    (row,) = reader.get("/api/worklist").json()["results"]
    assert {k: row[k] for k in ("slot", "state", "nodes", "decided", "report")} == {
        "slot": "R1",
        "state": "assigned",
        "nodes": 3,
        "decided": 0,
        "report": None,
    }
    assert row["case"]["label"] == "LN-0001"
    assert row["ai"]["state"] == "ready"
    assert row["ai"]["progress"] == 1.0
    assert row["url"].startswith("/viewer/lymph?StudyInstanceUIDs=2.25.")
    root = f"/api/readings/{row['reading']}"
    client_id = str(uuid.uuid4())
    lease = post(reader, f"{root}/lease", client=client_id).json()["lease"]
    detail = reader.get(root, {"client": client_id}).json()
    assert detail["state"] == "open"
    assert detail["lease"] == {"mine": True, "holder": "Rita Reader", "id": lease}
    assert reader.get(root).json()["lease"]["mine"] is False
    assert detail["head"] == detail["base"] == detail["ai_mask"]
    assert detail["grid"]["shape"] == [12, 24, 24]
    assert detail["ai"]["model"]["name"] == "tests"
    assert detail["manifest"]["labels"] == detail["labels"]
    node = detail["nodes"][0]
    assert node["measures"]["endpoints_vox"]["long"][0][0] == node["measures"]["slice_index"]
    assert not detail["can_submit"]
    base = detail["head"]
    for node in detail["nodes"]:
        change = {"id": str(uuid.uuid4()), "base": base, "kind": "decision"}
        change |= {"node": node["uuid"], "decision": "accepted"}
        answer = post(reader, f"{root}/changes", lease=lease, changes=[change])
        (result,) = answer.json()["results"]
        assert result["nodes"][0]["decision"] == "accepted"
        base = result["head"]
    for plane, ranges in (("axial", [[0, 11]]), ("coronal", [[1, 1]]), ("sagittal", [[1, 2]])):
        given = post(reader, f"{root}/seen", plane=plane, ranges=ranges, active_seconds=1.5)
        assert given.status_code == 204
    assert reader.get(root).json()["can_submit"]
    signing = {"lease": lease, "head": base, "meaning": "authorship"}
    wrong = post(reader, f"{root}/submit", password="no", **signing)
    assert (wrong.status_code, wrong.json()["error"]) == (403, "WRONG_PASSWORD")
    done = post(reader, f"{root}/submit", password=PASSWORD, **signing).json()
    assert done["state"] == "submitted"
    assert done["signature"]["name"] == "Rita Reader"
    again = reader.get(root).json()
    assert again["signature"] == done["signature"]
    assert again["lease"] == {"mine": False, "holder": None, "id": None}


def test_errors_have_one_shape(ready: Site, reader: Client) -> None:
    root = f"/api/readings/{ready.reading().pk}"
    answers = [
        post(reader, f"{root}/changes", lease=None, changes=[]),
        post(reader, f"{root}/changes", lease="x", changes=[{}]),
        post(reader, f"{root}/changes", changes="no"),
        post(reader, f"{root}/lease", client="not a uuid"),
        post(reader, f"{root}/seen", plane="oblique", ranges=[]),
        post(reader, f"{root}/seen", plane="axial", ranges=[[3, 1]]),
        reader.get("/api/worklist", {"cursor": "yesterday"}),
        reader.get(f"/api/readings/{uuid.uuid4()}"),
        reader.get("/api/masks/nothing"),
        Client().get("/api/worklist"),
    ]
    for answer in answers:
        assert answer.status_code in (400, 401, 404, 409), answer.content
        assert {"error", "message", "cure", "possible"} <= set(answer.json())


@pytest.mark.parametrize(
    ("offered", "used"), [("gzip, zstd", "zstd"), ("gzip;q=1, zstd;q=0", "gzip"), ("br", "")]
)
def test_a_mask_comes_in_the_coding_the_client_takes_and_never_twice(
    ready: Site, reader: Client, offered: str, used: str
) -> None:
    mask = Mask.objects.get(kind="ai")
    answer = reader.get(f"/api/masks/{mask.hash}/volume", HTTP_ACCEPT_ENCODING=offered)
    assert answer.headers.get("Content-Encoding", "") == used
    decoded = {
        "zstd": lambda body: zstandard.ZstdDecompressor().decompress(body, 1 << 24),
        "gzip": gzip.decompress,
        "": bytes,
    }[used](answer.content)
    packed = unpack_mask(decoded)
    assert np.array_equal(packed.to_volume(), ai_volume())
    assert decoded == pack_mask(packed)
    assert "immutable" in answer.headers["Cache-Control"]
    again = reader.get(
        f"/api/masks/{mask.hash}/volume",
        HTTP_ACCEPT_ENCODING=offered,
        HTTP_IF_NONE_MATCH=answer.headers["ETag"],
    )
    assert (again.status_code, again.content) == (304, b"")


def test_manifest_and_slice_hash_to_the_names_they_are_asked_by(
    ready: Site, reader: Client
) -> None:
    mask = Mask.objects.get(kind="ai")
    manifest = reader.get(f"/api/masks/{mask.hash}").content
    assert hashlib.sha256(manifest).hexdigest() == mask.hash
    index, blob = json.loads(manifest)["slices"][0]
    labels = reader.get(f"/api/slices/{blob}").content
    assert hashlib.sha256(labels).hexdigest() == blob
    assert labels == ai_volume()[index].astype("<u2").tobytes()


def test_the_worklist_is_paged_by_cursor(
    ready: Site, reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.reading import api, services

    services.open_case(series=make_series(2))
    services.open_case(series=make_series(3))
    monkeypatch.setattr(api, "PAGE", 2)
    first = reader.get("/api/worklist").json()
    second = reader.get(first["next"]).json()
    labels = [row["case"]["label"] for row in first["results"] + second["results"]]
    assert labels == ["LN-0003", "LN-0002", "LN-0001"]
    assert second["next"] is None


def test_a_body_above_eight_megabytes_is_refused(ready: Site, reader: Client, twin: Twin) -> None:
    path = f"/api/readings/{ready.reading().pk}/changes"
    body = {"lease": str(twin.lease), "changes": [{"id": "x" * (8 << 20)}]}
    answer = post(reader, path, **body)
    assert (answer.status_code, answer.json()["error"]) == (400, "BODY_TOO_LARGE")


def test_pages_show_each_role_its_own(ready: Site, reader: Client) -> None:
    page = reader.get("/")
    assert page.status_code == 200
    assert page.context["rows"] == reader.get("/api/worklist").json()["results"]
    assert reader.get("/worklist/rows/").status_code == 200
    coordinator = ready.client("coordinator")
    assert coordinator.get("/").headers["Location"] == "/cases/"
    assert b"LN-0001" in coordinator.get("/cases/").content
    assert b"LN-0001" in coordinator.get("/cases/rows/").content
    assert coordinator.get(f"/cases/{ready.case.pk}/").status_code == 200
    for path in ("/cases/", "/cases/rows/", f"/cases/{ready.case.pk}/"):
        assert reader.get(path).status_code == 404
    assert Client().get("/").status_code == 302


def test_a_coordinator_holds_and_releases_from_the_page(ready: Site) -> None:
    coordinator, reading = ready.client("coordinator"), ready.reading("reader2")
    for reason in ("", "a\0b", "a" * 3000):
        coordinator.post(f"/cases/readings/{reading.pk}/hold", {"reason": reason})
    assert ready.reading("reader2").state == "assigned"
    coordinator.post(f"/cases/readings/{reading.pk}/hold", {"reason": "motion"})
    assert ready.reading("reader2").state == "on_hold"
    coordinator.post(f"/cases/readings/{reading.pk}/release")
    assert ready.reading("reader2").state == "assigned"
    coordinator.post(f"/cases/readings/{reading.pk}/withdraw", {"reason": "on leave"})
    coordinator.post(f"/cases/{ready.case.pk}/assign", {"slot": "R2", "reader": "reader2"})
    states = ready.case.readings.filter(reader=reading.reader).values_list("state", flat=True)
    assert sorted(states) == ["assigned", "withdrawn"]


def test_an_administrators_look_leaves_a_trace(ready: Site) -> None:
    from backend.accounts.models import User

    ready.users["admin"] = User.objects.create_superuser("admin", password=PASSWORD)
    admin = ready.client("admin")
    assert admin.get(f"/api/readings/{ready.reading().pk}").status_code == 200
    looked = Event.objects.filter(action="admin.looked", chain=ready.case.chain)
    assert [event.actor_name for event in looked] == ["admin"]
    assert ready.client("auditor").get(f"/api/readings/{ready.reading().pk}").status_code == 200
    assert looked.count() == 1


def test_who_sees_which_images_and_runs(ready: Site) -> None:
    alone = make_series(9, is_image=True)
    for name in PEOPLE:
        seen = set(archive.visible(ready.users[name]))
        assert seen == (set(Series.objects.all()) if name in ("coordinator", "auditor") else set())
        runs = jobs.runs_seen_by(ready.users[name]).count()
        assert runs == (1 if name in ("coordinator", "auditor") else 0)
    scoped = archive.in_scope("readings", ready.users["reader1"], ready.reading().pk)
    assert [series.pk for series in scoped] == [ready.case.series_id]
    assert alone.pk != ready.case.series_id
    assert archive.may_upload(ready.users["coordinator"])
    assert not archive.may_upload(ready.users["reader1"])


@pytest.mark.parametrize(
    "body",
    [
        b'{"lease": null, "changes": [{"id": "a\\u0000"}]}',
        b'{"lease": null, "changes": [{"base": "a\\ud800b"}]}',
        b'{"lease": null, "changes": [{"value": 1e999}]}',
        b'{"lease": null, "changes": [{"value": NaN}]}',
        b'{"changes": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
    ids=["a NUL", "half a character", "an infinite number", "no number", "too deep"],
)
def test_json_the_database_cannot_hold_is_refused_with_a_sentence(
    ready: Site, reader: Client, body: bytes
) -> None:
    path = f"/api/readings/{ready.reading().pk}/changes"
    refused = reader.post(path, body, content_type="application/json")
    assert refused.status_code == 400
    assert refused.json()["error"] in ("BAD_INPUT", "TOO_DEEP")
    assert refused.json()["cure"]


def test_text_in_any_script_is_taken(ready: Site, reader: Client) -> None:
    path = f"/api/readings/{ready.reading().pk}/lease"
    body = '{"client": "U", "note": "\\ud83d\\ude00 \\\\u0000 ü"}'.replace("U", str(uuid.uuid4()))
    assert reader.post(path, body, content_type="application/json").status_code == 200


def test_a_body_above_every_limit_is_refused_in_the_one_shape(
    ready: Site, reader: Client, settings: Any
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    path = f"/api/readings/{ready.reading().pk}/changes"
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ready.users["reader1"])
    strict.cookies["csrftoken"] = "a" * 32
    refused = strict.post(path, " " * 2000, content_type="application/json")
    assert refused.json()["error"] == "BODY_TOO_LARGE"


@pytest.mark.parametrize(
    "path",
    [
        "/api/masks/%00",
        "/api/slices/%00",
        "/api/masks/%00/volume",
        "/dicom-web/studies/%00",
        "/dicom-web/studies/1.2/series/%00/metadata",
        "/viewer/assets/%00",
    ],
)
def test_an_address_with_a_nul_leads_nowhere(ready: Site, reader: Client, path: str) -> None:
    assert reader.get(path).status_code == 404


@pytest.mark.parametrize("cursor", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "x"])
def test_a_cursor_that_is_none_is_refused(ready: Site, reader: Client, cursor: str) -> None:
    assert reader.get("/api/worklist", {"cursor": cursor}).json()["error"] == "BAD_CURSOR"


def test_a_worklist_page_says_which_news_it_already_shows(ready: Site) -> None:
    def seen() -> dict[str, int]:
        page = ready.client("reader1").get("/").content.decode()
        found = re.search(r'<meta name="news-seen" content="(.*?)">', page)
        assert found
        shown: dict[str, int] = json.loads(html.unescape(found[1]))
        return shown

    audience = f"user:{ready.users['reader1'].pk}"
    before = seen()
    assert list(before) == [audience]
    Twin(ready)  # Opening a reading is news of its row.
    after = seen()
    assert after[audience] > before[audience]
    assert after[audience] == NewsHead.objects.get(audience=audience).seq
