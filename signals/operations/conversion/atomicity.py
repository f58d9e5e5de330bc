"""Decide which operations can run in a transaction, which need one, and which should run without one."""

from collections.abc import Collection
from enum import Enum

from django.contrib.postgres.operations import (
    CreateExtension,
    NotInTransactionMixin,
    ValidateConstraint,
)
from django.db import migrations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from ..base import Convergent
from ..migrate.walk import advance

# Django's operations that send nothing, or one statement that may be sent again.
_INDIFFERENT = (
    CreateExtension,
    ValidateConstraint,
    migrations.AlterModelOptions,
    migrations.AlterModelManagers,
)


class TransactionNeed(Enum):
    """Whether an operation wants its migration to run in a transaction."""

    NONE = "either"
    ATOMIC = "a transaction"
    AUTOCOMMIT = "no transaction"


def needs_autocommit(operation: Operation, app_label: str, before: ProjectState) -> bool:
    """Return whether a transaction refuses the operation, forwards and with something to do."""
    if isinstance(operation, Convergent):
        return operation.needs_autocommit(app_label, before)
    return isinstance(operation, NotInTransactionMixin)


def transaction_need(
    operation: Operation, app_label: str, before: ProjectState, new: Collection[str]
) -> TransactionNeed:
    """Return whether the operation wants its migration to run in a transaction.

    Outside a transaction, the wait for a lock that stops writers can be retried, and the lock is released at
    once.

    new: the lower-cased names of the models that the same migration creates.
    """
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        return _need_of_parts(operation, app_label, before, new)
    if isinstance(operation, _INDIFFERENT) or is_of_state_alone(operation):
        return TransactionNeed.NONE
    if isinstance(operation, Convergent) and operation.is_indifferent:
        return TransactionNeed.NONE
    if needs_autocommit(operation, app_label, before):
        return TransactionNeed.AUTOCOMMIT
    if isinstance(operation, Convergent):
        return TransactionNeed.NONE if operation.model_key in new else TransactionNeed.AUTOCOMMIT
    is_code = isinstance(operation, migrations.RunPython)
    return TransactionNeed.NONE if is_code and operation.atomic is False else TransactionNeed.ATOMIC


def is_of_state_alone(operation: Operation) -> bool:
    """Return whether the operation is known to send nothing, whatever the state before it."""
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
        advance(part, app_label, state)
    return next(
        (each for each in (TransactionNeed.AUTOCOMMIT, TransactionNeed.ATOMIC) if each in needs),
        TransactionNeed.NONE,
    )
