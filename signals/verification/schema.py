"""Checks that the database has the tables and columns of the job."""

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from signals.verification.errors import NotMigrated

REQUIRED_MIGRATIONS: Final = (
    *("0012_signal_state", "0013_signal_events", "0014_verification_runs"),
    *("0016_verification_margin", "0018_signal_actions"),
    *("0019_verification_ranges", "0020_chain_tables"),
)
"""Migrations that must be recorded as applied."""

REQUIRED_COLUMNS: Final = MappingProxyType(
    {
        "signals": ("id", "event_key", "state", "onchain_asof_ts", "onchain_confidence"),
        "events": ("event_key", "token_ca"),
        "onchain_features": (
            *("id", "chain", "address", "as_of_ts", "window_minutes", "addr_active"),
            *("growth_ratio", "top10_share", "self_loop_ratio", "calc_version"),
        ),
        "signal_events": (
            *("signal_id", "event_key", "type", "previous_state", "new_state", "decision", "note"),
            *("confidence", "features", "rules_sha256", "run", "created_at", "metadata"),
        ),
        "signal_verifications": (
            *("signal_id", "status", "next_check_at", "checks", "attempts", "outcome"),
            *("decision", "note", "error", "updated_at", "run", "leased_until"),
            *("chain", "address", "as_of", "rules_id", "withheld", "margin"),
        ),
        "verification_rules": ("id", "sha256", "text"),
        "verification_runs": ("id", "heartbeat_at", "counts"),
        "verification_cursors": ("name", "position"),
        "verification_ranges": ("low", "high"),
    }
)
"""The columns that the job reads or writes, by table."""


class TimeColumn(StrEnum):
    """The columns that can give a signal's age; the first one that the table has is used."""

    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"
    TS = "ts"


_COLUMNS: Final = """
SELECT name, attname
FROM pg_catalog.unnest(%s::text[]) AS name
LEFT JOIN pg_catalog.pg_attribute
    ON attrelid = pg_catalog.to_regclass(name) AND attnum > 0 AND NOT attisdropped
"""

_FIX: Final = (
    "run: manage.py migrate signals; if its migration is recorded as applied, first "
    "take the record back with: manage.py migrate --fake signals and the name before it"
)


def require_migrations(connection: BaseDatabaseWrapper) -> None:
    """Raise NotMigrated if a migration that the job needs is not recorded as applied.

    Without migrations of signals (MIGRATION_MODULES) nothing is recorded, so nothing is checked.
    """
    if MigrationLoader.migrations_module("signals")[0] is None:
        return
    applied = MigrationRecorder(connection).applied_migrations()
    for name in REQUIRED_MIGRATIONS:
        if ("signals", name) not in applied:
            raise NotMigrated(f"migration signals.{name} is not applied")


def read_time_column(connection: BaseDatabaseWrapper) -> TimeColumn:
    """Return the column that gives a signal's age; raise NotMigrated if a table or column is missing.

    The catalog is read, not the record of migrations, so that a faked migration and a column dropped by
    hand are found.
    """
    with connection.cursor() as cursor:
        cursor.execute(_COLUMNS, [list(REQUIRED_COLUMNS)])
        present = set(cursor.fetchall())
    for table, columns in REQUIRED_COLUMNS.items():
        if (table, None) in present:
            raise NotMigrated(f"table {table} is missing", _FIX)
        for column in columns:
            if (table, column) not in present:
                raise NotMigrated(f"table {table} has no column {column}", _FIX)
    for candidate in TimeColumn:
        if ("signals", candidate.value) in present:
            return candidate
    raise NotMigrated("table signals has none of created_at, updated_at, ts", _FIX)
