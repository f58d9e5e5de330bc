"""The report of one migration, applied or not, as a table and as JSON."""

import json
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration

from ..base import Convergent
from ..findings import Finding, Status
from ..migrate.walk import convergent, operation_findings, state_at, steps
from ..removal import Removal
from .contracting import operation_leftovers
from .printing import in_encoding
from .records import judged_migrations, readable_records
from .rows import Problem, unjudged
from .survey import survey_with_retry


@dataclass(frozen=True, slots=True)
class Report:
    """The findings of one migration on one database.

    unseen: why nothing of the migration can be judged, if that is so.
    """

    app_label: str
    migration: str
    database: str
    findings: tuple[Finding, ...]
    unseen: str = ""

    @property
    def is_clean(self) -> bool:
        """Return whether every component exists, is absent or awaits contract, as declared."""
        return all(each.status.is_right or each.status is Status.AWAITING for each in self.findings)

    @property
    def unjudged(self) -> list[Problem]:
        """Return the reasons why components could not be judged."""
        return unjudged(self.database, self.findings)

    def as_table(self, encoding: str = "utf-8") -> str:
        """Return the columns Component, Name and Status; below them what differs, and the notes.

        Definitions are shown as PostgreSQL prints them. The status signs are left out if the encoding lacks
        them.
        """
        rows = [("Component", "Name", "Status")]
        rows += [(each.component, each.name, each.status.value) for each in self.findings]
        widths = [max(len(row[place]) for row in rows) for place in range(2)]
        lines = [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}".rstrip() for row in rows]
        lines.insert(1, "  ".join("─" * width for width in (*widths, 12)))
        for finding in self.findings:
            if finding.status is Status.DIFFERENT:
                lines += ["", finding.label]
                lines += [f"  found:  {finding.found}", f"  wanted: {finding.wanted}"]
                lines += [f"  to fix: {finding.fix}"]
            if finding.note and finding.status is not Status.UNJUDGED:
                lines += ["", finding.label]
                lines += [f"  note:   {finding.note}"]
        return in_encoding("\n".join(lines), encoding)

    def as_json(self) -> str:
        """Return one JSON object; a component's status is the name of the status in lower case."""
        return json.dumps(
            {
                "version": 1,
                "app": self.app_label,
                "migration": self.migration,
                "database": self.database,
                "clean": self.is_clean,
                "components": [
                    {
                        "component": each.component,
                        "name": each.name,
                        "table": each.table,
                        "status": each.status.name.lower(),
                        "found": each.found,
                        "wanted": each.wanted,
                        "fix": each.fix,
                        "note": each.note,
                    }
                    for each in self.findings
                ],
                "errors": [each.as_json() for each in self.unjudged],
            },
            indent=2,
        )


def report(
    connection: BaseDatabaseWrapper, loader: MigrationLoader, migration: Migration
) -> Report:
    """Return the findings on what the migration declares; change nothing.

    Its convergent operations are asked themselves. What its other operations declare is found in the
    replayed state, which has it once the migration is applied.
    """
    state = state_at(loader, [(migration.app_label, migration.name)], at_end=False)
    find = operation_findings
    if any(isinstance(each, Removal) for each in convergent(migration.operations)) and (
        _is_applied(connection, migration)
    ):
        find = operation_leftovers
    findings = tuple(
        finding
        for operation, before, after in steps(migration.operations, migration.app_label, state)
        if isinstance(operation, Convergent)
        for finding in find(connection, migration.app_label, operation, before, after)
    )
    if not all(isinstance(each, Convergent) for each in migration.operations):
        known = {(each.component, each.name, each.table) for each in findings}
        rows = survey_with_retry(connection, migration.app_label, migration.name).rows
        others = (row.finding for row in rows)
        findings += tuple(
            each for each in others if (each.component, each.name, each.table) not in known
        )
    unseen = "" if findings else _why_nothing_is_seen(connection, migration)
    return Report(migration.app_label, migration.name, connection.alias, findings, unseen)


def _why_nothing_is_seen(connection: BaseDatabaseWrapper, migration: Migration) -> str:
    """Return why nothing is seen of a migration that is not applied; '' if there is nothing in it."""
    if not migration.operations or _is_applied(connection, migration):
        return ""
    return (
        f"{migration.app_label}.{migration.name} is not recorded as applied in the database "
        f"{connection.alias!r}, and what Django's own operations declare is judged once it is (run migrate)"
    )


def _is_applied(connection: BaseDatabaseWrapper, migration: Migration) -> bool:
    key = (migration.app_label, migration.name)
    return key in judged_migrations(connection, readable_records(connection))
