"""Make what a removal leaves for old code harmless for new code, and take that back."""

from dataclasses import replace
from typing import Any

from ..catalog.tables import Column, Constraint, Table
from ..findings import Snapshot
from ..site import AnyField, Site
from ..statements import Lock, Statement
from . import guards
from .constraints import drop_constraint
from .defaults import as_declared, is_of_python, is_time_of_row, varies

_NOW = "pg_catalog.now()"


def drop_all_foreign_keys(site: Site, found: Table, column: str = "") -> list[Statement]:
    """Return the statements that drop the table's foreign keys to other tables, each under a short lock.

    column: limits them to those of that column, and includes those to the table itself.
    """
    return [
        replace(drop_constraint(site, each.name), also=_targets(found, each))
        for each in found.constraints
        if each.kind == "f" and (column in each.columns if column else each.target != found.oid)
    ]


def ease_inserts(site: Site, field: AnyField, found: Table, column: Column) -> list[Statement]:
    """Return the statement after which an INSERT may leave the column out; none if it may by now.

    The column gets the default of the field. If it is unique, if the default is another one each time, or
    if there is none, the column may be NULL instead.
    """
    is_strict = column.not_null or column.unproven
    if not is_strict or column.default is not None or column.numbered or column.generated:
        return []
    default = None if _is_unique(found, column.name) else _set_default(site, field)
    quoted = site.quote(column.name)
    sql = default or f"ALTER TABLE {site.table} ALTER COLUMN {quoted} DROP NOT NULL"
    gone = guards.negated(guards.has_column(site.table, column.name))
    return [Statement(sql, Lock.ACCESS_EXCLUSIVE, site.table, gone)]


def eased_default(field: AnyField, column: Column, wanted: Column) -> str | None:
    """Return the default that the column had before `ease_inserts` gave it that of the field.

    A default that is not the one of the field stays.
    """
    is_fixed = is_of_python(field) and (is_time_of_row(field) or not varies(field))
    if not is_fixed or column.numbered or field.null or column.default is None:
        return column.default
    is_own = as_declared(field, column, wanted).default == column.default
    return None if is_own else column.default


def with_column(snapshot: Snapshot, column: Column) -> Snapshot:
    """Return the snapshot with the column in the place of the one of its name."""
    found = snapshot.found
    assert found is not None  # noqa: S101 - narrows: the column was found in it
    columns = tuple(column if each.name == column.name else each for each in found.columns)
    return replace(snapshot, found=replace(found, columns=columns))


def _targets(found: Table, key: Constraint) -> tuple[str, ...]:
    """Return the name of the table that the foreign key refers to, if the question asked for that table."""
    return tuple(name for name, each in found.targets.items() if each.oid == key.target)


def _is_unique(found: Table, column: str) -> bool:
    """Return whether rows with the same value in the column may conflict."""
    indexed = (key[0].strip('"') for each in found.indexes if each.unique for key in each.keys)
    excluded = (name for each in found.constraints if each.kind == "x" for name in each.columns)
    return column in (*indexed, *excluded)


def _set_default(site: Site, declared: AnyField) -> str | None:
    """Return the SQL that makes the field's default that of its column; None if there is no such default."""
    field: Any = declared
    if is_time_of_row(field):
        column = site.quote(field.column)
        return f"ALTER TABLE {site.table} ALTER COLUMN {column} SET DEFAULT {_NOW}"
    if varies(field) or site.editor().effective_default(field) is None:
        return None

    def act(editor: Any) -> None:
        changes, parameters = editor._alter_column_default_sql(site.model, None, field)
        editor.execute(
            editor.sql_alter_column % {"table": site.table, "changes": changes}, parameters
        )

    return "; ".join(site.ddl(act).now)
