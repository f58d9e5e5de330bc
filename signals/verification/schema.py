"""Whether the database is what the job reads and writes, asked of its catalog."""

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from signals.verification.errors import NotMigrated

MIGRATIONS: Final = ("0012_signal_state", "0013_signal_events")
"""What must be recorded as applied."""

NEEDED: Final = MappingProxyType(
    {
        "signals": ("id", "event_key", "state", "onchain_asof_ts", "onchain_confidence"),
        "events": ("event_key", "token_ca"),
        "onchain_features": (
            *("chain", "address", "as_of_ts", "window_minutes", "addr_active", "growth_ratio"),
            *("top10_share", "self_loop_ratio", "calc_version"),
        ),
        "signal_events": (
            *("signal_id", "event_key", "type", "previous_state", "new_state", "decision", "note"),
            *("confidence", "features", "rules_sha256", "run", "created_at", "metadata"),
        ),
        "signal_verifications": (
            *("signal_id", "status", "next_check_at", "checks", "attempts", "outcome"),
            *("decision", "note", "error", "updated_at"),
        ),
    }
)
"""Columns without which no run can start, by table."""


class TimeColumn(StrEnum):
    """The columns that can tell a signal's age; the first that the table has does."""

    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"
    TS = "ts"


_COLUMNS: Final = """
SELECT name, attname
FROM pg_catalog.unnest(%s::text[]) AS name
LEFT JOIN pg_catalog.pg_attribute
    ON attrelid = pg_catalog.to_regclass(name) AND attnum > 0 AND NOT attisdropped
"""


_HEAL: Final = (
    "run: manage.py migrate signals; if its migration is recorded as applied, first "
    "take the record back with: manage.py migrate --fake signals and the name before it"
)


def require_migrations(connection: BaseDatabaseWrapper) -> None:
    """NotMigrated unless the migrations that the job needs are recorded as applied.

    A project that switches the migrations of signals off records none, and is not asked for them.
    """
    if MigrationLoader.migrations_module("signals")[0] is None:
        return
    applied = MigrationRecorder(connection).applied_migrations()
    for name in MIGRATIONS:
        if ("signals", name) not in applied:
            raise NotMigrated(f"migration signals.{name} is not applied")


def read_time_column(connection: BaseDatabaseWrapper) -> TimeColumn:
    """The column that tells a signal's age; NotMigrated if the tables lack what the job needs.

    This does not believe the record: a faked migration, or a column dropped by hand, shows here.
    """
    with connection.cursor() as cursor:
        cursor.execute(_COLUMNS, [list(NEEDED)])
        present = set(cursor.fetchall())
    for table, columns in NEEDED.items():
        if (table, None) in present:
            raise NotMigrated(f"table {table} is missing", _HEAL)
        for column in columns:
            if (table, column) not in present:
                raise NotMigrated(f"table {table} has no column {column}", _HEAL)
    for candidate in TimeColumn:
        if ("signals", candidate.value) in present:
            return candidate
    raise NotMigrated("table signals has none of created_at, updated_at, ts", _HEAL)
