"""Leave what a concurrent build leaves that really started and failed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg
import pytest

from tests.deadline import DEADLINE
from tests.operations import scratch_schema
from tests.operations.scratch_schema import SCHEMA, conninfo
from tests.postgres.polling import wait_until

WAITING = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"


def cancelled_build(sql: str, before: str = "") -> Callable[[], None]:
    """Return a function that starts a concurrent build, which waits for an old snapshot, and cancels it."""

    def fail() -> None:
        if before:
            scratch_schema.execute(before)
        with (
            psycopg.connect(conninfo()) as holder,
            psycopg.connect(conninfo(), autocommit=True) as builder,
            ThreadPoolExecutor(1) as pool,
        ):
            holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            holder.execute("SELECT 1")
            builder.execute(f"SET search_path TO {SCHEMA}; SET client_min_messages = warning")
            build = pool.submit(builder.execute, sql)
            waits = partial(scratch_schema.rows, WAITING, [builder.info.backend_pid])
            wait_until(lambda: waits() or (build.done() and build.result()), f"it waits: {sql}")
            builder.cancel_safe()
            with pytest.raises(psycopg.errors.QueryCanceled):
                build.result(timeout=DEADLINE)
        assert scratch_schema.rows("SELECT 1 FROM pg_index WHERE NOT indisvalid")

    return fail


def violated_build(sql: str) -> Callable[[], None]:
    """Return a function that lets a concurrent unique build fail on a duplicate, which then goes away."""

    def fail() -> None:
        scratch_schema.execute("INSERT INTO part (label, amount) VALUES ('bolt', 99)")
        with psycopg.connect(conninfo(), autocommit=True) as builder:
            builder.execute(f"SET search_path TO {SCHEMA}")
            with pytest.raises(psycopg.errors.UniqueViolation):
                builder.execute(sql)
        scratch_schema.execute("DELETE FROM part WHERE amount = 99")
        # The key that the failed insert drew is no part of what is compared.

    return fail
