"""AddColumnIfMissing."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

from django.db import migrations
from django.db.migrations.operations.fields import AddField
from django.db.migrations.state import ProjectState
from django.db.models import NOT_PROVIDED

from .base import Convergent
from .catalog.tables import Column, Table
from .components import guards
from .components.columns import (
    bare_field,
    compare_column,
    compare_existence,
    db_type,
    is_indexed,
    needs_value,
    probe_column,
    prove_not_null,
    refuse_new_columns,
    type_of,
    with_new_column_facts,
)
from .components.foreign_keys import (
    compare_foreign_key,
    has_db_constraint,
    plan_foreign_key,
    referenced,
    require_target,
    script_foreign_key,
)
from .components.old_code import (
    default_for_old_code,
    drop_triggers,
    needs_default_for_old_code,
)
from .contract import OF_A_KEY
from .create_table import through_table
from .errors import Refused
from .findings import Finding, Snapshot
from .implied import implied
from .refusals import keep, require_table
from .site import AnyField, Site
from .statements import Lock, Statement


class AddColumnIfMissing(Convergent, AddField):
    """Add a column unless the table has it exactly as declared.

    A column of that name with another definition stops the run. The column is added by one statement; the
    foreign key, index, uniqueness or check of its field follow, each built as its own operation builds it
    while writers go on. A killed run leaves nothing of the column, or the whole column and some of what
    follows; the next run continues there.

    In the phase expand a NOT NULL column keeps its default in the database until contract, so that the
    release before, which does not know the column, can write rows. One without a default is refused there.

    Backwards drops the column if it has the declared type. A column of another type holds somebody else's
    data: it is kept, and a warning says so.

    model_name, name, field, preserve_default: as for Django's AddField.
    keep_on_reverse: backwards keeps the column and its data.
    altered_later: a later migration alters the column, so this operation only requires that it exists and
        leaves the comparison of its definition to the later one.
    leave_existing_null: existing rows get NULL instead of the database default, so that BackfillInBatches
        can tell them from new rows.
    allow_rewrite: add a column that is generated, or whose default differs from row to row, to a table with
        rows, although PostgreSQL rewrites the table for it while nobody can read it.
    """

    component = "column"
    stands_for = (migrations.AddField,)

    def __init__(  # noqa: PLR0913 - AddField's arguments and four more
        self,
        model_name: str,
        name: str,
        field: AnyField,
        preserve_default: bool = True,
        *,
        keep_on_reverse: bool = False,
        altered_later: bool = False,
        leave_existing_null: bool = False,
        allow_rewrite: bool = False,
    ) -> None:
        if leave_existing_null and not field.null:
            raise ValueError(
                f"leave_existing_null needs a nullable field (add null=True to {name})"
            )
        super().__init__(model_name, name, field, preserve_default)
        self.keep_on_reverse = keep_on_reverse
        self.altered_later = altered_later
        self.leave_existing_null = leave_existing_null
        self.allow_rewrite = allow_rewrite

    @classmethod
    def from_stock(cls, operation: Any, before: ProjectState, app_label: str) -> Self | str | None:
        if operation.field.primary_key:
            return OF_A_KEY
        return cls(
            operation.model_name, operation.name, operation.field, operation.preserve_default
        )

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        for flag in ("keep_on_reverse", "altered_later", "leave_existing_null", "allow_rewrite"):
            if getattr(self, flag):
                kwargs[flag] = True
        return name, list(args), kwargs

    def describe(self) -> str:
        return f"Add column {self.name} to {self.model_name} if missing"

    def targets(self, site: Site) -> Sequence[tuple[Convergent, Site]]:
        """Return the operation itself or, for a ManyToManyField, the one that creates its table.

        Return nothing for a field that has no column, such as a composite primary key.
        """
        field = site.model._meta.get_field(self.name)
        if field.many_to_many:
            return through_table(site, field, keep_on_reverse=self.keep_on_reverse, with_rows=True)
        return [(self, site)] if db_type(site, site.field(self.name)) else []

    def names(self, site: Site) -> list[str]:
        return [name for part in self._parts(site, None) for name in part.names(site)]

    def declared(self, site: Site) -> list[AnyField]:
        return [site.field(self.name)]

    def probe(self, site: Site, found: Table) -> list[str]:
        if found.column(site.column(self.name)) is None:
            return []
        field = site.field(self.name)
        ddl = [] if self.altered_later else probe_column(site, field, found, self._ddl(site))
        for part in self._parts(site, found):
            ddl += part.probe(site, found)
        return ddl

    def with_row_facts(self, site: Site, snapshot: Snapshot, *, forwards: bool) -> Snapshot:
        found = snapshot.found
        if not forwards or found is None or found.column(site.column(self.name)):
            return snapshot
        with site.on_probe():
            ddl = self._ddl(site)
        return with_new_column_facts(self, site, snapshot, [(self._added(site), ddl)])

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        field, found = site.field(self.name), snapshot.found
        findings = [
            compare_existence(site, field, found)
            if self.altered_later
            else compare_column(site, field, found, snapshot.wanted)
        ]
        if found is not None and has_db_constraint(field):
            findings.append(compare_foreign_key(site, field, found))
        for part in self._parts(site, found):
            findings += part.inspect(site, snapshot)
        return findings

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        found, field = require_table(self, site, snapshot), site.field(self.name)
        require_target(self, site, field, found)
        column = site.column(self.name)
        statements = prove_not_null(site, found.column(column))
        known = found.column(column)
        if known is not None and site.expands and self._lacks_default(site, known):
            statements.append(self._default_for_old_code(site))
        if known is None:
            self._require_value_for_old_code(site)
            instead = (
                "leave_existing_null=True and BackfillInBatches, or insist: allow_rewrite=True"
            )
            instead = "" if self.allow_rewrite else instead
            refuse_new_columns(self, site, snapshot, [self._added(site)], instead)
            statements = [self._add(site)]
        if has_db_constraint(field):
            statements += plan_foreign_key(site, field, found)
        for part in self._parts(site, found):
            statements += part.plan(replace(site, coming=frozenset([column])), snapshot)
        return statements

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        name = site.column(self.name)
        found, wanted = snapshot.columns(name)
        if found is None or self.keep_on_reverse:
            return []
        if not self.is_declared(site, snapshot):
            declared = wanted.type if wanted else type_of(site, site.field(self.name))
            keep(self, f"column {name}", f"it is {found.type}, not the declared {declared}")
            return []
        triggers = drop_triggers(site, snapshot.found, name) if snapshot.found else ()
        return [*triggers, *self.script_backwards(site)]

    def script(self, site: Site) -> list[Statement]:
        field = site.field(self.name)
        statements = [self._add(site)]
        if has_db_constraint(field):
            statements += script_foreign_key(site, field)
        for part in self._parts(site, None):
            statements += part.script(site)
        return statements

    def script_backwards(self, site: Site) -> list[Statement]:
        if self.keep_on_reverse:
            return []
        column = site.column(self.name)
        sql = f"ALTER TABLE {site.table} DROP COLUMN {site.quote(column)}"
        guard = guards.negated(guards.has_column(site.table, column))
        also = referenced(site, [site.field(self.name)])
        return [Statement(sql, Lock.ACCESS_EXCLUSIVE, site.table, guard, also)]

    def is_declared(self, site: Site, snapshot: Snapshot) -> bool:
        """Return whether the table's column has the declared type, so that its values belong to the field."""
        found, wanted = snapshot.columns(site.column(self.name))
        if snapshot.found is None or found is None or snapshot.failure:
            return False
        if type_of(site, site.field(self.name)) in snapshot.found.unknown:
            return False
        return wanted is None or found.type == wanted.type

    def needs_autocommit(self, app_label: str, before: ProjectState) -> bool:
        """Return whether the field has an index or a uniqueness, which is built concurrently."""
        return is_indexed(self.field)

    def _parts(self, site: Site, found: Table | None) -> Iterator[Convergent]:
        return implied(self.model_name, site, site.field(self.name), found)

    def _add(self, site: Site) -> Statement:
        guard = guards.has_column(site.table, site.column(self.name))
        ddl, added = self._ddl(site), self._added(site)
        if site.expands and needs_default_for_old_code(added):
            kept = [sql for sql in ddl if not sql.endswith(" DROP DEFAULT")]
            ddl = (*kept, default_for_old_code(site, added))
        return Statement("; ".join(ddl), Lock.ACCESS_EXCLUSIVE, site.table, guard)

    def _lacks_default(self, site: Site, column: Column) -> bool:
        """Return whether the column refuses rows of old code, which do not name it."""
        return not self.altered_later and needs_default_for_old_code(self._added(site), column)

    def _default_for_old_code(self, site: Site) -> Statement:
        sql = default_for_old_code(site, self._added(site))
        gone = guards.negated(guards.has_column(site.table, site.column(self.name)))
        return Statement(sql, Lock.ACCESS_EXCLUSIVE, site.table, gone)

    def _require_value_for_old_code(self, site: Site) -> None:
        """Raise Refused if rows of old code, which do not name the new column, could not be written."""
        added, field = self._added(site), site.field(self.name)
        fix = "null=True, then BackfillInBatches and SetNotNullIfNullable"
        if site.expands and needs_value(site, added):
            reason, fix = (
                "is NOT NULL and has no default",
                f"give it a default or db_default, or {fix}",
            )
        elif site.expands and field.unique and needs_default_for_old_code(added, is_unique=True):
            reason, fix = "is unique and has one default for all rows", f"give it {fix}"
        else:
            return
        raise Refused(
            self.describe(),
            site.table,
            f"{self.name} {reason}, and the release before, which does not know it, could not write rows "
            "any more",
            fix,
        )

    def _added(self, site: Site) -> AnyField:
        """Return the field for ADD COLUMN, with the default that existing rows are to get."""
        added = bare_field(site, site.field(self.name))
        if not self.preserve_default:
            added.default = self.field.default
        if self.leave_existing_null:
            added.default = added.db_default = NOT_PROVIDED
            added.auto_now = added.auto_now_add = False  # type: ignore[attr-defined] # a date's only
        return added

    def _ddl(self, site: Site) -> tuple[str, ...]:
        field, added = site.field(self.name), self._added(site)

        def act(editor: Any) -> None:
            editor.add_field(site.model, added)
            if self.leave_existing_null and field.has_db_default():
                # A default that is set after ADD COLUMN applies to new rows only.
                change, parameters = editor._alter_column_database_default_sql(
                    site.model, added, field
                )
                parts = {"table": site.table, "changes": change}
                editor.execute(editor.sql_alter_column % parts, parameters)

        return site.ddl(act).now
