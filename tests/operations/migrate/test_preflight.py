"""What `migrate` refuses before the first change of a run, and what it lets through."""

from typing import Any

import pytest
from django.db import DataError, connection, migrations, models
from django.db.migrations.state import ModelState
from django.db.models import Index, Q

from signals import operations
from signals.operations.migrate import preflight
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
    APP,
    PART_TABLE,
    SERIAL,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

ON_LABEL = models.Index(fields=["label"], name="wanted")


def as_migrate(state: Any, *given: Any) -> None:
    """Looks ahead and runs, each operation as a migration of its own."""
    made = [scratch_schema.migration(operation) for operation in given]
    for number, migration in enumerate(made):
        migration.name = f"000{number}_bench"
    preflight.remember(using="default", plan=[(migration, False) for migration in made])
    try:
        for migration in made:
            with connection.schema_editor(atomic=False) as editor:
                state = migration.apply(state.clone(), editor)
    finally:
        preflight.forget(using="default")


def test_a_check_may_go_before_a_change_of_type_and_come_again() -> None:
    before = models.CheckConstraint(condition=Q(amount__gt=0), name="wanted")
    after = models.CheckConstraint(condition=~Q(amount="none"), name="wanted")
    recreate(PART_TABLE, "ALTER TABLE part ADD CONSTRAINT wanted CHECK (amount > 0)")
    as_migrate(
        project_state(part_model(constraints=[before])),
        operations.RemoveCheckIfPresent("part", "wanted"),
        operations.AlterColumnTypeIfDifferent(
            "part", "amount", models.TextField(null=True), allow_rewrite=True
        ),
        operations.AddCheckIfMissing("part", after),
    )
    assert [row[4] for row in facts() if row[2] == "wanted"] == [
        "CHECK ((NOT ((amount = 'none'::text) AND (amount IS NOT NULL))))"
    ]


def test_a_foreign_key_goes_with_its_column_and_may_come_again_elsewhere() -> None:
    def key(table: str) -> Any:
        return models.ForeignKey(f"bench.{table}", models.CASCADE, null=True)

    recreate()
    state = project_state()
    for name, fields in (
        ("Lid", []),
        ("Cup", []),
        ("Box", [("lid", key("lid"))]),
    ):
        table = operations.CreateTableIfMissing(
            name, [("id", SERIAL), *fields], {"db_table": name.lower()}
        )
        forwards(table, state)
        table.state_forwards(APP, state)
    as_migrate(
        state,
        operations.RemoveColumnIfPresent("box", "lid"),
        operations.AddColumnIfMissing("box", "lid", key("cup")),
    )
    keys = [row[4] for row in facts() if row[0] == "constraint" and row[3] == "f"]
    assert keys == ["FOREIGN KEY (lid_id) REFERENCES cup(id) DEFERRABLE INITIALLY DEFERRED"]


def test_an_index_goes_with_its_column_and_its_name_is_free() -> None:
    recreate(PART_TABLE, "CREATE INDEX wanted ON part (amount)")
    as_migrate(
        project_state(part_model()),
        operations.RemoveColumnIfPresent("part", "amount"),
        operations.CreateIndexConcurrentlyIfMissing("part", ON_LABEL),
    )
    assert [row[3] for row in facts() if row[0] == "index" and row[2] == "wanted"] == [
        "CREATE INDEX wanted ON bench.part USING btree (label)"
    ]


def test_an_index_may_go_from_one_table_and_its_name_come_to_another() -> None:
    recreate(
        PART_TABLE, "CREATE TABLE other (id bigint PRIMARY KEY); CREATE INDEX wanted ON other (id)"
    )
    on_other = models.Index(fields=["id"], name="wanted")
    other = ModelState(APP, "Other", [("id", SERIAL)], {"db_table": "other", "indexes": [on_other]})
    as_migrate(
        project_state(part_model(), other),
        operations.DropIndexConcurrentlyIfPresent("other", "wanted"),
        operations.CreateIndexConcurrentlyIfMissing("part", ON_LABEL),
    )
    assert [row[1] for row in facts() if row[0] == "index" and row[2] == "wanted"] == ["part"]


def test_a_check_that_goes_frees_no_name_for_an_index() -> None:
    check = models.CheckConstraint(condition=Q(amount__gt=0), name="wanted")
    recreate(
        PART_TABLE,
        "ALTER TABLE part ADD CONSTRAINT wanted CHECK (amount > 0);"
        "CREATE TABLE other (id bigint); CREATE INDEX wanted ON other (id)",
    )
    before = facts()
    with pytest.raises(operations.DifferentDefinition, match="an index of table other"):
        as_migrate(
            project_state(part_model(constraints=[check])),
            operations.RemoveCheckIfPresent("part", "wanted"),
            operations.CreateIndexConcurrentlyIfMissing("part", ON_LABEL),
        )
    assert facts() == before


def test_the_look_ahead_leaves_an_index_alone_whose_columns_the_plan_adds() -> None:
    recreate(PART_TABLE, "CREATE INDEX fb ON part (amount)")
    state = project_state(part_model())
    migration = scratch_schema.migration(
        operations.AddColumnIfMissing("part", "state", models.TextField(db_default="c")),
        operations.CreateIndexConcurrentlyIfMissing(
            "part", Index(fields=["state"], name="best"), [Index(fields=["made_at"], name="fb")]
        ),
    )
    preflight.remember(using="default", plan=[(migration, False)])
    try:
        with connection.schema_editor(atomic=False) as editor:
            migration.apply(state.clone(), editor)
    finally:
        preflight.forget(using="default")
    names = {row[2] for row in facts() if row[0] == "index"}
    assert names == {"part_pkey", "fb", "best"}


def test_a_run_that_begins_inside_another_operation_looks_ahead_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recreate(
        PART_TABLE,
        "ALTER TABLE part ADD COLUMN size integer;"
        "CREATE TABLE other (id bigint); CREATE INDEX wanted ON other (id)",
    )
    state, before = project_state(part_model()), facts()
    monkeypatch.setattr(preflight, "state_of_applied", lambda _: state.clone())
    add = operations.AddColumnIfMissing("part", "state", models.TextField(null=True))
    there = operations.AddColumnIfMissing("part", "size", models.IntegerField(null=True))
    inside = migrations.SeparateDatabaseAndState([there, add], [there, add])
    with pytest.raises(operations.DifferentDefinition, match="an index of table other"):
        as_migrate(state, inside, operations.CreateIndexConcurrentlyIfMissing("part", ON_LABEL))
    assert facts() == before


class Dropping(operations.AddColumnIfMissing):
    """An operation of a user that changes the database before it converges."""

    def database_forwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        schema_editor.execute("ALTER TABLE part DROP COLUMN b")
        super().database_forwards(app_label, schema_editor, *states)


def added(name: str, kind: Any = operations.AddColumnIfMissing) -> Any:
    return kind("part", name, models.IntegerField(null=True))


@pytest.mark.parametrize(
    "middle",
    [
        lambda: [migrations.RunSQL("ALTER TABLE part DROP COLUMN b"), added("b")],
        lambda: [added("b", Dropping)],
    ],
    ids=["RunSQL", "a subclass"],
)
def test_what_is_read_for_a_row_of_operations_is_forgotten_when_another_one_acts(
    middle: Any,
) -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD COLUMN a integer, ADD COLUMN b integer")
    migration = scratch_schema.migration(added("a"), *middle(), added("c"))
    preflight.remember(using="default", plan=[(migration, False)])
    try:
        with connection.schema_editor(atomic=False) as editor:
            migration.apply(project_state(part_model()), editor)
    finally:
        preflight.forget(using="default")
    names = {row[2] for row in facts() if row[0] == "column"}
    assert names >= {"a", "b", "c"}


def test_what_a_failed_run_read_is_not_known_to_the_next_one() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD COLUMN a integer, ADD COLUMN b integer")
    state = project_state(part_model())
    failing = scratch_schema.migration(added("a"), added("b"), migrations.RunSQL("SELECT 1 / 0"))
    preflight.remember(using="default", plan=[(failing, False)])
    with pytest.raises(DataError), connection.schema_editor(atomic=False) as editor:
        failing.apply(state.clone(), editor)
    scratch_schema.execute("ALTER TABLE part DROP COLUMN b")
    as_migrate(state, added("b"))
    assert "b" in {row[2] for row in facts() if row[0] == "column"}
