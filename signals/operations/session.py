"""Sends a statement under the timeouts that its lock asks for, and says for whom it waits."""

import json
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

from django.db import DatabaseError, DataError, IntegrityError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Error

from signals.operations.activity import OURS, Activity, Blocker, Sessions
from signals.operations.catalog import Catalog, quoted
from signals.operations.errors import (
    LockWaitExceeded,
    Refused,
    RowsViolate,
    is_overtaken,
    sqlstate,
    words,
)
from signals.operations.policy import LockPolicy
from signals.operations.progress import Display, Meter
from signals.operations.statements import Statement
from signals.operations.watch import Watch

logger = logging.getLogger("signals.operations")

LOCK_NOT_AVAILABLE = "55P03"
QUERY_CANCELED = "57014"  # by statement_timeout too
CHANGED = "XX000"  # "cache lookup failed": what the catalog's view shows was dropped meanwhile
UNREADABLE = (LOCK_NOT_AVAILABLE, QUERY_CANCELED, CHANGED)
# Another transaction was in the way of rows, and may be gone.
IN_THE_WAY = ("40001", "40P01", LOCK_NOT_AVAILABLE)
INVALID_PARAMETER_VALUE = "22023"  # of the statement, not of a row; or of a setting

NO_TIMEOUTS = {"lock_timeout": "0", "statement_timeout": "0", "transaction_timeout": "0"}
# The server looks so often whether its client still lives, and else ends the statement.
CHECK = {"client_connection_check_interval": "5s"}
NAMED = {"application_name": OURS}
# What a session beside has: it waits for nobody either.
WATCHING = {"application_name": f"{OURS} watch", "lock_timeout": "100ms", "statement_timeout": "5s"}

_NO_TIMEOUTS_IN_TRANSACTION = {  # in which the transaction's own runs already
    name: value for name, value in NO_TIMEOUTS.items() if name != "transaction_timeout"
}

# The values before are read, all of them, before the first is changed.
_CHANGE = """
WITH wanted (name, before, value) AS MATERIALIZED (
  SELECT w.name, s.before, CASE w.name WHEN 'application_name'
      THEN pg_catalog.left(s.before, 63 - pg_catalog.length(w.value)) || w.value ELSE w.value END
  FROM pg_catalog.json_each_text(%s::pg_catalog.json) w (name, value)
  CROSS JOIN LATERAL (SELECT pg_catalog.current_setting(w.name, true)) s (before))
SELECT name, before, pg_catalog.set_config(name, value, %s) FROM wanted
WHERE before <> value AND (name <> 'client_connection_check_interval' OR before = '0')
"""

_SET = """
SELECT pg_catalog.set_config(w.name, w.value, %s)
FROM pg_catalog.json_each_text(%s::pg_catalog.json) w (name, value)
"""

_TIMEOUTS = """
SELECT t.name, pg_catalog.current_setting(t.name, true)
FROM pg_catalog.unnest(%s::pg_catalog.text[]) t (name)
WHERE pg_catalog.current_setting(t.name, true) <> '0'
"""

# By the driver's connection.
_pooled: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()

Answer = TypeVar("Answer")

LONG = 1.0  # seconds; what lasts longer is looked at from a second connection

# What to do once, by database alias, before the next statement of a run.
before_change: dict[str, Callable[[], None]] = {}

# What `migrate` was asked to say, by database alias.
verbosity: dict[str, int] = {}
# What to ask, by the connection of a run, before each of its statements; raises where it must stop.
before_each_change: dict[BaseDatabaseWrapper, Callable[[], None]] = {}


def run(
    connection: BaseDatabaseWrapper, statement: Statement, limits: Mapping[str, float] | None = None
) -> None:
    """Executes the statement once its lock is granted.

    A lock that stops writers is tried for a short time, again and again, so that what queues behind
    it goes on between the tries; raises LockWaitExceeded after the last one, and RowsViolate where
    existing rows stand against the statement. A statement that lets writers through waits as long as
    it must. What lasts is told: for whom it waits, and how far it is. A failed run leaves nothing of
    this statement, except that a failed concurrent build leaves an invalid index, which the next run
    drops. Where the client is killed, the server ends the statement within seconds.

    limits: the operation's own, in the place of the settings of that name.
    """
    policy = LockPolicy.from_settings().limited(limits or {})
    about_to_change(connection)
    logger.info("%s", statement.sql)
    try:
        _run(connection, statement, policy)
    except (DataError, IntegrityError) as error:
        if sqlstate(error) == INVALID_PARAMETER_VALUE or is_overtaken(error):
            raise
        raise RowsViolate(statement.sql, words(error)) from error


def about_to_change(connection: BaseDatabaseWrapper) -> None:
    """Called before anything is changed; raises where the run must stop, or is known to later on."""
    if connection in before_each_change:
        before_each_change[connection]()
    check = before_change.pop(connection.alias, None)
    if check is not None:
        with no_timeouts(connection):
            check()


def pauses(longest: float, first: float = 0.05) -> Iterator[float]:
    """Pauses in seconds that double up to the longest, each drawn between its half and its whole."""
    pause = first
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret
        pause = min(longest, pause * 2)


def poll(done: Callable[[], bool], longest: float = 1.0) -> None:
    """Returns when `done` does; holds no transaction between its calls."""
    for pause in pauses(longest):
        if done():
            return
        time.sleep(pause)


def display(connection: BaseDatabaseWrapper, label: str) -> Display:
    """Where a step's progress is shown, as the policy and `migrate --verbosity` ask."""
    interval = LockPolicy.from_settings().progress_interval
    return Display(label, interval, quiet=_is_quiet(connection))


class Report:
    """What is said of a step while it runs or waits: its progress, and who blocks it.

    A line names the blockers when they change, and at least each interval.
    """

    def __init__(self, policy: LockPolicy, shown: Display, what: str, *, quiet: bool) -> None:
        self._policy, self._shown, self._what, self._quiet = policy, shown, what, quiet
        self._meter = Meter()
        self._named: tuple[int, ...] = ()
        self._next = 0.0

    def look(self, activity: Activity) -> None:
        """Says what there is to say of the activity."""
        pids, now = tuple(each.pid for each in activity.blockers), time.monotonic()
        if pids != self._named or now >= self._next:
            self._named, self._next = pids, now + self._policy.progress_interval
            phase = f" ({activity.phase})" if activity.phase else ""
            self.name(activity.blockers, phase)
        self._shown.show(*self._meter.read(activity))

    def name(self, blockers: tuple[Blocker, ...], phase: str = "") -> None:
        """A line for each of the blockers."""
        for blocker in blockers:
            _say(self._quiet)("waiting for %s%s: %s", self._what, phase, blocker)


class OthersBuild:
    """Says of the builds of other sessions on a table who they are, how far, and who blocks them."""

    def __init__(
        self, connection: BaseDatabaseWrapper, label: str, what: str = "another session builds it"
    ) -> None:
        self._connection, self._label, self._what = connection, label, what
        self._policy = LockPolicy.from_settings()
        self._quiet = _is_quiet(connection)
        self._shown = Display(label, self._policy.progress_interval, quiet=self._quiet)
        self._reports: dict[int, Report] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._shown.__exit__(*error)

    def look(self, table: str) -> bool:
        """Whether there are any; asked over the migrator's own connection, which is idle meanwhile."""
        builds = Sessions(self._connection).builds(table, self._policy.letters)
        for activity in builds:
            builder = activity.session
            if builder.pid not in self._reports:
                what = f"the build of pid {builder.pid} on {table}"
                report = Report(self._policy, self._shown, what, quiet=self._quiet)
                self._reports[builder.pid] = report
                who = _OURS if builder.is_ours else _OTHERS
                text = f"%s: {self._what}; waiting for %s: %s"
                _say(self._quiet)(text, self._label, who, builder)
            if (activity.age or 0) >= LONG:
                self._reports[builder.pid].look(activity)
        return bool(builds)


_OURS = "a run of these operations, or what a killed one left"
_OTHERS = "a stranger"


def _run(connection: BaseDatabaseWrapper, statement: Statement, policy: LockPolicy) -> None:
    label = " ".join(statement.sql.split())
    with Display(label, policy.progress_interval, quiet=_is_quiet(connection)) as shown:
        sending = _Sending(connection, statement, policy, shown)
        if statement.lock.waits:
            sending.wait()
        elif connection.in_atomic_block:
            sending.try_once()
        else:
            sending.retry()


class _Sending:
    """One statement on its way, looked at from a second connection where it takes long.

    blockers: those of the last try, as seen while it waited; where nobody saw it, who holds the locks.
    """

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        statement: Statement,
        policy: LockPolicy,
        shown: Display,
    ) -> None:
        self._connection, self._statement, self._policy = connection, statement, policy
        what = f"{statement.lock} on {statement.table}"
        self._report = Report(policy, shown, what, quiet=_is_quiet(connection))
        self._timeout = policy.lock_timeout
        self.blockers: tuple[Blocker, ...] = ()

    def wait(self) -> None:
        with self._watch(LONG) as watch, watch.due():
            _wait(self._connection, self._statement)

    def try_once(self) -> None:
        self._timeout = self._policy.lock_timeout_in_transaction
        with self._watch(min(LONG, self._timeout / 2)) as watch:
            if not self._is_done(watch):
                raise self._exceeded(
                    "wait for them, or set atomic = False on the migration, which makes it try again"
                )

    def retry(self) -> None:
        deadline = time.monotonic() + self._policy.lock_wait
        with self._watch(LONG) as watch:
            for pause in pauses(self._policy.longest_pause):
                if self._is_done(watch):
                    return
                if time.monotonic() + pause > deadline:
                    raise self._exceeded("end those sessions, or run again when they are done")
                self._report.name(self.blockers)
                watch.hurry()
                time.sleep(pause)
                about_to_change(self._connection)

    def _is_done(self, watch: Watch) -> bool:
        """Tries once."""
        self.blockers = ()
        with watch.due():
            is_done = _try(self._connection, self._statement, self._timeout)
        if not is_done and not self.blockers:
            tables = [self._statement.table, *self._statement.also]
            conflicts = self._statement.lock.conflicts
            sessions = Sessions(self._connection)
            self.blockers = sessions.blockers(tables, conflicts, self._policy.letters)
        return is_done

    def _watch(self, after: float) -> Watch:
        connect = partial(beside, self._connection)
        return Watch(connect, self._look, after=after, retry=self._policy.progress_interval)

    def _look(self, sessions: Sessions) -> float:
        if _pooled.get(self._connection.connection):
            return LONG  # whose number that is, nobody knows
        pid = self._connection.connection.info.backend_pid
        activity = sessions.activity(pid, self._policy.letters)
        is_long = activity is not None and activity.active and (activity.age or 0) >= LONG
        if activity is None or self._statement.lock.waits or (is_long and not activity.blockers):
            if activity is not None and activity.active:
                self._report.look(activity)
            return LONG
        self.blockers = activity.blockers or self.blockers
        return max(0.02, self._timeout / 5)

    def _exceeded(self, advice: str) -> LockWaitExceeded:
        blockers = [str(blocker) for blocker in self.blockers]
        return LockWaitExceeded(self._statement.sql, self._statement.table, blockers, advice)


def _try(connection: BaseDatabaseWrapper, statement: Statement, timeout: float) -> bool:
    """Whether the lock was granted in time."""
    try:
        _execute(connection, statement, {"lock_timeout": str(max(1, round(timeout * 1000)))})
    except DatabaseError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        return False
    return True


def is_pooled(connection: BaseDatabaseWrapper) -> bool:
    """Whether a pooler stands in between, which makes up the number of the backend.

    What is set for a session would then stay with one that it gives to somebody else.
    """
    connection.ensure_connection()
    driver: Any = connection.connection
    if driver not in _pooled:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_catalog.pg_backend_pid()")
            _pooled[driver] = cursor.fetchone()[0] != driver.info.backend_pid
    return _pooled[driver]


def _require_no_timeouts(connection: BaseDatabaseWrapper, statement: Statement) -> None:
    """Refuses what a timeout would cut off and leave invalid, where none can be lifted."""
    with connection.cursor() as cursor:
        cursor.execute(_TIMEOUTS, [list(NO_TIMEOUTS)])
        timeouts = [f"{name} = {value}" for name, value in cursor.fetchall()]
    if timeouts:
        raise Refused(
            statement.sql,
            statement.table,
            f"a pooler stands before the server, and {', '.join(timeouts)} would cut the statement off",
            "migrate over a direct connection, or as a role without these timeouts",
        )


def _wait(connection: BaseDatabaseWrapper, statement: Statement) -> None:
    """Outside a transaction, because CONCURRENTLY can run in none, if none is open."""
    if connection.in_atomic_block:
        _execute(connection, statement, _NO_TIMEOUTS_IN_TRANSACTION)
        return
    if is_pooled(connection):
        _require_no_timeouts(connection, statement)
        with connection.cursor() as cursor:
            cursor.execute(statement.sql)
        return
    with _under(connection, {**NO_TIMEOUTS, **NAMED, **CHECK}), connection.cursor() as cursor:
        cursor.execute(statement.sql)


def _execute(
    connection: BaseDatabaseWrapper, statement: Statement, values: Mapping[str, str]
) -> None:
    """In a transaction, or a savepoint of the one that is open; the settings go back with its end.

    Sent once more without CHECK where a value is refused: either the server's platform cannot check,
    or the statement itself is refused, which then says so again.
    """
    for further in ({**NAMED, **CHECK}, NAMED):
        try:
            with _transaction(connection), connection.cursor() as cursor:
                before = _change(connection, {**values, **further})
                cursor.execute(statement.sql)
                if connection.savepoint_ids:
                    _set(connection, before)
        except DatabaseError as error:
            if sqlstate(error) != INVALID_PARAMETER_VALUE or further is NAMED:
                raise
        else:
            return


@contextmanager
def _transaction(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """A transaction, or a savepoint; one of its own sees what was committed while it waited for a lock."""
    is_own = not connection.in_atomic_block
    with transaction.atomic(using=connection.alias):
        if is_own:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        yield


def fits_transaction(connection: BaseDatabaseWrapper, statement: Statement) -> bool:
    """Whether the statement can run in the open transaction.

    Under its lock it may look at the rows, and a transaction's old snapshot would not show the newest.
    """
    if not statement.transactional or not statement.sql.startswith("LOCK TABLE"):
        return statement.transactional
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.current_setting('transaction_isolation')")
        return bool(cursor.fetchone()[0] in ("read committed", "read uncommitted"))


def patiently(connection: BaseDatabaseWrapper, act: Callable[[], int], longest: float) -> int:
    """What it returns, in a transaction of its own; again where other transactions were in its way.

    After `longest` seconds the last error is raised.
    """
    deadline = time.monotonic() + longest
    for pause in pauses(LockPolicy.from_settings().longest_pause):
        try:
            with _transaction(connection):
                return act()
        except DatabaseError as error:
            if sqlstate(error) not in IN_THE_WAY or time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)
    raise AssertionError  # the pauses have no end


@contextmanager
def no_timeouts(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Lifts the session's timeouts and puts each back to what it was, also after a failure."""
    is_within = connection.in_atomic_block
    if not is_within and is_pooled(connection):
        yield
        return
    with _under(connection, _NO_TIMEOUTS_IN_TRANSACTION if is_within else NO_TIMEOUTS):
        yield


def in_time(connection: BaseDatabaseWrapper, ask: Callable[[], Answer]) -> Answer:
    """What it returns; asked once more, without the session's timeouts, where those have cut it off.

    The same where another session has changed the catalog between a reading's view and its words. Who has
    locked what it reads is said, once that takes long.
    """
    with _naming_blockers(connection):
        try:
            return ask()
        except DatabaseError as error:
            if sqlstate(error) not in UNREADABLE or connection.needs_rollback:
                raise
        with no_timeouts(connection):
            return ask()


@contextmanager
def _naming_blockers(connection: BaseDatabaseWrapper) -> Iterator[None]:
    policy = LockPolicy.from_settings()
    silent = Display("", policy.progress_interval, quiet=True)
    report = Report(policy, silent, "a table that is read", quiet=_is_quiet(connection))

    def look(sessions: Sessions) -> float:
        driver: Any = connection.connection
        if driver is not None and not _pooled.get(driver):
            activity = sessions.activity(driver.info.backend_pid, policy.letters)
            if activity is not None and activity.blockers:
                report.look(activity)
        return LONG

    connect = partial(beside, connection)
    with Watch(connect, look, after=LONG, retry=policy.progress_interval) as watch, watch.due():
        yield


@contextmanager
def impatient(connection: BaseDatabaseWrapper, lock_timeout: float) -> Iterator[None]:
    """Within it no statement waits longer for a lock; a session that a pooler shares stays as it is."""
    if not connection.in_atomic_block and is_pooled(connection):
        yield
        return
    with _under(connection, {"lock_timeout": str(round(lock_timeout * 1000))}):
        yield


def within(connection: BaseDatabaseWrapper, limit: float, ask: Callable[[], int]) -> int | None:
    """What it returns, in a transaction of its own; None where that takes longer than `limit` seconds."""
    try:
        with transaction.atomic(using=connection.alias):
            _change(connection, {"statement_timeout": str(round(limit * 1000))})
            return ask()
    except DatabaseError as error:
        if sqlstate(error) != QUERY_CANCELED:
            raise
    return None


@contextmanager
def in_schema(connection: BaseDatabaseWrapper, schema: str) -> Iterator[None]:
    """Puts the schema in front of the search_path, and the path back to what it was, also after a failure.

    A backend that gives each cursor its path, as that of django-tenants does, is told. Through a pooler,
    which would give the path to somebody else, all of it is one transaction.
    """
    if has_tenants(connection):
        backend: Any = connection
        tenant = backend.tenant
        backend.set_schema(schema)
        try:
            yield
        finally:
            backend.set_tenant(tenant)
        return
    is_shared = not connection.in_atomic_block and is_pooled(connection)
    with transaction.atomic(using=connection.alias) if is_shared else nullcontext():
        before = Catalog(connection).search_path()
        with _under(connection, {"search_path": f"{quoted(schema)}, {before}".rstrip(", ")}):
            yield


def has_tenants(connection: BaseDatabaseWrapper) -> bool:
    """Whether the backend keeps a tenant, on whose schema its search_path and its routers depend."""
    return hasattr(connection, "set_schema") and hasattr(connection, "set_tenant")


def cancel(connection: BaseDatabaseWrapper) -> None:
    """Asks the server to end what the connection waits for, if it does; from another thread."""
    if connection.connection is not None:
        with suppress(Error):
            connection.connection.cancel_safe(timeout=5)


def further(connection: BaseDatabaseWrapper, **defaults: object) -> BaseDatabaseWrapper:
    """A second session with the same settings, not opened yet; defaults: of the driver's options.

    It takes none from a pool of the process, whose last one may be the first session.
    """
    second = connection.copy()
    options = {**defaults, **second.settings_dict["OPTIONS"]}
    options.pop("pool", None)
    second.settings_dict |= {"AUTOCOMMIT": True, "OPTIONS": options}
    return second


@contextmanager
def beside(connection: BaseDatabaseWrapper) -> Iterator[Sessions]:
    """Asks over a second connection to the same database, which is closed in every case."""
    second = further(connection, connect_timeout=5)
    try:
        with second.cursor():
            _change(second, WATCHING)
        yield Sessions(second)
    finally:
        second.close()


@contextmanager
def _under(connection: BaseDatabaseWrapper, values: Mapping[str, str]) -> Iterator[None]:
    """Changes settings and puts each back to what it was, also after a failure."""
    before = _change(connection, values)
    is_done = False
    try:
        yield
        is_done = True
    finally:
        if is_done or (not connection.needs_rollback and connection.is_usable()):
            _set(connection, before)


def _change(connection: BaseDatabaseWrapper, values: Mapping[str, str]) -> dict[str, str]:
    """Gives the settings the values, until the end of the transaction if one is open.

    Returns what was changed with the values before: an application_name is added to, an interval that
    is set already stays, and what this server does not know is left out.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(_CHANGE, [json.dumps(dict(values)), connection.in_atomic_block])
            return {name: before for name, before, _ in cursor.fetchall()}
    except DatabaseError as error:
        can_do_without = CHECK.keys() & values.keys() and not connection.in_atomic_block
        if sqlstate(error) != INVALID_PARAMETER_VALUE or not can_do_without:
            raise
    return _change(connection, {name: values[name] for name in values if name not in CHECK})


def _set(connection: BaseDatabaseWrapper, values: Mapping[str, str]) -> None:
    if values:
        with connection.cursor() as cursor:
            cursor.execute(_SET, [connection.in_atomic_block, json.dumps(dict(values))])


def _is_quiet(connection: BaseDatabaseWrapper) -> bool:
    return verbosity.get(connection.alias, 1) == 0


def _say(quiet: bool) -> Callable[..., None]:
    """At INFO, which nobody sees who did not ask, in a run that shall be quiet."""
    return logger.info if quiet else logger.warning
