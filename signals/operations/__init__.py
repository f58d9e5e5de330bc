"""Convergent migration operations for Django on PostgreSQL.

Everything public is imported from here.
"""

from signals.operations.add_check import AddCheckIfMissing
from signals.operations.add_column import AddColumnIfMissing
from signals.operations.add_foreign_key import AddForeignKeyIfMissing
from signals.operations.add_unique import AddUniqueIfMissing
from signals.operations.alter_column_type import AlterColumnTypeIfDifferent
from signals.operations.backfill import BackfillInBatches
from signals.operations.create_enum import CreateEnumIfMissing
from signals.operations.create_index import CreateIndexConcurrentlyIfMissing
from signals.operations.create_table import CreateTableIfMissing
from signals.operations.drop_index import DropIndexConcurrentlyIfPresent
from signals.operations.errors import (
    ConvergenceError,
    DifferentDefinition,
    DuplicateRows,
    LockWaitExceeded,
    MigratorRunning,
    MigratorsLockLost,
    NeedsAutocommit,
    NotConverged,
    Refused,
    RowsViolate,
    RowsViolateCheck,
    StatementRefused,
    TableMissing,
)
from signals.operations.findings import Finding, Status
from signals.operations.remove_check import RemoveCheckIfPresent
from signals.operations.remove_column import RemoveColumnIfPresent
from signals.operations.remove_unique import RemoveUniqueIfPresent
from signals.operations.set_not_null import SetNotNullIfNullable

__all__ = [
    "AddCheckIfMissing",
    "AddColumnIfMissing",
    "AddForeignKeyIfMissing",
    "AddUniqueIfMissing",
    "AlterColumnTypeIfDifferent",
    "BackfillInBatches",
    "ConvergenceError",
    "CreateEnumIfMissing",
    "CreateIndexConcurrentlyIfMissing",
    "CreateTableIfMissing",
    "DifferentDefinition",
    "DropIndexConcurrentlyIfPresent",
    "DuplicateRows",
    "Finding",
    "LockWaitExceeded",
    "MigratorRunning",
    "MigratorsLockLost",
    "NeedsAutocommit",
    "NotConverged",
    "Refused",
    "RemoveCheckIfPresent",
    "RemoveColumnIfPresent",
    "RemoveUniqueIfPresent",
    "RowsViolate",
    "RowsViolateCheck",
    "SetNotNullIfNullable",
    "StatementRefused",
    "Status",
    "TableMissing",
]
