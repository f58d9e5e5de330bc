"""Reads the environment's variables; a wrong value is an error that names the variable and the fix."""

import os
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

MAX_PORT = 65535
MAX_MILLISECONDS = 2**31 - 1  # of PostgreSQL's timeouts

_FLAGS = {
    "on": True,
    "true": True,
    "1": True,
    "yes": True,
    "off": False,
    "false": False,
    "0": False,
    "no": False,
}


def flag(name: str, *, default: bool) -> bool:
    """The variable as a truth value; on/off, true/false, 1/0 and yes/no in any case are understood."""
    text = os.environ.get(name, "").strip().lower()
    if not text:
        return default
    if text not in _FLAGS:
        raise ImproperlyConfigured(f"{name} is {text!r} (use on or off)")
    return _FLAGS[text]


def choice(name: str, default: str, known: Sequence[str]) -> str:
    """Return the variable in lower case; raise ImproperlyConfigured if it is none of the known values."""
    text = os.environ.get(name, "").strip().lower() or default
    if text not in known:
        raise ImproperlyConfigured(f"{name} is {text!r} (use one of {', '.join(known)})")
    return text


def milliseconds(name: str, default: int) -> int:
    """Return the variable as a number of milliseconds; raise ImproperlyConfigured if it is none."""
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and int(text[:10]) <= MAX_MILLISECONDS):
        raise ImproperlyConfigured(
            f"{name} is {text[:40]!r} (use a number of milliseconds, or 0 for no limit)"
        )
    return int(text)


def words(name: str) -> list[str]:
    """The variable's comma-separated values, without the empty ones."""
    return [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]


def database_from_url(url: str) -> dict[str, Any]:
    """Django's database settings for a libpq connection URI; what libpq understands is understood.

    The URI is never shown in an error, because it may hold a password.
    """
    if not url.startswith(("postgresql://", "postgres://")):
        raise ImproperlyConfigured(
            "DATABASE_URL is not a PostgreSQL address (use postgresql://user:password@host:port/name)"
        )
    try:
        options = dict(conninfo_to_dict(url))
    except (ProgrammingError, UnicodeDecodeError):
        raise ImproperlyConfigured(
            "DATABASE_URL cannot be parsed (percent-encode special characters of the password)"
        ) from None
    known = {
        "dbname": "NAME",
        "user": "USER",
        "password": "PASSWORD",
        "host": "HOST",
        "port": "PORT",
    }
    settings = {key: str(options.pop(name)) for name, key in known.items() if name in options}
    if "NAME" not in settings:
        raise ImproperlyConfigured("DATABASE_URL names no database (end it with /name)")
    for port in filter(None, settings.get("PORT", "").split(",")):
        if not (port.isascii() and port.isdigit() and 1 <= int(port[:9]) <= MAX_PORT):
            raise ImproperlyConfigured(
                f"DATABASE_URL has a port that is no number from 1 to {MAX_PORT} (percent-encode special "
                "characters of the password)"
            )
    return {"ENGINE": "django.db.backends.postgresql", **settings, "OPTIONS": options}
