"""Every setting of Concord, once: name, default, reason."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from psycopg_pool.base import AttemptWithBackoff

from backend.database import database_settings

BASE_DIR = Path(__file__).resolve().parent.parent


def _flag(name: str, default: bool = False) -> bool:
    return os.environ.get(name, "1" if default else "0").lower() in {"1", "true", "yes", "on"}


def _number(name: str, default: int) -> int:
    try:
        return int(os.environ.get(name, default))
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, such as {default}.") from None


def _secret_key(state: Path) -> str:
    """The signing key: `CONCORD_SECRET_KEY`, else one made on first use and kept (mode 0600)."""
    if key := os.environ.get("CONCORD_SECRET_KEY"):
        return key
    path = state / "secret-key"
    if not path.exists():
        state.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
    return path.read_text().strip()


def _content(told: str, state: Path) -> str | Path:
    if not told:
        return state / "content"
    if "://" not in told:
        return Path(told).resolve()
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/-]*)?", told):
        raise ImproperlyConfigured(
            "CONCORD_CONTENT must be a folder, or an address such as s3://bucket/prefix."
        )
    return told


# Where everything Concord keeps on disk lies: database, content store, keys, demo users.
STATE = Path(os.environ.get("CONCORD_STATE", BASE_DIR / "var")).resolve()
# Where the content store's bytes lie: a folder, or `s3://bucket/prefix` (its keys, region and
# endpoint from the usual variables: AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, …).
CONTENT_ROOT: str | Path = _content(os.environ.get("CONCORD_CONTENT", ""), STATE)
# De-identification: the key that pseudonyms, UIDs and date shifts come from (made on first use,
# mode 0600), and the folder of who is behind them, encrypted with it. Back up both, apart.
PSEUDONYM_KEY_FILE = Path(os.environ.get("CONCORD_PSEUDONYM_KEY_FILE", STATE / "pseudonym-key"))
PSEUDONYM_STORE = Path(os.environ.get("CONCORD_PSEUDONYM_STORE", STATE / "pseudonyms"))
# The web process's port on 127.0.0.1.
PORT = _number("CONCORD_PORT", 8000)
# Where models lie, registered and run by workers; `setup` puts those there that Concord ships.
SHIPPED_MODELS = BASE_DIR / "inference" / "models"
MODELS = Path(os.environ.get("CONCORD_MODELS", SHIPPED_MODELS))
# Demonstration mode: demo users exist, the sign-in page says where their passwords are.
DEMO = _flag("CONCORD_DEMO")
# A series is judged and offered to protocols when nothing arrived for it this long.
QUIET_SECONDS = float(os.environ.get("CONCORD_QUIET_SECONDS", "10"))
# A leased run without a live worker is offered again by a sweep this often.
SWEEP_SECONDS = float(os.environ.get("CONCORD_SWEEP_SECONDS", "1"))
# A worker whose socket and advisory lock are gone is dead after this long.
LEASE_GRACE_SECONDS = float(os.environ.get("CONCORD_LEASE_GRACE_SECONDS", "0.5"))
# A worker that holds its lock but says nothing for this long is taken for hung.
WORKER_SILENCE_SECONDS = float(os.environ.get("CONCORD_WORKER_SILENCE_SECONDS", "20"))
# A reader who clicked waits this long at most before they are told that nobody answered.
PROMPT_SECONDS = float(os.environ.get("CONCORD_PROMPT_SECONDS", "20"))
# Where requests and the pieces of large uploads wait; how many bytes of pieces at most; and after
# how long an upload that nobody went on with is ended.
SPOOL = STATE / "spool"
SPOOL_BYTES = int(os.environ.get("CONCORD_SPOOL_BYTES", str(32 << 30)))
UPLOAD_HOURS = float(os.environ.get("CONCORD_UPLOAD_HOURS", "24"))
# Largest file taken in one upload, and largest sum of a zip's contents.
MAX_UPLOAD_BYTES = int(os.environ.get("CONCORD_MAX_UPLOAD_BYTES", str(4 << 30)))

# Largest DICOM object taken (it is held in memory while it is read, deflated ones inflated), and
# the most its pixels may come to once decoded: a header may promise any number.
MAX_OBJECT_BYTES = _number("CONCORD_MAX_OBJECT_BYTES", 1 << 30)
MAX_PIXEL_BYTES = _number("CONCORD_MAX_PIXEL_BYTES", 1 << 30)

# The DICOM listener (`manage.py dimse`): its own AE title, where it listens, and who may send:
# `TITLE` or `TITLE@address`, separated by commas. Nobody may until they are named.
DIMSE_TITLE = os.environ.get("CONCORD_DIMSE_TITLE", "CONCORD")
DIMSE_HOST = os.environ.get("CONCORD_DIMSE_HOST", "127.0.0.1")
DIMSE_PORT = _number("CONCORD_DIMSE_PORT", 11112)
DIMSE_SENDERS = os.environ.get("CONCORD_DIMSE_SENDERS", "")

# Other archives that images are pulled from and pushed to: how long one may say nothing, and how
# often in a row it may fail before a transfer is given up (the pauses double, from 0.5 to 30 s).
REMOTE_TIMEOUT_SECONDS = float(os.environ.get("CONCORD_REMOTE_TIMEOUT_SECONDS", "30"))
REMOTE_TRIES = _number("CONCORD_REMOTE_TRIES", 8)

DEBUG = _flag("CONCORD_DEBUG")
SECRET_KEY = _secret_key(STATE)
ALLOWED_HOSTS = os.environ.get("CONCORD_HOSTS", "127.0.0.1,localhost,[::1],testserver").split(",")
CSRF_TRUSTED_ORIGINS = [o for o in os.environ.get("CONCORD_ORIGINS", "").split(",") if o]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "procrastinate.contrib.django",
    "backend.audit",
    "backend.accounts",
    "backend.jobs",
    "backend.archive",
    "backend.reading",
    "backend.reports",
    "backend",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "backend.accounts.middleware.SamePerson",
    "backend.accounts.middleware.UserTimeZone",
    "backend.middleware.ErrorPages",
]
ROOT_URLCONF = "backend.urls"
ASGI_APPLICATION = "backend.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "backend" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "backend.pages.product",
            ]
        },
    }
]

# `default` is the web role (no DDL, no change of the audit log); `owner` migrates.
DATABASES: dict[str, dict[str, Any]] = database_settings(STATE)
# Connections a process keeps open and shares among its requests; 0: each request opens its own.
# The web process takes up to 40. A connection that died is found out before it is used.
if DATABASE_POOL := _number("CONCORD_DATABASE_POOL", 0):
    # When Postgres ended all of them, each is found out in turn: not seconds apart.
    AttemptWithBackoff.INITIAL_DELAY, AttemptWithBackoff.DELAY_BACKOFF = 0.02, 1.0
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": DATABASE_POOL,
        "timeout": 5.0,
        "reconnect_timeout": 1.0,
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
CSRF_FAILURE_VIEW = "backend.pages.forbidden"
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/"
# With an https origin a proxy ends TLS in front of us and says so in X-Forwarded-Proto: cookies go
# over TLS alone, and browsers remember it.
_TLS = any(origin.startswith("https://") for origin in CSRF_TRUSTED_ORIGINS)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _TLS else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _TLS else 0
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "concord_session"
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 9 << 20  # A list of changes is at most 8 MB; uploads stream.
DATA_UPLOAD_MAX_NUMBER_FILES = 5000
# Files that the upload page sends whole (4 MiB) are never on the disk unencrypted.
FILE_UPLOAD_MAX_MEMORY_SIZE = 5 << 20
FILE_UPLOAD_TEMP_DIR = SPOOL

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"
STATICFILES_DIRS = [
    (prefix, folder)
    for prefix, folder in (
        ("pages", BASE_DIR / "frontend" / "dist" / "pages"),
        ("styles", BASE_DIR / "frontend" / "styles"),
    )
    if folder.is_dir()
]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "backend.accounts.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    # DRF's own default lets everyone in; ours lets in only who signed in.
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["backend.rest.StorableJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": None,
    "EXCEPTION_HANDLER": "backend.rest.handle",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Concord",
    "DESCRIPTION": "Reading room: AI, two readers and a consensus. Research use only.",
    "VERSION": "0.1.0",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_INCLUDE_SCHEMA": False,
}
PROCRASTINATE_ON_APP_READY = "backend.jobs.queue.on_app_ready"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("CONCORD_LOG", "WARNING")},
}
