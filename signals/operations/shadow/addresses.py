"""Connections to databases that are named by a URL, whose password is never shown."""

from importlib import import_module
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Error
from psycopg.conninfo import conninfo_to_dict

_SCHEMES = ("postgresql://", "postgres://")
_KEYS = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}


class WrongAddress(ValueError):
    """The address of a database cannot be used; the text says why, without the address."""


def connection_of_url(
    url: str, option: str, like: BaseDatabaseWrapper, alias: str = ""
) -> BaseDatabaseWrapper:
    """Return a connection to the database of the URL, not opened yet, with the backend of another one.

    option: the option that has the URL, for the error. like: the connection whose backend is used; of one
    that extends Django's own it is Django's. alias: that of the new connection; empty for the one of `like`.

    Raise WrongAddress if the URL is none, or names no database.
    """
    if not url.startswith(_SCHEMES):
        raise WrongAddress(
            f"{option} is not a PostgreSQL address (use postgresql://user:password@host:port/name)"
        )
    try:
        facts = dict(conninfo_to_dict(url))
    except (Error, UnicodeDecodeError):
        raise WrongAddress(
            f"{option} cannot be parsed (percent-encode special characters of the password)"
        ) from None
    named = {key: str(facts.pop(word)) for word, key in _KEYS.items() if word in facts}
    if "NAME" not in named:
        raise WrongAddress(f"{option} names no database (end it with /name)")
    settings = {**named, "ENGINE": _engine(like), "OPTIONS": facts, "AUTOCOMMIT": True}
    complete = connections.configure_settings({"default": settings})["default"]
    backend: Any = import_module(f"{_engine(like)}.base")
    made: BaseDatabaseWrapper = backend.DatabaseWrapper(complete, alias or like.alias)
    return made


def place_of(connection: BaseDatabaseWrapper) -> str:
    """Return where the connection leads to, for people: the host and the name of the database."""
    settings = connection.settings_dict
    host = settings.get("HOST") or "the local server"
    return f"{settings['NAME']} on {host}"


def _engine(like: BaseDatabaseWrapper) -> str:
    """Return the backend of Django that the connection's backend is, or extends."""
    own = next(each for each in type(like).__mro__ if each.__module__.startswith("django."))
    return own.__module__.removesuffix(".base")
