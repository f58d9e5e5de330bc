"""When two columns are the same column, whatever their spelling."""

import json
import re
from collections.abc import Sequence
from copy import copy
from decimal import Decimal, InvalidOperation

from django.utils.functional import cached_property

from signals.operations.base import Finding, Status
from signals.operations.catalog import Column, Table
from signals.operations.constraints import validate_constraint
from signals.operations.site import AnyField, Site
from signals.operations.statements import Statement

_NOW = re.compile(r"^(now\(\)|CURRENT_TIMESTAMP|transaction_timestamp\(\))$")
_LITERAL = re.compile(
    r"""^\(*(?:'(?P<text>(?:[^']|'')*)'|(?P<number>-?[0-9.]+(?:e[+-]?\d+)?))\)*(?:::[\w\s".(),\[\]]+)?$""",
    re.IGNORECASE,
)
_EMPTY_ARRAY = re.compile(r"^ARRAY\[\](::.*)?$")


def same_column(found: Column, wanted: Column) -> bool:
    """Equal in type, nullability, collation, generation and default; identity and sequence are one."""
    return (
        found.type == wanted.type
        and found.not_null == wanted.not_null
        and found.collation == wanted.collation
        and found.generated == wanted.generated
        and found.numbered == wanted.numbered
        and (found.numbered or same_default(found.default, wanted.default, found.type))
    )


def judge_column(site: Site, name: str, found: Table | None, wanted: Table | None) -> Finding:
    """The status of the table's column; nothing to compare it with means that its existence is enough."""
    column = found.column(name) if found else None
    target = wanted.column(name) if wanted else None
    if column is None:
        return Finding("column", name, site.table, Status.MISSING)
    if target is None or same_column(column, target):
        status = Status.UNFINISHED if column.unproven else Status.EXISTS
        return Finding("column", name, site.table, status, definition(column))
    return Finding(
        "column",
        name,
        site.table,
        Status.DIFFERENT,
        definition(column),
        definition(target),
        reconciling(site.table, site.quote(name), column, target),
    )


def prove_not_null(site: Site, column: Column | None) -> list[Statement]:
    """Validates a NOT NULL that was added NOT VALID, as PostgreSQL 18 and later can."""
    return [validate_constraint(site, column.unproven)] if column and column.unproven else []


def probe_column(site: Site, column: str, ddl: Sequence[str]) -> list[str]:
    """DDL that puts the declared column in the place of the probe's."""
    return [f"ALTER TABLE {site.table} DROP COLUMN {site.quote(column)} CASCADE", *ddl]


def bare_field(site: Site, field: AnyField) -> AnyField:
    """A copy of the model's field without uniqueness, which is built by its own operation."""
    bare = copy(field)
    bare.model = site.model
    for name in list(vars(bare)):
        if isinstance(getattr(type(bare), name, None), cached_property):
            del vars(bare)[name]
    vars(bare)["_unique"] = False  # what the property `unique` reads
    return bare


def add_field_ddl(site: Site, field: AnyField) -> tuple[str, ...]:
    """ADD COLUMN, without what Django would build beside it: foreign key, indexes, uniqueness."""
    return site.ddl(lambda editor: editor.add_field(site.model, bare_field(site, field))).now


def same_default(found: str | None, wanted: str | None, type_name: str) -> bool:
    """Equal as PostgreSQL prints them, or as literals of one value, or as the transaction's time."""
    return _plain(found, type_name) == _plain(wanted, type_name)


def definition(column: Column) -> str:
    """The column as a person reads it in a CREATE TABLE."""
    parts = [column.type]
    if column.collation:
        parts.append(f'COLLATE "{column.collation}"')
    if column.generated:
        parts.append(f"GENERATED ALWAYS AS ({column.default})")
    elif column.numbered:
        parts.append("numbered by a sequence")
    elif column.default is not None:
        parts.append(f"DEFAULT {column.default}")
    if column.not_null:
        parts.append("NOT NULL")
    return " ".join(parts)


def reconciling(table: str, column: str, found: Column, wanted: Column) -> str:
    """SQL that gives the found column the wanted definition, or words where it cannot be altered."""
    if found.generated or wanted.generated or found.numbered != wanted.numbered:
        return f"rename or drop column {column} of {table}, and run again"
    changes = []
    if (found.type, found.collation) != (wanted.type, wanted.collation):
        collation = f' COLLATE "{wanted.collation}"' if wanted.collation else ""
        changes.append(f"TYPE {wanted.type}{collation} USING {column}::{wanted.type}")
    if not same_default(found.default, wanted.default, found.type):
        default = wanted.default
        changes.append("DROP DEFAULT" if default is None else f"SET DEFAULT {default}")
    if found.not_null != wanted.not_null:
        changes.append(f"{'SET' if wanted.not_null else 'DROP'} NOT NULL")
    clauses = ", ".join(f"ALTER COLUMN {column} {change}" for change in changes)
    return f"ALTER TABLE {table} {clauses};"


def _plain(default: str | None, type_name: str) -> object:  # noqa: PLR0911 - one spelling a line
    if default is None or default == "NULL" or default.startswith("NULL::"):
        return None
    if _NOW.match(default):
        return ("now()",)  # no literal
    if _EMPTY_ARRAY.match(default):
        return "{}"
    match = _LITERAL.match(default)
    if match is None:
        return default
    text = match["number"] or match["text"].replace("''", "'")
    if type_name in ("json", "jsonb"):
        return json.dumps(json.loads(text), sort_keys=True)
    if type_name.startswith(("int", "bigint", "smallint", "numeric", "double", "real")):
        try:
            number = Decimal(text)
        except InvalidOperation:
            return text
        return text.lower() if number.is_nan() else number
    return text
