"""Look up other sessions: the locks that they hold, their activity, and the sessions that they wait for."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from ..names import NAME
from .query import query_rows

_LETTERS = 200  # characters of another session's query that are shown

# The end of a session's application_name while the session runs a statement of this library.
MARK = f" {NAME}"


# A literal, also one that is cut off. Names and comments are matched too, and kept, so that nothing in them
# is taken for a literal.
_LITERAL = re.compile(
    r"""[eE]'(?:[^'\\]|''|\\.)*(?:'|$) | (?:[bBxX]|[uU]&)?'(?:[^']|'')*(?:'|$)
    | \$(\w*)\$.*?(?:\$\1\$|$) | \d[\w.]*
    | (?P<kept> "(?:[^"]|"")*(?:"|$) | --[^\n]* | /\*.*?(?:\*/|$) | \$\d+ | [^\W\d][\w$]* )""",
    re.VERBOSE | re.DOTALL,
)


class ShownQueries(Enum):
    """How much of other sessions' queries is shown."""

    NOTHING = False
    WITHOUT_LITERALS = None
    EVERYTHING = True

    @property
    def letters(self) -> int:
        """Return how many characters of a query are asked for."""
        return 0 if self is ShownQueries.NOTHING else _LETTERS

    def shown(self, query: str | None) -> str | None:
        """Return the query as it may be shown: each literal is a question mark, unless all is shown."""
        if query is None or self is ShownQueries.EVERYTHING:
            return query
        return _LITERAL.sub(lambda found: found["kept"] or "?", query)


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that another one may have to wait for; as text, one line for people.

    pid: 0 for a prepared transaction, which has no session.
    age: seconds since its transaction began.
    query: the beginning of its last query; empty if queries are not to be shown.
    """

    pid: int
    application: str | None
    user: str | None
    state: str | None
    age: float | None
    query: str | None

    def __str__(self) -> str:
        if not self.pid:
            return "a prepared transaction (pg_catalog.pg_prepared_xacts has its name)"
        age = f"{self.age:.1f} s" if self.age is not None else "unknown age"
        query = f": {' '.join(self.query.split())!r}" if self.query else ""
        return (
            f"pid {self.pid}, {self.application or 'no application name'}, user {self.user}, "
            f"{self.state}, transaction {age}{query}"
        )

    @property
    def is_ours(self) -> bool:
        """Return whether the session runs a statement of this library."""
        return (self.application or "").endswith(MARK)


@dataclass(frozen=True, slots=True)
class Activity:
    """The activity of a backend, and the sessions that it waits for.

    session: the backend itself.
    active: whether it runs a statement; True if the current role may not know.
    age: seconds since that statement began.
    phase, blocks_*, tuples_*: from pg_stat_progress_create_index; None for other statements.
    size: of the largest table that the backend has locked, ACCESS SHARE left aside, as in "12 MB".
    """

    session: Blocker
    blockers: tuple[Blocker, ...]
    active: bool
    age: float | None
    phase: str | None
    blocks_done: int | None
    blocks_total: int | None
    tuples_done: int | None
    tuples_total: int | None
    size: str | None

    @property
    def measure(self) -> tuple[int, int, str] | None:
        """Return how much of the phase is done, the total and the unit; None if PostgreSQL does not count.

        None too while the backend waits: PostgreSQL then still reports the numbers of the phase before.
        """
        if self.blockers:
            return None
        # While the rows of a finished scan are loaded, its blocks are still reported: prefer the rows.
        blocks, tuples = self.blocks_total or 0, self.tuples_total or 0
        if tuples and (self.blocks_done or 0) >= blocks:
            return self.tuples_done or 0, tuples, "rows"
        return (self.blocks_done or 0, blocks, "blocks") if blocks else None


# The OIDs of the tables with the quoted names, and of their partitions and children.
_WITH_CHILDREN = """(
  WITH RECURSIVE tables (oid) AS (
    SELECT pg_catalog.to_regclass(t.name)::pg_catalog.oid
    FROM pg_catalog.unnest(%s::pg_catalog.text[]) t (name)
    UNION SELECT i.inhrelid FROM tables JOIN pg_catalog.pg_inherits i ON i.inhparent = tables.oid)
  SELECT tables.oid FROM tables)"""

# The sessions that hold a lock on a table of this database; conditions on the lock follow.
_HOLDERS = """
SELECT DISTINCT a.pid, a.application_name, a.usename, a.state,
  EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - a.xact_start)::pg_catalog.float8,
  pg_catalog.left(a.query, %s)
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid)
WHERE l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                    WHERE d.datname = pg_catalog.current_database())
AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()
"""

# The sessions that hold one of the lock modes on the tables, or on their partitions and children.
_LOCK_HOLDERS = f"{_HOLDERS} AND l.relation IN {_WITH_CHILDREN} AND l.mode = ANY(%s) ORDER BY a.pid"

# The sessions that keep others from reading some table.
_READ_BLOCKERS = f"""{_HOLDERS} AND l.mode = 'AccessExclusiveLock'
AND l.relation IN (SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p')) ORDER BY a.pid
"""  # noqa: S608 - a constant

# The activity of backends. The last column has the backend itself, then the sessions that it waits for.
#
# A concurrent build waits for old snapshots by way of the virtual transactions of their sessions, which
# pg_blocking_pids() reports as it reports locks; it reports a prepared transaction as 0. The size of a table
# is that of its last VACUUM or ANALYZE, because reading it from pg_class takes no lock on the table.
_ACTIVITY = """
SELECT COALESCE(a.state = 'active', true),  -- unknown to a role that may not see it
  EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - a.query_start)::pg_catalog.float8,
  p.phase, p.blocks_done, p.blocks_total, p.tuples_done, p.tuples_total,
  (SELECT pg_catalog.pg_size_pretty(pg_catalog.max(c.relpages::pg_catalog.int8)
                                    * pg_catalog.current_setting('block_size')::pg_catalog.int8)
   FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
   WHERE l.pid = a.pid AND l.granted AND l.mode <> 'AccessShareLock' AND c.relkind IN ('r', 'p')
   AND c.relpages > 0 AND c.relnamespace <> 'pg_catalog'::pg_catalog.regnamespace),
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(b.pid, o.application_name, o.usename, o.state,
      EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - o.xact_start), pg_catalog.left(o.query, %s))
      ORDER BY b.pid <> a.pid, b.pid)::pg_catalog.text
   FROM (SELECT a.pid
         UNION SELECT pg_catalog.unnest(pg_catalog.pg_blocking_pids(a.pid))
         UNION SELECT p.current_locker_pid::pg_catalog.int4
         WHERE p.current_locker_pid > 0 AND a.wait_event_type = 'Lock') b (pid)
   LEFT JOIN pg_catalog.pg_stat_activity o ON o.pid = b.pid)
FROM pg_catalog.pg_stat_activity a
LEFT JOIN pg_catalog.pg_stat_progress_create_index p ON p.pid = a.pid
"""

_BY_PID = f"{_ACTIVITY} WHERE a.pid = %s"

# The progress of another role's build hides its table; pg_locks shows, as in indexes.py, that it locks it.
_BUILDS = f"""{_ACTIVITY}
WHERE p.pid <> pg_catalog.pg_backend_pid() AND p.datname = pg_catalog.current_database()
AND (p.relid IN {_WITH_CHILDREN} OR p.relid IS NULL AND EXISTS (
    SELECT FROM pg_catalog.pg_locks h WHERE h.pid = p.pid AND h.granted
    AND h.mode = 'ShareUpdateExclusiveLock' AND h.relation IN {_WITH_CHILDREN}))
ORDER BY a.pid
"""

# The sessions with a snapshot (backend_xmin), which a concurrent build waits for before it ends.
_SNAPSHOT_HOLDERS = """
SELECT a.pid, a.application_name, a.usename, a.state,
  EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - a.xact_start)::pg_catalog.float8,
  pg_catalog.left(a.query, %s)
FROM pg_catalog.pg_stat_activity a
WHERE a.datname = pg_catalog.current_database() AND a.backend_xmin IS NOT NULL
AND a.pid <> pg_catalog.pg_backend_pid() AND a.backend_type = 'client backend' ORDER BY a.pid
"""

# The holders of an advisory lock on a 64-bit key, which pg_locks shows as two numbers of 32 bits. They are
# idle, so that their last query would explain nothing.
_ADVISORY_LOCK_HOLDERS = """
SELECT a.pid, a.application_name, a.usename, a.state,
  EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - a.xact_start)::pg_catalog.float8,
  ''
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                                                WHERE d.datname = pg_catalog.current_database())
AND l.classid::pg_catalog.int8 << 32 | l.objid::pg_catalog.int8 = %s AND l.objsubid = 1
AND l.granted AND l.pid <> pg_catalog.pg_backend_pid() ORDER BY a.pid
"""


def lock_holders(
    connection: BaseDatabaseWrapper,
    tables: Sequence[str],
    modes: Sequence[str],
    queries: ShownQueries = ShownQueries.WITHOUT_LITERALS,
) -> tuple[Blocker, ...]:
    """Return the other sessions that hold one of the lock modes on one of the quoted tables.

    modes: as pg_locks spells them. queries: how much of their queries to return.
    """
    parameters = [queries.letters, list(tables), list(modes)]
    rows = query_rows(connection, _LOCK_HOLDERS, parameters)
    return tuple(_blocker(row, queries) for row in rows)


def read_blockers(
    connection: BaseDatabaseWrapper, queries: ShownQueries = ShownQueries.WITHOUT_LITERALS
) -> tuple[Blocker, ...]:
    """Return the other sessions that keep everybody from reading some table of the database.

    queries: how much of their queries to return.
    """
    rows = query_rows(connection, _READ_BLOCKERS, [queries.letters])
    return tuple(_blocker(row, queries) for row in rows)


def activity_of(
    connection: BaseDatabaseWrapper,
    pid: int,
    queries: ShownQueries = ShownQueries.WITHOUT_LITERALS,
) -> Activity | None:
    """Return the activity of the backend with that pid; None if it has ended."""
    found = query_rows(connection, _BY_PID, [queries.letters, pid])
    return _parse_activity(found[0], queries) if found else None


def builds_on(
    connection: BaseDatabaseWrapper,
    table: str,
    queries: ShownQueries = ShownQueries.WITHOUT_LITERALS,
) -> list[Activity]:
    """Return the activity of each other session that builds an index of the quoted table."""
    rows = query_rows(connection, _BUILDS, [queries.letters, [table], [table]])
    return [_parse_activity(row, queries) for row in rows]


def snapshot_holders(
    connection: BaseDatabaseWrapper,
    queries: ShownQueries = ShownQueries.WITHOUT_LITERALS,
) -> tuple[Blocker, ...]:
    """Return the other sessions of the database that have a snapshot, for which a concurrent build waits."""
    rows = query_rows(connection, _SNAPSHOT_HOLDERS, [queries.letters])
    return tuple(_blocker(row, queries) for row in rows)


def advisory_lock_holders(connection: BaseDatabaseWrapper, key: int) -> tuple[Blocker, ...]:
    """Return the other sessions that hold the advisory lock on the 64-bit key."""
    return tuple(Blocker(*row) for row in query_rows(connection, _ADVISORY_LOCK_HOLDERS, [key]))


def _blocker(row: Sequence[Any], queries: ShownQueries) -> Blocker:
    blocker = Blocker(*row)
    query = blocker.query or ""
    if blocker.is_ours and query.startswith("-- "):  # the title of what follows
        query = query.removeprefix("-- ").partition("\n")[0]
    return replace(blocker, query=queries.shown(query or blocker.query))


def _parse_activity(row: tuple[Any, ...], queries: ShownQueries) -> Activity:
    own, *others = (_blocker(each, queries) for each in json.loads(row[-1]))
    return Activity(own, tuple(others), *row[:-1])
