"""Read which migrations are recorded as applied, and say why where none can be seen."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.apps import apps
from django.db import router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader

from ..catalog.records import RECORDER_TABLE, Records, records_of
from ..catalog.schemas import applied_migrations
from ..execution.settings import has_tenants, in_schema, is_schema_named, is_shared
from .history import History, ModelKey
from .rows import Problem

_TABLES = ("f", "p", "r")  # in which Django looks for its records


class Unreadable(Exception):
    """The database cannot be surveyed.

    fix: what to do, unless the text says it.
    is_misconfigured: whether the project's migrations or settings are the reason, and not the server.
    """

    def __init__(self, text: str, *, fix: str = "", is_misconfigured: bool = False) -> None:
        super().__init__(text)
        self.fix, self.is_misconfigured = fix, is_misconfigured

    def problem(self, alias: str) -> Problem:
        """Return the reason as one that is reported of the database."""
        return Problem(alias, str(self), self.fix, is_misconfigured=self.is_misconfigured)


class NothingRecorded(Unreadable):
    """No migration is recorded as applied, as before the first `migrate`; so nothing can be judged."""


def readable_records(connection: BaseDatabaseWrapper) -> Records:
    """Return where migrations are recorded; raise Unreadable if a right or a setting hides that place."""
    found = records_of(connection)
    for hidden in _hidden(found):
        raise Unreadable(f"the database {connection.alias!r} cannot be judged: {hidden}")
    return found


def judged_migrations(connection: BaseDatabaseWrapper, records: Records) -> tuple[ModelKey, ...]:
    """Return the migrations that are recorded as applied, each as (app, name)."""
    is_of_another = has_tenants(connection) and records.place != records.schema
    if records.kind not in _TABLES or is_of_another:
        return ()
    return applied_migrations(connection, [records.table])[records.table]


def judged_schema(connection: BaseDatabaseWrapper, records: Records) -> str:
    """Return the schema whose tables are judged: the one named, or else the one with the records."""
    is_apart = records.kind in _TABLES and not is_schema_named(connection)
    return records.place if is_apart else records.schema or ""


def why_nothing_is_seen(
    connection: BaseDatabaseWrapper, records: Records, loader: MigrationLoader, history: History
) -> str:
    """Return why the database declares nothing; '' if it does, or if no migration is for it."""
    if history.applied or not _has_models_for(connection, loader):
        return ""
    what = f"no migration is recorded as applied in the database {connection.alias!r}"
    if number := len(loader.applied_migrations):
        reason = f"the {number:,} that {records.table} records are none of this project's"
        return f"{what}: {reason} (let DATABASES name the database that is meant)"
    if records.kind in _TABLES:
        return f"{what}: {records.table} is empty, as before the first migrate (run migrate)"
    if records.kind:
        return f"{what}: {records.table} is a view, and Django reads its records from a table"
    others = ", ".join([*records.elsewhere, *records.closed])
    if others:
        lead = f"the search_path {records.path} leads to none of the records in {others}"
        return f"{what}: {lead} (set the search_path, or run migrate)"
    place = f"schema {records.schema} has no table {RECORDER_TABLE}"
    return f"{what}: {place}, as before the first migrate (run migrate)"


def why_schemas_show_nothing(
    connection: BaseDatabaseWrapper, pattern: str, histories: Sequence[History]
) -> str:
    """Return why none of the schemas like the pattern declares anything; '' if one does, or none is there."""
    if not histories or any(each.applied for each in histories):
        return ""
    return (
        f"no migration is recorded as applied in any schema like {pattern} of the database "
        f"{connection.alias!r}, as before the first migrate (run migrate)"
    )


@contextmanager
def beside_records(connection: BaseDatabaseWrapper) -> Iterator[bool]:
    """Run the block such that new tables are created beside the records of migrations.

    If the role's own schema stands before that of the records by "$user" alone, put the latter in front.
    Yield whether that was so.
    """
    found = records_of(connection)
    is_apart = found.is_roles and found.kind in _TABLES and found.place != found.schema
    if not is_apart or is_schema_named(connection) or is_shared(connection):
        yield False
        return
    with in_schema(connection, found.place):
        yield True


def _hidden(found: Records) -> Iterator[str]:
    """Yield why the place of the records cannot be seen, with the grant or the setting to change."""
    on_path = {each.strip().strip('"') for each in found.path.split(",")}
    closed = [each for each in found.closed if each.strip('"') in on_path]
    places = ", ".join(closed or found.closed)
    if closed or (found.closed and found.schema is None):
        yield (
            f"role {found.role} may not use the schema {places}, in which migrations are recorded "
            f"(GRANT USAGE ON SCHEMA {places} TO {found.role}; "
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {places} TO {found.role})"
        )
    elif found.schema is None:
        where = f"; migrations are recorded in {', '.join(found.elsewhere)}" * bool(found.elsewhere)
        path = found.path or "''"
        yield (
            f"the search_path {path} of role {found.role} leads to no schema that it may use{where} "
            f"(ALTER ROLE {found.role} SET search_path = …, or GRANT USAGE ON SCHEMA … TO {found.role})"
        )
    elif found.kind in _TABLES and not found.readable:
        yield (
            f"role {found.role} may not read {found.table}, in which migrations are recorded "
            f"(GRANT SELECT ON {found.table} TO {found.role})"
        )
    elif found.kind in _TABLES and found.hides_rows:
        yield (
            f"row level security hides rows of {found.table}, in which migrations are recorded, from "
            f"role {found.role} (ALTER TABLE {found.table} DISABLE ROW LEVEL SECURITY, or read as a role "
            "with BYPASSRLS)"
        )


def _has_models_for(connection: BaseDatabaseWrapper, loader: MigrationLoader) -> bool:
    """Return whether the routers let a model of an app with migrations into the database."""
    return any(
        model._meta.can_migrate(connection) and router.allow_migrate_model(connection.alias, model)
        for label in loader.migrated_apps
        for model in apps.get_app_config(label).get_models()
    )
