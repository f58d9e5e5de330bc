"""Settings of the signals platform; everything that differs between machines comes from the environment.

DEBUG              on unless ALLOWED_HOSTS is set, so that a public host is never served with it by accident
SECRET_KEY         required when DEBUG is off
ALLOWED_HOSTS      comma-separated host names
CSRF_TRUSTED_ORIGINS  comma-separated origins, scheme included
DATABASE_URL       postgresql://…; unset: the embedded PostgreSQL in .postgres/
LOG_FORMAT         text (the default) or json: one object a line
LOG_LEVEL          of the application's loggers: warning (the default), info for a line each run, …
LOGIN_THROTTLE     on: five failed logins lock an account out for 15 minutes; needs django-axes
TASK_QUEUE         none (the default), procrastinate or django: the queue whose worker runs verify_signal
ADMIN_STATEMENT_TIMEOUT_MS  how long a statement of the admin's pages may take; 5000 unless set, 0: no limit
ADMIN_EXPLORERS    pages of tokens on explorers: chain=https://host/path/{address}, chain=…; none: chain=
SECURE_SSL_REDIRECT, SECURE_HSTS_SECONDS  for a site behind TLS; on and one year when DEBUG is off
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from project.environment import choice, database_from_url, flag, milliseconds, words
from signals.explorers import read_explorers

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = flag("DEBUG", default="ALLOWED_HOSTS" not in os.environ)
ALLOWED_HOSTS = words("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = words("CSRF_TRUSTED_ORIGINS")

SECRET_KEY = os.environ.get("SECRET_KEY", "")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured("SECRET_KEY is required when DEBUG is off (set SECRET_KEY)")
    SECRET_KEY = "django-insecure-for-development-on-loopback-only"  # noqa: S105 - refused when DEBUG is off

INSTALLED_APPS = [
    "signals",  # before the admin, whose templates it extends
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django_extensions",
    "signals.operations",
    "signals.admin_log",
]
if DEBUG:
    INSTALLED_APPS.append("project.demo")  # the commands behind make demo and make serve

TASK_QUEUE = choice("TASK_QUEUE", "none", ("none", "procrastinate", "django"))
if TASK_QUEUE == "procrastinate":
    INSTALLED_APPS.append("procrastinate.contrib.django")
    PROCRASTINATE_IMPORT_PATHS = ["signals.verification.queues.procrastinate_tasks"]
if TASK_QUEUE == "django":
    INSTALLED_APPS.append("django_tasks_db")
    TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "signals.admin.disconnects.DisconnectMiddleware",
    "signals.admin.timeouts.StatementTimeoutMiddleware",
    "signals.admin.far_times.FarTimesMiddleware",
]
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
if flag("LOGIN_THROTTLE", default=False):
    INSTALLED_APPS.append("axes")
    AUTHENTICATION_BACKENDS.insert(0, "axes.backends.AxesStandaloneBackend")
    MIDDLEWARE.append("axes.middleware.AxesMiddleware")
    AXES_FAILURE_LIMIT = 5
    AXES_COOLOFF_TIME = timedelta(minutes=15)
    AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
    AXES_LOCKOUT_TEMPLATE = "admin/signals/locked_out.html"
    AXES_RESET_ON_SUCCESS = True
    AXES_VERBOSE = False

# The pages show texts of strangers: no script or style but the files of this site, and no frame around them.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    },
}

ADMIN_EXPLORERS = read_explorers(os.environ.get("ADMIN_EXPLORERS", ""))
ADMIN_STATEMENT_TIMEOUT_MS = milliseconds("ADMIN_STATEMENT_TIMEOUT_MS", 5_000)

ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
ASGI_APPLICATION = "project.asgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES: dict[str, dict[str, Any]] = {
    "default": database_from_url(os.environ["DATABASE_URL"])
    if os.environ.get("DATABASE_URL")
    else {"ENGINE": "project.embedded", "NAME": "signals", "DATA_DIR": BASE_DIR / ".postgres"},
}

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"format": "%(message)s"},
        "json": {"()": "project.logs.JsonFormatter"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": choice("LOG_FORMAT", "text", ("text", "json")),
        }
    },
    "loggers": {
        "signals": {
            "handlers": ["stderr"],
            "level": choice("LOG_LEVEL", "warning", ("debug", "info", "warning", "error")).upper(),
        }
    },
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"

if not DEBUG:
    SECURE_SSL_REDIRECT = flag("SECURE_SSL_REDIRECT", default=True)
    SECURE_HSTS_SECONDS = int(os.environ.get("SECURE_HSTS_SECONDS", str(365 * 24 * 3600)))
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    MIDDLEWARE.insert(1, "whitenoise.middleware.WhiteNoiseMiddleware")
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }
