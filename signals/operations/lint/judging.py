"""Judge one operation: yield a fault for each rule that it breaks."""

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.fields import FieldOperation
from django.db.migrations.operations.models import (
    AlterOrderWithRespectTo,
    AlterTogetherOptionOperation,
    IndexOperation,
    ModelOperation,
)
from django.db.models import CheckConstraint, UniqueConstraint

from ..components.foreign_keys import has_db_constraint
from ..contract import Contract
from ..conversion.atomicity import is_of_state_alone, needs_autocommit
from . import altering, code, fields, sql
from . import rules as rule
from .steps import Fault, Step, column_of, has_managed_table, table_name_of


def faults_of(step: Step) -> list[Fault]:
    """Return the faults of the step's operation, those that block others first."""
    found = [
        fault
        for kind, judge in _JUDGES
        if isinstance(step.operation, kind)
        for fault in judge(step)
    ]
    if step.is_atomic and needs_autocommit(step.operation, step.app_label, step.state):
        found.append(step.fault(rule.CONCURRENT_IN_TRANSACTION))
    if not step.is_atomic and step.is_followed and is_done_once(step.operation):
        found.append(step.fault(rule.HALF_DONE))
    return found


def is_done_once(operation: Operation) -> bool:
    """Return whether the operation, done and committed, fails if it is run again."""
    if isinstance(operation, Contract | ValidateConstraint) or is_of_state_alone(operation):
        return False
    return isinstance(operation, FieldOperation | IndexOperation | ModelOperation)


def locks_existing_table(step: Step) -> bool:
    """Return whether the operation changes the definition of a table of a release before."""
    operation = step.operation
    if isinstance(operation, migrations.RunSQL):
        return bool(sql.parsed_script(operation).changes_schema(step))
    if is_of_state_alone(operation) or isinstance(operation, migrations.CreateModel):
        return False
    if isinstance(operation, migrations.AlterField):
        return step.is_existing(operation.model_name) and altering.is_sent(step)
    names = [getattr(operation, each, None) for each in ("model_name", "old_name", "name")]
    is_schema = isinstance(operation, FieldOperation | IndexOperation | ModelOperation)
    return is_schema and step.is_existing(str(next(filter(None, names), "")))


def _is(step: Step, *kinds: type[Operation]) -> bool:
    """Return whether the operation is one of Django's own, and no subclass, which may be another thing."""
    return type(step.operation) in kinds


def _add_index(step: Step) -> Iterator[Fault]:
    if _is(step, migrations.AddIndex) and step.is_existing(step.operation.model_name):
        yield step.fault(rule.INDEX_BLOCKS_WRITERS)


def _remove_index(step: Step) -> Iterator[Fault]:
    if _is(step, migrations.RemoveIndex) and step.is_existing(step.operation.model_name):
        yield step.fault(rule.INDEX_DROP_BLOCKS)


def _add_constraint(step: Step) -> Iterator[Fault]:
    insists = getattr(step.operation, "allow_blocking_build", False)
    is_stock = _is(step, migrations.AddConstraint)
    if not (is_stock or insists) or not step.is_existing(step.operation.model_name):
        return
    match step.operation.constraint:
        case CheckConstraint():
            yield step.fault(rule.CHECK_SCANS)
        case UniqueConstraint() as unique:
            _, _, arguments = unique.deconstruct()
            # For these Django sends CREATE UNIQUE INDEX.
            is_index = {
                "condition",
                "include",
                "opclasses",
            } & arguments.keys() or unique.expressions
            yield step.fault(rule.INDEX_BLOCKS_WRITERS if is_index else rule.INDEX_BLOCKS_ALL)
        case ExclusionConstraint():
            yield step.fault(rule.EXCLUSION_BLOCKS_ALL)


def _validate(step: Step) -> Iterator[Fault]:
    operation = step.operation
    if step.is_atomic and (operation.model_name.lower(), operation.name) in step.added:
        what = f"{operation.describe()}, in the transaction that adds it"
        yield step.fault(rule.CHECK_SCANS, what)


def added_constraint(operation: Operation) -> set[tuple[str, str]]:
    """Return the model and the name of a constraint that is added and not validated."""
    if isinstance(operation, AddConstraintNotValid):
        return {(operation.model_name.lower(), operation.constraint.name)}
    return set()


def _add_field(step: Step) -> Iterator[Fault]:
    operation = step.operation
    field = operation.field
    if field.many_to_many or not step.is_existing(operation.model_name):
        return
    if _is(step, migrations.AddField):
        has_index, is_unique = fields.is_indexed_or_unique(field)
        found = [rule.FOREIGN_KEY_BLOCKS] if has_db_constraint(field) else []
        found += [rule.INDEX_BLOCKS_ALL] if not found and (has_index or is_unique) else []
        found += [rule.CHECK_SCANS] if fields.db_check(field, step.connection) else []
        found += [rule.QUEUES] if not found and step.is_unlimited else []
        yield from map(step.fault, found)
    if (field.generated and field.db_persist) or field.db_type_suffix(step.connection):
        yield step.fault(rule.REWRITES)
    if fields.has_volatile_default(field):
        yield step.fault(rule.VOLATILE_DEFAULT)
    needs_value = fields.leaves_null(field) and not field.db_type_suffix(step.connection)
    if needs_value and not step.gives_old_code_a_value(operation.name, field):
        yield step.fault(rule.INSERT_FAILS)


def _remove_field(step: Step) -> Iterator[Fault]:
    operation = step.operation
    key = step.key(operation.model_name)
    model = step.state.models.get(key)
    if not step.is_existing(operation.model_name) or model is None:
        return
    if _is(step, migrations.RemoveField) and step.is_unlimited:
        yield step.fault(rule.QUEUES)
    name = operation.name
    if name in model.fields and (key, name) not in step.release.columns and not step.keeps_old_code:
        yield step.fault(rule.COLUMN_REMOVED)


def _delete_model(step: Step) -> Iterator[Fault]:
    if step.is_existing(step.operation.name) and not step.keeps_old_code:
        yield step.fault(rule.TABLE_REMOVED)


def _rename_field(step: Step) -> Iterator[Fault]:
    operation = step.operation
    key = step.key(operation.model_name)
    is_new = (key, operation.old_name) in step.release.columns
    if not step.is_existing(operation.model_name) or is_new or step.keeps_old_code:
        return
    field: Any = step.state.models[key].fields.get(operation.old_name)
    if field is None or field.db_column:
        return
    if not field.many_to_many:
        yield step.fault(rule.COLUMN_RENAMED)
    elif not field.db_table and isinstance(field.remote_field.through, str | type(None)):
        yield step.fault(rule.TABLE_RENAMED)


def _rename_model(step: Step) -> Iterator[Fault]:
    operation = step.operation
    if not step.is_existing(operation.old_name) or step.keeps_old_code:
        return
    if not step.state.models[step.key(operation.old_name)].options.get("db_table"):
        yield step.fault(rule.TABLE_RENAMED)


def _alter_table(step: Step) -> Iterator[Fault]:
    operation = step.operation
    if step.is_existing(operation.name):
        model = step.state.models[step.key(operation.name)]
        own = f"{model.app_label}_{model.name_lower}"
        if (
            table_name_of(model)
            != (operation.table or own).strip('"').rsplit('"."', maxsplit=1)[-1]
        ):
            yield step.fault(rule.TABLE_RENAMED)


def _alter_together(step: Step) -> Iterator[Fault]:
    operation = step.operation
    if isinstance(operation, Contract) or not step.is_existing(operation.name):
        return
    before = step.state.models[step.key(operation.name)].options.get(operation.option_name) or ()
    if {tuple(each) for each in operation.option_value or ()} - {tuple(each) for each in before}:
        is_unique = operation.option_name == "unique_together"
        yield step.fault(rule.INDEX_BLOCKS_ALL if is_unique else rule.INDEX_BLOCKS_WRITERS)


def _order(step: Step) -> Iterator[Fault]:
    operation = step.operation
    if operation.order_with_respect_to and step.is_existing(operation.name):
        before = step.state.models[step.key(operation.name)].options
        if not before.get("order_with_respect_to"):
            yield step.fault(rule.INSERT_FAILS)


def separated_faults(step: Step) -> Iterator[Fault]:
    """Yield what a SeparateDatabaseAndState leaves in the database that a new release cannot write to.

    One with operations on the database is taken to care for it.
    """
    operation = step.operation
    for each in () if operation.database_operations else operation.state_operations:
        if not isinstance(each, migrations.RemoveField) or not step.is_existing(each.model_name):
            continue
        model = step.state.models[step.key(each.model_name)]
        field = model.fields.get(each.name)
        if field is not None and fields.leaves_null(field):
            column = column_of(each.name, field)
            yield step.fault(
                rule.LEFT_NOT_NULL, f"Column {column} of {table_name_of(model)} is left"
            )


def unknown_to_state(step: Step, operation: Operation) -> set[tuple[str, str]]:
    """Return the columns that the state loses by the operation, and the tables, by an empty column."""
    if isinstance(operation, migrations.RemoveField):
        model = step.state.models.get(step.key(operation.model_name))
        field = model.fields.get(operation.name) if model else None
        if model and field and has_managed_table(model):
            return {(table_name_of(model), column_of(operation.name, field))}
    if isinstance(operation, migrations.DeleteModel):
        model = step.state.models.get(step.key(operation.name))
        return {(table_name_of(model), "")} if model and has_managed_table(model) else set()
    return set()


_JUDGES: tuple[tuple[type[Operation], Callable[[Step], Iterator[Fault]]], ...] = (
    (migrations.AddIndex, _add_index),
    (migrations.RemoveIndex, _remove_index),
    (migrations.AddConstraint, _add_constraint),
    (ValidateConstraint, _validate),
    (migrations.AddField, _add_field),
    (migrations.AlterField, altering.alter_field_faults),
    (migrations.RemoveField, _remove_field),
    (migrations.DeleteModel, _delete_model),
    (migrations.RenameField, _rename_field),
    (migrations.RenameModel, _rename_model),
    (migrations.AlterModelTable, _alter_table),
    (AlterTogetherOptionOperation, _alter_together),
    (AlterOrderWithRespectTo, _order),
    (migrations.RunPython, code.run_python_faults),
    (migrations.RunSQL, sql.run_sql_faults),
    (migrations.SeparateDatabaseAndState, separated_faults),
)
