"""SetNotNullIfNullable."""

from dataclasses import replace
from typing import Any, Self

from django.db.migrations.operations.fields import AlterField
from django.db.models import Field

from .alteration import Alteration
from .base import Convergent
from .catalog.tables import Column, Table
from .components import guards
from .components.columns import (
    add_field_ddl,
    compare_column,
    compare_existence,
    probe_column,
    prove_not_null,
    require_no_other_change,
)
from .components.constraints import drop_constraint, validate_constraint
from .components.old_code import end_for_old_code, fill_for_old_code, is_fixed_default
from .findings import Finding, Snapshot, Status
from .refusals import require_column
from .site import AnyField, Site
from .statements import Lock, Statement


class SetNotNullIfNullable(Convergent, AlterField):
    """Make a column NOT NULL without a scan that blocks writers.

    A check that the column IS NOT NULL is added NOT VALID and validated while writers go on. SET NOT NULL
    then scans nothing, because PostgreSQL accepts the check as proof, and the check is dropped. A killed
    run leaves the check, and the next run continues from it. Rows with NULL raise RowsViolateCheck.
    Backwards makes the column nullable again.

    In the phase expand a trigger writes the field's default in the place of NULL, until contract, because the
    release before may still write NULL.

    model_name, name, field, preserve_default: as for Django's AlterField; the field is not null.
    keep_on_reverse: backwards leaves the column NOT NULL.
    altered_later: a later migration alters the column again, so another definition is accepted here.
    """

    alteration_turn = 4

    component = "not null"
    has_safe_script = True

    def __init__(  # noqa: PLR0913 - AlterField's arguments and two more
        self,
        model_name: str,
        name: str,
        field: AnyField,
        preserve_default: bool = True,
        *,
        keep_on_reverse: bool = False,
        altered_later: bool = False,
    ) -> None:
        if field.null:
            raise ValueError(f"{name} is declared with null=True (remove that)")
        super().__init__(model_name, name, field, preserve_default)
        self.keep_on_reverse = keep_on_reverse
        self.altered_later = altered_later

    @classmethod
    def from_alteration(cls, alteration: Alteration) -> Self | None:
        return cls(*alteration.arguments(is_last=True)) if alteration.becomes_not_null else None

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        for flag in ("keep_on_reverse", "altered_later"):
            if getattr(self, flag):
                kwargs[flag] = True
        return name, list(args), kwargs

    def describe(self) -> str:
        return f"Make {self.name} of {self.model_name} not null if nullable"

    def declared(self, site: Site) -> list[AnyField]:
        return [site.field(self.name)]

    def probe(self, site: Site, found: Table) -> list[str]:
        field = site.field(self.name)
        return probe_column(site, field, found, add_field_ddl(site, field))

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        field, name, table = site.field(self.name), site.column(self.name), snapshot.found
        column, _ = snapshot.columns(name)
        if table is None or column is None:
            return [Finding("not null", name, site.table, Status.MISSING)]
        strict = replace(column, not_null=True)
        columns = tuple(strict if each is column else each for each in table.columns)
        finding = compare_column(site, field, replace(table, columns=columns), snapshot.wanted)
        if finding.status is Status.DIFFERENT and self.altered_later:
            finding = compare_existence(site, field, table)
        elif finding.status is Status.EXISTS and table.constraint(self.proof_name(site)):
            finding = replace(finding, status=Status.UNFINISHED)
        elif finding.status is Status.EXISTS and not column.not_null:
            finding = replace(finding, status=Status.MISSING)
        return [replace(finding, component="not null")]

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        self._require_no_more(site)
        table, column = require_column(self, site, snapshot, site.column(self.name))
        if self.inspect(site, snapshot)[0].status is Status.EXISTS:
            return []
        return [*self._fill_for_old_code(site, table, column), *self.remaining(site, table, column)]

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        table = snapshot.found
        column, _ = snapshot.columns(site.column(self.name))
        if table is None or column is None:
            return []
        drop, *nullable = self.script_backwards(site)
        steps = list(end_for_old_code(site, table, column.name))
        steps += [drop] if table.constraint(self.proof_name(site)) else []
        return [*steps, *nullable] if column.not_null else steps

    def script(self, site: Site) -> list[Statement]:
        self._require_no_more(site)
        name = site.column(self.name)
        column, proof = site.quote(name), self.proof_name(site)
        quoted = site.quote(proof)
        strict = guards.has_not_null(site.table, name)
        alter = f"ALTER TABLE {site.table}"
        add = f"{alter} ADD CONSTRAINT {quoted} CHECK ({column} IS NOT NULL) NOT VALID"
        proven = guards.has_constraint(site.table, proof)
        validate = validate_constraint(site, proof, f"{column} IS NULL")
        exclusive = Lock.ACCESS_EXCLUSIVE
        # SET NOT NULL scans nothing if a validated check proves it (PostgreSQL 12).
        return [
            Statement(add, exclusive, site.table, guards.either(strict, proven)),
            replace(validate, unless=guards.either(strict, validate.unless)),
            Statement(f"{alter} ALTER COLUMN {column} SET NOT NULL", exclusive, site.table, strict),
            drop_constraint(site, proof),
        ]

    def script_backwards(self, site: Site) -> list[Statement]:
        drop = drop_constraint(site, self.proof_name(site))
        if self.keep_on_reverse:
            return [drop]
        name = site.column(self.name)
        sql = f"ALTER TABLE {site.table} ALTER COLUMN {site.quote(name)} DROP NOT NULL"
        guard = guards.negated(guards.has_not_null(site.table, name))
        return [drop, Statement(sql, Lock.ACCESS_EXCLUSIVE, site.table, guard)]

    def remaining(self, site: Site, table: Table, column: Column) -> list[Statement]:
        """Return the steps that the column still needs, whatever else in its definition differs."""
        add, validate, enforce, drop = self.script(site)
        proof = table.constraint(self.proof_name(site))
        if column.not_null:
            leftover = [drop] if proof else []
            return [*leftover, *prove_not_null(site, column)]
        if proof is None:
            return [add, validate, enforce, drop]
        return [enforce, drop] if proof.validated else [validate, enforce, drop]

    def proof_name(self, site: Site) -> str:
        """Return the name of the check that proves NOT NULL while the column is being altered."""
        column = site.column(self.name)
        return site.name_for([column], "_notnull")

    def _fill_for_old_code(self, site: Site, table: Table, column: Column) -> list[Statement]:
        """Return the statement that makes a trigger which writes the field's default in the place of NULL.

        Return none outside the phase expand, if there is no such default, or if BackfillInBatches made one.
        """
        field = site.field(self.name)
        is_needed = site.expands and not column.not_null and is_fixed_default(field)
        return (
            [fill_for_old_code(site, field)]
            if is_needed and not table.triggers_on(column.name)
            else []
        )

    def _require_no_more(self, site: Site) -> None:
        """Raise Refused if the field also changes its column, index, uniqueness, check or foreign key."""
        before = site.before._meta.get_field(self.name) if site.before else None
        if isinstance(before, Field):
            field = site.field(self.name)
            require_no_other_change(self, site, before, field, parts=False)
