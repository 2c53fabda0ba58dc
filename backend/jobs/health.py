"""`/healthz` and `/readyz`, for whoever watches the machine."""

from __future__ import annotations

from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from backend.jobs.selectors import workers
from backend.store import store
from backend.version import VERSION


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"ok": True, "version": VERSION})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when database, queue tables and storage answer; workers are told, never the reason."""
    parts = {"database": False, "queue": False, "storage": store().writable()}
    alive: int | None = None
    try:
        with connection.cursor() as cursor:
            cursor.execute("select to_regclass('procrastinate_jobs') is not null")
            (parts["queue"],) = cursor.fetchone()
            parts["database"] = True
        alive = sum(worker.alive for worker in workers())
    except DatabaseError:
        connection.close()
    ready = all(parts.values())
    return JsonResponse({"ready": ready, **parts, "workers": alive}, status=200 if ready else 503)
