"""Let code of the release before write rows of a table with a new column, until contract."""

import uuid
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from django.db.backends.utils import names_digest
from django.db.models import Expression
from django.db.models.sql import UpdateQuery
from django.utils import timezone

from ..catalog.query import compose, quoted
from ..catalog.tables import Column, OldCodeTrigger, Table, for_old_code
from ..findings import Finding, Status
from ..names import NAME, shortened
from ..site import AnyField, Site
from ..statements import Lock, Statement
from . import guards
from .columns import type_of
from .defaults import drop_default, is_of_python, is_time_of_row, varies
from .old_views import drop_old_view

_ROW = '"new_row"'  # the name of the written row in the function of a trigger

# What the database computes for each row where Python has a function for it.
_COMPUTED = {
    uuid.uuid4: "pg_catalog.gen_random_uuid()",
    timezone.now: "pg_catalog.now()",
    datetime.now: "pg_catalog.now()",
    datetime.utcnow: "pg_catalog.now()",
    date.today: "pg_catalog.now()",
}


def default_for_old_code(site: Site, field: AnyField) -> str:
    """Return the SQL that gives the field's column a default in the database, marked for contract.

    The default is the time or a new UUID where the field's is, else the value that existing rows get.
    """
    column = site.quote(str(field.column))
    value = for_old_code(_value(site, field), type_of(site, field))
    return f"ALTER TABLE {site.table} ALTER COLUMN {column} SET DEFAULT {value}"


def default_in_expand(site: Site, found: Column, target: Column) -> str | None:
    """Return the default for a column that becomes the target one.

    A default that the target no longer has stays in the phase expand, marked for contract, because old code
    leaves the column to it.
    """
    is_dropped = target.default is None and found.default is not None and not found.numbered
    if not (is_dropped and site.expands) or found.default is None:
        return target.default
    return for_old_code(found.default, target.type)


def needs_default_for_old_code(
    field: AnyField, column: Column | None = None, *, is_unique: bool = False
) -> bool:
    """Return whether an INSERT that does not name the field's column would fail, and a default would do.

    column: the column as it is; None if it is still to be added. is_unique: leave out a default that differs
    from row to row, with which a unique column does not fail.
    """
    is_strict = not field.null and is_of_python(field)
    is_strict = is_strict and not (is_unique and field.default is uuid.uuid4)
    if column is None or not is_strict:
        return is_strict
    has_value = column.default is not None or column.numbered or column.generated
    return column.not_null and not has_value and not column.for_old_code


def is_fixed_default(field: AnyField) -> bool:
    """Return whether the field has a default, in Python or the database, that is the same for each row."""
    return bool(field.has_db_default()) or (is_of_python(field) and not varies(field))


def fill_for_old_code(site: Site, field: AnyField, value: Expression | None = None) -> Statement:
    """Return the statement that makes a trigger which fills the field where a row is written with NULL.

    value: the expression for the field, of other fields of the row; None for the field's default.
    """
    column = str(field.column)
    name = trigger_name("fill", [column])
    target = f"NEW.{quoted(column)}"
    select = f"SELECT {_expression(site, field, value)} FROM (SELECT NEW.*) AS {_ROW}"  # noqa: S608 - its own
    return make_trigger(site, name, [column], f"{target} := ({select});", when=f"{target} IS NULL")


def make_trigger(  # noqa: PLR0913 - the parts of a trigger
    site: Site, name: str, columns: list[str], body: str, *, when: str = "", before: str = ""
) -> Statement:
    """Return the statement that makes a trigger on each written row, and the function that it calls.

    columns: as in OldCodeTrigger. body: what the function does before it returns the row.
    when: the condition on which it is called. before: SQL of the same transaction, to run first.
    """
    # Two tables may have columns of these names.
    digest = names_digest(site.db_table, *columns, length=8)
    function = site.beside_table(shortened("_".join([NAME, digest, *columns])))
    arguments = ", ".join(map(guards.literal, columns))
    condition = f" WHEN ({when})" if when else ""
    done = guards.has_trigger(site.table, name)
    name, body = quoted(name), guards.literal(f"BEGIN {body} RETURN NEW; END")
    each = f"BEFORE INSERT OR UPDATE ON {site.table} FOR EACH ROW{condition}"
    steps = [
        *filter(None, [before]),
        f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS {body}",
        f"CREATE OR REPLACE TRIGGER {name} {each} EXECUTE FUNCTION {function}({arguments})",
        f"COMMENT ON TRIGGER {name} ON {site.table} IS {guards.literal(site.migration)}",
    ]
    lock = Lock.ACCESS_EXCLUSIVE if before else Lock.SHARE_ROW_EXCLUSIVE
    return Statement("; ".join(steps), lock, site.table, done)


def drop_triggers(site: Site, found: Table, name: str) -> Iterator[Statement]:
    """Yield the statements that drop the triggers for old code on the column, and the copies they keep."""
    for trigger in found.triggers_on(name):
        steps = [
            f"DROP TRIGGER {quoted(trigger.name)} ON {site.table}",
            f"DROP FUNCTION {trigger.function}",
        ]
        copied = copy_of(found, trigger)
        steps += [f"ALTER TABLE {site.table} DROP COLUMN {site.quote(copied)}"] if copied else []
        gone = guards.negated(guards.has_trigger(site.table, trigger.name))
        yield Statement("; ".join(steps), Lock.ACCESS_EXCLUSIVE, site.table, gone)


def copy_of(found: Table, trigger: OldCodeTrigger) -> str:
    """Return the column that the trigger keeps as a copy of a renamed one; empty if there is none.

    The copy is the newer one of the two columns: it has the new name first, and in the end the old one.
    """
    names = [each.name for each in found.columns if each.name in (trigger.twin or ())]
    return names[1] if len(names) > 1 else ""


def trigger_name(kind: str, columns: list[str]) -> str:
    """Return the name of the trigger of that kind for these columns."""
    return shortened("_".join([NAME, kind, *columns]))


def end_for_old_code(site: Site, found: Table, name: str) -> Iterator[Statement]:
    """Yield the statements that end what the phase expand made for old code.

    name: the column, or the view of the old name of the table.
    """
    yield from drop_triggers(site, found, name)
    views = found.details.old_views if found.details else ()
    yield from (drop_old_view(each) for each in views if each.name == name)
    column = found.column(name)
    if column is not None and column.for_old_code:
        yield drop_default(site, column)


def left_for_old_code(site: Site, found: Table) -> Iterator[tuple[str, Finding, str]]:
    """Yield what the phase expand made for old code: the column or view, the finding, and the migration.

    The migration is empty for a default, which does not tell it. Views are in the details of the table.
    """
    for view in found.details.old_views if found.details else ():
        left = Finding("view", view.name, site.table, Status.LEFTOVER)
        yield view.name, left, view.migration
    for column in found.columns:
        if column.for_old_code:
            what = Finding("default", column.name, site.table, Status.LEFTOVER, column.for_old_code)
            yield column.name, what, ""
    for trigger in found.old_code_triggers:
        copied = copy_of(found, trigger)
        kind, name = ("column", copied) if copied else ("trigger", trigger.name)
        what = Finding(kind, name, site.table, Status.LEFTOVER, trigger.name)
        yield trigger.columns[0], what, trigger.migration


def _value(site: Site, declared: AnyField) -> str:
    field: Any = declared
    if is_time_of_row(field):
        return "pg_catalog.now()"
    if callable(field.default) and field.default in _COMPUTED:
        return _COMPUTED[field.default]
    return compose(site.connection, "%s", [site.editor().effective_default(field)])


def _expression(site: Site, field: AnyField, value: Expression | None) -> str:
    """Return the value as SQL, with the columns of the written row."""
    if value is None and not field.has_db_default():
        return f"({_value(site, field)})::{type_of(site, field)}"
    given: Any = field._db_default_expression if value is None else value  # type: ignore[attr-defined]
    with site.on(_ROW):
        _forget_columns(site)
        query = UpdateQuery(site.model)
        query.add_update_values({field.name: given})
        sql = compose(site.connection, *query.get_compiler(connection=site.connection).as_sql())
    _forget_columns(site)
    _, _, expression = sql.partition(" = ")
    return expression


def _forget_columns(site: Site) -> None:
    """Make the fields of the model forget their columns, which they keep with the name of the table."""
    for field in site.model._meta.local_fields:
        vars(field).pop("cached_col", None)
