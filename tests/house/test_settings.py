"""Settings that follow from others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ASKED = """
import json
from backend import settings as s
print(json.dumps([s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SECURE_HSTS_SECONDS > 0,
                  s.SECURE_PROXY_SSL_HEADER is not None]))
"""


@pytest.mark.parametrize(
    ("origins", "secure"), [("https://room.example", True), ("http://127.0.0.1:8000", False)]
)
def test_an_https_origin_keeps_cookies_to_tls(origins: str, secure: bool, tmp_path: Path) -> None:
    environment = os.environ | {"CONCORD_ORIGINS": origins, "CONCORD_STATE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", ASKED],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [secure] * 4
