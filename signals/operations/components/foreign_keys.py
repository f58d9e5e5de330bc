"""Foreign keys, recognized by their columns and target instead of their name."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from django.db.migrations.operations.base import Operation

from ..catalog.tables import Constraint, Table, Target
from ..errors import Refused, TableMissing
from ..findings import Finding, Status
from ..names import shortened
from ..site import AnyField, Site
from ..statements import Lock, Statement
from . import guards
from .constraints import drop_constraint, validate_constraint

# Types of one family can refer to each other, and never to a type of another family. Types that are not
# listed are left to PostgreSQL.
_FAMILIES = {
    **dict.fromkeys(("smallint", "integer", "bigint", "numeric"), "number"),
    **dict.fromkeys(("text", "varchar", "character varying"), "text"),
    **{name: name for name in ("uuid", "boolean", "date", "inet", "jsonb", "bytea")},
}

_TABLE_KINDS = ("r", "p")  # pg_class.relkind of what a foreign key may refer to

_ACTION = re.compile(
    r"\b(?:MATCH FULL|ON (?:UPDATE|DELETE) (?:CASCADE|RESTRICT|SET NULL|SET DEFAULT))\b"
)

_NO_ACTION = "NO ACTION"

_NOT_VALID_ON_PARTITIONED = 180000  # the first version that can add a foreign key NOT VALID there


def has_db_constraint(field: AnyField) -> bool:
    """Return whether the field is declared with a foreign key constraint in the database."""
    return bool(field.remote_field and getattr(field, "db_constraint", False))


def target_table(site: Site, field: AnyField) -> str:
    """Return the quoted name of the table that the foreign key refers to."""
    return site.quote(_target(field)[0])


def referenced(site: Site, fields: Iterable[AnyField]) -> tuple[str, ...]:
    """Return the quoted names of the tables that the fields refer to.

    Adding or dropping a foreign key locks them too.
    """
    return tuple(
        dict.fromkeys(target_table(site, field) for field in fields if has_db_constraint(field))
    )


def require_target(operation: Operation, site: Site, field: AnyField, found: Table) -> None:
    """Raise an error, before anything is changed, if PostgreSQL would refuse the field's foreign key.

    Raise TableMissing if the referenced table does not exist. Raise Refused if it is a view, if the column
    is not unique, if the types do not fit, if a logged table would refer to an unlogged one, or if the
    current role has no right to refer to it. Before PostgreSQL 18 raise Refused for a key that a partitioned
    table lacks. A table that refers to itself may lack the unique column, which its operation builds first.
    """
    if not has_db_constraint(field):
        return
    name, column = target_table(site, field), _target(field)[1]
    target = found.targets.get(name)
    if target is None:
        raise TableMissing(operation.describe(), name)
    if target.kind not in _TABLE_KINDS:
        reason, fix = f"{name} is no table", "declare the field with db_constraint=False"
        raise Refused(operation.describe(), site.table, f"{field.name}: {reason}", fix)
    if column not in target.keys and target.oid != found.oid:
        raise Refused(
            operation.describe(),
            site.table,
            f"{field.name} would refer to {site.quote(column)} of {name}, which is not unique there",
            "make that column unique before (AddUniqueIfMissing), and run again",
        )
    if _existing_key(site, field, found) is not None:
        return
    problem = _why_refused(site, field, found, target)
    if problem:
        raise Refused(operation.describe(), site.table, f"{field.name}: {problem[0]}", problem[1])
    connection: Any = site.connection  # the stubs' base class lacks pg_version
    is_supported = found.kind != "p" or connection.pg_version >= _NOT_VALID_ON_PARTITIONED
    if not is_supported:
        raise Refused(
            operation.describe(),
            site.table,
            f"table {site.table} is partitioned: PostgreSQL before 18 adds no foreign key to it NOT VALID",
            f"add the column {site.column(field.name)} if it is missing, the foreign key to each partition "
            "NOT VALID, VALIDATE it there, then add it to the whole table, which scans none of them again",
        )


def _why_refused(
    site: Site, field: AnyField, found: Table, target: Target
) -> tuple[str, str] | None:
    """Return why PostgreSQL would refuse the foreign key, and the fix; None if it would not."""
    name, column = target_table(site, field), _target(field)[1]
    if not target.granted:
        return f"the current role may not refer to {name}", f"GRANT REFERENCES ON {name} TO it"
    if target.persistence == "u" and not found.unlogged:
        return f"{name} is unlogged, and {site.table} is not", f"ALTER TABLE {name} SET LOGGED"
    own = found.column(site.column(field.name))
    kind = own.type if own else str(field.db_parameters(site.connection)["type"])
    theirs, ours = (
        _FAMILIES.get(each.partition("(")[0]) for each in (target.keys.get(column, ""), kind)
    )
    if theirs and ours and theirs != ours:
        return (
            f"{name} has {site.quote(column)} as {target.keys[column]}, and {kind} cannot refer to it",
            "give the one the type of the other (AlterColumnTypeIfDifferent)",
        )
    return None


def compare_foreign_key(site: Site, field: AnyField, found: Table) -> Finding:
    """Return the status of the field's foreign key.

    A foreign key of the column to another target is DIFFERENT, and so is one that lacks the declared action
    ON DELETE (Django 6.1). Actions that the declaration leaves to Django are only noted.
    """
    present = _existing_key(site, field, found)
    remote, column = _target(field)
    wanted = f"FOREIGN KEY ({site.quote(site.column(field.name))}) REFERENCES {site.quote(remote)} ({column})"
    ours = _actions(_name_and_sql(site, field)[1])
    theirs = _actions(present.definition) if present else ours
    wanted += f" {ours}" if ours != _NO_ACTION else ""
    fix, note = "", ""
    if present is None:
        status = Status.MISSING
    elif not _leads_to(site, present, field, found) or ours not in (_NO_ACTION, theirs):
        status = Status.DIFFERENT
        fix = f"ALTER TABLE {site.table} DROP CONSTRAINT {site.quote(present.name)}; and run again"
    elif not present.enforced:
        status = Status.DIFFERENT
        fix = f"ALTER TABLE {site.table} ALTER CONSTRAINT {site.quote(present.name)} ENFORCED"
    else:
        status = Status.EXISTS if present.validated else Status.UNFINISHED
        if theirs != ours:
            note = f"{theirs} in the database, {ours} in the declaration; left as it is"
    name = present.name if present else site.column(field.name)
    text = present.definition if present else ""
    return Finding("foreign key", name, site.table, status, text, wanted, fix, note)


def plan_foreign_key(site: Site, field: AnyField, found: Table) -> list[Statement]:
    """Return the steps that are still needed: add the foreign key NOT VALID, then validate it.

    Writers wait for the first only, for an instant. A run that dies between the two leaves the foreign key
    NOT VALID, and the next run validates it.
    """
    present = _existing_key(site, field, found)
    if present is not None:
        return [] if present.validated else [_validate(site, field, present.name)]
    return script_foreign_key(site, field)


def drop_foreign_key(site: Site, field: AnyField, found: Table) -> list[Statement]:
    """Return the statement that drops the foreign key from the field's column to its target.

    Its name does not matter. Return no statement if there is no such foreign key.
    """
    present = _existing_key(site, field, found)
    if present is None or not _leads_to(site, present, field, found):
        return []
    drop = drop_constraint(site, present.name)
    return [replace(drop, also=(target_table(site, field),))]


def script_foreign_key(site: Site, field: AnyField) -> list[Statement]:
    """Return both steps for a printed script, each with the condition under which it is left out."""
    name, sql = _name_and_sql(site, field)
    done = guards.either(guards.has_constraint(site.table, name), is_there(site, field))
    add = Statement(
        f"{sql} NOT VALID",
        Lock.SHARE_ROW_EXCLUSIVE,
        site.table,
        done,
        also=(target_table(site, field),),
    )
    validate = _validate(site, field, name)
    # A foreign key of another name that serves as well is not validated by this step.
    unbuilt = guards.negated(guards.has_constraint(site.table, name))
    return [add, replace(validate, unless=guards.either(unbuilt, validate.unless))]


def script_drop_foreign_key(site: Site, field: AnyField) -> list[Statement]:
    """Return the statement, for a printed script, that drops the foreign key with Django's name."""
    return [drop_constraint(site, _name_and_sql(site, field)[0])]


def is_there(site: Site, field: AnyField) -> str:
    """Return the SQL condition that the field has a foreign key to its target, whatever the key's name."""
    remote, column = _target(field)
    return guards.has_foreign_key(site.table, site.column(field.name), site.quote(remote), column)


def _validate(site: Site, field: AnyField, name: str) -> Statement:
    """Return the statement that validates the foreign key, with the condition for rows without a target."""
    remote, column = _target(field)
    own = f"{site.table}.{site.quote(site.column(field.name))}"
    target = f"SELECT FROM {site.quote(remote)} target WHERE target.{site.quote(column)} = {own}"
    orphans = f"{own} IS NOT NULL AND NOT EXISTS ({target})"
    return replace(validate_constraint(site, name, orphans), is_reference=True)


def _existing_key(site: Site, field: AnyField, found: Table) -> Constraint | None:
    """Return the column's foreign key; of several, one to the field's target, validated ones first."""
    keys = [
        each for each in found.constraints if each.kind == "f" and each.columns == (field.column,)
    ]
    right = [each for each in keys if _leads_to(site, each, field, found)]
    best = sorted(right, key=lambda each: (not each.enforced, not each.validated))
    return next(iter([*best, *keys]), None)


def _leads_to(site: Site, key: Constraint, field: AnyField, found: Table) -> bool:
    """Return whether the foreign key refers to the field's target."""
    _, column = _target(field)
    target = found.targets.get(target_table(site, field))
    return target is not None and key.target == target.oid and key.target_columns == (column,)


def _target(field: AnyField) -> tuple[str, str]:
    """Return the table and the column that the field refers to, not quoted."""
    remote: Any = field.remote_field
    return remote.model._meta.db_table, remote.model._meta.get_field(remote.field_name).column


def _name_and_sql(site: Site, field: AnyField) -> tuple[str, str]:
    """Return Django's name for the foreign key, in 63 bytes, and the SQL that adds it."""
    sql = site.editor()._create_fk_sql(site.model, field, "_fk_%(to_table)s_%(to_column)s")
    name = shortened(str(sql.parts["name"]).strip('"'))
    sql.parts["name"] = site.quote(name)
    return name, str(sql)


def _actions(definition: str) -> str:
    """Return the MATCH and ON clauses of a foreign key's definition."""
    return " ".join(_ACTION.findall(definition)) or _NO_ACTION
