"""Lock timeouts, retries and waiting times, as settings, environment and operations ask for them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.query import query_rows
from ..catalog.sessions import LETTERS
from .limits import seconds

PREFIX = "CONVERGENT_MIGRATIONS_"  # of the environment variables

_SHORTEST_TIMEOUT = """
SELECT pg_catalog.min(s.setting::pg_catalog.float8) / 1000 FROM pg_catalog.pg_settings s
WHERE s.name IN ('statement_timeout', 'transaction_timeout') AND s.setting <> '0'
"""


@dataclass(frozen=True, slots=True)
class LockPolicy:
    """The setting CONVERGENT_MIGRATIONS; all times are in seconds.

    lock_timeout: how long one try waits for a lock that stops writers, and so how long these may have to
        queue behind it.
    lock_timeout_in_transaction: the same in an atomic migration, where there is only one try.
    longest_pause: between two tries; the pauses begin short and grow to this.
    lock_wait: how long a run tries before it stops, with the names of the blocking sessions.
    batch_time: how long a batch of a backfill is to take; the number of its rows follows from it.
    progress_interval: between two lines about a long step, its progress or the sessions that block it.
    show_queries: whether log lines and errors show the queries of blocking sessions.
    migrators_wait: how long a run of `migrate` waits for another run in the same schema to end.
    convert_new_migrations: whether `makemigrations` writes convergent operations without being asked.
    """

    lock_timeout: float = 0.1
    lock_timeout_in_transaction: float = 2.0
    longest_pause: float = 2.0
    lock_wait: float = 600.0
    batch_time: float = 0.5
    progress_interval: float = 10.0
    show_queries: bool = True
    migrators_wait: float = 3600.0
    convert_new_migrations: bool = False

    @classmethod
    def from_settings(cls) -> "LockPolicy":
        """Return the policy of the setting and of the environment variables, which go before the setting.

        Raise ImproperlyConfigured, with the key or the variable and the fix, if a name is unknown or its
        value does not fit. An empty variable counts as not set.
        """
        known = {field.name.upper(): field for field in fields(cls)}
        given = {
            f"CONVERGENT_MIGRATIONS[{key!r}]": (key, value)
            for key, value in getattr(settings, "CONVERGENT_MIGRATIONS", {}).items()
        }
        given |= {
            name: (name.removeprefix(PREFIX), _parse_value(text))
            for name, text in os.environ.items()
            if name.startswith(PREFIX) and text
        }
        values: dict[str, Any] = {}
        for what, (key, value) in given.items():
            if key not in known:
                raise ImproperlyConfigured(f"{what} is not a setting (use {', '.join(known)})")
            field = known[key]
            is_switch = isinstance(field.default, bool)
            if is_switch and not isinstance(value, bool):
                raise ImproperlyConfigured(f"{what} is {value!r} (use True or False)")
            if not is_switch and seconds(value) is None:
                raise ImproperlyConfigured(f"{what} is {value!r} (use a number of seconds above 0)")
            values[field.name] = value
        return cls(**values)

    def limited(self, limits: Mapping[str, float]) -> "LockPolicy":
        """Return the policy with an operation's own limits; its lock_timeout applies in a transaction too."""
        values: dict[str, Any] = dict(limits)
        if "lock_timeout" in values:
            values["lock_timeout_in_transaction"] = values["lock_timeout"]
        return replace(self, **values)

    @property
    def letters(self) -> int:
        """Return how many characters of another session's query are shown."""
        return LETTERS if self.show_queries else 0


def batch_time(connection: BaseDatabaseWrapper, own: float | None = None) -> float:
    """Return the seconds that a batch is to take: an operation's own, else those of the setting.

    They are at most half of the timeouts that the session has, so that a batch which takes longer than
    the one before is not cut off by them.
    """
    wanted = own or LockPolicy.from_settings().batch_time
    ((timeout,),) = query_rows(connection, _SHORTEST_TIMEOUT)
    return wanted if timeout is None else min(wanted, timeout / 2)


def _parse_value(text: str) -> object:
    """Return the switch or the number that the text of an environment variable spells, else the text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text
