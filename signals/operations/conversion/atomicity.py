"""Which operation can run in a transaction, which wants one, and which is better off without."""

from collections.abc import Collection
from enum import Enum
from typing import Any

from django.contrib.postgres.operations import (
    CreateExtension,
    NotInTransactionMixin,
    ValidateConstraint,
)
from django.db import migrations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Field, UniqueConstraint

from ..add_column import AddColumnIfMissing
from ..add_foreign_key import AddForeignKeyIfMissing
from ..add_unique import AddUniqueIfMissing
from ..alter_column_type import AlterColumnTypeIfDifferent
from ..backfill import BackfillInBatches
from ..base import Convergent
from ..create_enum import CreateEnumIfMissing
from ..create_index import CreateIndexConcurrentlyIfMissing
from ..create_table import CreateTableIfMissing
from ..drop_index import DropIndexConcurrentlyIfPresent
from ..remove_unique import RemoveUniqueIfPresent

# What sends a statement that PostgreSQL refuses in a transaction, whenever it has something to do.
_CONCURRENT = (
    CreateIndexConcurrentlyIfMissing,
    DropIndexConcurrentlyIfPresent,
    AddUniqueIfMissing,
    BackfillInBatches,
    NotInTransactionMixin,
)
_ALTERS = (AddForeignKeyIfMissing, AlterColumnTypeIfDifferent)
# Of which only the state before them tells what they send.
NEED_STATE = (*_ALTERS, RemoveUniqueIfPresent)

# One statement, which may be sent again, or none; a new table, or a type, that comes as a whole.
_INDIFFERENT = (
    CreateExtension,
    ValidateConstraint,
    CreateTableIfMissing,
    CreateEnumIfMissing,
    migrations.AlterModelOptions,
    migrations.AlterModelManagers,
)


class TransactionNeed(Enum):
    """What a migration should run in for the operation's sake."""

    NONE = "either"
    ATOMIC = "a transaction"
    AUTOCOMMIT = "no transaction"


def needs_autocommit(operation: Operation, app_label: str, before: ProjectState) -> bool:
    """Whether the operation, forwards and with something to do, is refused in a transaction.

    What depends on the database alone (the index that a table of CreateTableIfMissing lacks) is not known.
    """
    if isinstance(operation, AddColumnIfMissing):
        return _is_indexed(operation.field)
    if isinstance(operation, _ALTERS):
        former = _model(operation, app_label, before).fields.get(operation.name)
        return _is_indexed(operation.field) and not (
            isinstance(former, Field)
            and _is_indexed(former)
            and former.unique == operation.field.unique
        )
    if isinstance(operation, RemoveUniqueIfPresent):
        model = _model(operation, app_label, before)
        constraint = model.get_constraint_by_name(operation.name)
        return (
            isinstance(constraint, UniqueConstraint)
            and AddUniqueIfMissing(operation.model_name, constraint).is_index
        )
    return isinstance(operation, _CONCURRENT)


def transaction_need(
    operation: Operation, app_label: str, before: ProjectState, new: Collection[str]
) -> TransactionNeed:
    """What the operation is best run in; `new` are the lower-cased names of models made beside it.

    A lock that stops writers is tried again, and let go of at once, without a transaction alone.
    """
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        return _need_of_parts(operation, app_label, before, new)
    if isinstance(operation, _INDIFFERENT) or is_of_state_alone(operation):
        return TransactionNeed.NONE
    if needs_autocommit(operation, app_label, before):
        return TransactionNeed.AUTOCOMMIT
    if isinstance(operation, Convergent):
        return TransactionNeed.NONE if operation.model_key in new else TransactionNeed.AUTOCOMMIT
    is_code = isinstance(operation, migrations.RunPython)
    return TransactionNeed.NONE if is_code and operation.atomic is False else TransactionNeed.ATOMIC


def is_of_state_alone(operation: Operation) -> bool:
    """Whether the operation is known to send nothing, whatever the state before it."""
    if isinstance(operation, migrations.CreateModel):
        options = operation.options
        return bool(options.get("proxy")) or not options.get("managed", True)
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        return not operation.database_operations
    return isinstance(operation, migrations.AlterModelOptions | migrations.AlterModelManagers)


def _need_of_parts(
    operation: migrations.SeparateDatabaseAndState,
    app_label: str,
    before: ProjectState,
    new: Collection[str],
) -> TransactionNeed:
    state, needs = before.clone(), set()
    for part in operation.database_operations:
        needs.add(transaction_need(part, app_label, state, new))
        part.state_forwards(app_label, state)
    return next(
        (each for each in (TransactionNeed.AUTOCOMMIT, TransactionNeed.ATOMIC) if each in needs),
        TransactionNeed.NONE,
    )


def _model(operation: Any, app_label: str, state: ProjectState) -> Any:
    return state.models[app_label, operation.model_name.lower()]


def _is_indexed(field: Any) -> bool:
    return not field.primary_key and bool(field.unique or getattr(field, "db_index", False))
