"""The check that the database has the tables of the job."""

import re

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import override_settings

from signals.verification.errors import NotMigrated
from signals.verification.job import run_once
from signals.verification.schema import (
    REQUIRED_MIGRATIONS,
    TimeColumn,
    read_time_column,
    require_migrations,
)
from tests.verification.database import execute

pytestmark = pytest.mark.django_db

HEAL = (
    "(run: manage.py migrate signals; if its migration is recorded as applied, first take the record "
    "back with: manage.py migrate --fake signals and the name before it)"
)


@pytest.mark.parametrize("name", REQUIRED_MIGRATIONS)
def test_a_migration_that_is_not_recorded_is_named(name: str) -> None:
    recorder = MigrationRecorder(connection)
    recorder.ensure_schema()
    for each in REQUIRED_MIGRATIONS:
        recorder.migration_qs.filter(app="signals", name=each).delete()
        if each != name:
            recorder.record_applied("signals", each)
    message = f"migration signals.{name} is not applied (run: manage.py migrate signals)"
    with (
        override_settings(MIGRATION_MODULES={}),
        pytest.raises(NotMigrated, match=f"^{re.escape(message)}$"),
    ):
        require_migrations(connection)


def test_a_database_without_any_record_is_not_migrated() -> None:
    execute("DROP TABLE IF EXISTS django_migrations")
    with override_settings(MIGRATION_MODULES={}), pytest.raises(NotMigrated):
        require_migrations(connection)


@override_settings(MIGRATION_MODULES={"signals": None})
def test_a_project_without_migrations_of_signals_is_not_asked_for_them() -> None:
    execute("DROP TABLE IF EXISTS django_migrations")
    require_migrations(connection)


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("ALTER TABLE signals DROP COLUMN state CASCADE", "table signals has no column state"),
        ("ALTER TABLE events DROP COLUMN token_ca", "table events has no column token_ca"),
        ("DROP TABLE signal_events", "table signal_events is missing"),
        ("DROP TABLE onchain_features", "table onchain_features is missing"),
        (
            (
                "ALTER TABLE signals DROP COLUMN created_at CASCADE, DROP COLUMN updated_at, "
                "DROP COLUMN ts CASCADE"
            ),
            "table signals has none of created_at, updated_at, ts",
        ),
    ],
)
def test_what_the_tables_lack_is_told_whatever_is_recorded(statement: str, what: str) -> None:
    execute(statement)
    with pytest.raises(NotMigrated, match=f"^{re.escape(f'{what} {HEAL}')}$"):
        run_once()


@pytest.mark.parametrize(
    ("dropped", "column"),
    [
        ([], TimeColumn.CREATED_AT),
        (["created_at"], TimeColumn.UPDATED_AT),
        (["created_at", "updated_at"], TimeColumn.TS),
        (["updated_at", "ts"], TimeColumn.CREATED_AT),
    ],
)
def test_the_first_time_column_that_is_there_is_taken(
    dropped: list[str], column: TimeColumn
) -> None:
    for name in dropped:
        execute(f"ALTER TABLE signals DROP COLUMN {name} CASCADE")
    assert read_time_column(connection) is column
