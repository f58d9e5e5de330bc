"""Judge a database by its shadow or by another database, and print its fingerprint."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from django.conf import settings
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader

from ..catalog.databases import database_facts
from ..catalog.objects import CatalogObject, find_schemas, read_objects
from ..catalog.respelling import INSUFFICIENT_PRIVILEGE, respelled
from ..catalog.schemas import search_path
from ..drift.accepted import AcceptedFindings
from ..drift.history import migration_graph
from ..drift.records import Unreadable, judged_migrations, judged_schema, readable_records
from ..drift.rows import Row, Survey
from ..errors import one_line, sqlstate
from ..execution.settings import has_tenants
from ..execution.shadow_database import drop_leftover_shadows
from ..execution.waiting import retry_without_timeouts
from .addresses import connection_of_url, place_of
from .comparing import ComparedObjects, Text, compare_objects
from .kept import KeptReplays, key_of, text_of
from .places import shadow_of
from .replaying import FailedMigration, recorded_plan, replay_into
from .rows import Comparison

_NO_RIGHT = (INSUFFICIENT_PRIVILEGE, "25006")  # read_only_sql_transaction


@dataclass(frozen=True, slots=True)
class ShadowRequest:
    """How a database is to be judged by its shadow.

    url: of the server where the shadow is made; empty for the database's own, or an embedded one.
    fresh: whether to replay though the replay of these migrations is kept.
    grants: whether to compare privileges. ignored: patterns of `kind name` that are not told.
    """

    url: str = ""
    fresh: bool = False
    grants: bool = False
    ignored: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the recorded migrations make, and those that failed.

    origins: the texts of all recorded migrations by label.
    """

    objects: Sequence[CatalogObject]
    failed: Sequence[FailedMigration] = ()
    origins: Mapping[str, str] = field(default_factory=dict)


def replayed(connection: BaseDatabaseWrapper, request: ShadowRequest) -> Replayed:
    """Return what the recorded migrations of the database make in an empty one.

    Take it from the file of an earlier run if the migrations, the versions and the settings are the same.
    Nothing is left of the empty database. A run that is killed leaves it to the next one to drop.

    Raise Unreadable if the records cannot be read, and NoPlace if no server is to be had.
    """
    if has_tenants(connection):
        raise Unreadable(
            f"the database {connection.alias!r} is of django-tenants, whose schemas have no shadow "
            "(leave out --shadow)",
            is_misconfigured=True,
        )
    recorded = _recorded(connection, request)
    kept = KeptReplays()
    known = None if request.fresh else kept.read(recorded.key)
    if known is not None and not connection.in_atomic_block:
        drop_leftover_shadows(connection)
    if known is None:
        known = _replay(connection, recorded, request)
        kept.write(recorded.key, *known)
    return Replayed(*known, recorded.origins)


def kept_replay(connection: BaseDatabaseWrapper, request: ShadowRequest) -> Replayed | None:
    """Return what an earlier run has kept of the replay of these migrations; replay and drop nothing.

    Return None if there is no file of it that this process may trust.
    """
    if has_tenants(connection):
        return None
    recorded = _recorded(connection, request)
    known = KeptReplays().read(recorded.key)
    return None if known is None else Replayed(*known, recorded.origins)


@dataclass(frozen=True, slots=True)
class _Recorded:
    """The recorded migrations of a database, where they are judged, and the key of their replay."""

    loader: MigrationLoader
    judged: str
    path: str
    origins: dict[str, str]
    key: str


def _recorded(connection: BaseDatabaseWrapper, request: ShadowRequest) -> _Recorded:
    records = readable_records(connection)
    loader = migration_graph(judged_migrations(connection, records))
    judged, path = judged_schema(connection, records), search_path(connection)
    plan = recorded_plan(loader)
    origins = {f"{each.app_label}.{each.name}": text_of(each) for each in plan}
    version = connection.pg_version  # type: ignore[attr-defined] # PostgreSQL's alone
    routers = [each if isinstance(each, str) else type(each) for each in settings.DATABASE_ROUTERS]
    facts = (version, judged, path, records.role, connection.alias, request.grants, routers)
    key = key_of(plan, *facts, database_facts(connection).clauses)
    return _Recorded(loader, judged, path, origins, key)


def _replay(
    connection: BaseDatabaseWrapper, recorded: _Recorded, request: ShadowRequest
) -> tuple[list[CatalogObject], list[FailedMigration]]:
    with shadow_of(connection, recorded.judged, recorded.path, request.url) as shadow:
        failed = replay_into(shadow, recorded.loader)
        schemas = find_schemas(shadow)
        return read_objects(shadow, recorded.judged, schemas, grants=request.grants), failed


def judged_by_shadow(
    connection: BaseDatabaseWrapper, survey: Survey, shadow: Replayed, request: ShadowRequest
) -> Survey:
    """Return the ordinary survey with rows for what only the shadow shows; change nothing.

    Take ACCESS SHARE on tables, and three round trips more than the ordinary survey.
    """
    schemas = sorted({each.name for each in shadow.objects if each.kind == "schema"})
    compared = _compared(connection, survey.schema, schemas, shadow.objects, grants=request.grants)
    comparison = Comparison(connection, compared, shadow.failed, shadow.origins, request.ignored)
    rows, accepted = _accepting(survey.database, comparison.with_rows(survey.rows))
    stale = tuple(accepted.stale(shadow=True))
    return replace(survey, rows=rows, stale=stale, has_shadow=True)


def of_app(survey: Survey, app_label: str, shadow: Replayed) -> Survey:
    """Return the survey with the rows of the app alone: those of its migrations, and on its tables.

    A row that no migration declares is the app's if it is about a table of which the app has another row.
    """
    apps = [row.migration.partition(".")[0] for row in survey.rows]
    own = [
        row.finding.table for row, app in zip(survey.rows, apps, strict=True) if app == app_label
    ]
    tables = {*own} - {""}
    rows = tuple(
        row
        for row, app in zip(survey.rows, apps, strict=True)
        if app == app_label or (not app and row.finding.table in tables)
    )
    number = sum(label.startswith(f"{app_label}.") for label in shadow.origins)
    return replace(survey, rows=rows, migrations=number, stale=())


def judged_by_other(
    connection: BaseDatabaseWrapper, other: BaseDatabaseWrapper, request: ShadowRequest
) -> Survey:
    """Return a survey whose rows are the differences from the other database; change neither.

    Each is judged in the schema in which its migrations are recorded, or else in its current schema.
    """
    judged, theirs = _schema_of(connection), _schema_of(other)
    wanted = read_objects(other, theirs, (), grants=request.grants)
    compared = _compared(connection, judged, (), wanted, grants=request.grants)
    rows = Comparison(connection, compared, ignored=request.ignored).with_rows(())
    number = len(judged_migrations(connection, readable_records(connection)))
    return Survey(connection.alias, judged, number, _accepting(connection.alias, rows)[0])


@contextmanager
def other_database(connection: BaseDatabaseWrapper, named: str) -> Iterator[BaseDatabaseWrapper]:
    """Yield a connection to the database of the alias or URL; close that of a URL in the end.

    Raise WrongAddress for a wrong URL, and Unreadable if the alias is no PostgreSQL.
    """
    if named in connections:
        other = connections[named]
        if other.vendor != "postgresql":
            text = f"the database {named!r} is {other.display_name}, not PostgreSQL"
            raise Unreadable(text, is_misconfigured=True)
        yield other
        return
    other = connection_of_url(named, "--against", connection)
    try:
        try:
            other.ensure_connection()
        except DatabaseError as error:
            place = place_of(other)
            raise Unreadable(f"{place} of --against cannot be read: {one_line(error)}") from error
        yield other
    finally:
        other.close()


def objects_of(
    connection: BaseDatabaseWrapper, *, grants: bool = False
) -> tuple[str, list[CatalogObject]]:
    """Return the schema that is judged, and its objects with those of the database."""
    judged = _schema_of(connection)
    return judged, read_objects(connection, judged, (), grants=grants)


def respell(connection: BaseDatabaseWrapper, judged: str, texts: Sequence[Text]) -> list[str]:
    """Return the texts as the server spells them once more; raise Unreadable if the role may not ask."""
    try:
        return respelled(connection, judged, texts)
    except DatabaseError as error:
        if sqlstate(error) not in _NO_RIGHT:
            raise
        text = f"definitions that are spelled differently cannot be compared: {one_line(error)}"
        fix = "GRANT TEMPORARY ON DATABASE … to the role, or the right that PostgreSQL names"
        raise Unreadable(text, fix=fix) from error


def _schema_of(connection: BaseDatabaseWrapper) -> str:
    return judged_schema(connection, readable_records(connection))


def _compared(
    connection: BaseDatabaseWrapper,
    judged: str,
    schemas: Sequence[str],
    wanted: Sequence[CatalogObject],
    *,
    grants: bool,
) -> ComparedObjects:
    def look() -> ComparedObjects:
        found = read_objects(connection, judged, schemas, grants=grants)
        return compare_objects(found, wanted, partial(respell, connection, judged))

    return retry_without_timeouts(connection, look, heeds_lock_timeout=True)


def _accepting(alias: str, rows: Sequence[Row]) -> tuple[tuple[Row, ...], AcceptedFindings]:
    """Return the rows, each with who accepts it, and the accepted findings of the database."""
    accepted = AcceptedFindings.of_settings(alias)
    asked = []
    for row in rows:
        entry = None if row.finding.status.is_right else accepted.entry(row.finding)
        asked.append(replace(row, accepted=entry))
    return tuple(asked), accepted
