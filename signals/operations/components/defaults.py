"""Compare the defaults of columns with those of fields."""

import json
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from ..catalog.tables import Column
from ..site import AnyField, Site
from ..statements import Lock, Statement
from . import guards

_NOW = re.compile(r"^(now\(\)|CURRENT_TIMESTAMP|transaction_timestamp\(\))$")
_LITERAL = re.compile(r"'((?:[^']|'')*)'::\w+")
# Callables that Django's documentation gives as defaults, and that return the same each time.
_CONSTANTS = (dict, list, set, tuple, str, int, float, bool)


def same_default(found: Column, wanted: Column) -> bool:
    """Return whether two defaults are the same.

    They are if PostgreSQL prints both in the same way or folds both to the same constant, if both are the
    time of the transaction, or if both are the same JSON value.
    """
    if _comparable_default(found) == _comparable_default(wanted):
        return True
    return bool(found.folded) and found.folded == wanted.folded


def as_declared(
    field: AnyField, found: Column, wanted: Column, other: "AnyField | None" = None
) -> Column:
    """Return the wanted column as the one found is compared with it, in its default.

    A default that plain SQL set on a column whose field has the same default in Python, as for code that
    does not know the column, is no difference. A default in Python that varies, as a time does, is the same
    as any.

    other: the field at the other end of an alteration. The default that it declared was not set by plain SQL.
    """
    if not is_of_python(field) or found.numbered or wanted.default is None:
        return wanted
    if other is not None and other.has_db_default():
        return replace(wanted, default=None, folded="")
    is_same = varies(field) or same_default(found, wanted)
    return replace(wanted, default=found.default if is_same else None, folded="")


def default_note(field: AnyField, found: Column, wanted: Column) -> str:
    """Return the note on a default that only the database has, though the field has it in Python."""
    if not is_of_python(field) or wanted.default is None or found.numbered:
        return ""
    return f"DEFAULT {found.default} in the database, in the declaration in Python alone"


def is_of_python(field: AnyField) -> bool:
    """Return whether the field has a default that is known to Python alone.

    One that the field puts behind its type is the database's.
    """
    editor: Any = BaseDatabaseSchemaEditor
    has_another = field.has_db_default() or field.generated
    return not has_another and editor._effective_default(field) is not None


def is_time_of_row(field: AnyField) -> bool:
    """Return whether Django writes the present time into the field."""
    return any(getattr(field, each, False) for each in ("auto_now", "auto_now_add"))


def varies(field: Any) -> bool:
    """Return whether the field's default in Python may be another one each time."""
    if is_time_of_row(field):
        return True
    return field.has_default() and callable(field.default) and field.default not in _CONSTANTS


def drop_default(site: Site, column: Column) -> Statement:
    """Return the statement that drops the default of the column."""
    quoted = site.quote(column.name)
    sql = f"ALTER TABLE {site.table} ALTER COLUMN {quoted} DROP DEFAULT"
    gone = guards.negated(guards.has_column(site.table, column.name))
    return Statement(sql, Lock.ACCESS_EXCLUSIVE, site.table, gone)


def _comparable_default(column: Column) -> str | None:
    """Return the default, in one spelling for all that are known to mean the same without the planner.

    These are NULL and no default, the names for the time of the transaction, and equal JSON values.
    """
    default = column.default
    if default is None or default == "NULL" or default.startswith("NULL::"):
        return None
    if _NOW.match(default):
        return "now()"
    literal = _LITERAL.fullmatch(default) if column.type in ("json", "jsonb") else None
    return _comparable_json(literal[1].replace("''", "'"), column.type) if literal else default


def _comparable_json(text: str, kind: str) -> str:
    """Return one spelling of the JSON value; json, unlike jsonb, keeps the order and repetition of keys."""

    def kept(pairs: list[tuple[str, object]]) -> object:
        return {"pairs": pairs} if kind == "json" else dict(pairs)

    try:
        value = json.loads(text, parse_float=Decimal, object_pairs_hook=kept)
    except ValueError:  # an escape as standard_conforming_strings = off prints it
        return text
    return json.dumps(value, sort_keys=True, default=repr)
