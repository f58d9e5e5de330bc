"""Where an operation works, and where it says that it cannot."""

from typing import Any

import pytest
from django.db import NotSupportedError, connection, models
from django.db.migrations import SeparateDatabaseAndState
from django.db.migrations.state import ModelState
from django.test.utils import CaptureQueriesContext

from signals import operations
from tests.operations import scratch_schema
from tests.operations.contract.case import Case
from tests.operations.contract.cases import CASES
from tests.operations.scratch_schema import (
    APP,
    PART_TABLE,
    backwards,
    catalog_versions,
    facts,
    forwards,
    part_model,
    printed_sql,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

each_case = pytest.mark.parametrize("case", CASES, ids=str)
ON_A_TABLE = [
    case
    for case in CASES
    if case.name not in ("table", "enum", "column that is a table") and not case.removes
]


@pytest.mark.parametrize("case", ON_A_TABLE, ids=str)
def test_a_table_that_is_missing_is_said_and_nothing_is_changed(case: Case) -> None:
    recreate("CREATE TABLE aside.part (id bigint, label text, amount integer)")
    before, state = catalog_versions(), project_state(*case.models)
    with pytest.raises(operations.TableMissing) as caught:
        forwards(case.make(), state)
    assert catalog_versions() == before
    assert (caught.value.operation, caught.value.table) == (case.describes, f'"{case.table}"')
    assert str(caught.value) == (
        f'{case.describes}: table "{case.table}" does not exist on the search_path '
        "(create it by its own migration, or unapply that migration's --fake)"
    )


@pytest.mark.parametrize("case", ON_A_TABLE, ids=str)
def test_back_has_nothing_to_do_where_the_table_is_missing(case: Case) -> None:
    recreate("CREATE TABLE aside.part (id bigint, label text, amount integer)")
    before, state = catalog_versions(), project_state(*case.models)
    for _ in range(2):
        backwards(case.make(), state)
    assert catalog_versions() == before


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.removes and case.component != "table"], ids=str
)
def test_what_stood_on_a_table_that_is_missing_is_gone(case: Case) -> None:
    recreate("CREATE TABLE aside.part (id bigint, label text, amount integer)")
    before, state = catalog_versions(), project_state(*case.models)
    forwards(case.make(), state)
    backwards(case.make(), state)
    assert catalog_versions() == before


ON_A_COLUMN = [case for case in ON_A_TABLE if case.component in ("type", "not null", "rows")]


@pytest.mark.parametrize("case", ON_A_COLUMN, ids=str)
def test_a_column_that_is_missing_is_refused_in_words(case: Case) -> None:
    recreate("CREATE TABLE part (id bigint PRIMARY KEY)")
    before, state = catalog_versions(), project_state(*case.models)
    with pytest.raises(operations.Refused, match='table "part" has no column '):
        forwards(case.make(), state)
    backwards(case.make(), state)
    assert catalog_versions() == before


@each_case
def test_another_server_than_postgresql_is_refused_by_name(
    case: Case, sqlite_database: Any
) -> None:
    state = project_state(*case.models)
    for back in (False, True):
        made = scratch_schema.migration(case.make())
        with (
            pytest.raises(NotSupportedError) as caught,
            sqlite_database.schema_editor(atomic=False) as editor,
        ):
            (made.unapply if back else made.apply)(state.clone(), editor)
        assert str(caught.value) == (
            f"{case.describes}: {case.operation_class.__name__} needs PostgreSQL, and the database "
            "'other' is SQLite"
        )


class KeepOut:
    """A router that allows no migration."""

    def allow_migrate(self, *_: Any, **__: Any) -> bool:
        return False


@each_case
def test_a_router_keeps_an_operation_out(case: Case, settings: Any) -> None:
    recreate(case.start)
    before, state = catalog_versions(), project_state(*case.models)
    settings.DATABASE_ROUTERS = [KeepOut()]
    with CaptureQueriesContext(connection) as queries:
        forwards(case.make(), state)
        backwards(case.make(), state)
        assert "gexec" not in printed_sql(case.make(), state)
    assert queries.captured_queries == []
    assert catalog_versions() == before


@pytest.mark.parametrize(
    "models_",
    [
        [part_model(managed=False)],
        [
            ModelState(APP, "Whole", part_model().fields.items(), {"db_table": "part"}),
            ModelState(APP, "Part", [], {"proxy": True}, bases=("bench.whole",)),
        ],
    ],
    ids=["unmanaged", "proxy"],
)
def test_a_model_that_is_not_djangos_to_migrate_is_left_alone(models_: Any) -> None:
    recreate(PART_TABLE)
    before = catalog_versions()
    operation: Any = operations.AddCheckIfMissing(
        "part", models.CheckConstraint(condition=models.Q(amount__gt=0), name="wanted")
    )
    state = project_state(*models_)
    forwards(operation, state)
    backwards(operation, state)
    assert catalog_versions() == before


@each_case
def test_it_works_within_separate_database_and_state(case: Case) -> None:
    recreate(case.start, case.done)
    wanted = facts()
    recreate(case.start)
    operation = SeparateDatabaseAndState(
        database_operations=[case.make()], state_operations=[case.make()]
    )
    forwards(operation, project_state(*case.models))
    assert facts() == wanted


def test_an_inherited_column_and_check_are_known() -> None:
    """PostgreSQL's own inheritance: the parent's objects stand on the child too."""
    recreate(
        "CREATE TABLE parent (id bigint PRIMARY KEY, label text, amount integer, made_at timestamptz,"
        " state text, CONSTRAINT wanted CHECK (amount > 0));"
        "CREATE TABLE part (PRIMARY KEY (id)) INHERITS (parent)"
    )
    before, state = catalog_versions(), project_state(part_model())
    forwards(operations.AddColumnIfMissing("part", "state", models.TextField(null=True)), state)
    forwards(
        operations.AddCheckIfMissing(
            "part", models.CheckConstraint(condition=models.Q(amount__gt=0), name="wanted")
        ),
        state,
    )
    assert catalog_versions() == before


def test_a_partitioned_table_takes_columns_and_checks() -> None:
    recreate(
        "CREATE TABLE part (id bigint PRIMARY KEY, label text, amount integer, made_at timestamptz)"
        " PARTITION BY RANGE (id); CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (9);"
        "INSERT INTO part VALUES (1, 'bolt', 3, NULL)"
    )
    start, state = facts(), project_state(part_model())
    for operation in (
        operations.AddColumnIfMissing("part", "state", models.TextField(db_default="new")),
        operations.AddCheckIfMissing(
            "part", models.CheckConstraint(condition=models.Q(amount__gt=0), name="wanted")
        ),
        operations.SetNotNullIfNullable("part", "label", models.TextField()),
    ):
        forwards(operation, state)
        before = catalog_versions()
        assert facts() != start
        forwards(operation, state)
        assert catalog_versions() == before
        backwards(operation, state)
        assert facts() == start
