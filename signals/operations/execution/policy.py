"""Lock timeouts, retries and waiting times, from the settings, the environment and the operations."""

import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields, replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.query import query_rows
from ..catalog.sessions import ShownQueries
from .limits import seconds

PREFIX = "CONVERGENT_MIGRATIONS_"  # of the environment variables
EXPAND, CONTRACT = "expand", "contract"
PHASES = ("both", EXPAND)  # of the setting
LINT = "LINT"  # the key of the setting that lint_migrations reads

_SWITCHES = (bool, bool | None)  # the types of settings that are on or off
_SPELLINGS = {
    **dict.fromkeys(("true", "on", "yes", "1"), True),
    **dict.fromkeys(("false", "off", "no", "0"), False),
}

_SHORTEST_TIMEOUT = """
SELECT pg_catalog.min(s.setting::pg_catalog.float8) / 1000 FROM pg_catalog.pg_settings s
WHERE s.name IN ('statement_timeout', 'transaction_timeout') AND s.setting <> '0'
"""


@dataclass(frozen=True, slots=True)
class LockPolicy:
    """The values of the setting CONVERGENT_MIGRATIONS; times are in seconds unless they are named days.

    lock_timeout: the longest wait of one try for a lock that stops writers, who queue behind it meanwhile.
    lock_timeout_in_transaction: the same in an atomic migration, where there is only one try.
    longest_pause: the longest pause between two tries; the first pauses are shorter.
    lock_wait: the time for all tries, after which the run stops and names the blocking sessions.
    batch_time: the time that a batch of a backfill should take, from which its number of rows follows.
    progress_interval: the time between two log lines about a long step or the sessions that block it.
    show_queries: whether log lines and errors show the queries of blocking sessions; None: without literals.
    migrators_wait: the longest wait for another run of `migrate` in the same schema to end.
    session_pooler: whether a pooler before the server keeps a session for each client while it is connected.
    convert_new_migrations: whether `makemigrations` writes convergent operations without an option.
    refuse_drift: whether `migrate` stops before its first statement where what it touches has drifted.
    limit_every_statement: whether `migrate` limits the waits of other operations' statements as well.
    accepted_findings: the path of the file of accepted findings; none if empty.
    phase: "both", or "expand" if `migrate` leaves what old code uses until `migrate --phase contract`.
    index_unused_days: the time without a scan after which `verify_schema` tells that an index is not used.
    shadow: whether the checks and the admin page tell what the shadow shows, where its replay is kept.
    """

    lock_timeout: float = 0.1
    lock_timeout_in_transaction: float = 2.0
    longest_pause: float = 2.0
    lock_wait: float = 600.0
    batch_time: float = 0.5
    progress_interval: float = 10.0
    show_queries: bool | None = None
    migrators_wait: float = 3600.0
    session_pooler: bool = False
    convert_new_migrations: bool = False
    refuse_drift: bool = False
    limit_every_statement: bool = True
    accepted_findings: str = ""
    phase: str = "both"
    index_unused_days: float = 30.0
    shadow: bool = False

    @classmethod
    def from_settings(cls) -> "LockPolicy":
        """Return the policy from the setting and the environment variables, which override the setting.

        Raise ImproperlyConfigured, with the key or the variable and the fix, for an unknown name or an
        invalid value. An empty variable counts as unset.
        """
        known = {field.name.upper(): field for field in fields(cls)}
        given = {
            f"CONVERGENT_MIGRATIONS[{key!r}]": (key, value)
            for key, value in getattr(settings, "CONVERGENT_MIGRATIONS", {}).items()
            if key != LINT
        }
        given |= {
            name: (key := name.removeprefix(PREFIX), _parse_value(text, known.get(key)))
            for name, text in os.environ.items()
            if name.startswith(PREFIX) and text
        }
        values: dict[str, Any] = {}
        for what, (key, value) in given.items():
            if key not in known:
                raise ImproperlyConfigured(f"{what} is not a setting (use {', '.join(known)})")
            field = known[key]
            if field.name == "phase" and value not in PHASES:
                raise ImproperlyConfigured(f"{what} is {value!r} (use {' or '.join(PHASES)})")
            if isinstance(field.default, str):
                if not isinstance(value, str | Path):
                    raise ImproperlyConfigured(f"{what} is {value!r} (use the path of a file)")
                values[field.name] = str(value)
                continue
            is_switch = field.type in _SWITCHES
            if is_switch and not isinstance(value, bool):
                raise ImproperlyConfigured(f"{what} is {value!r} (use True or False)")
            if not is_switch and seconds(value) is None:
                unit = "days" if field.name.endswith("_days") else "seconds"
                raise ImproperlyConfigured(f"{what} is {value!r} (use a number of {unit} above 0)")
            values[field.name] = value
        return cls(**values)

    def limited(self, limits: Mapping[str, float]) -> "LockPolicy":
        """Return the policy with an operation's limits; its lock_timeout holds in a transaction too."""
        values: dict[str, Any] = dict(limits)
        if "lock_timeout" in values:
            values["lock_timeout_in_transaction"] = values["lock_timeout"]
        return replace(self, **values)

    @property
    def queries(self) -> ShownQueries:
        """Return how much of other sessions' queries is shown."""
        return ShownQueries(self.show_queries)


def batch_time(timeout: float | None, own: float | None = None) -> float:
    """Return the seconds that a batch should take: the operation's own, or else those of the setting.

    Return at most half of the session's timeout, so that it does not cancel a batch that takes longer than
    the one before.
    """
    wanted = own or LockPolicy.from_settings().batch_time
    return wanted if timeout is None else min(wanted, timeout / 2)


def shortest_timeout(connection: BaseDatabaseWrapper) -> float | None:
    """Return after how many seconds a timeout of the session ends a batch; None if it has none."""
    ((timeout,),) = query_rows(connection, _SHORTEST_TIMEOUT)
    return None if timeout is None else float(timeout)


def _parse_value(text: str, field: Field[Any] | None) -> object:
    """Return the bool or the number that the text of an environment variable spells, else the text.

    field: that of the setting, if there is one; 1 and 0 are numbers unless it is a switch.
    """
    is_switch = field is not None and field.type in _SWITCHES
    if text.lower() in _SPELLINGS and (is_switch or not text.isdigit()):
        return _SPELLINGS[text.lower()]
    try:
        return float(text)
    except ValueError:
        return text
