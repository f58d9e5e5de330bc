"""The application's chain of migrations, and the legacy databases that it adopts."""

from collections.abc import Sequence
from typing import Any

from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from project.demo.legacy import build, fill
from tests.postgres.databases import Database

ROWS, SEED = 200, 7
LAST_MIGRATION = "0012"


def build_legacy(target: Any, revision: str, rows: int = ROWS) -> None:
    """Build a legacy database of the revision with rows, on-chain features among them."""
    build(target, revision)
    if rows:
        fill(target, revision, rows=rows, seed=SEED)
    if rows and revision >= "010":
        target.execute(
            "INSERT INTO onchain_features (chain, address, as_of_ts, window_minutes, tx_count,"
            " growth_ratio) SELECT 'bsc', '0x' || n, now(), 60, n, n * 0.1"
            " FROM generate_series(1, 20) n"
        )


def chain_operations(
    first: str = "0001", last: str = LAST_MIGRATION
) -> list[tuple[str, Any, Any, Any]]:
    """Return migration, convergent operation, state before and after, in the order of the chain."""
    from signals.operations.migrate.walk import steps

    loader = MigrationExecutor(None).loader
    names = sorted(name for app, name in loader.disk_migrations if app == "signals")
    found = []
    for name in names:
        if first <= name[:4] <= last:
            state = loader.project_state(("signals", name), at_end=False)
            operations = loader.disk_migrations["signals", name].operations
            for operation, before, after in steps(operations, "signals", state):
                found.append((name[:4], operation, before, after.clone()))
    return found


def run_again(database: Database, steps: Sequence[tuple[str, Any, Any, Any]]) -> None:
    """Run the operations once more, as an autocommitting migration does."""
    chosen = connections[database.alias]
    for _, operation, before, after in steps:
        with chosen.schema_editor(atomic=False) as editor:
            operation.database_forwards("signals", editor, before, after)
