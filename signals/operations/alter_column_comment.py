"""AlterColumnCommentIfDifferent."""

from dataclasses import replace
from typing import Self

from django.db.migrations.operations.fields import AlterField
from django.db.models import Field

from .alteration import Alteration, altered_field
from .base import Convergent
from .catalog.tables import Table
from .components.columns import require_no_other_change
from .components.comments import compare_comment, set_comment
from .findings import Finding, Snapshot
from .refusals import require_column
from .site import Site
from .statements import Statement


class AlterColumnCommentIfDifferent(Convergent, AlterField):
    """Give a column its comment, whatever the one that it has, while readers and writers go on.

    A killed run leaves the former comment or the new one. Backwards gives the column the comment that the
    field declared before.

    model_name, name, field, preserve_default: as for Django's AlterField; only the field's db_comment may
        change.
    """

    is_indifferent = True
    on_different = "replace"
    reads_details = True

    @classmethod
    def from_alteration(cls, alteration: Alteration) -> Self | None:
        comment = alteration.new.comment
        if alteration.old.comment == comment:
            return None
        if replace(alteration.old, comment=comment) == alteration.new:
            return cls(*alteration.arguments(is_last=True))
        made = alteration.operation
        return cls(made.model_name, made.name, altered_field(alteration.before, db_comment=comment))

    def describe(self) -> str:
        return f"Alter comment of {self.name} on {self.model_name} if different"

    def probe(self, site: Site, found: Table) -> list[str]:
        return []

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        column = site.column(self.name)
        details = snapshot.found.details if snapshot.found else None
        comment = details.comments.get(column) if details else None
        return [compare_comment(site, column, comment, site.field(self.name).db_comment, column)]

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        self._require_no_more(site)
        require_column(self, site, snapshot, site.column(self.name))
        (finding,) = self.inspect(site, snapshot)
        return [] if finding.status.is_right else self.script(site)

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        column, _ = snapshot.columns(site.column(self.name))
        return self.plan(site.turned(), snapshot) if column else []

    def script(self, site: Site) -> list[Statement]:
        self._require_no_more(site)
        column = site.column(self.name)
        return [set_comment(site, site.field(self.name).db_comment, column)]

    def script_backwards(self, site: Site) -> list[Statement]:
        return self.script(site.turned())

    def _require_no_more(self, site: Site) -> None:
        """Raise Refused if the field also changes its column, index, uniqueness, check or foreign key."""
        before = site.before._meta.get_field(self.name) if site.before else None
        if isinstance(before, Field):
            require_no_other_change(self, site, before, site.field(self.name), parts=False)
