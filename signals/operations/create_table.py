"""CreateTableIfMissing."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from django.db.migrations.operations.models import CreateModel
from django.db.models import CheckConstraint, UniqueConstraint

from signals.operations import guards
from signals.operations.add_check import AddCheckIfMissing
from signals.operations.add_unique import AddUniqueIfMissing
from signals.operations.base import Convergent, Finding, Snapshot, Status, keep
from signals.operations.catalog import Catalog, Table
from signals.operations.columns import add_field_ddl, judge_column, probe_column, prove_not_null
from signals.operations.create_index import CreateIndexConcurrentlyIfMissing
from signals.operations.errors import Refused
from signals.operations.foreign_keys import (
    has_constraint,
    judge_foreign_key,
    plan_foreign_key,
    script_foreign_key,
)
from signals.operations.implied import implied, implied_unique
from signals.operations.site import AnyField, Site
from signals.operations.statements import Lock, Statement

_TABLES = ("r", "p")  # ordinary and partitioned


class CreateTableIfMissing(Convergent, CreateModel):
    """Creates the table, or gives the one that exists the declared parts that it lacks.

    A new table comes with its parts in one transaction. In a table that exists each column, foreign
    key, constraint and index is judged and built as by its own operation; what the table has beyond
    the declaration stays. Backwards drops the table if it is empty, and refuses if it has rows.

    name, fields, options, bases, managers: as for Django's CreateModel.
    altered_later: names of fields that later migrations alter; here their existence is enough.
    keep_on_reverse: backwards leaves a table with rows where it would refuse.
    """

    def __init__(  # noqa: PLR0913 - CreateModel's arguments and two more
        self,
        name: str,
        fields: Sequence[tuple[str, AnyField]],
        options: dict[str, Any] | None = None,
        bases: Sequence[Any] | None = None,
        managers: Sequence[Any] | None = None,
        *,
        altered_later: Sequence[str] = (),
        keep_on_reverse: bool = False,
    ) -> None:
        declared = dict(fields)
        for field_name, field in fields:
            if field.many_to_many:
                raise ValueError(
                    f"{field_name} is a table of its own (create its through table with "
                    "CreateTableIfMissing)"
                )
        for field_name in altered_later:
            if field_name not in declared:
                raise ValueError(
                    f"altered_later names {field_name!r}, which is not among the fields"
                )
        super().__init__(name, fields, options, bases, managers)  # type: ignore[arg-type]
        self.altered_later = tuple(altered_later)
        self.keep_on_reverse = keep_on_reverse

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        if self.altered_later:
            kwargs = {**kwargs, "altered_later": self.altered_later}
        if self.keep_on_reverse:
            kwargs = {**kwargs, "keep_on_reverse": True}
        return name, list(args), dict(kwargs)

    def describe(self) -> str:
        return f"Create table of {self.name} if missing"

    def names(self, site: Site) -> list[str]:
        return [name for part in self._parts(site, None) for name in part.names(site)]

    def probe(self, site: Site, found: Table) -> list[str]:
        if not self._is_there(site, found):
            return []
        ddl: list[str] = []
        for column, field in self._fields(site).items():
            if found.column(column) and field.name not in self.altered_later:
                ddl += probe_column(site, column, add_field_ddl(site, field))
        for part in self._parts(site, found):
            ddl += part.probe(site, found)
        return ddl

    def read(self, site: Site) -> Snapshot:
        snapshot: Snapshot = super().read(site)
        found = snapshot.found
        if found is None or not self._is_there(site, found):
            return Snapshot(None)
        return replace(snapshot, has_rows=Catalog(site.connection).has_rows(found))

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        found, wanted = snapshot.found, snapshot.wanted
        if found is None:
            return [Finding("table", site.model._meta.db_table, site.table, Status.MISSING)]
        findings = [self._judge_table(site, found)]
        if findings[0].status is Status.DIFFERENT:
            return findings
        for column, field in self._fields(site).items():
            findings.append(judge_column(site, column, found, wanted))
            if has_constraint(field):
                findings.append(judge_foreign_key(site, field, found))
        for part in self._parts(site, found):
            findings += part.inspect(site, snapshot)
        return findings

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        found = snapshot.found
        if found is None:
            return [self._create(site)]
        statements: list[Statement] = []
        for column, field in self._fields(site).items():
            if found.column(column) is None:
                statements.append(self._add(site, column, field))
        if statements:
            return statements  # what stands on these columns is planned when they are there
        for column, field in self._fields(site).items():
            statements += prove_not_null(site, found.column(column))
            if has_constraint(field):
                statements += plan_foreign_key(site, field, found)
        for part in self._parts(site, found):
            statements += part.plan(site, snapshot)
        return statements

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        if snapshot.found is None:
            return []
        if snapshot.found.kind not in _TABLES:
            keep(self, f"the relation {site.table}", "it is no table")
            return []
        if snapshot.has_rows and self.keep_on_reverse:
            keep(self, f"table {site.table}", "it has rows")
            return []
        if snapshot.has_rows:
            raise Refused(
                f"{self.describe()}, backwards",
                site.table,
                f"table {site.table} has rows, and going back would drop them",
                "empty the table first, or leave it and record the step with migrate --fake",
            )
        return self.script_backwards(site)

    def script(self, site: Site) -> list[Statement]:
        statements = [self._create(site)]
        for column, field in self._fields(site).items():
            statements.append(self._add(site, column, field))
            if has_constraint(field):
                statements += script_foreign_key(site, field)
        for part in self._parts(site, None):
            statements += part.script(site)
        return statements

    def _add(self, site: Site, column: str, field: AnyField) -> Statement:
        guard = guards.has_column(site.table, column)
        sql = "; ".join(add_field_ddl(site, field))
        return Statement(sql, Lock.ACCESS_EXCLUSIVE, site.table, guard)

    def _create(self, site: Site) -> Statement:
        ddl = site.ddl(lambda editor: editor.create_model(site.model))
        referenced = [
            site.quote(field.remote_field.model._meta.db_table)
            for field in self._fields(site).values()
            if has_constraint(field) and field.remote_field
        ]
        # Nobody else can hold the new table; a foreign key locks the table that it refers to.
        lock = Lock.SHARE_ROW_EXCLUSIVE if referenced else Lock.NONE
        table = referenced[0] if referenced else site.table
        sql = "; ".join([*ddl.now, *ddl.deferred])
        return Statement(sql, lock, table, guards.has_table(site.table))

    def script_backwards(self, site: Site) -> list[Statement]:
        refusal = guards.refusal_if_any(site.table, "true", f"table {site.table} has rows")
        lock = f"LOCK TABLE {site.table} IN ACCESS EXCLUSIVE MODE"
        sql = f"{lock}; {refusal}; DROP TABLE {site.table}"
        guard = guards.negated(guards.has_table(site.table))
        return [Statement(sql, Lock.ACCESS_EXCLUSIVE, site.table, guard)]

    def _is_there(self, site: Site, found: Table) -> bool:
        """An unqualified name means the schema in which CREATE TABLE would put the table."""
        return found.current or "." in site.table

    def _fields(self, site: Site) -> dict[str, AnyField]:
        """The table's own columns with their fields."""
        return {field.column: field for field in site.model._meta.local_fields if field.column}

    def _judge_table(self, site: Site, found: Table) -> Finding:
        wanted = site.model._meta.pk
        primary = next((each for each in found.constraints if each.kind == "p"), None)
        name = site.model._meta.db_table
        if found.kind not in _TABLES:
            found_text, wanted_text = f"a relation of kind {found.kind!r}", "a table"
        elif wanted is not None and (primary is None or primary.columns != (wanted.column,)):
            found_text = primary.definition if primary else "no primary key"
            wanted_text = f"PRIMARY KEY ({site.quote(site.column(wanted.name))})"
        else:
            return Finding("table", name, site.table, Status.EXISTS)
        fix = f"rename it (ALTER TABLE {site.table} RENAME TO ...), or correct it by hand"
        return Finding("table", name, site.table, Status.DIFFERENT, found_text, wanted_text, fix)

    def _parts(self, site: Site, found: Table | None) -> Iterator[Convergent]:
        """The operations that stand for the constraints and indexes of the table."""
        meta = site.model._meta
        for constraint in meta.constraints:
            if isinstance(constraint, CheckConstraint):
                yield AddCheckIfMissing(self.name, constraint)
            elif isinstance(constraint, UniqueConstraint):
                yield AddUniqueIfMissing(self.name, constraint)
        for index in meta.indexes:
            yield CreateIndexConcurrentlyIfMissing(self.name, index)
        for names in meta.unique_together:
            yield from implied_unique(self.name, site, names, found)
        for field in self._fields(site).values():
            yield from implied(self.name, site, field, found)
