"""Each component that 0001 to 0012 declare, removed by hand: the operation, run again, heals it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from signals.operations import CreateEnumIfMissing
from tests.migrations.chain import chain_operations, run_again
from tests.postgres.catalog_facts import facts
from tests.postgres.databases import Database

Copy = Callable[[str], Database]


class Chain:
    """The operations of the chain, read once."""

    steps: tuple[Any, ...] = ()

    @classmethod
    def read(cls) -> tuple[Any, ...]:
        if not cls.steps:
            cls.steps = tuple(chain_operations())
        return cls.steps


def removals() -> Iterator[tuple[str, str]]:  # noqa: C901 - one branch for each kind of operation
    """Migration and SQL that takes away one component, for all that a migration declares."""
    for name, operation, _, after in Chain.read():
        model = (
            after.apps.get_model("signals", operation.model_key) if _has_model(operation) else None
        )
        table = model._meta.db_table if model else ""
        kind = type(operation).__name__
        if kind == "AddColumnIfMissing":
            column = model._meta.get_field(operation.name).column
            yield name, f"ALTER TABLE {table} DROP COLUMN {column}"
        elif kind == "AddCheckIfMissing":
            yield name, f"ALTER TABLE {table} DROP CONSTRAINT {operation.constraint.name}"
        elif kind == "CreateIndexConcurrentlyIfMissing":
            yield name, f"DROP INDEX {operation.index.name}"
        elif kind == "SetNotNullIfNullable":
            yield name, f"ALTER TABLE {table} ALTER COLUMN {operation.name} DROP NOT NULL"
        elif kind == "AlterColumnTypeIfDifferent" and operation.name == "onchain_confidence":
            yield name, f"ALTER TABLE {table} ALTER COLUMN {operation.name} TYPE integer"
        elif kind == "AlterColumnTypeIfDifferent":
            yield name, f"ALTER TABLE {table} ALTER COLUMN {operation.name} TYPE text"
        elif kind == "CreateTableIfMissing":
            for field in model._meta.local_fields:
                if not field.primary_key:
                    yield name, f"ALTER TABLE {table} DROP COLUMN {field.column}"
            for part in (*model._meta.constraints,):
                yield name, f"ALTER TABLE {table} DROP CONSTRAINT {part.name}"
            for part in model._meta.indexes:
                yield name, f"DROP INDEX {part.name}"
    yield "0001", "ALTER TABLE signals DROP CONSTRAINT {foreign_key}"
    yield "0010", "DROP TABLE onchain_features"
    yield "0001", "DROP TABLE signals"
    yield "0001", "DROP TABLE signals, events; DROP TYPE goplus_risk_enum"


def _has_model(operation: Any) -> bool:
    return not isinstance(operation, CreateEnumIfMissing)


REMOVALS = list(dict.fromkeys(removals()))


@pytest.fixture(scope="module")
def shared(prepared: Callable[[str], Database], django_db_blocker: Any) -> Iterator[list[Database]]:
    """One database without rows for all removals; a test that does not heal it has it replaced."""
    holder = [Database.new(prepared("clean").name)]
    yield holder
    with django_db_blocker.unblock():
        holder[0].drop()


@pytest.fixture
def database(shared: list[Database], prepared: Callable[[str], Database]) -> Iterator[Database]:
    yield shared[0]
    if facts(shared[0]) != facts(prepared("clean")):
        shared[0].drop()
        shared[0] = Database.new(prepared("clean").name)


def foreign_key(database: Database) -> str:
    return str(
        database.value(
            "SELECT conname FROM pg_constraint WHERE contype = 'f' AND conrelid = 'signals'::regclass"
        )
    )


@pytest.mark.parametrize(
    ("migration", "removal"), REMOVALS, ids=[removal for _, removal in REMOVALS]
)
def test_the_operations_run_again_put_it_back(
    database: Database, migration: str, removal: str
) -> None:
    before = facts(database)
    database.run(removal.format(foreign_key=foreign_key(database)))
    assert facts(database) != before
    run_again(database, [step for step in Chain.read() if step[0] == migration])
    if facts(database) != before:  # the column took what later migrations built on it
        run_again(database, [step for step in Chain.read() if step[0] > migration])
    assert facts(database) == before


def test_what_is_declared_is_what_is_removed() -> None:
    """The list above is made from the migrations; it must not become empty unseen."""
    removed = "\n".join(removal for _, removal in REMOVALS)
    assert removed.count("DROP COLUMN") >= 60
    assert removed.count("DROP INDEX") == 11
    assert removed.count("DROP CONSTRAINT") == 4


ADOPTED = (
    "ALTER TABLE events DROP COLUMN symbol",
    "ALTER TABLE signals DROP CONSTRAINT signals_event_key_fkey",
    "ALTER TABLE signals DROP COLUMN goplus_risk",
    "ALTER TABLE signals DROP COLUMN created_at",
    "ALTER TABLE signals DROP COLUMN updated_at",
    (
        "ALTER TABLE signals ALTER COLUMN created_at DROP NOT NULL; UPDATE signals SET created_at = NULL"
        " WHERE id % 3 = 0"
    ),
    "ALTER TABLE onchain_features DROP CONSTRAINT check_window_minutes",
    (
        "ALTER TABLE onchain_features DROP CONSTRAINT"
        " onchain_features_chain_address_as_of_ts_window_minutes_key"
    ),
    "DROP INDEX ix_signals_event_key_ts",
)


@pytest.mark.parametrize("removal", ADOPTED)
def test_on_adopted_rows_the_chain_run_again_puts_it_back(copy: Copy, removal: str) -> None:
    database = copy("adopted 011")
    before = facts(database)
    database.run(*removal.split("; "))
    assert facts(database) != before
    database.forget()
    database.migrate("0012")
    after = facts(database)
    names = {
        kind: {row[:2] for row in rows} for kind, rows in after.items() if kind != "constraints"
    }
    assert names == {kind: {row[:2] for row in before[kind]} for kind in names}
    assert {row[2:] for row in after["columns"]} == {row[2:] for row in before["columns"]}
    assert len(after["constraints"]) == len(before["constraints"])
    assert all(validated for *_, validated, _ in after["constraints"])
    assert (
        database.value(
            "SELECT count(*) FROM signals WHERE created_at IS DISTINCT FROM ts AND ts IS NOT NULL"
        )
        == 0
    )


def test_a_foreign_key_left_not_valid_is_validated(copy: Copy) -> None:
    database = copy("adopted 011")
    before = facts(database)
    database.run(
        "ALTER TABLE signals DROP CONSTRAINT signals_event_key_fkey",
        "ALTER TABLE signals ADD CONSTRAINT signals_event_key_fkey FOREIGN KEY (event_key)"
        " REFERENCES events ON DELETE CASCADE NOT VALID",
    )
    run_again(database, chain_operations(last="0001"))
    assert facts(database) == before


@pytest.mark.parametrize("description", ["clean", "adopted 009", "adopted 011", "adopted 012"])
def test_a_component_of_0012_is_put_back_by_0011_and_0012(copy: Copy, description: str) -> None:
    database = copy(description)
    before = facts(database)
    before["indexes"] = {row for row in before["indexes"] if "onlystate" not in row[1]}
    for removal in (
        "ALTER TABLE signals DROP COLUMN state",
        "ALTER TABLE signals DROP CONSTRAINT signals_state_check",
        "DROP INDEX idx_signals_state_created_at",
    ):
        database.run(removal)
        database.migrate("0011")
        assert not {row for row in facts(database)["columns"] if row[1] == "state"}
        database.migrate("0012")
        assert facts(database) == before
