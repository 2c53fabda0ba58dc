"""The web process: Django over HTTP, Channels over websockets."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")

# This process answers many at once: they share connections to the database.
os.environ.setdefault("CONCORD_DATABASE_POOL", "40")

import django

# WhiteNoise hands out our few small static files as synchronous streams; read whole, they are fine.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous")

django.setup(set_prefix=False)
# The event loop waits this long, not 5 ms, for a thread that computes.
sys.setswitchinterval(0.001)

# Only now are the apps loaded that these import.
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.urls import re_path  # noqa: E402

from backend.archive.arriving import Handler  # noqa: E402
from backend.archive.fast_route import FastRoute  # noqa: E402
from backend.audit.consumers import NoSuchSocket  # noqa: E402
from backend.body_limits import BodyLimits  # noqa: E402
from backend.jobs.consumers import websocket_urlpatterns as worker_sockets  # noqa: E402
from backend.jobs.run_news import websocket_urlpatterns as run_sockets  # noqa: E402
from backend.reading.consumers import websocket_urlpatterns as browser_sockets  # noqa: E402

# A browser comes from our own origin with its session; a worker has a token and no origin.
_everywhere_else = re_path("", NoSuchSocket.as_asgi())
_browsers = AllowedHostsOriginValidator(
    AuthMiddlewareStack(URLRouter([*browser_sockets, *run_sockets, _everywhere_else]))
)
_workers = URLRouter(worker_sockets)


async def sockets(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Send a websocket to the workers' door or to the browsers'."""
    door = _workers if scope["path"] == "/ws/worker" else _browsers
    await door(scope, receive, send)


# What was made until now is never garbage: collections that stop everything need not look at it.
gc.collect()
gc.freeze()

application = ProtocolTypeRouter({"http": FastRoute(BodyLimits(Handler())), "websocket": sockets})
