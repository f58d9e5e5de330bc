"""How long whom is waited for: the setting CONVERGENT_MIGRATIONS, its environment and an operation's own."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from ..catalog.sessions import LETTERS
from .limits import seconds

PREFIX = "CONVERGENT_MIGRATIONS_"  # of the environment variables


@dataclass(frozen=True, slots=True)
class LockPolicy:
    """The setting CONVERGENT_MIGRATIONS, times in seconds.

    lock_timeout: one try's wait for a lock that stops writers; they queue behind it for no longer.
    lock_timeout_in_transaction: the same where no second try is possible.
    longest_pause: the pauses between tries grow to this.
    lock_wait: after this long in all the run stops and names the blockers.
    progress_interval: between two lines on the progress of a long step, or on who blocks it.
    show_queries: whether lines and errors show what the sessions in the way are at.
    migrators_wait: a run of `migrate` waits this long for another one in the same schema to end.
    convert_new_migrations: whether `makemigrations` writes convergent operations without being asked.
    """

    lock_timeout: float = 0.1
    lock_timeout_in_transaction: float = 2.0
    longest_pause: float = 2.0
    lock_wait: float = 600.0
    progress_interval: float = 10.0
    show_queries: bool = True
    migrators_wait: float = 3600.0
    convert_new_migrations: bool = False

    @classmethod
    def from_settings(cls) -> "LockPolicy":
        """Reads and validates the setting and the environment, which goes before it.

        Raises ImproperlyConfigured with the key or the variable, and the fix.
        """
        known = {field.name.upper(): field for field in fields(cls)}
        given = {
            f"CONVERGENT_MIGRATIONS[{key!r}]": (key, value)
            for key, value in getattr(settings, "CONVERGENT_MIGRATIONS", {}).items()
        }
        given |= {
            name: (name.removeprefix(PREFIX), _parsed(text))
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
        """The policy with an operation's own limits; its lock_timeout holds in a transaction too."""
        values: dict[str, Any] = dict(limits)
        if "lock_timeout" in values:
            values["lock_timeout_in_transaction"] = values["lock_timeout"]
        return replace(self, **values)

    @property
    def letters(self) -> int:
        """How much is shown of another session's query."""
        return LETTERS if self.show_queries else 0


def _parsed(text: str) -> object:
    """An environment variable's text as the value that it spells; itself where it spells none."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text
