"""Convergent migration operations for Django on PostgreSQL.

Everything public is imported from here.
"""

from typing import Any

from .add_check import AddCheckIfMissing
from .add_column import AddColumnIfMissing
from .add_exclusion import AddExclusionIfMissing
from .add_foreign_key import AddForeignKeyIfMissing
from .add_unique import AddUniqueIfMissing
from .alter_column_comment import AlterColumnCommentIfDifferent
from .alter_column_type import AlterColumnTypeIfDifferent
from .alter_index_together import AlterIndexTogetherIfNeeded
from .alter_table_comment import AlterTableCommentIfDifferent
from .alter_unique_together import AlterUniqueTogetherIfNeeded
from .backfill import BackfillInBatches
from .base import Convergent
from .create_enum import CreateEnumIfMissing
from .create_index import CreateIndexConcurrentlyIfMissing
from .create_table import CreateTableIfMissing
from .drop_index import DropIndexConcurrentlyIfPresent
from .errors import (
    ConvergenceError,
    DifferentDefinition,
    DuplicateRows,
    LockWaitExceeded,
    MigratorRunning,
    MigratorsLockLost,
    NeedsAutocommit,
    NotComparable,
    NotConverged,
    Refused,
    RightsMissing,
    RowsViolate,
    RowsViolateCheck,
    ServerFailed,
    StatementRefused,
    TableMissing,
)
from .execution.repeating import repeatable
from .findings import Finding, Status
from .remove_check import RemoveCheckIfPresent
from .remove_column import RemoveColumnIfPresent
from .remove_exclusion import RemoveExclusionIfPresent
from .remove_table import RemoveTableIfPresent
from .remove_unique import RemoveUniqueIfPresent
from .rename_column import RenameColumnIfNeeded
from .rename_index import RenameIndexIfNeeded
from .rename_table import RenameTableIfNeeded
from .set_not_null import SetNotNullIfNullable

__all__ = [
    "AddCheckIfMissing",
    "AddColumnIfMissing",
    "AddExclusionIfMissing",
    "AddForeignKeyIfMissing",
    "AddUniqueIfMissing",
    "AlterColumnCommentIfDifferent",
    "AlterColumnTypeIfDifferent",
    "AlterIndexTogetherIfNeeded",
    "AlterTableCommentIfDifferent",
    "AlterUniqueTogetherIfNeeded",
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
    "NotComparable",
    "NotConverged",
    "Refused",
    "RemoveCheckIfPresent",
    "RemoveColumnIfPresent",
    "RemoveExclusionIfPresent",
    "RemoveTableIfPresent",
    "RemoveUniqueIfPresent",
    "RenameColumnIfNeeded",
    "RenameIndexIfNeeded",
    "RenameTableIfNeeded",
    "RightsMissing",
    "RowsViolate",
    "RowsViolateCheck",
    "ServerFailed",
    "SetNotNullIfNullable",
    "StatementRefused",
    "Status",
    "TableMissing",
    "repeatable",
]

OPERATIONS: tuple[type[Convergent], ...] = (
    AddCheckIfMissing,
    AddColumnIfMissing,
    AddExclusionIfMissing,
    AddForeignKeyIfMissing,
    AddUniqueIfMissing,
    AlterColumnCommentIfDifferent,
    AlterColumnTypeIfDifferent,
    AlterIndexTogetherIfNeeded,
    AlterTableCommentIfDifferent,
    AlterUniqueTogetherIfNeeded,
    BackfillInBatches,
    CreateEnumIfMissing,
    CreateIndexConcurrentlyIfMissing,
    CreateTableIfMissing,
    DropIndexConcurrentlyIfPresent,
    RemoveCheckIfPresent,
    RemoveColumnIfPresent,
    RemoveExclusionIfPresent,
    RemoveTableIfPresent,
    RemoveUniqueIfPresent,
    RenameColumnIfNeeded,
    RenameIndexIfNeeded,
    RenameTableIfNeeded,
    SetNotNullIfNullable,
)
"""All operations, for code that has to ask each of them."""

BUILDERS: dict[str, Any] = {each.component: each for each in OPERATIONS if each.component}
"""The operation that builds each kind of component, by the `component` of a finding."""
