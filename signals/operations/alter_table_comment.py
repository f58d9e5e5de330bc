"""AlterTableCommentIfDifferent."""

from typing import Any, Self

from django.db import migrations
from django.db.migrations.operations.models import AlterModelTableComment
from django.db.migrations.state import ProjectState

from .base import Convergent
from .catalog.tables import Table
from .components.comments import compare_comment, set_comment
from .findings import Finding, Snapshot
from .refusals import require_table
from .site import Site
from .statements import Statement


class AlterTableCommentIfDifferent(Convergent, AlterModelTableComment):
    """Give a table its comment, whatever the one that it has, while readers and writers go on.

    A killed run leaves the former comment or the new one. Backwards gives the table the comment that the
    model declared before.

    name, table_comment: as for Django's AlterModelTableComment.
    """

    stands_for = (migrations.AlterModelTableComment,)
    is_indifferent = True
    on_different = "replace"
    reads_details = True

    @classmethod
    def from_stock(cls, operation: Any, before: ProjectState, app_label: str) -> Self | str | None:
        return cls(operation.name, operation.table_comment)

    def describe(self) -> str:
        return f"Alter table comment of {self.name} if different"

    def probe(self, site: Site, found: Table) -> list[str]:
        return []

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        details = snapshot.found.details if snapshot.found else None
        options: Any = site.model._meta
        comment = details.comment if details else None
        return [compare_comment(site, options.db_table, comment, options.db_table_comment)]

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        require_table(self, site, snapshot)
        (finding,) = self.inspect(site, snapshot)
        return [] if finding.status.is_right else self.script(site)

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        return self.plan(site.turned(), snapshot) if snapshot.found else []

    def script(self, site: Site) -> list[Statement]:
        options: Any = site.model._meta
        return [set_comment(site, options.db_table_comment)]

    def script_backwards(self, site: Site) -> list[Statement]:
        return self.script(site.turned())
