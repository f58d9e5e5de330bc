"""Compare columns by their meaning, and make the SQL that adds or corrects one."""

import re
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.operations.base import Operation
from django.db.models import Field, Value
from django.utils.functional import cached_property

from ..catalog.contents import has_rows
from ..catalog.probes import rewrites_rows
from ..catalog.query import compose
from ..catalog.tables import Column, Table
from ..errors import Refused
from ..findings import Finding, Snapshot, Status
from ..names import PROBE
from ..refusals import require_rows
from ..site import AnyField, Site
from ..statements import Statement
from .column_changes import reconciling
from .constraints import validate_constraint
from .defaults import as_declared, default_note, is_of_python, same_default
from .foreign_keys import has_db_constraint

# Where the type of a column definition ends. A field's db_type() may have clauses behind the type, because
# Django copies all of it into the definition.
_COLUMN_CLAUSE = re.compile(
    r"\s+(?:CHECK|COLLATE|CONSTRAINT|DEFAULT|GENERATED|NOT|NULL|PRIMARY|REFERENCES|UNIQUE)\b",
    re.IGNORECASE,
)

# The = of box and circle compares areas, that of path numbers of points; the others have none.
_WITHOUT_EQUALITY = ("json", "xml", "point", "box", "path", "polygon", "circle")

# Names that CREATE TABLE accepts as a type, and stores as an integer type with a sequence.
_SERIAL_TYPES = {
    **dict.fromkeys(("smallserial", "serial2"), "smallint"),
    **dict.fromkeys(("serial", "serial4"), "integer"),
    **dict.fromkeys(("bigserial", "serial8"), "bigint"),
}


def same_column(found: Column, wanted: Column) -> bool:
    """Return whether two columns have the same type, nullability, collation, generation and default.

    An identity and a default from a sequence are the same.
    """
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
    """Return the status of the field's column in the table found, compared with the column of the probe."""
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
    if target is None:
        return finding
    note = default_note(field, column, target)
    target = as_declared(field, column, target)
    if same_column(column, target):
        return replace(finding, note=note if column.default == target.default else "")
    connection: Any = site.connection  # PostgreSQL's knows its version
    quoted, version = site.quote(finding.name), connection.pg_version
    fix = reconciling(site.table, quoted, column, target, version)
    different = replace(finding, status=Status.DIFFERENT, wanted=definition(target))
    return replace(different, fix=fix)


def compare_existence(site: Site, field: AnyField, found: Table | None) -> Finding:
    """Return the status of the field's column without a comparison of its definition.

    That is left to a later migration, which alters the field.
    """
    name = site.column(field.name)
    column = found.column(name) if found else None
    if column is None:
        return Finding("column", name, site.table, Status.MISSING)
    status = Status.UNFINISHED if column.unproven else Status.EXISTS
    return Finding("column", name, site.table, status, definition(column))


def is_indexed(field: Any) -> bool:
    """Return whether Django gives the field's column an index or a unique constraint of its own."""
    return not field.primary_key and bool(field.unique or getattr(field, "db_index", False))


def gains_index(before: Any, after: Any) -> bool:
    """Return whether the change gives the field an index, or an index of another kind.

    before: the field before the change; None, or anything but a Field, if there was no column.
    """
    had_index = isinstance(before, Field) and is_indexed(before) and before.unique == after.unique
    return is_indexed(after) and not had_index


def prove_not_null(site: Site, column: Column | None) -> list[Statement]:
    """Return the statement that validates a NOT NULL constraint, if the column has one that is NOT VALID.

    PostgreSQL 18 and later can add one in that state, without a scan.
    """
    if column is None or column.unproven is None:
        return []
    return [validate_constraint(site, column.unproven, f"{site.quote(column.name)} IS NULL")]


def probe_column(site: Site, field: AnyField, found: Table, ddl: Sequence[str]) -> list[str]:
    """Return DDL that replaces the probe's column by the declared one.

    Return no DDL if the table lacks the column, or the database lacks its type. ddl: the ADD COLUMN.
    """
    column = site.column(field.name)
    if found.column(column) is None or type_of(site, field) in found.unknown:
        return []
    drop = f"ALTER TABLE {site.table} DROP COLUMN {site.quote(column)} CASCADE"
    return [drop, *with_default(field, found.column(column), ddl)]


def with_default(field: AnyField, found: Column | None, ddl: Sequence[str]) -> list[str]:
    """Return the ADD COLUMN; it leaves the field's default in Python there if the column found has a default.

    Then PostgreSQL tells whether the two are the same, see `as_declared`.
    """
    is_kept = found is not None and found.default is not None and is_of_python(field)
    return [sql for sql in ddl if not (is_kept and sql.endswith(" DROP DEFAULT"))]


def as_column(site: Site, field: AnyField) -> Column:
    """Return the column that the field declares, in Django's spelling, without reading the catalog."""
    collation = getattr(field, "db_collation", None)
    default = site.editor().db_default_sql(field) if field.has_db_default() else None
    return Column(
        name=site.column(field.name),
        type=type_of(site, field),
        not_null=not field.null,
        default=compose(site.connection, *default) if default else None,
        collation=site.quote(collation) if collation else None,
        generated="",
        numbered=bool(field.db_type_suffix(site.connection)),
        unproven=None,
    )


def cast_to_compare(found: str, target: str) -> str:
    """Return the cast that gives values of the found type a true equality; empty if they have one."""
    if (found, target) == ("json", "jsonb"):
        return "::jsonb"  # jsonb keeps neither whitespace nor the order of keys
    return "::text" if found.removesuffix("[]") in _WITHOUT_EQUALITY else ""


def same_type(found: Column, target: Column) -> bool:
    """Return whether two columns have the same type and collation."""
    return (found.type, found.collation) == (target.type, target.collation)


def collate_clause(column: Column) -> str:
    """Return the COLLATE that follows the type of the column, if it has a collation of its own."""
    return f" COLLATE {column.collation}" if column.collation else ""


def bare_field(site: Site, field: AnyField) -> AnyField:
    """Return a copy of the model's field without unique and check constraints.

    Operations of their own build those.
    """
    bare = copy(field)
    bare.model = site.model
    # Some of the cached values, which are copied with the field, refer to the original field.
    for name in list(vars(bare)):
        if isinstance(getattr(type(bare), name, None), cached_property):
            del vars(bare)[name]
    vars(bare)["_unique"] = False  # what the property `unique` reads
    vars(bare)["db_parameters"] = partial(_parameters_without_check, field)
    return bare


def _parameters_without_check(field: AnyField, connection: BaseDatabaseWrapper) -> dict[str, Any]:
    return {**field.db_parameters(connection), "check": None}


def add_field_ddl(site: Site, field: AnyField) -> tuple[str, ...]:
    """Return the ADD COLUMN, without the foreign key, indexes and uniqueness that Django would build too."""
    return site.ddl(lambda editor: editor.add_field(site.model, bare_field(site, field))).now


def with_new_column_facts(
    operation: Operation,
    site: Site,
    snapshot: Snapshot,
    added: Sequence[tuple[AnyField, Sequence[str]]],
) -> Snapshot:
    """Return the snapshot with `rewrites` and `has_rows` filled, if one of the new columns depends on them.

    added: each new field with its ADD COLUMN on the probe. Raise Refused if row level security hides rows.
    """
    found, connection = snapshot.found, site.connection
    is_costly = any(_may_rewrite(field) for field, _ in added)
    is_needy = any(needs_value(site, field) for field, _ in added)
    if found is None or not (is_costly or is_needy):
        return snapshot
    ddl = [sql for _, statements in added for sql in statements]
    rewrites, is_filled = False, False
    if is_costly:
        rewrites, is_filled = rewrites_rows(connection, found, ddl, PROBE)
    if not (rewrites or is_needy):
        return snapshot
    require_rows(operation, site, found)
    is_filled = is_filled if is_costly else has_rows(connection, found)
    return replace(snapshot, rewrites=rewrites, has_rows=is_filled)


def needs_value(site: Site, field: AnyField) -> bool:
    """Return whether the new column would be NOT NULL and have no value for the existing rows."""
    if field.null or field.generated or field.has_db_default():
        return False
    is_numbered = bool(field.db_type_suffix(site.connection))
    return not is_numbered and site.editor().effective_default(field) is None


def refuse_new_columns(
    operation: Operation, site: Site, snapshot: Snapshot, fields: Sequence[AnyField], instead: str
) -> None:
    """Raise Refused if existing rows have no value for a new column, or would be rewritten for one.

    instead: the fix that the error offers for a rewrite; empty if a rewrite is allowed.
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
            f"the default of {names} rewrites table {site.table} while nobody can read it",
            instead,
        )


def require_no_other_change(
    operation: Operation, site: Site, before: AnyField, after: AnyField, *, parts: bool = True
) -> None:
    """Raise Refused if the altered field asks for a change that the operation does not make.

    parts: whether the operation builds an index, a unique constraint and a check that the field newly has.
    """

    def asks(field: AnyField) -> dict[str, bool]:
        return {
            "unique": field.unique,
            "indexed": bool(getattr(field, "db_index", False)) and not field.unique,
            "checked": bool(field.db_parameters(site.connection)["check"]),
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
    """Return whether the values of a new column are computed, by an expression or a generated field.

    PostgreSQL may then rewrite the table to store them. A constant is stored once, in the catalog.
    """
    default = getattr(field, "_db_default_expression", None) if field.has_db_default() else None
    return field.generated or (default is not None and not isinstance(default, Value))


def db_type(site: Site, field: AnyField) -> str | None:
    """Return what Django writes as the type of the field's column; None if the field has no column.

    The method db_type() does not tell it of every field: a GeneratedField has the type of its output_field
    in db_parameters() alone, which Django asks.
    """
    kind: str | None = field.db_parameters(site.connection)["type"]
    return kind if field.column else None


def type_of(site: Site, field: AnyField) -> str:
    """Return the type that Django declares for the field's column; of a serial the integer type.

    Clauses that the field puts behind the type are left out.
    """
    kind, *_ = _COLUMN_CLAUSE.split(str(db_type(site, field)), maxsplit=1)
    return _SERIAL_TYPES.get(kind.lower(), kind)


def collation_of(site: Site, field: AnyField) -> str | None:
    """Return the collation that the field, or the one that a foreign key refers to, declares."""
    collation: str | None = field.db_parameters(site.connection).get("collation")
    return collation


def definition(column: Column) -> str:
    """Return the definition of the column for people, much as in CREATE TABLE."""
    parts = [column.type]
    if column.collation:
        parts.append(f"COLLATE {column.collation}")
    if column.generated:
        kept = "STORED" if column.generated == "s" else "VIRTUAL"
        parts.append(f"GENERATED ALWAYS AS ({column.default}) {kept}")
    elif column.numbered:
        is_identity = column.default is None
        parts.append("GENERATED AS IDENTITY" if is_identity else "numbered by a sequence")
    elif column.default is not None:
        parts.append(f"DEFAULT {column.default}")
    if column.not_null:
        parts.append("NOT NULL")
    return " ".join(parts)
