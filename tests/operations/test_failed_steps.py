"""A step that PostgreSQL refuses says so in words, changes nothing and leaves nothing that harms."""

from typing import Any

import pytest
from django.db import connection, models
from django.db.migrations.optimizer import MigrationOptimizer
from django.db.models import F, Q, UniqueConstraint
from django.db.models.functions import Cast
from django.db.models.lookups import GreaterThan

from signals import operations
from signals.operations import preflight
from tests.operations import bench
from tests.operations.bench import (
    APP,
    PART,
    SERIAL,
    backwards,
    facts,
    forwards,
    fresh,
    part,
    project,
)
from tests.operations.test_machine import NothingApplied

pytestmark = pytest.mark.usefixtures("empty_bench")

STATE = project(part())
INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
TWICE = f"{PART} INSERT INTO part (label, amount) VALUES ('bolt', 3)"
BOX = bench.ModelState(
    APP, "Box", [("id", SERIAL), ("code", models.IntegerField(unique=True))], {"db_table": "box"}
)

UNIQUE_PARTS: dict[str, tuple[str, Any]] = {
    "column": (
        PART,
        operations.AddColumnIfMissing(
            "part", "code", models.IntegerField(unique=True, db_default=7)
        ),
    ),
    "altered column": (
        TWICE,
        operations.AlterColumnTypeIfDifferent(
            "part", "amount", models.BigIntegerField(null=True, unique=True), allow_rewrite=True
        ),
    ),
    "one to one": (
        f"{TWICE}; CREATE TABLE box (id bigint PRIMARY KEY, code integer UNIQUE)",
        operations.AddForeignKeyIfMissing(
            "part",
            "amount",
            models.OneToOneField(
                "bench.box", models.CASCADE, to_field="code", null=True, db_column="amount"
            ),
        ),
    ),
}


@pytest.mark.parametrize("what", UNIQUE_PARTS)
def test_no_invalid_index_stays_where_uniqueness_is_a_part(what: str) -> None:
    sql, operation = UNIQUE_PARTS[what]
    fresh(sql)
    with pytest.raises(operations.DuplicateRows):
        forwards(operation, project(part(), BOX))
    assert bench.rows(INVALID) == []


def test_a_value_too_long_for_an_index_is_refused_in_words_and_leaves_no_unique_index() -> None:
    long = "SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) n"
    fresh(PART, f"INSERT INTO part (label) {long}")
    operation = operations.AddUniqueIfMissing(
        "part", UniqueConstraint(fields=["label"], name="wanted")
    )
    with pytest.raises(operations.StatementRefused) as caught:
        forwards(operation, STATE)
    assert caught.value.sqlstate == "54000"
    assert bench.rows(INVALID) == []


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE part ADD CONSTRAINT theirs CHECK (amount > 0)",
        "CREATE INDEX theirs ON part (label) WHERE amount > 0",
    ],
    ids=["check", "partial index"],
)
def test_a_type_that_an_expression_on_the_column_rules_out_is_refused_in_words(sql: str) -> None:
    fresh(PART, sql)
    start = facts()
    operation = operations.AlterColumnTypeIfDifferent(
        "part", "amount", models.TextField(null=True), allow_rewrite=True
    )
    with pytest.raises(operations.StatementRefused):
        forwards(operation, STATE)
    assert facts() == start


def test_a_check_that_raises_on_a_row_is_told_by_postgresqls_words_alone() -> None:
    fresh(PART)
    condition = GreaterThan(Cast("label", models.IntegerField()), 3)
    operation = operations.AddCheckIfMissing(
        "part", models.CheckConstraint(condition=condition, name="wanted")
    )
    with pytest.raises(operations.RowsViolate) as caught:
        forwards(operation, STATE)
    assert caught.value.rows == ""
    assert "bolt" in caught.value.reason


@pytest.mark.parametrize(
    ("sql", "constraint"),
    [
        (
            "UPDATE part SET amount = 0 WHERE id = 1",
            UniqueConstraint(models.Value(100) / F("amount"), name="wanted"),
        ),
        (
            "UPDATE part SET made_at = 'infinity'",
            UniqueConstraint(fields=["made_at"], name="wanted"),
        ),
    ],
    ids=["division", "infinity"],
)
def test_a_failed_explanation_hides_neither_the_error_nor_the_leftover(
    sql: str, constraint: UniqueConstraint
) -> None:
    fresh(PART, sql)
    with pytest.raises(operations.RowsViolate):
        forwards(operations.AddUniqueIfMissing("part", constraint), STATE)
    assert bench.rows(INVALID) == []


def test_expressions_are_folded_where_the_server_counts_queries_too() -> None:
    fresh(PART, "ALTER TABLE part ADD CONSTRAINT wanted CHECK (amount > 1 + 1)")
    start = facts()
    bench.execute("SET compute_query_id = on")
    check = models.CheckConstraint(condition=Q(amount__gt=2), name="wanted")
    forwards(operations.AddCheckIfMissing("part", check), STATE)
    assert facts() == start


def boxes() -> tuple[Any, Any]:
    """A table with a ManyToManyField, made, and its state before and after."""
    fresh()
    before = project()
    lid = operations.CreateTableIfMissing("Lid", [("id", SERIAL)], {"db_table": "lid"})
    forwards(lid, before)
    lid.state_forwards(APP, before)
    fields = [("id", SERIAL), ("lids", models.ManyToManyField("bench.lid"))]
    box = operations.CreateTableIfMissing("Box", fields, {"db_table": "box"})
    forwards(box, before)
    return box, before


def test_a_many_to_many_that_was_removed_comes_back() -> None:
    box, state = boxes()
    wanted = facts()
    box.state_forwards(APP, state)
    operation = operations.RemoveColumnIfPresent("box", "lids")
    forwards(operation, state)
    assert facts() != wanted
    for _ in range(2):
        backwards(operation, state)
        assert facts() == wanted


def test_a_table_with_rows_keeps_the_table_of_its_many_to_many_on_the_way_back() -> None:
    box, state = boxes()
    bench.execute("INSERT INTO box DEFAULT VALUES")
    start = facts()
    with pytest.raises(operations.Refused, match="nothing was changed"):
        backwards(box, state)
    assert facts() == start


def test_a_column_that_comes_again_after_its_removal_can_be_squashed() -> None:
    table = operations.CreateTableIfMissing(
        "Box", [("id", SERIAL), ("a", models.IntegerField(null=True))], {"db_table": "box"}
    )
    again = operations.AddColumnIfMissing("box", "a", models.TextField(null=True))
    given = [table, operations.RemoveColumnIfPresent("box", "a"), again]
    assert MigrationOptimizer().optimize(given, APP) == given


def to_time(**options: Any) -> Any:
    return operations.AlterColumnTypeIfDifferent(
        "part", "amount", models.DateTimeField(null=True), allow_rewrite=True, **options
    )


def test_a_type_without_a_cast_is_converted_by_the_given_expression_and_kept_on_the_way_back() -> (
    None
):
    fresh(PART)
    operation = to_time(using="to_timestamp(amount)")
    forwards(operation, STATE)
    wanted = facts()
    assert ("column", "part", "amount", "timestamp with time zone", "", "") in wanted
    for _ in range(2):
        backwards(operation, STATE)
        assert facts() == wanted


def test_a_type_without_a_cast_asks_for_an_expression() -> None:
    fresh(PART)
    start = facts()
    with pytest.raises(operations.Refused) as caught:
        forwards(to_time(), STATE)
    assert caught.value.reason.startswith(
        "PostgreSQL cannot convert amount: cannot cast type integer"
    )
    assert caught.value.fix == "say how by using=..., an SQL expression for the new value"
    assert facts() == start


def test_an_expression_that_writes_the_table_anew_is_refused_unless_allowed() -> None:
    fresh(PART)
    start = facts()
    operation = operations.AlterColumnTypeIfDifferent(
        "part", "label", models.CharField(null=True), using="upper(label)"
    )
    with pytest.raises(operations.Refused, match="writes table"):
        forwards(operation, STATE)
    assert facts() == start


def as_migrate(monkeypatch: pytest.MonkeyPatch, state: Any, *given: Any) -> None:
    """Looks ahead and runs, each operation as a migration of its own."""
    monkeypatch.setattr(preflight, "MigrationExecutor", lambda _: NothingApplied(state))
    made = [bench.migration(operation) for operation in given]
    for number, migration in enumerate(made):
        migration.name = f"000{number}_bench"
    preflight.remember(using="default", plan=[(migration, False) for migration in made])
    try:
        for migration in made:
            with connection.schema_editor(atomic=False) as editor:
                state = migration.apply(state.clone(), editor)
    finally:
        preflight.forget(using="default")


def test_a_check_may_go_before_a_change_of_type_and_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = models.CheckConstraint(condition=Q(amount__gt=0), name="wanted")
    after = models.CheckConstraint(condition=~Q(amount="none"), name="wanted")
    fresh(PART, "ALTER TABLE part ADD CONSTRAINT wanted CHECK (amount > 0)")
    as_migrate(
        monkeypatch,
        project(part(constraints=[before])),
        operations.RemoveCheckIfPresent("part", "wanted"),
        operations.AlterColumnTypeIfDifferent(
            "part", "amount", models.TextField(null=True), allow_rewrite=True
        ),
        operations.AddCheckIfMissing("part", after),
    )
    assert [row[4] for row in facts() if row[2] == "wanted"] == [
        "CHECK ((NOT ((amount = 'none'::text) AND (amount IS NOT NULL))))"
    ]


def test_a_check_goes_though_its_column_could_not_take_it_any_more() -> None:
    fresh(
        PART,
        "ALTER TABLE part ALTER amount TYPE text;"
        "ALTER TABLE part ADD CONSTRAINT wanted CHECK (amount > '0')",
    )
    check = models.CheckConstraint(condition=Q(amount__gt=0), name="wanted")
    operation = operations.RemoveCheckIfPresent("part", "wanted")
    forwards(operation, project(part(constraints=[check])))
    assert not [row for row in facts() if row[2] == "wanted"]


def test_removing_a_many_to_many_leaves_the_namesake_of_a_later_schema() -> None:
    box, state = boxes()
    box.state_forwards(APP, state)
    bench.execute("ALTER TABLE box_lids SET SCHEMA aside")
    start = facts()
    with bench.search_path(f"{bench.SCHEMA}, {bench.ASIDE}"):
        forwards(operations.RemoveColumnIfPresent("box", "lids"), state)
    assert facts() == start
