"""manage.py check: what would stop a migration, said before it starts."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import connection, migrations, models

from signals import operations
from signals.operations import checks
from tests.operations import scratch_schema
from tests.operations.scratch_schema import APP, forwards, part_model, project_state, recreate

TAGS = ["convergent_migrations"]


class Router:
    """Keeps the applications of the platform away from other databases than the first."""

    def allow_migrate(self, db: str, app_label: str, **_: Any) -> bool:
        return db == "default" or app_label not in ("signals", "signals_admin_log")


def test_postgresql_is_as_it_should_be(committing_connection: None) -> None:
    assert run_checks(tags=TAGS, databases=["default"]) == []


PLAIN = models.IntegerField(null=True)
CHECK = models.CheckConstraint(condition=models.Q(amount=1), name="c")
INDEX = models.Index(fields=["amount"], name="i")
BEFORE = part_model(
    ("owner", models.BigIntegerField(null=True, db_column="owner")),
    indexes=[INDEX],
    constraints=[
        CHECK,
        models.UniqueConstraint(fields=["label"], name="plain"),
        models.UniqueConstraint(fields=["label"], condition=models.Q(amount=1), name="partial"),
    ],
)


def reference(**options: Any) -> Any:
    return models.ForeignKey("bench.part", models.CASCADE, null=True, **options)


# The operation, and whether it needs a migration that is not atomic.
NEEDS: list[tuple[Any, bool]] = [
    (operations.CreateTableIfMissing("Box", [("id", scratch_schema.SERIAL)]), False),
    (operations.CreateEnumIfMissing("mood", ["ok"]), False),
    (operations.AddColumnIfMissing("Part", "x", PLAIN), False),
    (operations.AddColumnIfMissing("Part", "x", models.IntegerField(unique=True)), True),
    (operations.AddColumnIfMissing("Part", "x", reference()), True),
    (operations.AddColumnIfMissing("Part", "x", reference(db_index=False)), False),
    (operations.AddColumnIfMissing("Part", "x", models.ManyToManyField("bench.part")), False),
    (
        operations.AddCheckIfMissing(
            "Part", models.CheckConstraint(condition=models.Q(amount=1), name="another")
        ),
        False,
    ),
    (
        operations.AddUniqueIfMissing("Part", models.UniqueConstraint(fields=["amount"], name="u")),
        True,
    ),
    (
        operations.CreateIndexConcurrentlyIfMissing(
            "Part", models.Index(fields=["id"], name="other")
        ),
        True,
    ),
    (
        operations.AlterColumnTypeIfDifferent("Part", "id", models.AutoField(primary_key=True)),
        False,
    ),
    (
        operations.AlterColumnTypeIfDifferent(
            "Part", "label", models.TextField(null=True, unique=True)
        ),
        True,
    ),
    (operations.AddForeignKeyIfMissing("Part", "owner", reference(db_column="owner")), True),
    (operations.SetNotNullIfNullable("Part", "amount", models.IntegerField()), False),
    (operations.BackfillInBatches("Part", "amount", models.Value(1)), True),
    (operations.RemoveColumnIfPresent("Part", "amount"), False),
    (operations.RemoveCheckIfPresent("Part", "c"), False),
    (operations.RemoveUniqueIfPresent("Part", "plain"), False),
    (operations.RemoveUniqueIfPresent("Part", "partial"), True),
    (operations.DropIndexConcurrentlyIfPresent("Part", "i"), True),
]


def loaded(operation: Any, *, atomic: bool) -> Any:
    """What stands in for the loader: one migration."""
    return lambda *_, **__: SimpleNamespace(
        disk_migrations={(APP, "0001_bench"): scratch_schema.migration(operation, atomic=atomic)},
    )


@pytest.mark.parametrize(
    ("operation", "needs"), NEEDS, ids=[f"{type(each).__name__} {needs}" for each, needs in NEEDS]
)
def test_an_atomic_migration_of_what_cannot_be_in_one_is_an_error(
    operation: Any, needs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "state_at", lambda *_, **__: project_state(BEFORE))
    monkeypatch.setattr(checks, "MigrationLoader", loaded(operation, atomic=False))
    assert run_checks(tags=TAGS) == []
    apart = migrations.SeparateDatabaseAndState([operation])
    for each in (operation, apart):
        monkeypatch.setattr(checks, "MigrationLoader", loaded(each, atomic=True))
        found = run_checks(tags=TAGS)
        assert [error.id for error in found] == ["convergent_migrations.E002"] * needs
    for error in found:
        assert error.msg == (
            f"bench.0001_bench is atomic, and {type(operation).__name__} ({operation.describe()}) "
            "cannot run in a transaction"
        )
        assert (error.hint, error.obj) == (
            "Set atomic = False on the migration.",
            "bench.0001_bench",
        )


@pytest.mark.parametrize(
    ("operation", "needs"), NEEDS, ids=[f"{type(each).__name__} {needs}" for each, needs in NEEDS]
)
def test_what_it_says_is_what_a_run_does(
    operation: Any, needs: bool, committing_connection: None
) -> None:
    recreate()
    state = project_state(BEFORE)
    with connection.schema_editor() as editor:
        editor.create_model(state.apps.get_model(APP, "Part"))
    if isinstance(operation, operations.BackfillInBatches):
        scratch_schema.execute("INSERT INTO part (label) VALUES ('x')")
    outcome = pytest.raises(operations.NeedsAutocommit) if needs else nullcontext()
    with outcome:
        forwards(operation, state, atomic=True)


def test_another_server_is_named_with_the_first_operation_and_the_way_out(
    sqlite_database: Any,
) -> None:
    (error,) = run_checks(tags=TAGS, databases=["default", sqlite_database.alias])
    assert error.id == "convergent_migrations.E001"
    assert error.msg == (
        "the database 'other' is SQLite, and CreateTableIfMissing of "
        "signals.0001_events_and_signals needs PostgreSQL"
    )
    assert error.hint == (
        "Keep its app away from that database by a router's allow_migrate(), or use PostgreSQL."
    )


def test_a_database_that_nobody_asked_for_is_not_judged(sqlite_database: Any) -> None:
    assert run_checks(tags=TAGS, databases=["default"]) == []
    assert checks.check_servers() == []


class ByModel:
    """Keeps a model off every database but the first, as Django's documentation shows it."""

    def allow_migrate(self, db: str, _app_label: str, **hints: Any) -> bool | None:
        known = hints.get("model_name") == "box" or hints.get("enum") == "mood"
        return db == "default" if known else None


@pytest.mark.parametrize(
    "operation",
    [
        operations.CreateTableIfMissing("Box", [("id", scratch_schema.SERIAL)]),
        operations.AddColumnIfMissing("Box", "size", models.IntegerField(null=True)),
        operations.DropIndexConcurrentlyIfPresent("box", "wanted"),
        operations.CreateEnumIfMissing("mood", ["ok"]),
        operations.CreateTableIfMissing("Lid", [("id", scratch_schema.SERIAL)], {"managed": False}),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_what_a_router_or_the_model_keeps_away_is_no_error(
    operation: Any, sqlite_database: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATABASE_ROUTERS = [ByModel()]
    monkeypatch.setattr(checks, "MigrationLoader", loaded(operation, atomic=False))
    assert run_checks(tags=TAGS, databases=[sqlite_database.alias]) == []


def test_a_router_that_keeps_the_app_away_is_enough(sqlite_database: Any, settings: Any) -> None:
    settings.DATABASE_ROUTERS = [Router()]
    assert run_checks(tags=TAGS, databases=[sqlite_database.alias]) == []
