"""dicomweb-client and plain requests, answered by the application in this process."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import urlsplit

import requests
from dicomweb_client.web import DICOMwebClient
from django.test import Client
from requests.adapters import BaseAdapter
from requests.models import PreparedRequest, Response


class InProcess(BaseAdapter):
    """Sends requests' requests to Django's test client."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.client = client

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        parts = urlsplit(str(request.url))
        body = request.body or b""
        if not isinstance(body, (bytes, str)):
            body = b"".join(body) if not hasattr(body, "read") else body.read()
        answer = self.client.generic(
            str(request.method),
            parts.path,
            body,
            content_type=request.headers.get("Content-Type", "application/octet-stream"),
            QUERY_STRING=parts.query,
            headers={k: v for k, v in request.headers.items() if k.lower() != "content-type"},
        )
        response = Response()
        response.status_code = answer.status_code
        response.headers.update(dict(answer.items()))
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        response.raw = io.BytesIO(content)
        if response.headers.get("Content-Encoding") == "gzip":
            import gzip

            response.raw = io.BytesIO(gzip.decompress(content))
        response.url, response.request = str(request.url), request
        response.connection = self  # type: ignore[attr-defined]
        return response

    def close(self) -> None:
        """Nothing is open."""


def dicomweb(client: Client, prefix: str = "/dicom-web", **headers: str) -> DICOMwebClient:
    """dicomweb-client on the application in this process."""
    session = requests.Session()
    session.mount("http://testserver", InProcess(client))
    session.headers.update(headers)
    return DICOMwebClient(f"http://testserver{prefix}", session=session)
