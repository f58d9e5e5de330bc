"""AddForeignKeyIfMissing."""

from collections.abc import Iterator
from typing import Any, Self

from django.db.migrations.operations.fields import AlterField
from django.db.migrations.state import ProjectState
from django.db.models import ForeignKey

from .alteration import Alteration
from .base import Convergent
from .catalog.tables import Table
from .components.columns import (
    add_field_ddl,
    compare_column,
    compare_existence,
    gains_index,
    probe_column,
)
from .components.foreign_keys import (
    compare_foreign_key,
    drop_foreign_key,
    has_db_constraint,
    plan_foreign_key,
    require_target,
    script_drop_foreign_key,
    script_foreign_key,
)
from .findings import Finding, Snapshot
from .implied import implied_later
from .refusals import require_column
from .site import AnyField, Site
from .statements import Statement


class AddForeignKeyIfMissing(Convergent, AlterField):
    """Make an existing column a foreign key while writers go on; needs atomic = False on the migration.

    The index is built concurrently first, so that a deletion from the referenced table never scans this
    one. Then the constraint is added NOT VALID, which takes an instant, and validated. A killed run leaves
    the first of these steps done, and the next run continues with the others.

    A foreign key to the declared column is accepted whatever its name; one to another target stops the run.
    Backwards drops the constraint, and the index if the field had none before.

    model_name, name, field, preserve_default: as for Django's AlterField; the field is a ForeignKey with
        db_constraint=True. A column that does not exist yet is added with its key by AddColumnIfMissing.
    altered_later: a later migration alters the column, so this operation only requires that it exists and
        leaves the comparison of its definition to the later one.
    """

    component = "foreign key"
    alteration_turn = 2

    field: "ForeignKey[Any, Any]"

    needs_state = True

    def __init__(
        self,
        model_name: str,
        name: str,
        field: "ForeignKey[Any, Any]",
        preserve_default: bool = True,
        *,
        altered_later: bool = False,
    ) -> None:
        if not isinstance(field, ForeignKey):
            raise TypeError(
                f"AddForeignKeyIfMissing takes a ForeignKey, not a {type(field).__name__}"
            )
        if not has_db_constraint(field):
            raise ValueError(f"{name} is declared with db_constraint=False (remove that)")
        super().__init__(model_name, name, field, preserve_default)
        self.altered_later = altered_later

    @classmethod
    def from_alteration(cls, alteration: Alteration) -> Self | None:
        if not alteration.becomes_foreign_key:
            return None
        changes = {"null": True} if alteration.becomes_not_null else {}
        return cls(*alteration.arguments(is_last=not alteration.becomes_not_null, **changes))

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        if self.altered_later:
            kwargs["altered_later"] = True
        return name, list(args), kwargs

    def describe(self) -> str:
        return f"Add foreign key {self.name} to {self.model_name} if missing"

    def names(self, site: Site) -> list[str]:
        return [name for part in self._parts(site, None) for name in part.names(site)]

    def declared(self, site: Site) -> list[AnyField]:
        return [site.field(self.name)]

    def probe(self, site: Site, found: Table) -> list[str]:
        field = site.field(self.name)
        ddl = probe_column(site, field, found, add_field_ddl(site, field))
        if ddl:
            ddl += [sql for part in self._parts(site, found) for sql in part.probe(site, found)]
        return ddl

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        field, found = site.field(self.name), snapshot.found
        column = (
            compare_existence(site, field, found)
            if self.altered_later
            else compare_column(site, field, found, snapshot.wanted)
        )
        if found is None or found.column(column.name) is None:
            return [column]
        findings = [compare_foreign_key(site, field, found), column]
        for part in self._parts(site, found):
            findings += part.inspect(site, snapshot)
        return findings

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        table, _ = require_column(self, site, snapshot, site.column(self.name))
        require_target(self, site, site.field(self.name), table)
        parts = [step for part in self._parts(site, table) for step in part.plan(site, snapshot)]
        return [*parts, *plan_foreign_key(site, site.field(self.name), table)]

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        found = snapshot.found
        if found is None or found.column(site.column(self.name)) is None:
            return []
        steps = drop_foreign_key(site, site.field(self.name), found)
        for part in self._parts(site, found):
            steps += part.plan_backwards(site, snapshot)
        return steps

    def script(self, site: Site) -> list[Statement]:
        parts = [step for part in self._parts(site, None) for step in part.script(site)]
        return [*parts, *script_foreign_key(site, site.field(self.name))]

    def script_backwards(self, site: Site) -> list[Statement]:
        steps = script_drop_foreign_key(site, site.field(self.name))
        for part in self._parts(site, None):
            steps += part.script_backwards(site)
        return steps

    def needs_autocommit(self, app_label: str, before: ProjectState) -> bool:
        """Return whether the field gains an index, which is built concurrently."""
        former = before.models[app_label, self.model_name_lower].fields.get(self.name)
        return gains_index(former, self.field)

    def _parts(self, site: Site, found: Table | None) -> Iterator[Convergent]:
        return implied_later(self.model_name, self.name, site, found)
