"""Read from a second session which locks each statement takes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from django.db import connection, transaction

from signals.operations import convergence
from signals.operations.statements import Lock, Statement
from tests.operations import scratch_schema
from tests.operations.scratch_schema import OTHER_SCHEMA, SCHEMA, Sessions
from tests.postgres.polling import wait_until

# The tables that others can see; one that the statement makes itself is nobody else's yet.
HELD_LOCKS = f"""
SELECT c.oid::bigint, l.mode FROM pg_locks l
JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND l.pid = %s AND l.granted AND c.relkind IN ('r', 'p') AND n.nspname IN ('{SCHEMA}', '{OTHER_SCHEMA}')
"""
WAITS = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'virtualxid'"
BY_STRENGTH = list(Lock).index


class LockObserver:
    """In the place of convergence.send: reads from a second session which locks each statement takes.

    What PostgreSQL allows in a transaction is executed in one first, looked at and rolled back; a
    concurrent build or drop is looked at while a reader with an old snapshot holds it open.
    """

    def __init__(self, sessions: Sessions) -> None:
        self.sessions, self.watcher = sessions, sessions()
        self.run = convergence.send
        self.seen: list[Statement] = []

    def __call__(self, migrating: Any, statement: Statement, *limits: Any) -> Any:
        self.seen.append(statement)
        run = partial(self.run, migrating, statement, *limits)
        if statement.transactional:
            self.try_out(statement)
            return run()
        return self.hold_open(statement, run)

    def try_out(self, statement: Statement) -> None:
        with transaction.atomic():
            scratch_schema.execute(statement.sql)
            self.compare(statement)
            transaction.set_rollback(True)

    def hold_open(self, statement: Statement, run: Callable[[], Any]) -> Any:
        with ThreadPoolExecutor(1) as pool:
            reader = self.sessions(autocommit=False)
            reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            reader.execute(f"SELECT FROM {statement.table} LIMIT 0")
            looked = pool.submit(self.compare_when_it_waits, statement, backend())
            looked.add_done_callback(lambda _: reader.rollback())
            answer = run()
            looked.result()
            return answer

    def compare_when_it_waits(self, statement: Statement, pid: int) -> None:
        wait_until(
            lambda: self.watcher.execute(WAITS, [pid]).fetchall(), f"it waits: {statement.sql}"
        )
        self.compare(statement, pid)

    def compare(self, statement: Statement, pid: int = 0) -> None:
        """The declared tables have the declared lock as their strongest; on no other a writer waits."""
        held: dict[int, Lock] = {}
        for table, mode in self.watcher.execute(HELD_LOCKS, [pid or backend()]).fetchall():
            held[table] = max(held.get(table, Lock.NONE), Lock(mode), key=BY_STRENGTH)
        wanted, found = {}, {}
        for name in {statement.table, *statement.also}:
            ((table,),) = self.watcher.execute("SELECT to_regclass(%s)::oid", [name]).fetchall()
            if table is not None:
                wanted[name], found[name] = statement.lock, held.pop(table, Lock.NONE)
        assert found == wanted, f"declare what it locks: {statement}"
        stopped = {
            table: lock for table, lock in held.items() if Lock.ROW_EXCLUSIVE in lock.conflicts
        }
        assert stopped == {}, f"name these tables in `also`: {statement}"


def backend() -> int:
    return int(connection.connection.info.backend_pid)
