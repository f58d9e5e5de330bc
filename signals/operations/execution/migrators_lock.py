"""The migrators' lock: one run of `migrate` at a time in each schema of a database."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.schemas import Place, current_place
from ..catalog.sessions import advisory_lock_holders
from ..errors import MigratorRunning, MigratorsLockLost, Refused, one_line
from ..names import NAME
from .policy import LockPolicy
from .run import run_of
from .second_session import is_open, second_connection
from .settings import is_pooled, is_schema_named, note_backend
from .waiting import pauses

logger = logging.getLogger(NAME)


LONGEST_PAUSE = 1.0
BETWEEN_LINES = 10.0

# Begin a transaction, try the lock and, if it is granted, return the pid of the session; all in one message.
#
# Neither concurrent builds nor vacuum wait for this transaction: READ COMMITTED and idle it has no snapshot,
# and READ ONLY it has no transaction ID. The lock belongs to the transaction and not to the session, because
# a transaction keeps a pooler from giving the connection to another client. The timeouts are off, because
# the transaction is idle for the whole run; transaction_timeout came with PostgreSQL 17. By the keepalives
# the server notices that the migrator's machine is gone, and a firewall keeps the connection open.
_TRY = """
BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;
SELECT pg_catalog.pg_backend_pid(),
  pg_catalog.set_config('application_name', pg_catalog.concat_ws(' ', NULLIF(
    pg_catalog.left(pg_catalog.current_setting('application_name'), 48), ''), 'migrate (lock)'), true),
  pg_catalog.set_config('idle_in_transaction_session_timeout', '0', true),
  pg_catalog.set_config('tcp_keepalives_idle', '60', true),
  CASE WHEN pg_catalog.current_setting('transaction_timeout', true) IS NOT NULL
    THEN pg_catalog.set_config('transaction_timeout', '0', true) END
FROM (SELECT pg_catalog.pg_try_advisory_xact_lock({key}) OFFSET 0) l (granted) WHERE l.granted
"""

# The functions that check the locks of this process: in _held by the migrating connection and the key; in
# _holders, which other aliases of the database need, by the database and the pid of the session.
_held: dict[tuple[BaseDatabaseWrapper, int], Callable[[], None]] = {}
_holders: dict[tuple[str, int], Callable[[], None]] = {}


def lock_key(schema: str | None) -> int:
    """Return the key of the schema's advisory lock.

    It must stay the same in every release, so that old and new ones exclude each other.
    """
    digest = hashlib.sha256(f"{NAME} migrators {schema or ''}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


@contextmanager
def hold_migrators_lock(connection: BaseDatabaseWrapper) -> Iterator[Callable[[], None]]:
    """Wait for the migrators' lock of the connection's schema, and hold it during the block.

    Yield a function that raises MigratorsLockLost if the lock is lost; every statement of an operation
    calls it too. Raise MigratorRunning if the lock is not free within MIGRATORS_WAIT seconds, and Refused
    if no second connection can be opened. A run that dies, even by kill -9, releases the lock with its
    connection. A run within a run, as by `call_command`, shares the lock of the outer one.
    """
    place = current_place(connection)
    note_backend(connection, place.backend)
    if place.records and not is_schema_named(connection):
        place = replace(place, schema=place.records)
    mine = (connection, lock_key(place.schema))
    if mine in _held:
        yield _held[mine]
        return
    own = _further(connection, place)
    run = run_of(connection)
    outer = run.still_alone

    def check() -> None:
        if own.connection is None or not is_open(own):
            own.close()
            raise MigratorsLockLost(place.database, place.schema)

    holder = (place.database, 0)
    try:
        pid = _wait(connection, own, place)
        holder = (place.database, pid)
        if holder in _holders:
            yield _holders[holder]
            return
        if is_pooled(connection):
            _require_work(connection, place)
        _held[mine] = _holders[holder] = run.still_alone = check
        yield check
    finally:
        if _held.pop(mine, None):
            _holders.pop(holder)
        run.still_alone = outer
        _give_back(own)


def _further(connection: BaseDatabaseWrapper, place: Place) -> BaseDatabaseWrapper:
    """Return a second connection, opened; raise Refused if that fails."""
    own = second_connection(connection)
    try:
        own.ensure_connection()
    except Error as error:
        raise _refused(place, error) from error
    return own


def _refused(place: Place, error: Error) -> Refused:
    return Refused(
        "migrate",
        "",
        f"it needs a second connection to database {place.database}, for the lock that keeps other "
        f"migrators out, and gets none: {one_line(error)}",
        "give the role, the database or the pooler a connection more, or end another session, and run again",
    )


def _require_work(connection: BaseDatabaseWrapper, place: Place) -> None:
    """Raise Refused if the connection cannot work while the lock is held.

    A pooler may have given its only connection to the session with the lock.
    """
    try:
        current_place(connection)
    except Error as error:
        raise _refused(place, error) from error


def _wait(connection: BaseDatabaseWrapper, own: BaseDatabaseWrapper, place: Place) -> int:
    """Wait for the lock; return the pid of the session that has it, which may be another one of this process.

    Hold no transaction between two tries.
    """
    longest = LockPolicy.from_settings().migrators_wait
    start = time.monotonic()
    next_line = start
    for pause in pauses(LONGEST_PAUSE):
        if pid := _try(own, lock_key(place.schema)):
            return pid
        now = time.monotonic()
        found = advisory_lock_holders(own, lock_key(place.schema))
        holders = [str(holder) for holder in found]
        for holder in found:
            if (place.database, holder.pid) in _holders:
                return holder.pid
        if now + pause > start + longest:
            raise MigratorRunning(place.database, place.schema, holders, longest)
        if holders and now >= next_line:
            next_line = now + BETWEEN_LINES
            what = (place.database, place.schema, now - start, "; ".join(holders))
            logger.warning("waiting for the migrator of %s, schema %s (%.0f s so far): %s", *what)
        time.sleep(pause)
        current_place(connection)  # a session that does nothing may fall to idle_session_timeout
    raise AssertionError  # the pauses have no end


def _try(own: BaseDatabaseWrapper, number: int) -> int:
    """Try once to take the lock; return the pid of the session, or 0 if the lock is not granted."""
    with own.cursor() as cursor:
        cursor.execute(_TRY.format(key=number))
        cursor.nextset()
        granted = cursor.fetchone()
        if granted is None:
            cursor.execute("ROLLBACK")
            return 0
    return int(granted[0])


def _give_back(own: BaseDatabaseWrapper) -> None:
    """Release the lock and close the session; log a warning if the session has ended before."""
    if own.connection is None:
        return
    try:
        with own.cursor() as cursor:
            cursor.execute("ROLLBACK")
    except Error as error:
        logger.warning(
            "the migrators' lock was lost; what ran last may have run beside another migrator: %s",
            one_line(error),
        )
    finally:
        own.close()
