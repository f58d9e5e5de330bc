"""Compare what the applied migrations declare with the database of one connection."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from ..catalog.query import quoted
from ..catalog.questions import ask
from ..components.snapshots import case, compare
from ..execution.waiting import retry_without_timeouts
from ..findings import Finding, Status
from ..site import Site
from .accepted import AcceptedFindings
from .health import DeclaredFound, health_rows
from .history import History, ModelHistory, ModelKey, migration_graph, own_tables, replay
from .records import (
    judged_migrations,
    judged_schema,
    readable_records,
    why_nothing_is_seen,
)
from .rows import Row, Survey
from .subjects import TABLE_KINDS, DeclaredEnum, DeclaredModel, DeclaredTable, Subject
from .undeclared import DroppedTable


def survey(
    connection: BaseDatabaseWrapper, app_label: str | None = None, migration: str | None = None
) -> Survey:
    """Return the survey of what the applied migrations declare; change nothing.

    It takes a few round trips, whatever the number of tables.

    app_label, migration: limit the survey to one app, or to the migration of that name in the app.

    Raise BadMigrationError if the migrations form no graph, and Unreadable if a right or a setting hides
    where they are recorded.
    """
    records = readable_records(connection)
    loader = migration_graph(judged_migrations(connection, records))
    history = replay(connection, loader)
    declared = Declared(connection, history, app_label, migration)
    rows = declared.rows_with_health(records.table)
    return Survey(
        connection.alias,
        judged_schema(connection, records),
        declared.migrations,
        tuple(rows),
        why_nothing_is_seen(connection, records, loader, history),
        tuple(declared.stale()),
    )


def survey_with_retry(
    connection: BaseDatabaseWrapper, app_label: str | None = None, migration: str | None = None
) -> Survey:
    """Return survey(); call it once more as `retry_without_timeouts` does, but heed a lock_timeout."""
    ask = partial(survey, connection, app_label, migration)
    return retry_without_timeouts(connection, ask, heeds_lock_timeout=True)


class Declared:
    """The declarations of a history on a connection: a subject for each enum and table.

    app_label: the app to which the rows are limited, if any.
    migration: the name, without its app, of the migration to which they are limited, if any.
    fixed_rows: the rows for which no catalog has to be asked.
    migrations: the number of applied migrations, of the app if there is one.
    found: the tables of which `rows` has yielded the rows since it began.
    """

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        history: History,
        app_label: str | None = None,
        migration: str | None = None,
    ) -> None:
        self.connection, self.history = connection, history
        self.app_label, self.migration = app_label, migration
        self.accepted = AcceptedFindings.of_settings(connection.alias)
        self.fixed_rows: list[Row] = list(self.asked_for(_unknown(history)))
        self.subjects: list[Subject] = [*self._enums(), *self._tables(), *self._dropped()]
        applied = [each for each in history.applied if app_label in (None, each.app_label)]
        self.migrations = len(applied)
        self.found: list[DeclaredFound] = []

    def rows(self) -> Iterator[Row]:
        """Read the catalog, in the schema that the session is in, and yield the rows."""
        self.found = []
        answers = ask(self.connection, [each.question() for each in self.subjects])
        asked = [(each, answer, "") for each, answer in zip(self.subjects, answers, strict=True)]
        yield from self.fixed_rows
        for subject, known in zip(
            self.subjects, snapshots_for(self.connection, asked), strict=True
        ):
            yield from self.asked_for(subject.rows(known))
            found = known.snapshot.found if isinstance(subject, DeclaredTable) else None
            if found is not None and found.kind in TABLE_KINDS:
                self.found.append(DeclaredFound(subject.site, found))

    def rows_with_health(self, records: str) -> list[Row]:
        """Return `rows`, and one for each thing of their tables that is not well; take one round trip more.

        records: the quoted name of the table in which migrations are recorded.
        """
        rows = list(self.rows())
        return [*rows, *self.asked_for(health_rows(self.connection, self.found, rows, records))]

    def asked_for(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield those of the rows that belong to the app and to the migration, with who accepts them."""
        for row in rows:
            app, _, name = row.migration.partition(".")
            if self.app_label in (None, app or self.app_label) and self.migration in (None, name):
                entry = None if row.finding.status.is_right else self.accepted.entry(row.finding)
                yield replace(row, accepted=entry) if entry else row

    def stale(self) -> Iterator[str]:
        """Yield a line for each accepted finding that the rows so far lack, or that is over.

        Yield none if the rows are those of an app or a migration alone.
        """
        if self.app_label is None:
            yield from self.accepted.stale()

    def _enums(self) -> "Iterator[Subject]":
        state = self.history.state
        for operation, app, migration in self.history.enums.values():
            site = operation.locate(app, self.connection, state, state)
            if site and self.app_label in (None, app):
                yield DeclaredEnum(operation, site, migration)

    def _tables(self) -> "Iterator[Subject]":
        for key, model in self.history.state.models.items():
            if self.app_label not in (None, key[0]) or not self._is_of(key):
                continue
            judged = DeclaredModel(self.connection, self.history, key, model)
            try:
                tables = list(judged.tables())
                for table in tables:
                    table.question()
            except Exception as error:  # noqa: BLE001 - a field may be of any class
                self.fixed_rows += self.asked_for([judged.contradiction(error)])
            else:
                yield from tables

    def _is_of(self, key: ModelKey) -> bool:
        """Return whether the migration declared, removed or filled anything of the model."""
        past = self.history.models.get(key, ModelHistory())
        labels = {*past.origins.values(), *past.removed.values()}
        labels |= {label for _, label in past.fills.values()}
        return self.migration is None or f"{self.app_label}.{self.migration}" in labels

    def _dropped(self) -> "Iterator[Subject]":
        """Yield the tables that a migration dropped and that no model has now."""
        models = self.history.state.models.values()
        declared = {name for each in models for name in own_tables(each, self.connection)}
        for name, migration in self.history.dropped.items():
            if name not in declared:
                site = Site(self.connection, _no_model(name), name)
                yield DroppedTable(site, migration, name in self.history.awaiting)


def snapshots_for(
    connection: BaseDatabaseWrapper, asked: Sequence[tuple["Subject", Any, str]]
) -> list[Any]:
    """Return the value from which each subject makes its rows: snapshots of a table, else the answer itself.

    asked: each subject with its answer, and with the search_path of that, empty if it is the session's.
    """
    compared = [
        subject.compared(answer, path) if isinstance(subject, DeclaredTable) else None
        for subject, answer, path in asked
    ]
    cases = [case for each in compared if each for case in (each.own, *each.others)]
    snapshots = iter(compare(connection, cases))
    known = [
        each.known(snapshots) if each else answer
        for each, (_, answer, _) in zip(compared, asked, strict=True)
    ]
    return _with_parts_alone(connection, asked, known)


def _with_parts_alone(
    connection: BaseDatabaseWrapper,
    asked: Sequence[tuple["Subject", Any, str]],
    known: Sequence[Any],
) -> list[Any]:
    """Return what is known, with each part by itself of tables that cannot take their whole declaration."""
    parts = {
        place: subject.parts_alone(each.snapshot.found)
        for place, ((subject, *_), each) in enumerate(zip(asked, known, strict=True))
        if isinstance(subject, DeclaredTable) and each.snapshot.failure
    }
    cases = [
        case(part.operation, asked[place][0].site, known[place].snapshot.found, asked[place][2])
        for place, each in parts.items()
        for part in each
    ]
    snapshots = iter(compare(connection, cases))
    return [
        replace(each, alone=[(part, next(snapshots)) for part in parts[place]])
        if place in parts
        else each
        for place, each in enumerate(known)
    ]


def _unknown(history: History) -> Iterator[Row]:
    """Yield a row for each recorded migration that the installed apps neither have nor replace."""
    for app, name in history.unknown:
        found = f"{app}.{name} is recorded as applied, and {app} has no such migration"
        prune = f"install the code that has it, or, if it is gone for good, migrate --prune {app}"
        table = quoted(MigrationRecorder.Migration._meta.db_table)
        finding = Finding("migration", name, table, Status.UNDECLARED, found, fix=prune)
        yield Row(finding, f"{app}.{name}")


def _no_model(table: str) -> Any:
    """Return a stand-in for a model, of which only the name of the table is used."""
    meta = type("Meta", (), {"db_table": table})
    return type("NoModel", (), {"_meta": meta})
