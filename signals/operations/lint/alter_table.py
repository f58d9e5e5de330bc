"""Judge the commands of an ALTER TABLE, as PostgreSQL's parser prints them in JSON."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from . import fields, tables
from . import rules as rule
from .rules import Rule
from .steps import Step

Broken = Iterator[tuple[Rule, str]]

_REWRITING = {
    "AT_SetLogged": "SET LOGGED",
    "AT_SetUnLogged": "SET UNLOGGED",
    "AT_SetTableSpace": "SET TABLESPACE",
    "AT_SetAccessMethod": "SET ACCESS METHOD",
}
_SERIAL = ("smallserial", "serial", "bigserial", "serial2", "serial4", "serial8")
_CONSTRAINTS = {
    "CONSTR_CHECK": rule.CHECK_SCANS,
    "CONSTR_FOREIGN": rule.FOREIGN_KEY_BLOCKS,
    "CONSTR_UNIQUE": rule.INDEX_BLOCKS_ALL,
    "CONSTR_PRIMARY": rule.INDEX_BLOCKS_ALL,
    "CONSTR_EXCLUSION": rule.EXCLUSION_BLOCKS_ALL,
    "CONSTR_NOTNULL": rule.NOT_NULL_SCANS,
}


def alter_table_faults(node: dict[str, Any], step: Step) -> Broken:
    """Yield the rules that the commands break on a table of a release before."""
    table = tables.relation(node)
    if node.get("objtype") != "OBJECT_TABLE" or not tables.is_existing(step, table):
        return
    for each in node["cmds"]:
        command = each["AlterTableCmd"]
        kind, name = command["subtype"], command.get("name", "")
        if kind in _REWRITING:
            yield rule.REWRITES, f"{_REWRITING[kind]} of {table}"
        elif kind in _JUDGES:
            yield from _JUDGES[kind](command.get("def", {}), table, name, step)


def _add_constraint(definition: dict[str, Any], table: str, *_unused: Any) -> Broken:
    constraint = definition["Constraint"]
    found = _CONSTRAINTS.get(constraint["contype"])
    is_prepared = constraint.get("skip_validation") or constraint.get("indexname")
    if found and not is_prepared:
        yield found, f"ADD CONSTRAINT {constraint.get('conname', '')} on {table}"


def _set_not_null(_definition: dict[str, Any], table: str, name: str, step: Step) -> Broken:
    what = f"SET NOT NULL of {table}.{name}"
    declared = tables.declaration(step, table, name)
    if declared and fields.is_proved_not_null(*declared):
        return
    yield rule.NOT_NULL_SCANS, what
    field = tables.declared_field(step, table, name)
    if field is not None and fields.writes_null(field) and tables.is_in_use(step, table, name):
        yield rule.NULL_REFUSED, what


def _alter_type(definition: dict[str, Any], table: str, name: str, step: Step) -> Broken:
    column = definition["ColumnDef"]
    field = tables.declared_field(step, table, name)
    old = fields.column_type(field, step.state, step.connection) if field is not None else None
    new = _type(column)
    what = f"ALTER TYPE of {table}.{name} to {new}"
    if "raw_default" in column or not old or not fields.is_free(old, new):
        yield rule.REWRITES, what
    if old and not fields.is_widened(old, new) and tables.is_in_use(step, table, name):
        yield rule.NARROWED, what


def _drop_column(_definition: dict[str, Any], table: str, name: str, step: Step) -> Broken:
    if tables.is_in_use(step, table, name):
        yield rule.COLUMN_REMOVED, f"DROP COLUMN {table}.{name}"


def _add_column(definition: dict[str, Any], table: str, *_unused: Any) -> Broken:
    column = definition["ColumnDef"]
    what = f"ADD COLUMN {table}.{column['colname']}"
    found = {
        each["Constraint"]["contype"]: each["Constraint"] for each in column.get("constraints", ())
    }
    for kind in found.keys() & _CONSTRAINTS.keys() - {"CONSTR_NOTNULL"}:
        yield _CONSTRAINTS[kind], what
    has_number = "CONSTR_IDENTITY" in found or _base(column) in _SERIAL
    if has_number or "CONSTR_GENERATED" in found:
        yield rule.REWRITES, what
    default = found.get("CONSTR_DEFAULT", {})
    if fields.is_volatile(json.dumps(default)):
        yield rule.VOLATILE_DEFAULT, what
    if "CONSTR_NOTNULL" in found and not default and not has_number:
        yield rule.INSERT_FAILS, what


def _column_default(definition: dict[str, Any], table: str, name: str, step: Step) -> Broken:
    field = tables.declared_field(step, table, name)
    if not definition and field is not None and field.has_db_default() and not field.null:
        yield rule.DEFAULT_DROPPED, f"DROP DEFAULT of {table}.{name}"


def _base(column: dict[str, Any]) -> str:
    return str(column["typeName"]["names"][-1]["String"]["sval"])


def _type(column: dict[str, Any]) -> str:
    """Return the type of the column, as Django spells it."""
    kind = column["typeName"]
    numbers = [
        each.get("A_Const", {}).get("ival", {}).get("ival", 0) for each in kind.get("typmods", ())
    ]
    limits = f"({','.join(map(str, numbers))})" if numbers else ""
    return fields.normal_type(f"{_base(column)}{limits}{'[]' * len(kind.get('arrayBounds', ()))}")


_JUDGES: dict[str, Callable[[dict[str, Any], str, str, Step], Broken]] = {
    "AT_AddConstraint": _add_constraint,
    "AT_SetNotNull": _set_not_null,
    "AT_AlterColumnType": _alter_type,
    "AT_DropColumn": _drop_column,
    "AT_AddColumn": _add_column,
    "AT_ColumnDefault": _column_default,
}
