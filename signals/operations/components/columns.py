"""When two columns are the same column, whatever their spelling."""

import json
import re
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.db.migrations.operations.base import Operation
from django.db.models import Field, Value
from django.utils.functional import cached_property

from ..catalog.contents import has_rows
from ..catalog.probes import rewrites_table
from ..catalog.tables import Column, Table
from ..errors import Refused
from ..findings import Finding, Snapshot, Status
from ..names import PROBE
from ..refusals import require_rows
from ..site import AnyField, Site
from ..statements import Statement
from .constraints import validate_constraint
from .foreign_keys import has_db_constraint
from .guards import literal

_NOW = re.compile(r"^(now\(\)|CURRENT_TIMESTAMP|transaction_timestamp\(\))$")
_LITERAL = re.compile(r"'((?:[^']|'')*)'::\w+")

# What a field may put behind its type, where Django puts whatever it gives into the column's definition.
_FURTHER = re.compile(
    r"\s+(?:CHECK|COLLATE|CONSTRAINT|DEFAULT|GENERATED|NOT|NULL|PRIMARY|REFERENCES|UNIQUE)\b",
    re.IGNORECASE,
)

# What CREATE TABLE takes for a type, and writes down as an integer with a sequence.
_SERIAL = {
    **dict.fromkeys(("smallserial", "serial2"), "smallint"),
    **dict.fromkeys(("serial", "serial4"), "integer"),
    **dict.fromkeys(("bigserial", "serial8"), "bigint"),
}


def same_column(found: Column, wanted: Column) -> bool:
    """Equal in type, nullability, collation, generation and default; identity and sequence are one."""
    return (
        found.type == wanted.type
        and found.not_null == wanted.not_null
        and found.collation == wanted.collation
        and found.generated == wanted.generated
        and found.numbered == wanted.numbered
        and (found.numbered or same_default(found, wanted))
    )


def compare_column(
    site: Site, field: AnyField, found: Table | None, wanted: Table | None
) -> Finding:
    """The status of the field's column, compared with the one of the probe."""
    finding = compare_existence(site, field, found)
    column = found.column(finding.name) if found else None
    target = wanted.column(finding.name) if wanted else None
    if found is None or column is None:
        return finding
    kind = type_of(site, field)
    if kind in found.unknown:
        different = replace(finding, status=Status.DIFFERENT, wanted=f"{kind} (no such type)")
        fix = "create the type before (CreateEnumIfMissing, CREATE EXTENSION ...), and run again"
        return replace(different, fix=fix)
    if target is None or same_column(column, target):
        return finding
    fix = reconciling(site.table, site.quote(finding.name), column, target)
    different = replace(finding, status=Status.DIFFERENT, wanted=definition(target))
    return replace(different, fix=fix)


def compare_existence(site: Site, field: AnyField, found: Table | None) -> Finding:
    """The status of the field's column where a later migration judges its definition."""
    name = site.column(field.name)
    column = found.column(name) if found else None
    if column is None:
        return Finding("column", name, site.table, Status.MISSING)
    status = Status.UNFINISHED if column.unproven else Status.EXISTS
    return Finding("column", name, site.table, status, definition(column))


def is_indexed(field: Any) -> bool:
    """Return whether an index or a uniqueness of its own comes with the field's column."""
    return not field.primary_key and bool(field.unique or getattr(field, "db_index", False))


def gains_index(before: Any, after: Any) -> bool:
    """Return whether the field comes to have an index, or another kind of one.

    before: the field as it was; None, or a field of another kind, where there was none.
    """
    had_index = isinstance(before, Field) and is_indexed(before) and before.unique == after.unique
    return is_indexed(after) and not had_index


def prove_not_null(site: Site, column: Column | None) -> list[Statement]:
    """Validates a NOT NULL that was added NOT VALID, as PostgreSQL 18 and later can."""
    if column is None or column.unproven is None:
        return []
    return [validate_constraint(site, column.unproven, f"{site.quote(column.name)} IS NULL")]


def probe_column(site: Site, field: AnyField, found: Table, ddl: Sequence[str]) -> list[str]:
    """DDL that puts the declared column in the place of the probe's, if there are both it and its type."""
    column = site.column(field.name)
    if found.column(column) is None or type_of(site, field) in found.unknown:
        return []
    return [f"ALTER TABLE {site.table} DROP COLUMN {site.quote(column)} CASCADE", *ddl]


def bare_field(site: Site, field: AnyField) -> AnyField:
    """A copy of the model's field without uniqueness and check, which operations of their own build."""
    bare = copy(field)
    bare.model = site.model
    for name in list(vars(bare)):
        if isinstance(getattr(type(bare), name, None), cached_property):
            del vars(bare)[name]
    vars(bare)["_unique"] = False  # what the property `unique` reads
    vars(bare)["db_check"] = lambda _: None
    return bare


def add_field_ddl(site: Site, field: AnyField) -> tuple[str, ...]:
    """ADD COLUMN, without what Django would build beside it: foreign key, indexes, uniqueness."""
    return site.ddl(lambda editor: editor.add_field(site.model, bare_field(site, field))).now


def with_new_column_facts(
    operation: Operation,
    site: Site,
    snapshot: Snapshot,
    added: Sequence[tuple[AnyField, Sequence[str]]],
) -> Snapshot:
    """The snapshot with what new columns do to the rows: each field with its ADD COLUMN on the probe."""
    found, connection = snapshot.found, site.connection
    is_costly = any(_may_rewrite(field) for field, _ in added)
    is_needy = any(needs_value(site, field) for field, _ in added)
    if found is None or not (is_costly or is_needy):
        return snapshot
    ddl = [sql for _, statements in added for sql in statements]
    rewrites = is_costly and rewrites_table(connection, found, ddl, PROBE)
    if not (rewrites or is_needy):
        return snapshot
    require_rows(operation, site, found)
    return replace(snapshot, rewrites=rewrites, has_rows=has_rows(connection, found))


def needs_value(site: Site, field: AnyField) -> bool:
    """Whether the new column would be NOT NULL with nothing to put into the rows that exist."""
    if field.null or field.generated or field.has_db_default():
        return False
    is_numbered = bool(field.db_type_suffix(site.connection))
    return not is_numbered and site.editor().effective_default(field) is None


def refuse_new_columns(
    operation: Operation, site: Site, snapshot: Snapshot, fields: Sequence[AnyField], instead: str
) -> None:
    """Raises Refused where existing rows have no value for a column, or would be written anew for one.

    instead: what to do rather than that; empty where writing them anew is allowed.
    """
    if not snapshot.has_rows:
        return
    for field in fields:
        if needs_value(site, field):
            raise Refused(
                operation.describe(),
                site.table,
                f"{field.name} is NOT NULL and has no default, and table {site.table} has rows",
                "give it db_default=..., or null=True, then BackfillInBatches and SetNotNullIfNullable",
            )
    if snapshot.rewrites and instead:
        names = ", ".join(field.name for field in fields if _may_rewrite(field))
        raise Refused(
            operation.describe(),
            site.table,
            f"the default of {names} writes table {site.table} anew while nobody can read it",
            instead,
        )


def require_no_other_change(
    operation: Operation, site: Site, before: AnyField, after: AnyField, *, parts: bool = True
) -> None:
    """Refuses an altered field that asks for what the operation does not do.

    parts: whether the operation builds what the field newly asks for beside its column.
    """

    def asks(field: AnyField) -> dict[str, bool]:
        return {
            "unique": field.unique,
            "indexed": bool(getattr(field, "db_index", False)),
            "checked": bool(field.db_check(site.connection)),
        }

    then, now = asks(before), asks(after)
    changes = [f"no longer {what}" for what in then if then[what] and not now[what]]
    if not parts:
        changes += [what for what in then if now[what] and not then[what]]
    if before.column != after.column:
        changes.append(f"in the column {after.column}")
    if has_db_constraint(after) and not has_db_constraint(before):
        changes.append("a foreign key")
    if changes:
        raise Refused(
            operation.describe(),
            site.table,
            f"the declaration makes {after.name} {' and '.join(changes)} too",
            "leave that to an operation of its own (AddForeignKeyIfMissing, RenameField, AlterField ...)",
        )


def _may_rewrite(field: AnyField) -> bool:
    """Whether a new column's values are computed, so that PostgreSQL is asked if row by row."""
    default = getattr(field, "_db_default_expression", None) if field.has_db_default() else None
    return field.generated or (default is not None and not isinstance(default, Value))


def same_default(found: Column, wanted: Column) -> bool:
    """Equal as PostgreSQL prints them, or as one constant, or as the transaction's time, or as JSON."""
    if _plain(found) == _plain(wanted):
        return True
    return bool(found.folded) and found.folded == wanted.folded


def type_of(site: Site, field: AnyField) -> str:
    """The field's type alone, as Django declares it; of a serial the type that it stands for."""
    kind, *_ = _FURTHER.split(str(field.db_type(site.connection)), maxsplit=1)
    return _SERIAL.get(kind.lower(), kind)


def definition(column: Column) -> str:
    """The column as a person reads it in a CREATE TABLE."""
    parts = [column.type]
    if column.collation:
        parts.append(f"COLLATE {column.collation}")
    if column.generated:
        kept = "STORED" if column.generated == "s" else "VIRTUAL"
        parts.append(f"GENERATED ALWAYS AS ({column.default}) {kept}")
    elif column.numbered:
        parts.append("numbered by a sequence")
    elif column.default is not None:
        parts.append(f"DEFAULT {column.default}")
    if column.not_null:
        parts.append("NOT NULL")
    return " ".join(parts)


def reconciling(table: str, column: str, found: Column, wanted: Column) -> str:
    """SQL that gives the found column the wanted definition, or words where it cannot be altered."""
    is_lost = wanted.numbered and not found.numbered
    if found.generated or wanted.generated or (found.numbered and not wanted.numbered):
        return f"rename or drop column {column} of {table}, and run again"
    changes = []
    if (found.type, found.collation) != (wanted.type, wanted.collation):
        collation = f" COLLATE {wanted.collation}" if wanted.collation else ""
        changes.append(f"TYPE {wanted.type}{collation} USING {column}::{wanted.type}")
    if is_lost and found.default is not None:
        changes.append("DROP DEFAULT")
    elif not (wanted.numbered or same_default(found, wanted)):
        default = wanted.default
        changes.append("DROP DEFAULT" if default is None else f"SET DEFAULT {default}")
    if found.not_null != wanted.not_null:
        changes.append(f"{'SET' if wanted.not_null else 'DROP'} NOT NULL")
    if is_lost:
        changes.append("ADD GENERATED BY DEFAULT AS IDENTITY")
    clauses = ", ".join(f"ALTER COLUMN {column} {change}" for change in changes)
    alter = f"ALTER TABLE {table} {clauses};"
    return f"{alter} {_counted_on(table, column, found.name)}" if is_lost else alter


def _counted_on(table: str, column: str, name: str) -> str:
    """SQL that lets a new sequence begin behind the numbers that are there."""
    sequence = f"pg_catalog.pg_get_serial_sequence({literal(table)}, {literal(name)})"
    return (
        f"SELECT pg_catalog.setval({sequence}, COALESCE(max({column}), 0) + 1, false) FROM {table};"  # noqa: S608 - quoted names
    )


def _plain(column: Column) -> str | None:
    """The default, where a spelling is known to say the same whatever the planner knows of it."""
    default = column.default
    if default is None or default == "NULL" or default.startswith("NULL::"):
        return None
    if _NOW.match(default):
        return "now()"
    literal = _LITERAL.fullmatch(default) if column.type in ("json", "jsonb") else None
    return _json(literal[1].replace("''", "'"), column.type) if literal else default


def _json(text: str, kind: str) -> str:
    """One spelling of the value; json, unlike jsonb, keeps the order of keys and their repetitions."""

    def kept(pairs: list[tuple[str, object]]) -> object:
        return {"pairs": pairs} if kind == "json" else dict(pairs)

    try:
        value = json.loads(text, parse_float=Decimal, object_pairs_hook=kept)
    except ValueError:  # an escape as standard_conforming_strings = off prints it
        return text
    return json.dumps(value, sort_keys=True, default=repr)
