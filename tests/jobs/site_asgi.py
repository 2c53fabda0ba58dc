"""The web process of the jobs room alone."""

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from backend.jobs.consumers import websocket_urlpatterns  # noqa: E402 - apps are loaded only now

application = ProtocolTypeRouter(
    {"http": django_application, "websocket": URLRouter(websocket_urlpatterns)}
)
