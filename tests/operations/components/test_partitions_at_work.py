"""Other sessions detach, build and write while the partitions are indexed."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import transaction

from signals import operations
from signals.operations import convergence
from signals.operations.statements import Lock, Statement
from tests.deadline import DEADLINE
from tests.operations import scratch_schema
from tests.operations.components.partitioned_table import (
    ANOTHER_DEFINITION,
    COLUMNS,
    MAKES,
    STATE,
    TREE,
    all_valid,
    attached_indexes,
    each_make,
    index,
    index_oids,
)
from tests.operations.scratch_schema import (
    SCHEMA,
    backwards,
    catalog_versions,
    facts,
    forwards,
    recreate,
)
from tests.postgres.polling import wait_for_rows

pytestmark = pytest.mark.usefixtures("committing_connection")


class RunBefore:
    """Another session runs its statements before the first one that contains a text is sent."""

    def __init__(
        self, patch: pytest.MonkeyPatch, other: Any, text: str, statements: Sequence[str]
    ) -> None:
        run, self.is_done = convergence.send, False

        def run_between(to: Any, statement: Statement, *limits: Any) -> Any:
            if text in statement.sql and not self.is_done:
                self.is_done = True
                for sql in statements:
                    other.execute(sql)
            return run(to, statement, *limits)

        patch.setattr(convergence, "send", run_between)


ATTACH = [
    f"CREATE TABLE later ({COLUMNS})",
    "ALTER TABLE part ATTACH PARTITION later FOR VALUES FROM (300) TO (400)",
]
MEANWHILE: dict[str, tuple[str, list[str], list[str]]] = {
    "detached": (
        "CONCURRENTLY",
        ["ALTER TABLE part DETACH PARTITION part_rest"],
        ["part", "part_1", "part_2", "part_21", "part_22"],
    ),
    "detached concurrently before it is attached": (
        "part_21_wanted",
        [
            "ALTER TABLE part_2 DETACH PARTITION part_22",
            "ALTER TABLE part_2 DETACH PARTITION part_21 CONCURRENTLY",
        ],
        ["part", "part_1", "part_2", "part_rest"],
    ),
    "built and then detached": (
        'ATTACH PARTITION "bench"."part_21_wanted"',
        ["ALTER TABLE part_2 DETACH PARTITION part_21"],
        ["part", "part_1", "part_2", "part_22", "part_rest"],
    ),
    "dropped": (
        'ON "bench"."part_22"',
        ["DROP TABLE part_22"],
        ["part", "part_1", "part_2", "part_21", "part_rest"],
    ),
    "sub-partitioned table dropped": (
        'ON "bench"."part_21"',
        ["DROP TABLE part_2"],
        ["part", "part_1", "part_rest"],
    ),
    "created": (
        'ON "bench"."part_21"',
        ["CREATE TABLE later PARTITION OF part FOR VALUES FROM (300) TO (400)"],
        [*all_valid("later")],
    ),
    "attached": ('ON "bench"."part_21"', ATTACH, [*all_valid("later")]),
    "attached before the first step": ("", ATTACH, [*all_valid("later")]),
}


@each_make
@pytest.mark.parametrize("what", MEANWHILE)
def test_what_another_session_does_to_the_partitions_meanwhile_is_met(
    what: str, make: Any, monkeypatch: pytest.MonkeyPatch, sessions: Any
) -> None:
    text, statements, left = MEANWHILE[what]
    recreate(TREE)
    between = RunBefore(monkeypatch, sessions(), text, statements)
    forwards(make(), STATE)
    assert between.is_done
    assert attached_indexes() == dict.fromkeys(left, "valid")


def test_a_refusal_that_stays_is_raised() -> None:
    """The partition belongs to somebody else; what was built before stays for the next run."""
    recreate(
        TREE,
        "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF current_query() LIKE '%part_22%' THEN RAISE EXCEPTION USING ERRCODE = '42501', "
        "MESSAGE = 'not this one'; END IF; END $$;"
        "CREATE EVENT TRIGGER no ON ddl_command_start WHEN tag IN ('CREATE INDEX') "
        "EXECUTE FUNCTION no()",
    )
    try:
        with pytest.raises(operations.StatementRefused, match="not this one"):
            forwards(index(), STATE)
    finally:
        scratch_schema.execute("DROP EVENT TRIGGER no")
    assert attached_indexes()["part_1"] == "valid"
    forwards(index(), STATE)
    assert attached_indexes() == all_valid()


INDEX_IS_INVALID = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('{}') AND NOT indisvalid"
BUILD_WAITS = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
AND query LIKE 'CREATE % CONCURRENTLY%{}%'
"""


def test_a_build_of_a_partition_by_another_session_is_waited_for(
    sessions: Any, background: Any, build_is_awaited: threading.Event
) -> None:
    recreate(TREE)
    holder, builder, watcher = sessions.with_snapshot(), sessions(), sessions()
    sql = "CREATE INDEX CONCURRENTLY theirs ON part_1 (label)"
    build = threading.Thread(target=builder.execute, args=(sql,))
    build.start()
    wait_for_rows(watcher, INDEX_IS_INVALID.format("theirs"))
    wait_for_rows(watcher, BUILD_WAITS.format("theirs"))
    future = background(forwards, index(), STATE)
    assert build_is_awaited.wait(DEADLINE)
    assert not future.done()
    holder.rollback()
    build.join(DEADLINE)
    future.result(timeout=DEADLINE)
    assert attached_indexes() == all_valid()
    assert "part_1_wanted" not in index_oids()


@each_make
def test_two_migrators_at_once_build_each_index_once(
    make: Any, sessions: Any, background: Any, build_is_awaited: threading.Event
) -> None:
    recreate(TREE)
    holder, watcher = sessions.with_snapshot(), sessions()
    first = background(forwards, make(), STATE)
    wait_for_rows(watcher, BUILD_WAITS.format("part_1_wanted"))
    second = background(forwards, make(), STATE)
    assert build_is_awaited.wait(DEADLINE)
    holder.rollback()
    first.result(timeout=DEADLINE)
    second.result(timeout=DEADLINE)
    assert attached_indexes() == all_valid()
    assert len(index_oids()) == len(all_valid())


def test_writers_of_the_table_go_on_while_the_partitions_are_built(
    sessions: Any, background: Any
) -> None:
    """The build of a partition waits for an old snapshot; what is written meanwhile arrives."""
    recreate(TREE)
    holder, writer, watcher = sessions.with_snapshot(), sessions(), sessions()
    future = background(forwards, index(), STATE)
    wait_for_rows(watcher, BUILD_WAITS.format("part_1_wanted"))
    writer.execute("SET statement_timeout = '5s'")
    for number in range(0, 300, 10):
        writer.execute("INSERT INTO part (id, label) VALUES (%s, 'meanwhile')", [number])
        writer.execute("UPDATE part SET amount = 1 WHERE id = %s", [number])
    assert not future.done()
    holder.rollback()
    future.result(timeout=DEADLINE)
    assert attached_indexes() == all_valid()
    scratch_schema.execute("SET enable_seqscan = off")
    assert scratch_schema.value("SELECT count(*) FROM part WHERE label = 'meanwhile'") == 30


@each_make
def test_a_writer_in_a_long_transaction_is_waited_for_in_short_tries(
    make: Any, sessions: Any, background: Any
) -> None:
    """What must lock out writers lets go again, so that others write between the tries."""
    recreate(TREE)
    holder, writer, watcher = sessions(autocommit=False), sessions(), sessions()
    holder.execute("INSERT INTO part (id, label) VALUES (1, 'held')")
    future = background(forwards, make(), STATE)
    writer.execute("SET statement_timeout = '5s'")
    for _ in range(20):
        writer.execute("INSERT INTO part (id, label) VALUES (2, gen_random_uuid()::text)")
    assert not future.done()
    holder.rollback()
    future.result(timeout=DEADLINE)
    watcher.execute("SELECT 1")
    assert attached_indexes() == all_valid()


@each_make
def test_going_back_waits_for_a_reader_of_a_partition_and_names_it(
    make: Any, sessions: Any, settings: Any
) -> None:
    settings.CONVERGENT_MIGRATIONS = {"LOCK_TIMEOUT": 0.02, "LONGEST_PAUSE": 0.05, "LOCK_WAIT": 0.2}
    recreate(TREE)
    start = facts()
    forwards(make(), STATE)
    before = catalog_versions()
    reader = sessions.holding("ACCESS SHARE", "part_22")
    with pytest.raises(operations.LockWaitExceeded) as caught:
        backwards(make(), STATE)
    assert [line.split(",")[0] for line in caught.value.blockers] == [
        f"pid {reader.info.backend_pid}"
    ]
    assert catalog_versions() == before
    reader.rollback()
    backwards(make(), STATE)
    assert facts() == start


@pytest.mark.parametrize(
    ("what", "start"),
    [*((what, "") for what in MAKES), ("index", ANOTHER_DEFINITION["index"])],
    ids=[*MAKES, "replaced index"],
)
def test_each_step_takes_no_stronger_lock_than_it_declares_and_on_no_other_table(
    what: str, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step that can be is tried in a transaction that is rolled back; merely reading is free."""
    question = f"""
    SELECT l.relation::bigint, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    WHERE l.pid = pg_backend_pid() AND c.relkind IN ('r', 'p')
    AND c.relnamespace = '{SCHEMA}'::regnamespace AND l.mode <> 'AccessShareLock'
    """
    recreate(TREE, start)
    run, order, tried = convergence.send, list(Lock), []

    def watched(to: Any, statement: Statement, *limits: Any) -> Any:
        if statement.transactional:
            with transaction.atomic():
                scratch_schema.execute(statement.sql)
                locks = scratch_schema.rows(question)
                names = [statement.table, *statement.also]
                declared = {
                    scratch_schema.rows("SELECT to_regclass(%s)::oid::bigint", [name])[0][0]
                    for name in names
                }
                transaction.set_rollback(True)
            assert {relation for relation, _ in locks} <= declared, statement
            modes = [order.index(Lock(mode)) for _, mode in locks]
            assert max(modes, default=0) <= order.index(statement.lock), statement
            tried.append(statement.sql.split()[0])
        return run(to, statement, *limits)

    monkeypatch.setattr(convergence, "send", watched)
    operation = MAKES[what](on_different="replace" if start else "stop")
    forwards(operation, STATE)
    backwards(operation, STATE)
    assert len(tried) > 6
