"""The web process of the jobs room alone."""

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

# Apps are loaded only now.
from channels.auth import AuthMiddlewareStack  # noqa: E402

from backend.jobs.consumers import websocket_urlpatterns as worker_sockets  # noqa: E402
from backend.jobs.run_news import websocket_urlpatterns as run_sockets  # noqa: E402

sockets = AuthMiddlewareStack(URLRouter([*worker_sockets, *run_sockets]))
application = ProtocolTypeRouter({"http": django_application, "websocket": sockets})
