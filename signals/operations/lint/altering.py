"""Judge an AlterField: what differs between the two declarations, and what the change does."""

from collections.abc import Iterator
from typing import Any

from django.db import migrations

from ..components.foreign_keys import has_db_constraint
from . import fields
from . import rules as rule
from .steps import Fault, Step, column_of


def alter_field_faults(step: Step) -> Iterator[Fault]:
    """Yield what an AlterField does to readers and writers, and to the release that still runs."""
    operation = step.operation
    before, after = _former(step), operation.field
    if before is None or not step.is_existing(operation.model_name):
        return
    if before.many_to_many or after.many_to_many:
        return
    is_own = (step.key(operation.model_name), operation.name) in step.release.columns
    name = operation.name
    if not is_own and column_of(name, before) != column_of(name, after):
        yield step.fault(rule.COLUMN_RENAMED)
    if type(operation) is migrations.AlterField:
        yield from map(step.fault, _blocking_rules(step, before, after))
    old, new = _types(step, before, after)
    if old != new and not (old and new and fields.is_free(old, new)):
        yield step.fault(rule.REWRITES, _change(step, old, new))
    elif fields.collation(before) != fields.collation(after):
        yield step.fault(rule.REWRITES)
    if is_own:
        yield from _of_new_column(step, after)
    else:
        yield from _of_known_column(step, before, after, old, new)


def is_sent(step: Step) -> bool:
    """Return whether an AlterField sends a statement."""
    before, after = _former(step), step.operation.field
    if before is None:
        return True
    (_, path, args, old), (_, new_path, new_args, new) = before.deconstruct(), after.deconstruct()
    names = {name for name in old | new if old.get(name) != new.get(name)}
    is_same = (path, args) == (new_path, new_args) and before.db_column == after.db_column
    return not is_same or bool(names - set(before.non_db_attrs) - {"default"})


def _former(step: Step) -> Any:
    model = step.state.models.get(step.key(step.operation.model_name))
    return model.fields.get(step.operation.name) if model else None


def _blocking_rules(step: Step, before: Any, after: Any) -> Iterator[rule.Rule]:
    """Yield how Django's own operation blocks others by what the field gains."""
    model = step.state.models[step.key(step.operation.model_name)]
    is_closed = before.null and not after.null
    if is_closed and not fields.is_proved_not_null(model, step.operation.name):
        yield rule.NOT_NULL_SCANS
    gains_reference = has_db_constraint(after) and (
        not has_db_constraint(before) or _target_name(before) != _target_name(after)
    )
    (had_index, was_unique), (has_index, is_unique) = map(
        fields.is_indexed_or_unique, (before, after)
    )
    if gains_reference:
        yield rule.FOREIGN_KEY_BLOCKS
    elif is_unique and not was_unique:
        yield rule.INDEX_BLOCKS_ALL
    elif has_index and not had_index:
        yield rule.INDEX_BLOCKS_WRITERS
    if fields.db_check(after, step.connection) and not fields.db_check(before, step.connection):
        yield rule.CHECK_SCANS


def _target_name(field: Any) -> str:
    model = field.remote_field.model
    return (model if isinstance(model, str) else model._meta.label).lower()


def _types(step: Step, before: Any, after: Any) -> tuple[str, str]:
    """Return the types of the columns; of fields whose type cannot be told, their classes."""
    found = [fields.column_type(each, step.state, step.connection) for each in (before, after)]
    if None not in found:
        return str(found[0]), str(found[1])
    one, other = (f"{type(each).__module__}.{type(each).__qualname__}" for each in (before, after))
    return one, other


def _change(step: Step, old: str, new: str) -> str:
    return f"{step.operation.describe()}, from {old} to {new}"


def _of_new_column(step: Step, after: Any) -> Iterator[Fault]:
    """Yield what happens to a release that does not know the column."""
    is_closed = fields.leaves_null(after) and not fields.leaves_null(_former(step))
    if is_closed and not step.gives_old_code_a_value(step.operation.name, after):
        yield step.fault(rule.INSERT_FAILS)


def _of_known_column(step: Step, before: Any, after: Any, old: str, new: str) -> Iterator[Fault]:
    """Yield what happens to a release that reads and writes the column as it was."""
    model = step.state.models[step.key(step.operation.model_name)]
    if old != new and not fields.is_widened(old, new):
        yield step.fault(rule.NARROWED, _change(step, old, new))
    is_closed = not after.null and fields.writes_null(before)
    is_closed = is_closed and not step.gives_old_code_a_value(step.operation.name, after)
    if is_closed and not fields.is_proved_not_null(model, step.operation.name):
        yield step.fault(rule.NULL_REFUSED)
    is_open = before.has_db_default() and not after.has_db_default() and not after.null
    if is_open and not step.keeps_old_code:
        yield step.fault(rule.DEFAULT_DROPPED)
