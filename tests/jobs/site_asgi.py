"""The web process of the jobs room alone."""

from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

# Apps are loaded only now.
from channels.auth import AuthMiddlewareStack  # noqa: E402

from backend.jobs.consumers import websocket_urlpatterns as worker_sockets  # noqa: E402
from backend.jobs.run_news import websocket_urlpatterns as run_sockets  # noqa: E402

_workers = URLRouter(worker_sockets)
_browsers = AuthMiddlewareStack(URLRouter(run_sockets))


async def sockets(scope: Any, receive: Any, send: Any) -> None:
    """A worker's door and the browsers' apart, as in `backend.asgi`: no worker waits for these."""
    door = _workers if scope["path"] == "/ws/worker" else _browsers
    await door(scope, receive, send)


application = ProtocolTypeRouter({"http": django_application, "websocket": sockets})
