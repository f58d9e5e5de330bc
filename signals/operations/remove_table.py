"""RemoveTableIfPresent."""

from collections.abc import Sequence
from typing import Any

from django.db.migrations.operations.models import DeleteModel

from .base import Convergent
from .catalog.tables import Table
from .components.foreign_keys import drop_foreign_key, has_db_constraint
from .components.leaving import drop_all_foreign_keys
from .create_table import CreateTableIfMissing, through_table
from .errors import Refused
from .findings import Snapshot
from .removal import Removal, RemovalOf
from .site import Site
from .statements import Statement


class RemoveTableIfPresent(Removal, DeleteModel):
    """Drop the table of a model, if there is one: its foreign keys first, each under a short lock.

    Dropping the table with its foreign keys would lock all tables that they refer to at the same time. A
    table with rows is refused unless allow_data_loss is given; a table on which other objects depend is
    refused in any case. The tables of its ManyToManyFields are dropped before it. A killed run leaves the
    table without some of its foreign keys; the next run continues there. Backwards creates the table again,
    without rows.

    In the phase expand only the foreign keys are dropped, and the table stays until contract. Backwards from
    there builds them again.

    name: as for Django's DeleteModel.
    allow_data_loss: drop the table with its rows.
    """

    def __init__(self, name: str, *, allow_data_loss: bool = False) -> None:
        super().__init__(name)
        self.allow_data_loss = allow_data_loss

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        if self.allow_data_loss:
            kwargs = {**kwargs, "allow_data_loss": True}
        return name, list(args), dict(kwargs)

    def describe(self) -> str:
        return f"Remove table of {self.name} if present"

    def addition(self, site: Site) -> CreateTableIfMissing:
        made = CreateTableIfMissing(self.name, [])
        return made.altered(with_rows=self.allow_data_loss)

    def targets(self, site: Site) -> Sequence[tuple[Convergent, Site]]:
        """Return removals of the ManyToManyFields' tables, which refer to this one, then the operation."""
        tables = [
            (RemovalOf(self.describe(), table), place)
            for field in site.model._meta.local_many_to_many
            for table, place in through_table(
                site, field, keep_on_reverse=False, with_rows=self.allow_data_loss
            )
        ]
        return [*tables, (self, site)]

    def accepts(self, site: Site, found: Table) -> bool:
        return self.addition(site).accepts(site, found)

    def is_present(self, site: Site, found: Table) -> bool:
        return True

    def is_removable(self, site: Site, snapshot: Snapshot) -> bool:
        return snapshot.found is not None and snapshot.found.kind in ("r", "p")

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        found = snapshot.found
        if found is None:
            return []
        if site.expands:
            return self.harmless(site, snapshot)
        if snapshot.has_rows and not self.allow_data_loss:
            raise Refused(
                self.describe(),
                site.table,
                f"table {site.table} has rows, and removing it would lose them",
                "move them elsewhere first, or allow it: allow_data_loss=True",
            )
        fields = filter(has_db_constraint, self.declared(site))
        keys = [step for field in fields for step in drop_foreign_key(site, field, found)]
        return [*keys, *super().plan(site, snapshot)]

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        if snapshot.found is None:
            return self.addition(site).plan(site, snapshot)
        return super().plan_backwards(site, snapshot)

    def harmless(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        """Return the statements that drop the table's foreign keys to other tables."""
        return drop_all_foreign_keys(site, snapshot.found) if snapshot.found else []
