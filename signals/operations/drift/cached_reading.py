"""Cache the last survey of each database for the admin page."""

import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS, BaseCache, caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from ..names import NAME
from .printing import as_json
from .reading import read_survey
from .records import Unreadable
from .rows import Survey

CACHE = NAME  # takes precedence over "default" if the settings have it

_MAX_AGE = 30 * 24 * 3600  # seconds for which a reading is kept; the page shows its age
_LEASE = 300  # seconds after which a reading without a result counts as dead
_LOCK_TIMEOUT = 5.0  # seconds; short, because somebody waits for the page
_PRIVATE = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Reading:
    """The survey of one database, as `verify_schema --json` prints it.

    at: when it was made. seconds: how long that took.
    """

    at: datetime
    seconds: float
    survey: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """The time and the error text of a failed attempt to survey."""

    at: datetime
    text: str


class BeingRead(Exception):
    """Raised if another request has been surveying the database since `at`."""

    def __init__(self, at: datetime) -> None:
        super().__init__(f"another request has been reading the database since {at:%H:%M:%S}")
        self.at = at


def last(connection: BaseDatabaseWrapper) -> tuple[Reading | None, Failure | None]:
    """Return the last survey, and the failure of a later attempt if there was one; query no database."""
    cache, key = _cache(), _key(connection)
    stored, failed = cache.get(f"{key}.reading"), cache.get(f"{key}.failure")
    reading = stored and Reading(
        datetime.fromisoformat(stored[0]), stored[1], json.loads(stored[2])
    )
    return reading, failed and Failure(datetime.fromisoformat(failed[0]), failed[1])


def renew(
    connection: BaseDatabaseWrapper, read: Callable[..., Survey] = read_survey
) -> Reading | Failure:
    """Survey the database and store the result; if that fails, keep the last survey.

    read: surveys the database, as `read_survey` does.

    Raise BeingRead if another request is at it. Processes that share no cache cannot exclude each other:
    both survey the database, and the later result is kept.
    """
    cache, key = _cache(), _key(connection)
    at = timezone.now()
    # add() checks and sets the key in one step, so only one request gets the lease.
    if not cache.add(f"{key}.lease", at.isoformat(), _LEASE):
        raise BeingRead(datetime.fromisoformat(cache.get(f"{key}.lease") or at.isoformat()))
    started = time.monotonic()
    try:
        found = json.loads(as_json([read(connection, lock_timeout=_LOCK_TIMEOUT)]))
    except Unreadable as error:
        cache.set(f"{key}.failure", (at.isoformat(), str(error)), _MAX_AGE)
        return Failure(at, str(error))
    else:
        reading = Reading(at, time.monotonic() - started, found["databases"][0])
        text = json.dumps(reading.survey)
        cache.set(f"{key}.reading", (at.isoformat(), reading.seconds, text), _MAX_AGE)
        cache.delete(f"{key}.failure")
        return reading
    finally:
        cache.delete(f"{key}.lease")


def _cache() -> BaseCache:
    """Return a cache that the processes of this host share, if possible.

    Use the project's cache unless it is a dummy or local to one process; else files in a folder that only
    the current user of the machine can open; without such a folder, the memory of this process.
    """
    cache = caches[CACHE if CACHE in settings.CACHES else DEFAULT_CACHE_ALIAS]
    if not isinstance(cache, LocMemCache | DummyCache):
        return cache
    folder = _folder()
    return FileBasedCache(str(folder), {}) if folder else LocMemCache(CACHE, {})


def _folder() -> Path | None:
    """Return a private folder for the cache, or None if there cannot be one.

    Nobody else may have made it or be able to write into it, because Django unpickles its files.
    """
    if not hasattr(os, "geteuid"):
        return None
    folder = Path(tempfile.gettempdir()) / f"django-convergent-migrations-{os.geteuid()}"
    try:
        folder.mkdir(mode=stat.S_IRWXU, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return folder if is_ours and not found.st_mode & _PRIVATE else None


def _identity(configured: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings by which one database differs from another, without the password."""
    plain = {name: each for name, each in configured.items() if isinstance(each, str | int | Path)}
    plain |= {name: configured["OPTIONS"].get(name) for name in ("options", "service")}
    return {name: str(each) for name, each in plain.items() if name != "PASSWORD"}


# Read before the first connection, because a backend may write its address into the settings then.
_configured = {alias: _identity(each) for alias, each in connections.settings.items()}


def _key(connection: BaseDatabaseWrapper) -> str:
    """Return a cache key for the project and the connection's database.

    The number in the key is the version of the stored format.
    """
    found = _identity(connection.settings_dict)
    database = {**_configured.get(connection.alias, found), "NAME": found["NAME"]}  # tests set NAME
    project = (os.environ.get("DJANGO_SETTINGS_MODULE"), str(settings.ROOT_URLCONF))
    text = json.dumps([project, connection.alias, database], sort_keys=True)
    return f"{CACHE}.2.{hashlib.sha256(text.encode()).hexdigest()[:32]}"
