"""Stock OHIF: the npm package's files as they are, from memory and compressed, as a proxy would.

`uvicorn backend.reading.benchmarks.stock:application`; `STOCK_DICOMWEB_ROOT` names the
DICOMweb root of its images.
"""

from __future__ import annotations

import gzip
import json
import mimetypes
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

FILES = Path(__file__).parents[3] / "frontend" / "node_modules" / "@ohif" / "app" / "dist"
_FOREVER = re.compile(r"\.[0-9a-f]{16}\.js$|[0-9a-f]{16}\.(wasm|woff2)$")
_SQUEEZED = (".js", ".css", ".json", ".svg", ".html", ".wasm")


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An ASGI application: a file, or the one page for every address of the viewer."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    name = scope["path"].lstrip("/")
    body, headers = _answer(name if (FILES / name).is_file() else "index.html")
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@cache
def _answer(name: str) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    if name == "app-config.js":
        body = configuration(os.environ["STOCK_DICOMWEB_ROOT"]).encode()
    else:
        body = (FILES / name).read_bytes()
    kept = b"max-age=31536000, immutable" if _FOREVER.search(name) else b"no-cache"
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    headers = [(b"content-type", kind.encode()), (b"cache-control", kept)]
    if name.endswith(_SQUEEZED):
        body = gzip.compress(body, 6)
        headers.append((b"content-encoding", b"gzip"))
    return body, [*headers, (b"content-length", str(len(body)).encode())]


def configuration(root: str) -> str:
    """The viewer's configuration for one DICOMweb root, and nothing else of ours."""
    source = {
        "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
        "sourceName": "dicomweb",
        "configuration": {
            "friendlyName": "Orthanc",
            "name": "orthanc",
            "qidoRoot": root,
            "wadoRoot": root,
            "wadoUriRoot": root,
            "qidoSupportsIncludeField": False,
            "imageRendering": "wadors",
            "thumbnailRendering": "wadors",
            "enableStudyLazyLoad": True,
            "supportsFuzzyMatching": False,
            "supportsWildcard": True,
            "omitQuotationForMultipartRequest": True,
        },
    }
    config = {
        "routerBasename": "/",
        "extensions": [],
        "modes": [],
        "showStudyList": False,
        "maxNumberOfWebWorkers": 2,
        "investigationalUseDialog": {"option": "never"},
        "maxNumRequests": {"interaction": 100, "thumbnail": 5, "prefetch": 25},
        "defaultDataSourceName": "dicomweb",
        "dataSources": [source],
    }
    return f"window.config = {json.dumps(config)};"
