"""Partitioned tables: an index of each partition built while writers go on, then attached."""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.db.migrations.state import ModelState
from django.db.models import Index, Q, UniqueConstraint
from django.test.utils import CaptureQueriesContext

from signals import operations
from signals.operations import session
from signals.operations.report import judge
from signals.operations.statements import Lock, Statement
from tests.operations import scratch_schema
from tests.operations.contract.failed_builds import cancelled_build
from tests.operations.kill_between_statements import Killed, kill_after
from tests.operations.scratch_schema import (
    APP,
    SCHEMA,
    backwards,
    catalog_versions,
    facts,
    forwards,
    part_model,
    printed_sql,
    project_state,
    psql,
    recreate,
)
from tests.postgres.polling import wait_for_rows

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())
COLUMNS = "id bigint, label text, amount integer, made_at timestamptz"
ROWS = "INSERT INTO part (id, label, amount) SELECT n, 'x' || n, n FROM generate_series(0, 299) n;"
TREE = f"""
CREATE TABLE part ({COLUMNS}) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE part_2 (made_at timestamptz, label text, id bigint, amount integer) PARTITION BY RANGE (id);
ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES FROM (100) TO (200);
CREATE TABLE part_21 PARTITION OF part_2 FOR VALUES FROM (100) TO (150);
CREATE TABLE part_22 PARTITION OF part_2 DEFAULT;
CREATE TABLE part_rest PARTITION OF part DEFAULT;
{ROWS}
"""
FLAT = f"""
CREATE TABLE part ({COLUMNS}) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (300);
{ROWS}
"""


def index(**options: Any) -> Any:
    wanted = Index(fields=["label"], name="wanted")
    return operations.CreateIndexConcurrentlyIfMissing("part", wanted, **options)


def constraint(**options: Any) -> Any:
    wanted = UniqueConstraint(fields=["id", "label"], name="wanted")
    return operations.AddUniqueIfMissing("part", wanted, **options)


def unique_index(**options: Any) -> Any:
    wanted = UniqueConstraint("id", models.F("label").asc(), name="wanted")
    return operations.AddUniqueIfMissing("part", wanted, **options)


MAKES = {"index": index, "constraint": constraint, "unique index": unique_index}
each_make = pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)


def indexes(name: str = "wanted") -> dict[str, str]:
    """The tables with the index that is attached to that of the name, and the states of both."""
    question = """
    WITH RECURSIVE tree AS (
        SELECT to_regclass(%s)::oid AS number
        UNION ALL SELECT h.inhrelid FROM tree JOIN pg_inherits h ON h.inhparent = tree.number)
    SELECT i.indrelid::regclass::text, CASE WHEN i.indisvalid THEN 'valid' ELSE 'invalid' END
    FROM tree JOIN pg_index i ON i.indexrelid = tree.number
    """
    return dict(scratch_schema.rows(question, [name]))


def all_valid(*more: str) -> dict[str, str]:
    tables = ("part", "part_1", "part_2", "part_21", "part_22", "part_rest", *more)
    return dict.fromkeys(tables, "valid")


def numbers() -> dict[str, int]:
    """Each index with its OID."""
    question = (
        "SELECT c.relname, c.oid::bigint FROM pg_class c "
        f"WHERE c.relkind IN ('i', 'I') AND c.relnamespace = '{SCHEMA}'::regnamespace"
    )
    return dict(scratch_schema.rows(question))


def findings(operation: Any) -> list[tuple[str, str, str, operations.Status]]:
    after = STATE.clone()
    operation.state_forwards(APP, after)
    found = judge(connection, APP, operation, STATE, after)
    return [(each.component, each.name, each.table, each.status) for each in found]


def sent(caplog: pytest.LogCaptureFixture, act: Callable[[], None]) -> list[str]:
    """The statements that were sent meanwhile."""
    caplog.clear()
    with caplog.at_level(logging.INFO, "signals.operations"):
        act()
    return [line for record in caplog.records if (line := record.getMessage())[0].isupper()]


@each_make
def test_it_is_built_on_each_partition_and_becomes_valid_and_goes_back(make: Any) -> None:
    recreate(TREE)
    start = facts()
    assert [row[3] for row in findings(make())] == [operations.Status.MISSING]
    forwards(make(), STATE)
    assert indexes() == all_valid()
    assert [row[3] for row in findings(make())] == [operations.Status.EXISTS]
    before = catalog_versions()
    forwards(make(), STATE)
    assert catalog_versions() == before
    for _ in range(2):
        backwards(make(), STATE)
        assert facts() == start


def test_the_index_is_what_postgresql_would_have_made_at_once() -> None:
    recreate(TREE, "CREATE INDEX wanted ON part (label)")
    wanted = {row[1:2] + row[4:] for row in facts() if row[0] == "index"}
    before = catalog_versions()
    forwards(index(), STATE)
    assert catalog_versions() == before
    recreate(TREE)
    forwards(index(), STATE)
    assert {row[1:2] + row[4:] for row in facts() if row[0] == "index"} == wanted


@each_make
def test_killed_after_each_statement_it_is_continued(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recreate(TREE)
    forwards(make(), STATE)
    wanted = facts()
    for limit in range(40):
        recreate(TREE)
        with monkeypatch.context() as patch:
            kill_after(patch, limit)
            try:
                forwards(make(), STATE)
            except Killed:
                pass
            else:
                break
        statuses = {row[3] for row in findings(make())}
        assert statuses & {operations.Status.MISSING, operations.Status.UNFINISHED}
        forwards(make(), STATE)
        assert facts() == wanted
    assert limit > 8


@each_make
def test_killed_after_each_statement_it_goes_back_to_nothing(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recreate(TREE)
    start = facts()
    for limit in range(40):
        recreate(TREE)
        with monkeypatch.context() as patch:
            kill_after(patch, limit)
            try:
                forwards(make(), STATE)
            except Killed:
                pass
            else:
                break
        with monkeypatch.context() as patch, suppress(Killed):
            kill_after(patch, 1)
            backwards(make(), STATE)
        backwards(make(), STATE)
        assert facts() == start
    assert limit > 8


@each_make
def test_a_failed_build_of_a_partition_is_dropped_and_built_anew(make: Any, caplog: Any) -> None:
    unique, columns = ("", "label") if make is index else ("UNIQUE ", "id, label")
    recreate(TREE)
    cancelled_build(f"CREATE {unique}INDEX CONCURRENTLY part_22_wanted ON part_22 ({columns})")()
    assert findings(make()) == [
        ("index" if make is index else "unique", "wanted", '"part"', operations.Status.MISSING),
        ("index", "part_22_wanted", '"bench"."part_22"', operations.Status.UNFINISHED),
    ]
    statements = sent(caplog, lambda: forwards(make(), STATE))
    assert 'DROP INDEX CONCURRENTLY "bench"."part_22_wanted"' in statements
    assert indexes() == all_valid()
    assert sorted(numbers()) == sorted(
        ["wanted", *(f"{table}_wanted" for table in all_valid() if table != "part")]
    )


@each_make
def test_a_partitions_own_index_of_that_definition_is_attached_whatever_its_name(make: Any) -> None:
    unique, columns = ("", "label") if make is index else ("UNIQUE ", "id, label")
    recreate(TREE, f"CREATE {unique}INDEX theirs ON part_21 ({columns})")
    number = numbers()["theirs"]
    forwards(make(), STATE)
    assert indexes() == all_valid()
    assert numbers()["theirs"] == number
    assert "part_21_wanted" not in numbers()


def test_a_partitions_own_unique_constraint_is_attached() -> None:
    recreate(TREE, "ALTER TABLE part_1 ADD CONSTRAINT theirs UNIQUE (id, label)")
    number = numbers()["theirs"]
    forwards(constraint(), STATE)
    assert indexes() == all_valid()
    assert numbers()["theirs"] == number


def test_a_sub_partitioned_tables_own_index_is_attached_with_its_partitions() -> None:
    recreate(TREE, "CREATE INDEX theirs ON part_2 (label)")
    before = numbers()
    forwards(index(), STATE)
    assert indexes() == all_valid()
    assert before.items() <= numbers().items()
    assert len(numbers()) == len(all_valid())


@each_make
def test_another_index_under_the_name_for_a_partition_is_no_reason_to_fail(make: Any) -> None:
    recreate(
        TREE,
        "CREATE INDEX part_1_wanted ON part_1 (amount);"
        "CREATE SEQUENCE part_21_wanted; CREATE VIEW part_21_1_wanted AS SELECT 1",
    )
    start, number = facts(), numbers()["part_1_wanted"]
    forwards(make(), STATE)
    assert indexes() == all_valid()
    assert numbers()["part_1_wanted"] == number
    assert {"part_1_1_wanted", "part_21_2_wanted"} <= set(numbers())
    backwards(make(), STATE)
    assert facts() == start


def test_an_index_that_the_table_only_has_in_part_is_found_part_by_part() -> None:
    """One row of the whole, and one of each partition that is not right."""
    recreate(
        TREE,
        "CREATE INDEX wanted ON ONLY part (label);"
        "CREATE INDEX part_1_wanted ON part_1 (label);"
        "ALTER INDEX wanted ATTACH PARTITION part_1_wanted;"
        "CREATE INDEX part_2_wanted ON ONLY part_2 (label);"
        "ALTER INDEX wanted ATTACH PARTITION part_2_wanted;"
        "CREATE INDEX theirs ON part_22 (label)",
    )
    unfinished, missing = operations.Status.UNFINISHED, operations.Status.MISSING
    assert findings(index()) == [
        ("index", "wanted", '"part"', unfinished),
        ("index", "part_2_wanted", '"bench"."part_2"', unfinished),
        ("index", "part_rest", '"bench"."part_rest"', missing),
        ("index", "part_21", '"bench"."part_21"', missing),
        ("index", "theirs", '"bench"."part_22"', unfinished),
    ]
    forwards(index(), STATE)
    assert indexes() == all_valid()


def test_an_invalid_index_that_is_attached_is_rebuilt_where_it_is(caplog: Any) -> None:
    recreate(TREE, "CREATE INDEX wanted ON ONLY part (label)")
    cancelled_build("CREATE INDEX CONCURRENTLY part_1_wanted ON part_1 (label)")()
    scratch_schema.execute("ALTER INDEX wanted ATTACH PARTITION part_1_wanted")
    assert "invalid" in indexes().values()
    statements = sent(caplog, lambda: forwards(index(), STATE))
    assert 'REINDEX INDEX CONCURRENTLY "bench"."part_1_wanted"' in statements
    assert indexes() == all_valid()


@each_make
def test_it_becomes_valid_after_the_partition_that_lacked_it_is_gone(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also below: the two levels are looked at again from the deepest on."""
    recreate(TREE)
    for limit in range(40):
        with monkeypatch.context() as patch:
            kill_after(patch, limit)
            with suppress(Killed):
                forwards(make(), STATE)
        if indexes().keys() == all_valid().keys() - {"part_22"}:
            break
        backwards(make(), STATE)
    scratch_schema.execute("ALTER TABLE part_2 DETACH PARTITION part_22")
    assert set(indexes().values()) == {"valid", "invalid"}
    forwards(make(), STATE)
    wanted = all_valid()
    del wanted["part_22"]
    assert indexes() == wanted


@each_make
def test_it_is_made_anew_where_the_last_partition_is_gone(make: Any) -> None:
    recreate(FLAT, "DROP TABLE part_2")
    only = "ALTER TABLE ONLY part ADD CONSTRAINT wanted UNIQUE (id, label)"
    if make is not constraint:
        unique, columns = ("", "label") if make is index else ("UNIQUE ", "id, label")
        only = f"CREATE {unique}INDEX wanted ON ONLY part ({columns})"
    scratch_schema.execute(f"{only}; DROP TABLE part_1")
    assert indexes() == {"part": "invalid"}
    forwards(make(), STATE)
    assert indexes() == {"part": "valid"}


@each_make
def test_a_table_without_partitions_has_it_at_once_and_gives_it_to_later_ones(make: Any) -> None:
    recreate(f"CREATE TABLE part ({COLUMNS}) PARTITION BY RANGE (id)")
    start = facts()
    forwards(make(), STATE, atomic=True)
    assert indexes() == {"part": "valid"}
    backwards(make(), STATE, atomic=True)
    assert facts() == start
    forwards(make(), STATE)
    scratch_schema.execute("CREATE TABLE later PARTITION OF part DEFAULT")
    assert indexes() == {"part": "valid", "later": "valid"}
    assert [row[3] for row in findings(make())] == [operations.Status.EXISTS]


@each_make
def test_names_are_quoted_cut_and_looked_for_where_the_partition_stands(make: Any) -> None:
    long = "é" * 31
    recreate(
        f"CREATE TABLE part ({COLUMNS}) PARTITION BY RANGE (id);"
        f'CREATE TABLE "{long}" PARTITION OF part FOR VALUES FROM (0) TO (10);'
        f"CREATE TABLE aside.part_1 ({COLUMNS}, CHECK (id < 20)) PARTITION BY LIST (label);"
        "ALTER TABLE part ATTACH PARTITION aside.part_1 FOR VALUES FROM (10) TO (20);"
        'CREATE TABLE "Odd ""one"" 100%" PARTITION OF aside.part_1 DEFAULT;'
        "CREATE TABLE aside.part PARTITION OF part DEFAULT;"
        "CREATE TABLE wanted (id int); DROP TABLE wanted;"
        "CREATE INDEX part_wanted ON aside.part (amount)",
    )
    start = facts()
    forwards(make(), STATE)
    tables = ("part", f'"{long}"', "aside.part_1", '"Odd ""one"" 100%"', "aside.part")
    tables = tuple("é" * 31 if table == f'"{long}"' else table for table in tables)
    found = {name.strip('"') if long in name else name: state for name, state in indexes().items()}
    assert found == dict.fromkeys(tables, "valid")
    before = catalog_versions()
    forwards(make(), STATE)
    assert catalog_versions() == before
    backwards(make(), STATE)
    assert facts() == start


def test_a_table_of_another_schema_is_indexed_there() -> None:
    state = project_state(part_model(db_table='aside"."part'))
    recreate(
        f"CREATE TABLE aside.part ({COLUMNS}) PARTITION BY RANGE (id);"
        "CREATE TABLE part PARTITION OF aside.part DEFAULT"
    )
    start = facts()
    forwards(index(), state)
    assert indexes("aside.wanted") == {"aside.part": "valid", "part": "valid"}
    backwards(index(), state)
    assert facts() == start


FOREIGN = (
    "CREATE FOREIGN DATA WRAPPER bench_nowhere;"
    "CREATE SERVER bench_nowhere FOREIGN DATA WRAPPER bench_nowhere;"
    "CREATE FOREIGN TABLE part_far PARTITION OF part FOR VALUES FROM (1000) TO (2000) SERVER bench_nowhere"
)


@pytest.fixture
def foreign() -> Any:
    recreate(TREE, FOREIGN)
    yield
    scratch_schema.execute("DROP FOREIGN DATA WRAPPER bench_nowhere CASCADE")


def test_foreign_partitions_are_left_out(foreign: None, monkeypatch: Any, caplog: Any) -> None:
    start = facts()
    statements = sent(caplog, lambda: forwards(index(), STATE))
    assert indexes() == all_valid()
    assert len([sql for sql in statements if "CONCURRENTLY" in sql]) == 4
    assert [row[3] for row in findings(index())] == [operations.Status.EXISTS]
    before, wanted = catalog_versions(), facts()
    forwards(index(), STATE)
    assert catalog_versions() == before
    backwards(index(), STATE)
    assert facts() == start
    for limit in range(len(statements)):
        with monkeypatch.context() as patch:
            kill_after(patch, limit)
            with pytest.raises(Killed):
                forwards(index(), STATE)
        forwards(index(), STATE)
        assert facts() == wanted
        backwards(index(), STATE)
        assert facts() == start


def test_a_foreign_partition_that_came_to_a_half_built_index_is_no_dead_end(foreign: None) -> None:
    scratch_schema.execute("CREATE INDEX wanted ON ONLY part (label)")
    forwards(index(), STATE)
    assert indexes() == all_valid()


@pytest.mark.parametrize("make", [constraint, unique_index])
def test_uniqueness_over_a_foreign_partition_is_refused(foreign: None, make: Any) -> None:
    before = catalog_versions()
    with pytest.raises(operations.Refused, match="is a foreign table, and PostgreSQL makes none"):
        forwards(make(), STATE)
    assert catalog_versions() == before


NOT_UNIQUE = {
    "constraint": operations.AddUniqueIfMissing(
        "part", UniqueConstraint(fields=["label"], name="wanted")
    ),
    "index": operations.AddUniqueIfMissing(
        "part", UniqueConstraint(fields=["label"], condition=Q(amount__gt=0), name="wanted")
    ),
    "expression": operations.AddUniqueIfMissing(
        "part", UniqueConstraint(models.functions.Lower("label"), name="wanted")
    ),
    "column": operations.AddColumnIfMissing(
        "part", "code", models.IntegerField(null=True, unique=True)
    ),
}


@pytest.mark.parametrize("operation", NOT_UNIQUE.values(), ids=NOT_UNIQUE)
def test_uniqueness_without_the_partition_key_is_refused_before_anything_is_changed(
    operation: Any,
) -> None:
    recreate(TREE)
    before = catalog_versions()
    with pytest.raises(operations.Refused) as refused:
        forwards(operation, STATE)
    assert refused.value.reason.startswith(
        '"bench"."part" is partitioned by (id), and PostgreSQL makes a partitioned table unique '
        "only on columns that contain these, not on ("
    )
    assert refused.value.fix == (
        "declare it with these columns, or make each partition unique by a unique index of its own"
    )
    assert catalog_versions() == before


def test_the_key_of_a_sub_partitioned_table_counts_too() -> None:
    recreate(
        f"CREATE TABLE part ({COLUMNS}) PARTITION BY RANGE (id);"
        "CREATE TABLE part_1 PARTITION OF part DEFAULT PARTITION BY LIST (amount)"
    )
    before = catalog_versions()
    with pytest.raises(operations.Refused, match=r'"part_1" is partitioned by \(amount\)'):
        forwards(constraint(), STATE)
    assert catalog_versions() == before


def test_a_partition_key_that_is_an_expression_is_refused() -> None:
    recreate(
        f"CREATE TABLE part ({COLUMNS}) PARTITION BY RANGE ((id + 1));"
        "CREATE TABLE part_1 PARTITION OF part DEFAULT"
    )
    before = catalog_versions()
    with pytest.raises(operations.Refused, match=r"is partitioned by \(an expression\)"):
        forwards(constraint(), STATE)
    assert catalog_versions() == before


@pytest.mark.parametrize("make", [constraint, unique_index])
def test_duplicates_of_a_partition_are_named_and_its_invalid_index_is_dropped(make: Any) -> None:
    recreate(TREE, "INSERT INTO part (id, label) VALUES (120, 'x120')")
    with pytest.raises(operations.DuplicateRows) as refused:
        forwards(make(), STATE)
    assert refused.value.first == ((120, "x120", 2),)
    assert refused.value.table == "bench.part_21"
    assert "part_21_wanted" not in numbers()
    scratch_schema.execute("DELETE FROM part WHERE amount IS NULL AND id = 120")
    forwards(make(), STATE)
    assert indexes() == all_valid()


def test_a_deferrable_constraint_and_nulls_not_distinct_hold_on_each_partition() -> None:
    deferrable = UniqueConstraint(
        fields=["id", "label"], name="wanted", deferrable=models.Deferrable.DEFERRED
    )
    strict = UniqueConstraint(fields=["id", "label"], name="wanted", nulls_distinct=False)
    texts = {
        "UNIQUE (id, label) DEFERRABLE INITIALLY DEFERRED": deferrable,
        "UNIQUE NULLS NOT DISTINCT (id, label)": strict,
    }
    for text, wanted in texts.items():
        operation = operations.AddUniqueIfMissing("part", wanted)
        recreate(TREE, "ALTER TABLE part_1 ADD CONSTRAINT theirs UNIQUE (id, label)")
        forwards(operation, STATE)
        assert indexes() == all_valid()
        definitions = [row[4] for row in facts() if row[0] == "constraint" and row[2] != "theirs"]
        assert definitions == [text] * len(all_valid())
        before = catalog_versions()
        forwards(operation, STATE)
        assert catalog_versions() == before


def test_a_unique_index_of_that_name_is_no_unique_constraint() -> None:
    recreate(TREE, "CREATE UNIQUE INDEX wanted ON part (id, label)")
    before = catalog_versions()
    with pytest.raises(operations.DifferentDefinition) as refused:
        forwards(constraint(), STATE)
    assert refused.value.fix == 'DROP INDEX "bench"."wanted"; and run again'
    assert catalog_versions() == before


OTHER = {
    "index": "CREATE INDEX wanted ON part (amount)",
    "constraint": "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (id)",
    "unique index": "CREATE UNIQUE INDEX wanted ON part (id)",
}


@pytest.mark.parametrize("what", MAKES)
def test_another_definition_stops_the_run(what: str) -> None:
    recreate(TREE, OTHER[what])
    before = catalog_versions()
    with pytest.raises(operations.DifferentDefinition) as refused:
        forwards(MAKES[what](), STATE)
    assert refused.value.fix == (
        'ALTER TABLE "part" DROP CONSTRAINT "wanted"; and run again'
        if what == "constraint"
        else 'DROP INDEX "bench"."wanted"; and run again'
    )
    assert catalog_versions() == before


@pytest.mark.parametrize("what", ["index", "unique index"])
def test_another_definition_is_replaced_and_a_killed_replacement_continues(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wanted index is there before the other one goes."""
    make = MAKES[what]
    recreate(TREE, OTHER[what])
    forwards(make(on_different="replace"), STATE)
    wanted = facts()
    assert indexes() == all_valid()
    assert [row[3] for row in findings(make())] == [operations.Status.EXISTS]
    assert len(numbers()) == len(all_valid())
    for limit in range(40):
        recreate(TREE, OTHER[what])
        with monkeypatch.context() as patch:
            kill_after(patch, limit)
            try:
                forwards(make(on_different="replace"), STATE)
            except Killed:
                pass
            else:
                break
        assert indexes() == all_valid()
        forwards(make(on_different="replace"), STATE)
        assert facts() == wanted
    assert limit > 8


def test_another_constraint_is_not_replaced_but_refused_with_the_steps() -> None:
    recreate(TREE, OTHER["constraint"])
    before = catalog_versions()
    with pytest.raises(operations.DifferentDefinition, match="DROP CONSTRAINT") as refused:
        forwards(constraint(on_different="replace"), STATE)
    assert "let this migration replace it" not in str(refused.value)
    assert catalog_versions() == before


class Between:
    """Another session runs its statements before the first one that contains a text is sent."""

    def __init__(
        self, patch: pytest.MonkeyPatch, other: Any, text: str, statements: Sequence[str]
    ) -> None:
        run, self.is_done = session.run, False

        def run_between(to: Any, statement: Statement, *limits: Any) -> None:
            if text in statement.sql and not self.is_done:
                self.is_done = True
                for sql in statements:
                    other.execute(sql)
            run(to, statement, *limits)

        patch.setattr(session, "run", run_between)


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
    between = Between(monkeypatch, sessions(), text, statements)
    forwards(make(), STATE)
    assert between.is_done
    assert indexes() == dict.fromkeys(left, "valid")


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
    assert indexes()["part_1"] == "valid"
    forwards(index(), STATE)
    assert indexes() == all_valid()


INVALID = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('{}') AND NOT indisvalid"
BUILDING = """
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
    wait_for_rows(watcher, INVALID.format("theirs"))
    wait_for_rows(watcher, BUILDING.format("theirs"))
    future = background(forwards, index(), STATE)
    assert build_is_awaited.wait(60)
    assert not future.done()
    holder.rollback()
    build.join(60)
    future.result(timeout=60)
    assert indexes() == all_valid()
    assert "part_1_wanted" not in numbers()


@each_make
def test_two_migrators_at_once_build_each_index_once(
    make: Any, sessions: Any, background: Any, build_is_awaited: threading.Event
) -> None:
    recreate(TREE)
    holder, watcher = sessions.with_snapshot(), sessions()
    first = background(forwards, make(), STATE)
    wait_for_rows(watcher, BUILDING.format("part_1_wanted"))
    second = background(forwards, make(), STATE)
    assert build_is_awaited.wait(60)
    holder.rollback()
    first.result(timeout=60)
    second.result(timeout=60)
    assert indexes() == all_valid()
    assert len(numbers()) == len(all_valid())


def test_writers_of_the_table_go_on_while_the_partitions_are_built(
    sessions: Any, background: Any
) -> None:
    """The build of a partition waits for an old snapshot; what is written meanwhile arrives."""
    recreate(TREE)
    holder, writer, watcher = sessions.with_snapshot(), sessions(), sessions()
    future = background(forwards, index(), STATE)
    wait_for_rows(watcher, BUILDING.format("part_1_wanted"))
    writer.execute("SET statement_timeout = '5s'")
    for number in range(0, 300, 10):
        writer.execute("INSERT INTO part (id, label) VALUES (%s, 'meanwhile')", [number])
        writer.execute("UPDATE part SET amount = 1 WHERE id = %s", [number])
    assert not future.done()
    holder.rollback()
    future.result(timeout=60)
    assert indexes() == all_valid()
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
    future.result(timeout=60)
    watcher.execute("SELECT 1")
    assert indexes() == all_valid()


@each_make
def test_going_back_waits_for_a_reader_of_a_partition_and_names_it(
    make: Any, sessions: Any, settings: Any
) -> None:
    settings.SIGNALS_OPERATIONS = {"LOCK_TIMEOUT": 0.02, "LONGEST_PAUSE": 0.05, "LOCK_WAIT": 0.2}
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
    [*((what, "") for what in MAKES), ("index", OTHER["index"])],
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
    run, order, tried = session.run, list(Lock), []

    def watched(to: Any, statement: Statement, *limits: Any) -> None:
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
        run(to, statement, *limits)

    monkeypatch.setattr(session, "run", watched)
    operation = MAKES[what](on_different="replace" if start else "stop")
    forwards(operation, STATE)
    backwards(operation, STATE)
    assert len(tried) > 6


def test_the_catalog_is_asked_as_often_for_many_partitions_as_for_few() -> None:
    asked = []
    for count in (2, 40):
        recreate(
            f"CREATE TABLE part ({COLUMNS}) PARTITION BY RANGE (id)",
            *(
                f"CREATE TABLE part_{n} PARTITION OF part FOR VALUES FROM ({n}) TO ({n + 1})"
                for n in range(count)
            ),
            "CREATE INDEX wanted ON part (label)",
        )
        with CaptureQueriesContext(connection) as queries:
            forwards(index(), STATE)
        asked.append(len(queries))
    assert asked == [3, 3]


def test_the_index_of_a_new_column_is_built_on_each_partition() -> None:
    recreate(TREE)
    start = facts()
    operation = operations.AddColumnIfMissing(
        "part", "code", models.CharField(max_length=5, null=True, db_index=True)
    )
    for _ in range(2):
        forwards(operation, STATE)
    names = scratch_schema.rows(
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "WHERE i.indrelid = 'part'::regclass AND i.indisvalid"
    )
    assert len(names) == 2  # the other one serves LIKE
    for (each,) in names:
        assert indexes(each) == all_valid()
    backwards(operation, STATE)
    assert facts() == start


OTHERS = ModelState(
    APP,
    "Other",
    [("id", models.BigIntegerField(primary_key=True))],
    {"db_table": "other"},
)
PLAIN = models.ForeignKey(
    "bench.Other", models.CASCADE, null=True, db_constraint=False, db_index=False
)
KEYS = {
    "new column": (operations.AddColumnIfMissing, part_model()),
    "column that exists": (operations.AddForeignKeyIfMissing, part_model(("other", PLAIN))),
}


@pytest.mark.parametrize("what", KEYS)
def test_a_foreign_key_is_added_with_its_index_or_refused_with_steps_that_lead_there(
    what: str,
) -> None:
    """PostgreSQL before 18 adds none NOT VALID to a partitioned table."""
    kind, model = KEYS[what]
    column = "ALTER TABLE part ADD other_id bigint"
    recreate(
        TREE, "CREATE TABLE other (id bigint PRIMARY KEY)", column if model != part_model() else ""
    )
    state = project_state(model, OTHERS)
    operation = kind("part", "other", models.ForeignKey("bench.Other", models.CASCADE, null=True))
    if connection.pg_version < 180000:  # type: ignore[attr-defined]
        before = catalog_versions()
        with pytest.raises(operations.Refused, match="before 18 adds no foreign key"):
            forwards(operation, state)
        assert catalog_versions() == before
        key = "CONSTRAINT f FOREIGN KEY (other_id) REFERENCES other (id) DEFERRABLE INITIALLY DEFERRED"
        scratch_schema.execute("ALTER TABLE part ADD IF NOT EXISTS other_id bigint")
        for table in ("part_1", "part_21", "part_22", "part_rest"):
            scratch_schema.execute(f"ALTER TABLE {table} ADD {key} NOT VALID")
            scratch_schema.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT f")
        scratch_schema.execute(f"ALTER TABLE part ADD {key}")
    forwards(operation, state)
    ((name,),) = scratch_schema.rows(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'I' "
        f"AND NOT relispartition AND relnamespace = '{SCHEMA}'::regnamespace"
    )
    assert indexes(name) == all_valid()
    assert scratch_schema.value(
        "SELECT bool_and(convalidated) FROM pg_constraint "
        "WHERE contype = 'f' AND conrelid = 'part'::regclass"
    )
    before = catalog_versions()
    forwards(operation, state)
    assert catalog_versions() == before
    backwards(operation, state)
    assert indexes(name) == {}


def test_a_declared_table_that_is_partitioned_gets_its_indexes_and_uniqueness() -> None:
    fields: Any = [
        ("id", models.BigIntegerField(primary_key=True)),
        ("label", models.TextField(null=True)),
    ]
    options = {
        "db_table": "part",
        "indexes": [Index(fields=["label"], name="wanted")],
        "constraints": [UniqueConstraint(fields=["label", "id"], name="alone")],
    }
    operation = operations.CreateTableIfMissing("Piece", fields, options)
    recreate(
        "CREATE TABLE part (id bigint PRIMARY KEY, label text) PARTITION BY RANGE (id);"
        "CREATE TABLE part_1 PARTITION OF part DEFAULT"
    )
    forwards(operation, project_state())
    valid = {"part": "valid", "part_1": "valid"}
    assert indexes() == indexes("alone") == valid
    before = catalog_versions()
    forwards(operation, project_state())
    assert catalog_versions() == before


def test_the_removals_drop_what_was_built_and_build_it_again_on_the_way_back() -> None:
    declared = project_state(
        part_model(
            indexes=[Index(fields=["label"], name="wanted")],
            constraints=[UniqueConstraint(fields=["id", "label"], name="alone")],
        )
    )
    recreate(TREE)
    start = facts()
    forwards(index(), STATE)
    forwards(
        operations.AddUniqueIfMissing(
            "part", UniqueConstraint(fields=["id", "label"], name="alone")
        ),
        STATE,
    )
    wanted = facts()
    removals = (
        operations.DropIndexConcurrentlyIfPresent("part", "wanted"),
        operations.RemoveUniqueIfPresent("part", "alone"),
    )
    for _ in range(2):
        for operation in removals:
            forwards(operation, declared)
        assert facts() == start
    for _ in range(2):
        for operation in removals:
            backwards(operation, declared)
        assert facts() == wanted


CHECKS = {
    "none has it": "",
    "one has it": "ALTER TABLE part_21 ADD CONSTRAINT wanted CHECK (amount >= 0)",
    "one has it NOT VALID": "ALTER TABLE part_21 ADD CONSTRAINT wanted CHECK (amount >= 0) NOT VALID",
    "a sub-partitioned one has it NOT VALID": (
        "ALTER TABLE part_2 ADD CONSTRAINT wanted CHECK (amount >= 0) NOT VALID"
    ),
}


@pytest.mark.parametrize("before", CHECKS.values(), ids=CHECKS)
def test_a_check_recurses_and_is_validated_on_every_partition(
    before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = operations.AddCheckIfMissing(
        "part", models.CheckConstraint(condition=Q(amount__gte=0), name="wanted")
    )
    question = (
        "SELECT conrelid::regclass::text, convalidated FROM pg_constraint WHERE conname = 'wanted'"
    )
    for limit in range(3):
        recreate(TREE, before)
        with monkeypatch.context() as patch, suppress(Killed):
            kill_after(patch, limit)
            forwards(operation, STATE)
        forwards(operation, STATE)
        assert dict(scratch_schema.rows(question)) == dict.fromkeys(all_valid(), True)
        forwards(operation, STATE)
        backwards(operation, STATE)
        assert scratch_schema.rows(question) == []


@each_make
def test_a_printed_script_stops_in_words_at_a_partitioned_table_and_goes_back(make: Any) -> None:
    """What a partitioned table needs, depends on its partitions; migrate does it."""
    recreate(TREE)
    start = facts()
    before = catalog_versions()
    ran = psql(printed_sql(make(), STATE))
    assert ran.returncode != 0
    assert 'table "part" is partitioned: index wanted is built on each partition' in ran.stderr
    assert catalog_versions() == before
    forwards(make(), STATE)
    before = catalog_versions()
    for _ in range(2):
        ran = psql(printed_sql(make(), STATE))
        assert (ran.returncode, ran.stderr) == (0, "")
    assert catalog_versions() == before
    for _ in range(2):
        ran = psql(printed_sql(make(), STATE, back=True))
        assert (ran.returncode, ran.stderr) == (0, "")
        assert facts() == start


def test_in_a_transaction_it_is_refused_before_the_first_step() -> None:
    recreate(TREE)
    before = catalog_versions()
    with pytest.raises(operations.NeedsAutocommit):
        forwards(index(), STATE, atomic=True)
    assert catalog_versions() == before


def test_a_fallback_is_chosen_for_all_partitions() -> None:
    operation = operations.CreateIndexConcurrentlyIfMissing(
        "part",
        Index(fields=["label", "made_at"], name="best"),
        fallbacks=[Index(fields=["label"], name="wanted")],
    )
    recreate(TREE, "ALTER TABLE part DROP COLUMN made_at")
    start = facts()
    forwards(operation, STATE)
    assert indexes() == all_valid()
    backwards(operation, STATE)
    assert facts() == start
