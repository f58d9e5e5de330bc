"""Convergent migration operations for Django on PostgreSQL.

Everything public is imported from here.
"""

from signals.operations.add_check import AddCheckIfMissing
from signals.operations.add_column import AddColumnIfMissing
from signals.operations.add_unique import AddUniqueIfMissing
from signals.operations.alter_column_type import AlterColumnTypeIfDifferent
from signals.operations.backfill import BackfillInBatches
from signals.operations.base import Finding, Status
from signals.operations.create_enum import CreateEnumIfMissing
from signals.operations.create_index import CreateIndexConcurrentlyIfMissing
from signals.operations.create_table import CreateTableIfMissing
from signals.operations.errors import (
    ConvergenceError,
    DifferentDefinition,
    LockWaitExceeded,
    NeedsAutocommit,
    NotConverged,
    Refused,
    RowsViolate,
    TableMissing,
)
from signals.operations.set_not_null import SetNotNullIfNullable

__all__ = [
    "AddCheckIfMissing",
    "AddColumnIfMissing",
    "AddUniqueIfMissing",
    "AlterColumnTypeIfDifferent",
    "BackfillInBatches",
    "ConvergenceError",
    "CreateEnumIfMissing",
    "CreateIndexConcurrentlyIfMissing",
    "CreateTableIfMissing",
    "DifferentDefinition",
    "Finding",
    "LockWaitExceeded",
    "NeedsAutocommit",
    "NotConverged",
    "Refused",
    "RowsViolate",
    "SetNotNullIfNullable",
    "Status",
    "TableMissing",
]
