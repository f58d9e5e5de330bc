"""An index of a partitioned table: built on each partition, attached, and known again."""

from contextlib import suppress
from typing import Any

import pytest
from django.db import connection
from django.db.models import Index
from django.test.utils import CaptureQueriesContext

from signals import operations
from tests.operations import scratch_schema
from tests.operations.components.assertions import assert_unchanged
from tests.operations.components.partitioned_table import (
    ANOTHER_DEFINITION,
    COLUMNS,
    FLAT,
    MAKES,
    STATE,
    TREE,
    all_valid,
    attached_indexes,
    constraint,
    each_make,
    findings_of,
    index,
    index_oids,
    logged_statements,
)
from tests.operations.contract.failed_builds import cancelled_build
from tests.operations.kill_between_statements import Killed, kill_after
from tests.operations.scratch_schema import (
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

pytestmark = pytest.mark.usefixtures("committing_connection")


@each_make
def test_it_is_built_on_each_partition_and_becomes_valid_and_goes_back(make: Any) -> None:
    recreate(TREE)
    start = facts()
    assert [row[3] for row in findings_of(make())] == [operations.Status.MISSING]
    forwards(make(), STATE)
    assert attached_indexes() == all_valid()
    assert [row[3] for row in findings_of(make())] == [operations.Status.EXISTS]
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
        statuses = {row[3] for row in findings_of(make())}
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
    assert findings_of(make()) == [
        ("index" if make is index else "unique", "wanted", '"part"', operations.Status.MISSING),
        ("index", "part_22_wanted", '"bench"."part_22"', operations.Status.UNFINISHED),
    ]
    statements = logged_statements(caplog, lambda: forwards(make(), STATE))
    assert 'DROP INDEX CONCURRENTLY "bench"."part_22_wanted"' in statements
    assert attached_indexes() == all_valid()
    assert sorted(index_oids()) == sorted(
        ["wanted", *(f"{table}_wanted" for table in all_valid() if table != "part")]
    )


@each_make
def test_a_partitions_own_index_of_that_definition_is_attached_whatever_its_name(make: Any) -> None:
    unique, columns = ("", "label") if make is index else ("UNIQUE ", "id, label")
    recreate(TREE, f"CREATE {unique}INDEX theirs ON part_21 ({columns})")
    number = index_oids()["theirs"]
    forwards(make(), STATE)
    assert attached_indexes() == all_valid()
    assert index_oids()["theirs"] == number
    assert "part_21_wanted" not in index_oids()


def test_a_sub_partitioned_tables_own_index_is_attached_with_its_partitions() -> None:
    recreate(TREE, "CREATE INDEX theirs ON part_2 (label)")
    before = index_oids()
    forwards(index(), STATE)
    assert attached_indexes() == all_valid()
    assert before.items() <= index_oids().items()
    assert len(index_oids()) == len(all_valid())


@each_make
def test_another_index_under_the_name_for_a_partition_is_no_reason_to_fail(make: Any) -> None:
    recreate(
        TREE,
        "CREATE INDEX part_1_wanted ON part_1 (amount);"
        "CREATE SEQUENCE part_21_wanted; CREATE VIEW part_21_1_wanted AS SELECT 1",
    )
    start, number = facts(), index_oids()["part_1_wanted"]
    forwards(make(), STATE)
    assert attached_indexes() == all_valid()
    assert index_oids()["part_1_wanted"] == number
    assert {"part_1_1_wanted", "part_21_2_wanted"} <= set(index_oids())
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
    assert findings_of(index()) == [
        ("index", "wanted", '"part"', unfinished),
        ("index", "part_2_wanted", '"bench"."part_2"', unfinished),
        ("index", "part_rest", '"bench"."part_rest"', missing),
        ("index", "part_21", '"bench"."part_21"', missing),
        ("index", "theirs", '"bench"."part_22"', unfinished),
    ]
    forwards(index(), STATE)
    assert attached_indexes() == all_valid()


def test_an_invalid_index_that_is_attached_is_rebuilt_where_it_is(caplog: Any) -> None:
    recreate(TREE, "CREATE INDEX wanted ON ONLY part (label)")
    cancelled_build("CREATE INDEX CONCURRENTLY part_1_wanted ON part_1 (label)")()
    scratch_schema.execute("ALTER INDEX wanted ATTACH PARTITION part_1_wanted")
    assert "invalid" in attached_indexes().values()
    statements = logged_statements(caplog, lambda: forwards(index(), STATE))
    assert 'REINDEX INDEX CONCURRENTLY "bench"."part_1_wanted"' in statements
    assert attached_indexes() == all_valid()


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
        if attached_indexes().keys() == all_valid().keys() - {"part_22"}:
            break
        backwards(make(), STATE)
    scratch_schema.execute("ALTER TABLE part_2 DETACH PARTITION part_22")
    assert set(attached_indexes().values()) == {"valid", "invalid"}
    forwards(make(), STATE)
    wanted = all_valid()
    del wanted["part_22"]
    assert attached_indexes() == wanted


@each_make
def test_it_is_made_anew_where_the_last_partition_is_gone(make: Any) -> None:
    recreate(FLAT, "DROP TABLE part_2")
    only = "ALTER TABLE ONLY part ADD CONSTRAINT wanted UNIQUE (id, label)"
    if make is not constraint:
        unique, columns = ("", "label") if make is index else ("UNIQUE ", "id, label")
        only = f"CREATE {unique}INDEX wanted ON ONLY part ({columns})"
    scratch_schema.execute(f"{only}; DROP TABLE part_1")
    assert attached_indexes() == {"part": "invalid"}
    forwards(make(), STATE)
    assert attached_indexes() == {"part": "valid"}


@each_make
def test_a_table_without_partitions_has_it_at_once_and_gives_it_to_later_ones(make: Any) -> None:
    recreate(f"CREATE TABLE part ({COLUMNS}) PARTITION BY RANGE (id)")
    start = facts()
    forwards(make(), STATE, atomic=True)
    assert attached_indexes() == {"part": "valid"}
    backwards(make(), STATE, atomic=True)
    assert facts() == start
    forwards(make(), STATE)
    scratch_schema.execute("CREATE TABLE later PARTITION OF part DEFAULT")
    assert attached_indexes() == {"part": "valid", "later": "valid"}
    assert [row[3] for row in findings_of(make())] == [operations.Status.EXISTS]


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
    found = {
        name.strip('"') if long in name else name: state
        for name, state in attached_indexes().items()
    }
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
    assert attached_indexes("aside.wanted") == {"aside.part": "valid", "part": "valid"}
    backwards(index(), state)
    assert facts() == start


def test_foreign_partitions_are_left_out(
    foreign_partition: None, monkeypatch: Any, caplog: Any
) -> None:
    start = facts()
    statements = logged_statements(caplog, lambda: forwards(index(), STATE))
    assert attached_indexes() == all_valid()
    assert len([sql for sql in statements if "CONCURRENTLY" in sql]) == 4
    assert [row[3] for row in findings_of(index())] == [operations.Status.EXISTS]
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


def test_a_foreign_partition_that_came_to_a_half_built_index_is_no_dead_end(
    foreign_partition: None,
) -> None:
    scratch_schema.execute("CREATE INDEX wanted ON ONLY part (label)")
    forwards(index(), STATE)
    assert attached_indexes() == all_valid()


@pytest.mark.parametrize("what", MAKES)
def test_another_definition_stops_the_run(what: str) -> None:
    recreate(TREE, ANOTHER_DEFINITION[what])
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
    recreate(TREE, ANOTHER_DEFINITION[what])
    forwards(make(on_different="replace"), STATE)
    wanted = facts()
    assert attached_indexes() == all_valid()
    assert [row[3] for row in findings_of(make())] == [operations.Status.EXISTS]
    assert len(index_oids()) == len(all_valid())
    for limit in range(40):
        recreate(TREE, ANOTHER_DEFINITION[what])
        with monkeypatch.context() as patch:
            kill_after(patch, limit)
            try:
                forwards(make(on_different="replace"), STATE)
            except Killed:
                pass
            else:
                break
        assert attached_indexes() == all_valid()
        forwards(make(on_different="replace"), STATE)
        assert facts() == wanted
    assert limit > 8


def test_another_constraint_is_not_replaced_but_refused_with_the_steps() -> None:
    recreate(TREE, ANOTHER_DEFINITION["constraint"])
    before = catalog_versions()
    with pytest.raises(operations.DifferentDefinition, match="DROP CONSTRAINT") as refused:
        forwards(constraint(on_different="replace"), STATE)
    assert "let this migration replace it" not in str(refused.value)
    assert catalog_versions() == before


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
    assert attached_indexes() == all_valid()
    backwards(operation, STATE)
    assert facts() == start


PARTITIONED = (
    "CREATE TABLE part (id bigint, label text, amount int, made_at timestamptz) PARTITION BY RANGE (id);"
    "CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100)"
)


def test_an_index_that_a_partitioned_table_has_is_present() -> None:
    recreate(PARTITIONED, "CREATE INDEX wanted ON part (label)")
    assert_unchanged(
        operations.CreateIndexConcurrentlyIfMissing("part", Index(fields=["label"], name="wanted")),
        project_state(part_model()),
    )
