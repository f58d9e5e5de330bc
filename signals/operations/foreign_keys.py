"""Foreign keys, known by their columns and target, not by their name."""

from dataclasses import replace
from typing import Any

from signals.operations import guards
from signals.operations.base import Finding, Status
from signals.operations.catalog import Constraint, Table
from signals.operations.constraints import validate_constraint
from signals.operations.site import AnyField, Site, short
from signals.operations.statements import Lock, Statement


def has_constraint(field: AnyField) -> bool:
    """Whether Django would guard the field by a foreign key in the database."""
    return bool(field.remote_field and getattr(field, "db_constraint", False))


def judge_foreign_key(site: Site, field: AnyField, found: Table) -> Finding:
    """The status of the field's foreign key; one to another table is different."""
    present = _present(field, found)
    remote, column = _target(field)
    wanted = f"FOREIGN KEY ({site.quote(site.column(field.name))}) REFERENCES {site.quote(remote)} ({column})"
    fix = ""
    if present is None:
        status = Status.MISSING
    elif not _leads_to(present, field):
        status = Status.DIFFERENT
        fix = f"ALTER TABLE {site.table} DROP CONSTRAINT {site.quote(present.name)}; and run again"
    else:
        status = Status.EXISTS if present.validated else Status.UNFINISHED
    name = present.name if present else site.column(field.name)
    text = present.definition if present else ""
    return Finding("foreign key", name, site.table, status, text, wanted, fix)


def plan_foreign_key(site: Site, field: AnyField, found: Table) -> list[Statement]:
    """Adds it NOT VALID and validates it; writers wait only for the first, for an instant."""
    present = _present(field, found)
    if present is not None:
        return [] if present.validated else [validate_constraint(site, present.name)]
    return script_foreign_key(site, field)


def script_foreign_key(site: Site, field: AnyField) -> list[Statement]:
    """Both steps."""
    name, sql = _ddl(site, field)
    remote, column = _target(field)
    another = guards.has_foreign_key(
        site.table, site.column(field.name), site.quote(remote), column
    )
    done = guards.either(guards.has_constraint(site.table, name), another)
    add = Statement(f"{sql} NOT VALID", Lock.SHARE_ROW_EXCLUSIVE, site.table, done)
    validate = validate_constraint(site, name)
    unbuilt = guards.negated(guards.has_constraint(site.table, name))
    return [add, replace(validate, unless=guards.either(unbuilt, validate.unless))]


def _present(field: AnyField, found: Table) -> Constraint | None:
    """The column's foreign key; of several the one to the field's target."""
    keys = [
        each for each in found.constraints if each.kind == "f" and each.columns == (field.column,)
    ]
    return next((each for each in keys if _leads_to(each, field)), keys[0] if keys else None)


def _leads_to(key: Constraint, field: AnyField) -> bool:
    remote, column = _target(field)
    return _bare(key.target or "") == _bare(remote) and key.target_columns == (column,)


def _target(field: AnyField) -> tuple[str, str]:
    remote: Any = field.remote_field
    return remote.model._meta.db_table, remote.model._meta.get_field(remote.field_name).column


def _ddl(site: Site, field: AnyField) -> tuple[str, str]:
    sql = site.editor()._create_fk_sql(site.model, field, "_fk_%(to_table)s_%(to_column)s")
    name = short(str(sql.parts["name"]).strip('"'))
    sql.parts["name"] = site.quote(name)
    return name, str(sql)


def _bare(name: str) -> str:
    return name.replace('"', "")
