"""The operator's choices, read from the environment. `docs/settings.md` lists them."""

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from celery.schedules import crontab
from redis.maint_notifications import MaintNotificationsConfig

from imcore import limits

BASE_DIR = Path(__file__).resolve().parent.parent


def _number(name: str, default: float) -> float:
    return float(os.environ.get(name) or default)


def _words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def _kept_secret(path: Path) -> str:
    """Return the secret in `path`, making the file at first use; O_EXCL lets one of several processes win."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text()
    secret = secrets.token_urlsafe(48)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)
    return secret


HOST = os.environ.get("HOST") or "127.0.0.1"
PORT = int(os.environ.get("PORT") or 8000)
DATA_DIR = Path(os.environ.get("IMCORE_DATA_DIR") or BASE_DIR / "var").resolve()
REDIS_URL = os.environ.get("REDIS_URL", "")

# What clients are told to connect to. Empty: the host and scheme they asked the router by.
PUBLIC_URL = os.environ.get("IMCORE_PUBLIC_URL", "").rstrip("/")
if PUBLIC_URL and urlsplit(PUBLIC_URL).scheme not in ("http", "https"):
    raise ValueError("IMCORE_PUBLIC_URL must start with http:// or https://")
# Where requests below /1.1/ go that this server does not serve. Empty: nowhere.
UPSTREAM_URL = os.environ.get("IMCORE_UPSTREAM_URL", "").rstrip("/")
if UPSTREAM_URL and urlsplit(UPSTREAM_URL).scheme not in ("http", "https"):
    raise ValueError("IMCORE_UPSTREAM_URL must start with http:// or https://")
UPSTREAM_SECONDS = _number("IMCORE_UPSTREAM_SECONDS", 30)

SECRET_KEY = os.environ.get("SECRET_KEY") or _kept_secret(DATA_DIR / "secret_key")
DEBUG = os.environ.get("DEBUG", "") == "1"
# The API answers under whatever name a client reaches it by, as the hosted service did under customers' own domains.
ALLOWED_HOSTS = _words("ALLOWED_HOSTS", "*")
CSRF_TRUSTED_ORIGINS = _words("CSRF_TRUSTED_ORIGINS") + ([PUBLIC_URL] if PUBLIC_URL else [])

INSTALLED_APPS = [
    "imcore",
    "imcore.accounts",
    "imcore.installations",
    "imcore.files",
    "hooks",
    "pushnotify",
    "conversations",
    "messaging",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "corsheaders",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "imcore.rest.middleware.api",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
# A redirect would lose the body of a POST, and old SDKs follow none (rest-api 1.4).
APPEND_SLASH = False

ROOT_URLCONF = "imcore.urls"
ASGI_APPLICATION = "imcore.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Where the bytes of files are: a folder, or a bucket of any S3-compatible store if one is named.
FILES_ROOT = Path(os.environ.get("IMCORE_FILES_ROOT") or DATA_DIR / "files").resolve()
FILES_BUCKET = os.environ.get("IMCORE_FILES_BUCKET", "")
# Where files are downloaded. Empty: from this server.
FILES_PUBLIC_URL = os.environ.get("IMCORE_FILES_PUBLIC_URL", "").rstrip("/")
if FILES_PUBLIC_URL and urlsplit(FILES_PUBLIC_URL).scheme not in ("http", "https"):
    raise ValueError("IMCORE_FILES_PUBLIC_URL must start with http:// or https://")
FILES_THREADS = int(_number("IMCORE_FILES_THREADS", 8))
UPLOADS_AT_A_TIME = int(_number("IMCORE_UPLOADS_AT_A_TIME", 200))
UPLOAD_IDLE_SECONDS = _number("IMCORE_UPLOAD_IDLE_SECONDS", 60)
UPLOAD_SECONDS = _number("IMCORE_UPLOAD_SECONDS", 3600)


def _files() -> dict[str, Any]:
    if not FILES_BUCKET:
        # Written anew if a server died between the bytes and the row that says they are there.
        options: dict[str, Any] = {"location": FILES_ROOT, "allow_overwrite": True}
        return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    # Much to load for servers without a bucket.
    from botocore.config import Config

    endpoint = os.environ.get("IMCORE_FILES_ENDPOINT") or None
    options = {
        "bucket_name": FILES_BUCKET,
        "endpoint_url": endpoint,
        "region_name": os.environ.get("IMCORE_FILES_REGION") or "us-east-1",
        "access_key": os.environ.get("IMCORE_FILES_ACCESS_KEY") or None,
        "secret_key": os.environ.get("IMCORE_FILES_SECRET_KEY") or None,
        "client_config": Config(
            signature_version="s3v4",
            # Checksums that S3-like stores need not know, in an encoding that some of them take for the content.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            # Amazon's host of the region: that of all regions redirects, which a browser's preflight may not follow.
            s3=None if endpoint else {"addressing_style": "virtual"},
        ),
        "file_overwrite": True,
    }
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}


STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "files": _files(),
}

DATABASE_THREADS = int(_number("IMCORE_DATABASE_THREADS", 8))
DATABASE_WAIT_SECONDS = _number("IMCORE_DATABASE_WAIT_SECONDS", 10)


def _database() -> dict[str, Any]:
    url = os.environ.get("DATABASE_URL") or f"sqlite:///{DATA_DIR / 'imcore.sqlite3'}"
    config: dict[str, Any] = dict(dj_database_url.parse(url))
    options = config.setdefault("OPTIONS", {})
    if config["ENGINE"].endswith("sqlite3"):
        # IMMEDIATE: a transaction that starts by reading and then writes would fail at once instead of waiting its
        # turn. FULL: an acknowledged message survives a power cut, and batches make it cheap.
        options.update(
            transaction_mode="IMMEDIATE",
            timeout=DATABASE_WAIT_SECONDS,
            init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA mmap_size=134217728;",
        )
        # Opening the file anew costs more than most statements.
        config["CONN_MAX_AGE"] = None
        # The test database must be a file: the in-memory one is one connection, and ours come from threads.
        config["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
    else:
        # A restart of PostgreSQL leaves dead connections in the pool; one round trip finds them before a client does.
        config["CONN_HEALTH_CHECKS"] = True
        wait_ms = int(DATABASE_WAIT_SECONDS * 1000)
        options.setdefault("options", f"-c statement_timeout={wait_ms} -c lock_timeout={wait_ms}")
        options["pool"] = {
            "min_size": 1,
            # The bridge's threads, and as many again for views and tasks.
            "max_size": 2 * DATABASE_THREADS,
            "timeout": DATABASE_WAIT_SECONDS,
        }
    return config


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# With them on, redis-py takes a connection that Redis has closed from the pool without a look (its 8.1), and the first
# command after a restart of Redis fails, however long ago that was.
REDIS_MAINTENANCE = MaintNotificationsConfig(enabled=False)
# Only the inbox of a node travels here; in one process nothing does.
CHANNEL_LAYERS: dict[str, Any] = (
    {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {
                "hosts": [{"address": REDIS_URL, "maint_notifications_config": REDIS_MAINTENANCE}],
                "prefix": "imcore",
            },
        }
    }
    if REDIS_URL
    else {}
)

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL") or REDIS_URL or "memory://localhost/"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TIME_LIMIT = 600
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "forget-devices": {"task": "messaging.forget_devices", "schedule": 3600.0},
    "forget-kicks": {"task": "messaging.forget_kicks", "schedule": 3600.0},
    "delete-expired-conversations": {"task": "messaging.delete_expired", "schedule": 300.0},
    "forget-notices": {"task": "conversations.forget_notices", "schedule": 3600.0},
    "forget-room-seats": {"task": "conversations.forget_seats", "schedule": 300.0},
    "forget-installations": {"task": "installations.forget", "schedule": crontab(hour=2, minute=47)},
    "clean-files": {"task": "files.clean", "schedule": 3600.0},
    "apply-retention": {"task": "messaging.apply_retention", "schedule": crontab(hour=3, minute=17)},
}

# How long things may take and how much may wait; docs/settings.md says what happens at each bound.
FRAME_MAX_BYTES = int(_number("IMCORE_FRAME_MAX_BYTES", 256 * 1024))
HEAD_SECONDS = _number("IMCORE_HEAD_SECONDS", 20)
BODY_SECONDS = _number("IMCORE_BODY_SECONDS", 120)
ANSWER_IDLE_SECONDS = _number("IMCORE_ANSWER_IDLE_SECONDS", 60)
LOGIN_SECONDS = _number("IMCORE_LOGIN_SECONDS", 300)
# SDKs speak every 180 s (realtime-protocol 1.6); pings find a dead connection earlier than they would.
PING_SECONDS = _number("IMCORE_PING_SECONDS", 60)
PONG_SECONDS = _number("IMCORE_PONG_SECONDS", 60)
COMMAND_SECONDS = _number("IMCORE_COMMAND_SECONDS", 15)
COMMAND_BACKLOG = int(_number("IMCORE_COMMAND_BACKLOG", 64))
# More than those that wait for a password's hash or for the upstream server may have together.
REQUEST_THREADS = int(_number("IMCORE_REQUEST_THREADS", 400))
REQUEST_BACKLOG = int(_number("IMCORE_REQUEST_BACKLOG", 1000))
REQUEST_WAIT_SECONDS = _number("IMCORE_REQUEST_WAIT_SECONDS", 5)
OUTBOUND_MAX_FRAMES = int(_number("IMCORE_OUTBOUND_MAX_FRAMES", 1000))
OUTBOUND_MAX_BYTES = int(_number("IMCORE_OUTBOUND_MAX_BYTES", 1024 * 1024))
STORE_BATCH = int(_number("IMCORE_STORE_BATCH", 256))
STORE_BACKLOG = int(_number("IMCORE_STORE_BACKLOG", 20_000))
CONVERSATION_CACHE = int(_number("IMCORE_CONVERSATION_CACHE", 500_000))
DRAIN_SECONDS = _number("IMCORE_DRAIN_SECONDS", 5)
QUERY_SECONDS = _number("IMCORE_QUERY_SECONDS", 2)
PASSWORD_THREADS = int(_number("IMCORE_PASSWORD_THREADS", 2))
PASSWORD_BACKLOG = int(_number("IMCORE_PASSWORD_BACKLOG", 200))

# Of users and of administrators. scrypt needs no further library; the last two are of imported users, and every hash
# that is not the first's is replaced at the next log-in.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "imcore.accounts.hashers.LeanCloudHasher",
    "imcore.accounts.hashers.ImportedBcryptHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "static/"
# whitenoise serves the admin's files straight from their packages; it only insists that this folder exists.
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

CORS_ALLOW_ALL_ORIGINS = True
# rest-api 2.8: what SDKs in web pages send, whatever their age.
CORS_PREFLIGHT_MAX_AGE = 86_400
CORS_ALLOW_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
CORS_ALLOW_HEADERS = [
    *("accept", "accept-encoding", "authorization", "cache-control", "content-type", "origin", "x-requested-with"),
    *("range", "if-range", "if-none-match"),
    *("x-lc-id", "x-lc-key", "x-lc-sign", "x-lc-session", "x-lc-prod", "x-lc-ua", "x-lc-hook-key"),
    "x-lc-im-session-token",
    *("x-avoscloud-application-id", "x-avoscloud-application-key", "x-avoscloud-application-production"),
    *("x-avoscloud-client-version", "x-avoscloud-request-sign", "x-avoscloud-session-token"),
    *("x-avoscloud-super-key", "x-avoscloud-master-key"),
    *("x-uluru-application-id", "x-uluru-application-key", "x-uluru-application-production"),
    *("x-uluru-client-version", "x-uluru-session-token", "x-uluru-master-key"),
]
CORS_URLS_REGEX = r"^/(v1|1\.1|1\.2|2|files)(/.*)?$"

# What a request may have in memory; a larger one has been refused before (imcore/rest/bounds.py).
DATA_UPLOAD_MAX_MEMORY_SIZE = limits.REST_BODY_MAX_BYTES

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["imcore.rest.answers.JsonRenderer"],
    # `imcore.rest.parameters` reads bodies.
    "DEFAULT_PARSER_CLASSES": [],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "imcore.rest.answers.AlwaysFirst",
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "imcore.rest.exceptions.to_response",
    "DEFAULT_SCHEMA_CLASS": "imcore.rest.openapi.OperationSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "imcore",
    "DESCRIPTION": "The REST API. Everything is served under /1.1 and /1.2.",
    "VERSION": "1.2",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "PREPROCESSING_HOOKS": ["imcore.rest.openapi.one_version"],
    "POSTPROCESSING_HOOKS": ["imcore.rest.openapi.with_keys_and_groups"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("LOG_LEVEL", "WARNING")},
    "loggers": {
        "imcore": {"level": os.environ.get("LOG_LEVEL", "INFO")},
        # It warns of every answer that tells a caller what is wrong with his request; he has been told.
        "django.request": {"level": "ERROR"},
        # Nor is it worth a traceback that anybody asks by a name that can be none.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
