"""Debian's Orthanc with its DICOMweb plugin, on a port and in a folder of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx

from backend.database import free_port
from tests.stack import until

PROGRAM = "/usr/sbin/Orthanc"
PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


class Orthanc:
    """A PACS that speaks DICOMweb at `url` + /dicom-web."""

    def __init__(self, folder: Path, **configuration: Any) -> None:
        self.port, self.title = free_port(), "ORTHANC"
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "orthanc.log"
        self._file = folder / "orthanc.json"
        self._configuration = {
            "Name": "Orthanc",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "Plugins": [PLUGIN],
            "HttpPort": self.port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomServerEnabled": False,
            "StorageCompression": False,
            "OverwriteInstances": False,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": True},
            **configuration,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Orthanc:
        self._file.write_text(json.dumps(self._configuration))
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [PROGRAM, str(self._file)], stdout=log, stderr=subprocess.STDOUT
            )
        until(self._answers, "Orthanc to answer", 60, lambda: self.log.read_text()[-2000:])
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/dicom-web/studies", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def takes(self, data: bytes) -> bool:
        """Send a file; whether it is stored (or was there already)."""
        answer = httpx.post(f"{self.url}/instances", content=data, timeout=60)
        return answer.status_code == 200

    def get(self, path: str, accept: str = "*/*") -> httpx.Response:
        """GET below its DICOMweb root."""
        return httpx.get(f"{self.url}{path}", headers={"Accept": accept}, timeout=120)
