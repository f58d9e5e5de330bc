"""AlterColumnTypeIfDifferent."""

from dataclasses import replace
from typing import Any

from django.db.migrations.operations.fields import AlterField
from django.db.models import Field

from signals.operations import guards
from signals.operations.base import Convergent, Finding, Snapshot, Status, keep, require_column
from signals.operations.catalog import Catalog, Table
from signals.operations.columns import add_field_ddl, bare_field, judge_column, probe_column
from signals.operations.errors import Refused
from signals.operations.site import PROBE, AnyField, Site
from signals.operations.statements import Lock, Statement

_BEFORE = "signals_operations_before"


class AlterColumnTypeIfDifferent(Convergent, AlterField):
    """Gives the column the declared type if it has the type that it had before; any other stops the run.

    A change that PostgreSQL makes in the catalog alone comes at once. One that writes the table anew,
    under ACCESS EXCLUSIVE, is refused unless allowed, or the table is empty; it then stops, with
    nothing changed, at a value that does not survive the conversion there and back. Backwards gives
    an empty table the former type; one with rows only if no rewrite is needed or it is allowed.

    model_name, name, field, preserve_default: as for Django's AlterField.
    using: SQL for the new value, where a cast does not say it; conversions are then not checked.
    allow_rewrite: convert a table with rows though that stops its readers and writers meanwhile.
    keep_on_reverse: backwards leaves a table with rows as it is.
    """

    def __init__(  # noqa: PLR0913 - AlterField's arguments and three more
        self,
        model_name: str,
        name: str,
        field: AnyField,
        preserve_default: bool = True,
        *,
        using: str = "",
        allow_rewrite: bool = False,
        keep_on_reverse: bool = False,
    ) -> None:
        super().__init__(model_name, name, field, preserve_default)
        self.using = using
        self.allow_rewrite = allow_rewrite
        self.keep_on_reverse = keep_on_reverse

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        for argument in ("using", "allow_rewrite", "keep_on_reverse"):
            if getattr(self, argument):
                kwargs[argument] = getattr(self, argument)
        return name, list(args), kwargs

    def describe(self) -> str:
        return f"Alter type of {self.name} on {self.model_name} if different"

    def probe(self, site: Site, found: Table) -> list[str]:
        field, column = site.field(self.name), site.column(self.name)
        if found.column(column) is None:
            return []
        former = bare_field(site, self._former(site))
        former.column = _BEFORE
        return [
            *probe_column(site, column, add_field_ddl(site, field)),
            *add_field_ddl(site, former),
        ]

    def read(self, site: Site) -> Snapshot:
        catalog = Catalog(site.connection)
        if not catalog.has_type(str(site.field(self.name).db_type(site.connection))):
            return Snapshot(catalog.table(site.table))  # a type that is still to be created
        snapshot: Snapshot = super().read(site)
        if snapshot.found is None or snapshot.wanted is None:
            return snapshot
        column = site.column(self.name)
        found, wanted = snapshot.columns(column)
        former = snapshot.wanted.column(_BEFORE)
        if found is None or wanted is None or former is None or wanted.type == former.type:
            return snapshot
        target = former.type if found.type == wanted.type else wanted.type
        ddl = [self._alter(PROBE, site.quote(column), target)]
        return replace(
            snapshot,
            has_rows=catalog.has_rows(snapshot.found),
            rewrites=catalog.rewrites(snapshot.found, ddl, PROBE),
        )

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        name = site.column(self.name)
        finding = judge_column(site, name, snapshot.found, snapshot.wanted)
        if snapshot.wanted is None:
            finding = replace(finding, status=Status.MISSING)
        if finding.status is Status.DIFFERENT and self._is_former(site, snapshot):
            finding = replace(finding, status=Status.MISSING, fix="")
        return [replace(finding, component="type")]

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        require_column(self, site, snapshot, site.column(self.name))
        if self.inspect(site, snapshot)[0].status is not Status.MISSING:
            return []
        if snapshot.rewrites and snapshot.has_rows and not self.allow_rewrite:
            raise Refused(
                self.describe(),
                site.table,
                f"the new type of {self.name} writes table {site.table} anew while nobody can read it",
                "add a new column and fill it with BackfillInBatches, or insist: allow_rewrite=True",
            )
        return [self._statement(site, self._former(site), site.field(self.name))]

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        name = site.column(self.name)
        if snapshot.found is None or snapshot.wanted is None:
            return []
        found, wanted = snapshot.columns(name)
        former = snapshot.wanted.column(_BEFORE)
        if found is None or wanted is None or former is None or found.type == former.type:
            return []
        if found.type != wanted.type:
            keep(self, f"column {name}", f"it is {found.type}, not the declared {wanted.type}")
            return []
        if snapshot.has_rows and (
            self.keep_on_reverse or (snapshot.rewrites and not self.allow_rewrite)
        ):
            keep(self, f"column {name}", f"the table has rows; its type is still {found.type}")
            return []
        return [self._statement(site, site.field(self.name), self._former(site))]

    def script(self, site: Site) -> list[Statement]:
        former, declared = self._former(site), site.field(self.name)
        return [self._guarded(site, self._statement(site, former, declared), declared)]

    def script_backwards(self, site: Site) -> list[Statement]:
        if self.keep_on_reverse:
            return []
        former, declared = self._former(site), site.field(self.name)
        return [self._guarded(site, self._statement(site, declared, former), former)]

    def _guarded(self, site: Site, statement: Statement, new: AnyField) -> Statement:
        """For scripts: PostgreSQL compares the types when it runs, whatever their spelling."""
        column, new_type = site.column(self.name), str(new.db_type(site.connection))
        sql = guards.unless_of_type(site.table, column, new_type, statement.sql)
        return replace(statement, sql=sql)

    def _statement(self, site: Site, old: AnyField, new: AnyField) -> Statement:
        column = site.quote(site.column(self.name))
        old_type, new_type = (str(field.db_type(site.connection)) for field in (old, new))
        using = self.using if new.model is site.model else ""
        sql = self._alter(site.table, column, new_type, using)
        if not using:
            lossy = f"({column}::{new_type})::{old_type} IS DISTINCT FROM {column}"
            refusal = guards.refusal_if_any(
                site.table, lossy, f"values of {column} do not survive as {new_type}"
            )
            sql = f"LOCK TABLE {site.table} IN ACCESS EXCLUSIVE MODE; {refusal}; {sql}"
        return Statement(sql, Lock.ACCESS_EXCLUSIVE, site.table, guards.NEVER)

    def _alter(self, table: str, column: str, type_name: str, using: str = "") -> str:
        value = using or f"{column}::{type_name}"
        return f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {type_name} USING {value}"

    def _is_former(self, site: Site, snapshot: Snapshot) -> bool:
        """Whether the column differs from the declared one in nothing but the former type."""
        found, wanted = snapshot.columns(site.column(self.name))
        _, former = snapshot.columns(_BEFORE)
        return bool(
            found
            and wanted
            and former
            and found.type == former.type != wanted.type
            and found.not_null == wanted.not_null
        )

    def _former(self, site: Site) -> AnyField:
        assert site.before is not None  # noqa: S101 - AlterField's state needs the field before it
        field = site.before._meta.get_field(self.name)
        assert isinstance(field, Field)  # noqa: S101 - narrows, as Site.field does
        return field
