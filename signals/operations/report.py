"""What a migration declares and what the database holds of it, as rows, a table and JSON."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.operations import SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from signals.operations.base import Convergent
from signals.operations.findings import Finding, Status
from signals.operations.survey import patient_survey

_SIGNS = tuple(status.value.split()[0] + " " for status in Status)


@dataclass(frozen=True, slots=True)
class Report:
    """The findings of one migration on one database."""

    app_label: str
    migration: str
    database: str
    findings: tuple[Finding, ...]

    @property
    def is_clean(self) -> bool:
        """Whether every component stands as declared, or is gone as declared."""
        return all(finding.status.is_right for finding in self.findings)

    def as_table(self, encoding: str = "utf-8") -> str:
        """Columns Component, Name, Status; below it what differs, as PostgreSQL prints it, and notes.

        Where the encoding lacks the signs, the words stand alone.
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
            if finding.note:
                lines += ["", finding.label]
                lines += [f"  note:   {finding.note}"]
        return in_encoding("\n".join(lines), encoding)

    def as_json(self) -> str:
        """One object; each component with its status's name in lower case."""
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
            },
            indent=2,
        )


def report(
    connection: BaseDatabaseWrapper, loader: MigrationLoader, migration: Migration
) -> Report:
    """Judges each component that the migration's convergent operations declare; changes nothing.

    What its other operations declare is judged by the folded state, once the migration is applied.
    """
    state = loader.project_state((migration.app_label, migration.name), at_end=False)
    findings = tuple(
        finding
        for operation, before, after in steps(migration, state)
        if isinstance(operation, Convergent)
        for finding in judge(connection, migration.app_label, operation, before, after)
    )
    if not all(isinstance(each, Convergent) for each in migration.operations):
        known = {(each.component, each.name, each.table) for each in findings}
        rows = patient_survey(connection, migration.app_label, migration.name).rows
        others = (row.finding for row in rows)
        findings += tuple(
            each for each in others if (each.component, each.name, each.table) not in known
        )
    return Report(migration.app_label, migration.name, connection.alias, findings)


def in_encoding(text: str, encoding: str) -> str:
    """The text as it is; where the encoding lacks the signs, with the words alone."""
    if text.encode(encoding, "replace").decode(encoding) == text:
        return text
    for sign in _SIGNS:
        text = text.replace(sign, "")
    return text.replace("─", "-").encode(encoding, "backslashreplace").decode(encoding)


def convergent(operations: Sequence[Operation]) -> Iterator[Convergent]:
    """The convergent operations among them, inside SeparateDatabaseAndState too."""
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from convergent(operation.database_operations)
        elif isinstance(operation, Convergent):
            yield operation


def steps(
    migration: Migration, state: ProjectState
) -> Iterator[tuple[Operation, ProjectState, ProjectState]]:
    """The migration's operations on the database, each with the state before and after it.

    The state is the caller's, and is left as it is after the migration.
    """
    yield from _walk(migration.operations, migration.app_label, state)


def judge(
    connection: BaseDatabaseWrapper,
    app_label: str,
    operation: Convergent,
    before: ProjectState,
    after: ProjectState,
) -> list[Finding]:
    """The operation's findings; none where routers or the model's options keep this database out."""
    editor = connection.SchemaEditorClass(connection, collect_sql=True)
    site = operation.locate(app_label, editor, after, before)
    return operation.findings(site) if site else []


def _walk(
    operations: Sequence[Operation], app_label: str, state: ProjectState
) -> Iterator[tuple[Operation, ProjectState, ProjectState]]:
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from _walk(operation.database_operations, app_label, state.clone())
            operation.state_forwards(app_label, state)
            continue
        before = state.clone()
        operation.state_forwards(app_label, state)
        yield operation, before, state
