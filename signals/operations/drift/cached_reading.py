"""The last reading of each database, kept for those who look more often than it is worth to read."""

import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Mapping
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
from .reading import Unreadable, read

CACHE = NAME  # goes before "default" where the settings have it

_KEPT = 30 * 24 * 3600  # seconds; its age is always shown
_LEASE = 300  # seconds after which a reading that has not come back is taken for dead
_LOCK_TIMEOUT = 5.0  # seconds; somebody sits before the page
_PRIVATE = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Reading:
    """What `verify_schema --json` says of one database, when it was read, and in how many seconds."""

    at: datetime
    seconds: float
    survey: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the last try brought no reading."""

    at: datetime
    text: str


class BeingRead(Exception):
    """Somebody else reads the database since `at`."""

    def __init__(self, at: datetime) -> None:
        super().__init__(f"the database is being read since {at:%H:%M:%S}")
        self.at = at


def last(connection: BaseDatabaseWrapper) -> tuple[Reading | None, Failure | None]:
    """The last reading, and the failure after it if there was one; asks no database."""
    cache, key = _cache(), _key(connection)
    kept, failed = cache.get(f"{key}.reading"), cache.get(f"{key}.failure")
    reading = kept and Reading(datetime.fromisoformat(kept[0]), kept[1], json.loads(kept[2]))
    return reading, failed and Failure(datetime.fromisoformat(failed[0]), failed[1])


def renew(connection: BaseDatabaseWrapper) -> Reading | Failure:
    """Reads the database and keeps what it found; a failure leaves the reading before it.

    Raises BeingRead where another one is at it. The caches of processes that share none exclude nobody:
    then both read, and the later one stays.
    """
    cache, key = _cache(), _key(connection)
    at = timezone.now()
    if not cache.add(f"{key}.lease", at.isoformat(), _LEASE):
        raise BeingRead(datetime.fromisoformat(cache.get(f"{key}.lease") or at.isoformat()))
    started = time.monotonic()
    try:
        found = json.loads(as_json([read(connection, lock_timeout=_LOCK_TIMEOUT)]))
    except Unreadable as error:
        cache.set(f"{key}.failure", (at.isoformat(), str(error)), _KEPT)
        return Failure(at, str(error))
    else:
        reading = Reading(at, time.monotonic() - started, found["databases"][0])
        text = json.dumps(reading.survey)
        cache.set(f"{key}.reading", (at.isoformat(), reading.seconds, text), _KEPT)
        cache.delete(f"{key}.failure")
        return reading
    finally:
        cache.delete(f"{key}.lease")


def _cache() -> BaseCache:
    """One that the processes of this host share, at the least.

    Where the project's is of one process, or none, a folder that only this user of the machine can open;
    where there is no such folder, this process's memory.
    """
    cache = caches[CACHE if CACHE in settings.CACHES else DEFAULT_CACHE_ALIAS]
    if not isinstance(cache, LocMemCache | DummyCache):
        return cache
    folder = _folder()
    return FileBasedCache(str(folder), {}) if folder else LocMemCache(CACHE, {})


def _folder() -> Path | None:
    """What is read from it is unpickled, so nobody else may have made it or may write into it."""
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


def _place(configured: Mapping[str, Any]) -> dict[str, str]:
    """What tells one place from another, without its password."""
    plain = {name: each for name, each in configured.items() if isinstance(each, str | int | Path)}
    plain |= {name: configured["OPTIONS"].get(name) for name in ("options", "service")}
    return {name: str(each) for name, each in plain.items() if name != "PASSWORD"}


# From before the first connection, because a backend may fill in the address when it connects.
_configured = {alias: _place(each) for alias, each in connections.settings.items()}


def _key(connection: BaseDatabaseWrapper) -> str:
    """Names the project and the place that it is connected to; another format has another number."""
    found = _place(connection.settings_dict)
    place = {**_configured.get(connection.alias, found), "NAME": found["NAME"]}  # tests change it
    project = (os.environ.get("DJANGO_SETTINGS_MODULE"), str(settings.ROOT_URLCONF))
    text = json.dumps([project, connection.alias, place], sort_keys=True)
    return f"{CACHE}.1.{hashlib.sha256(text.encode()).hexdigest()[:32]}"
