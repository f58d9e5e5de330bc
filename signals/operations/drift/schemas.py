"""Survey many schemas of a database, comparing what is the same in them once; repair each by itself."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import BadMigrationError, NodeNotFoundError
from django.db.migrations.recorder import MigrationRecorder

from ..catalog.query import quoted
from ..catalog.questions import ask_in_schemas
from ..catalog.schemas import FoundSchema, applied_migrations, current_place, schemas_like
from ..catalog.tables import Table
from ..errors import ConvergenceError, Refused
from ..execution.second_session import cancel
from ..execution.settings import has_tenants, in_schema, naming_schemas
from ..execution.waiting import retry_without_timeouts
from ..findings import Finding, Status
from ..names import NAME
from .health_in_schemas import DeclaredInSchemas, health_rows_in_schemas
from .history import migration_graph, replay
from .records import why_schemas_show_nothing
from .repair import Repaired, repair
from .rows import Problem, Row, Survey, unjudged
from .subjects import TABLE_KINDS, DeclaredTable, Subject
from .survey import Declared, snapshots_for

logger = logging.getLogger(NAME)


SurveyMaker = Callable[[BaseDatabaseWrapper], Survey]


@dataclass(frozen=True, slots=True)
class Schemas:
    """The survey of the schemas whose names are LIKE a pattern.

    names: the schemas that were surveyed.
    surveys: those of the schemas in which something is not right, undeclared or accepted.
    counts: the components of all schemas, by status.
    unreadable: the schemas that the role may not read.
    unmigrated: the schemas for which no migration is recorded.
    unseen: why none of the schemas declares anything, if none does.
    stale: a line for each accepted finding that is over, or found in none of the schemas.
    """

    database: str
    pattern: str
    names: tuple[str, ...]
    surveys: tuple[Survey, ...]
    counts: Counter[Status]
    unreadable: tuple[str, ...]
    unmigrated: tuple[str, ...]
    unseen: str = ""
    stale: tuple[str, ...] = ()

    def is_clean(self, *, strict: bool = False) -> bool:
        """Return whether every component of every schema exists, or is absent, as declared."""
        return all(each.is_clean(strict=strict) for each in self.surveys)

    @property
    def unjudged(self) -> list[Problem]:
        """Return the reasons why components could not be judged."""
        rows = (row for each in self.surveys for row in each.rows)
        return unjudged(self.database, (row.finding for row in rows))


@dataclass(frozen=True, slots=True)
class Result:
    """What the repair of one schema came to.

    failure: the error that ended the repair early, if any.
    """

    schema: str
    done: Repaired | None = None
    failure: str = ""

    def reasons(self) -> Iterator[str]:
        """Yield a line for each reason why the schema is not wholly repaired."""
        if self.failure:
            yield self.failure
        for row, reason in self.done.failures if self.done else ():
            yield f"{row.finding.label}: {reason}"


def survey_schemas(
    connection: BaseDatabaseWrapper,
    pattern: str,
    app_label: str | None = None,
    migration: str | None = None,
    then: Callable[[Survey], Survey] | None = None,
) -> Schemas:
    """Survey each schema by the migrations that are recorded for it; change nothing.

    then: is called in each schema with its survey, and returns the one that is to be taken.

    The survey takes six round trips, whatever the number of schemas and tables, and one for each further
    thousand schemas. A schema with a partitioned table, with a build that goes on or with rows to fill is
    surveyed by itself.
    """
    declare = partial(Declared, app_label=app_label, migration=migration)
    ask = partial(_survey_together, connection, pattern, declare, then)
    with naming_schemas(connection):
        return retry_without_timeouts(connection, ask, heeds_lock_timeout=True)


def repair_schemas(  # noqa: PLR0913 - what `repair` takes, for many
    connection: BaseDatabaseWrapper,
    names: Sequence[str],
    look: SurveyMaker,
    *,
    jobs: int = 1,
    replacing: bool = False,
    say: Callable[[str], None],
) -> Generator[Result]:
    """Repair each schema, `jobs` at a time, and yield a result for each one when it ends.

    A failure in one schema does not stop the others. A killed run is continued by the next one, which finds
    what is left. Several jobs have a connection each.

    look: surveys the schema that the connection is in.
    """

    work = _Work(connection, look, say, replacing=replacing)
    if jobs == 1:
        yield from map(work.repair, names)
        return
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(work.repair, name) for name in names]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            while wait(futures, timeout=0.1).not_done:
                work.stop()
            raise


class _Work:
    """The repair of a schema, as a job of one thread, and the end of all jobs."""

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        look: SurveyMaker,
        say: Callable[[str], None],
        *,
        replacing: bool,
    ) -> None:
        self._connection, self._look, self._say = connection, look, say
        self._replacing = replacing
        self._stopping = threading.Event()
        self._busy: set[BaseDatabaseWrapper] = set()

    def repair(self, name: str) -> Result:
        """Repair the schema over the connection of this thread, which is closed if it is not the caller's."""
        own = connections[self._connection.alias]
        self._busy.add(own)
        try:
            with own.execute_wrapper(self._unless_stopped), in_existing_schema(own, name):
                look, say = partial(self._look, own), partial(self._report, name)
                return Result(name, repair(own, look, replacing=self._replacing, say=say))
        except _Stopped:
            raise
        except (ConvergenceError, Error) as error:
            return Result(name, failure=str(error).strip())
        except Exception as error:
            logger.exception("the repair of schema %s", name)
            return Result(name, failure=f"{type(error).__name__}: {error}")
        finally:
            self._busy.discard(own)
            if own is not self._connection or not own.is_usable():
                own.close()

    def stop(self) -> None:
        """Keep the jobs from beginning anything more, and cancel their running statements."""
        self._stopping.set()
        for own in list(self._busy):
            cancel(own)

    def _report(self, name: str, text: str) -> None:
        self._say(f"{name}: {text}")

    def _unless_stopped(self, execute: Callable[..., Any], *statement: Any) -> Any:
        """Execute the statement, or raise _Stopped once the jobs are to end.

        A job that waits for another session polls the database, whatever it waits for, so it comes by here.
        """
        if self._stopping.is_set():
            raise _Stopped
        return execute(*statement)


class _Stopped(Exception):
    """Ends a job before its next statement."""


@contextmanager
def in_existing_schema(connection: BaseDatabaseWrapper, name: str) -> Iterator[None]:
    """Enter the schema, as `in_schema` does; raise Refused if it does not exist or may not be used.

    The search_path would otherwise lead into another schema, as after the schema was dropped.
    """
    with in_schema(connection, name):
        if current_place(connection).schema != name:
            reason = "it no longer exists, or the role may not use it"
            raise Refused(f"schema {name}", "", reason, "name schemas that exist")
        yield


@dataclass(frozen=True, slots=True)
class _Shape:
    """An enum or a table that is the same in several schemas.

    answer: what the catalog says of it in `first`, which is one of the schemas.
    """

    subject: Subject
    answer: Any
    first: FoundSchema
    schemas: tuple[str, ...]

    @property
    def needs_own_look(self) -> bool:
        """Return whether each of the schemas has to be surveyed by itself."""
        return isinstance(self.subject, DeclaredTable) and self.subject.needs_own_look(self.answer)


@dataclass(frozen=True, slots=True)
class _ShapeRows:
    """The rows of a shape, in which the names are those of its first schema.

    wrong: whether one of the rows is a finding, undeclared or awaits contract.
    """

    first: FoundSchema | None
    rows: tuple[Row, ...]
    wrong: bool


def _survey_together(
    connection: BaseDatabaseWrapper,
    pattern: str,
    declare: Callable[..., Declared],
    then: Callable[[Survey], Survey] | None,
) -> Schemas:
    found = schemas_like(connection, pattern, MigrationRecorder.Migration._meta.db_table)
    families, broken = _families(connection, found, declare)
    shapes = _shapes(connection, families)
    alone = {name for shape in shapes if shape.needs_own_look for name in shape.schemas}
    rows_of: dict[str, list[_ShapeRows]] = {schema.name: [] for schema in found if schema.readable}
    for declared, schemas in families:
        fixed_rows = _shape_rows(None, declared.fixed_rows)
        for schema in schemas:
            rows_of[schema.name].append(fixed_rows)
    judged = list(_rows_of_shapes(connection, [each for each in shapes if not each.needs_own_look]))
    for shape, of_shape in judged:
        for name in shape.schemas:
            rows_of[name].append(of_shape)
    for name, row in _health(connection, found, judged):
        rows_of[name].append(_shape_rows(None, [row]))
    surveys = [
        _broken_survey(connection, each, error) for error, schemas in broken for each in schemas
    ]
    counts = Counter(row.finding.status for each in surveys for row in each.rows)
    for declared, schemas in families:
        for schema in schemas:
            if schema.name in alone:
                with in_schema(connection, schema.name):
                    rows = tuple(declared.rows_with_health(schema.recorder_table))
                each = Survey(connection.alias, schema.name, declared.migrations, rows)
            else:
                each = _own_survey(connection, schema, declared, rows_of[schema.name])
            if then is not None and declared.migrations:
                with in_schema(connection, schema.name):
                    each = then(each)
            counts.update(row.finding.status for row in each.rows)
            is_told = any(row.accepted or row.is_shown for row in each.rows)
            surveys += [each] if is_told else []
    stale = [set(declared.stale()) for declared, _ in families]
    return Schemas(
        connection.alias,
        pattern,
        tuple(rows_of),
        tuple(sorted(surveys, key=lambda each: each.schema)),
        counts,
        tuple(schema.name for schema in found if not schema.readable),
        tuple(each.name for known, schemas in families if not known.migrations for each in schemas),
        why_schemas_show_nothing(connection, pattern, [known.history for known, _ in families]),
        tuple(sorted(set.intersection(*stale))) if stale else (),
    )


def _families(
    connection: BaseDatabaseWrapper,
    found: Iterable[FoundSchema],
    declare: Callable[..., Declared],
) -> tuple[list[tuple[Declared, list[FoundSchema]]], list[tuple[Exception, list[FoundSchema]]]]:
    """Return groups of schemas for which the same migrations are recorded, each with their declarations.

    The second list has the groups whose migrations cannot be replayed, each with the error.
    """
    families = []
    broken: list[tuple[Exception, list[FoundSchema]]] = []
    for applied, schemas in _by_applied(connection, found).items():
        try:
            history = replay(connection, migration_graph(applied))
        except (BadMigrationError, NodeNotFoundError) as error:
            broken.append((error, schemas))
            continue
        with _router_context(connection, schemas[0]):
            families.append((declare(connection, history), schemas))
    if broken and not families:
        raise broken[0][0]
    return families, broken


def _router_context(
    connection: BaseDatabaseWrapper, schema: FoundSchema
) -> AbstractContextManager[None]:
    """Return a context in which the routers see the connection in the schema.

    A router may decide by the connection's tenant which models belong into a schema.
    """
    if has_tenants(connection):
        return in_schema(connection, schema.name)
    return nullcontext()


def _by_applied(
    connection: BaseDatabaseWrapper, found: Iterable[FoundSchema]
) -> dict[tuple[tuple[str, str], ...], list[FoundSchema]]:
    """Return the schemas, grouped by the migrations that are recorded for them."""
    readable = [schema for schema in found if schema.readable]
    applied = applied_migrations(
        connection, sorted({schema.recorder_table for schema in readable if schema.recorder_table})
    )
    families: dict[tuple[tuple[str, str], ...], list[FoundSchema]] = {}
    for schema in readable:
        families.setdefault(applied.get(schema.recorder_table, ()), []).append(schema)
    return families


def _shapes(
    connection: BaseDatabaseWrapper, families: Sequence[tuple[Declared, Sequence[FoundSchema]]]
) -> list[_Shape]:
    asked = [(place, each) for place, (known, _) in enumerate(families) for each in known.subjects]
    places = [
        (place, each.name, each.path)
        for place, (_, schemas) in enumerate(families)
        for each in schemas
    ]
    answers = ask_in_schemas(
        connection, places, [subject.question(place) for place, subject in asked]
    )
    by_name = {each.name: each for _, schemas in families for each in schemas}
    return [
        _Shape(subject, alike.answer, by_name[alike.schemas[0]], alike.schemas)
        for (_, subject), alikes in zip(asked, answers, strict=True)
        for alike in alikes
    ]


def _rows_of_shapes(
    connection: BaseDatabaseWrapper, shapes: Sequence[_Shape]
) -> Iterator[tuple[_Shape, _ShapeRows]]:
    asked = [(shape.subject, shape.answer, shape.first.path) for shape in shapes]
    for shape, known in zip(shapes, snapshots_for(connection, asked), strict=True):
        yield shape, _shape_rows(shape.first, list(shape.subject.rows(known)))


def _health(
    connection: BaseDatabaseWrapper,
    found: Sequence[FoundSchema],
    judged: Sequence[tuple[_Shape, _ShapeRows]],
) -> Iterator[tuple[str, Row]]:
    """Yield schemas with rows on the health of their own tables; of those further back nothing."""
    tables = [
        DeclaredInSchemas(shape.subject.site, shape.answer, shape.schemas, of_shape.rows)
        for shape, of_shape in judged
        if isinstance(shape.subject, DeclaredTable)
        and isinstance(shape.answer, Table)
        and shape.answer.kind in TABLE_KINDS
        and shape.answer.schema == shape.first.name
    ]
    records = {each.name: each.recorder_table for each in found}
    return health_rows_in_schemas(connection, tables, records)


def _shape_rows(first: FoundSchema | None, rows: Sequence[Row]) -> _ShapeRows:
    return _ShapeRows(first, tuple(rows), any(row.is_shown for row in rows))


def _own_survey(
    connection: BaseDatabaseWrapper,
    schema: FoundSchema,
    declared: Declared,
    shape_rows: Sequence[_ShapeRows],
) -> Survey:
    """Return the survey of one schema, with its own name in the rows that may be shown."""
    rows = [
        _with_own_name(schema, each.first, row) if each.wrong and each.first else row
        for each in shape_rows
        for row in each.rows
    ]
    return Survey(
        connection.alias, schema.name, declared.migrations, tuple(declared.asked_for(rows))
    )


def _broken_survey(
    connection: BaseDatabaseWrapper, schema: FoundSchema, error: Exception
) -> Survey:
    """Return the survey of a schema for which migrations are recorded that do not fit together."""
    table = quoted(MigrationRecorder.Migration._meta.db_table)
    wanted = "each migration with those that it depends on"
    row = Row(Finding("declaration", "migrations", table, Status.DIFFERENT, str(error), wanted), "")
    return Survey(connection.alias, schema.name, 0, (row,))


def _with_own_name(schema: FoundSchema, first: FoundSchema, row: Row) -> Row:
    """Return the row with the name of the schema in place of the first schema's.

    Two of its texts may contain that name: the definition of an index, and the fix.
    """
    finding = row.finding
    found, fix = finding.found, finding.fix
    if found.startswith("CREATE "):
        found = found.replace(f" ON {first.printed}.", f" ON {schema.printed}.", 1)
    fix = fix.replace(f" {quoted(first.name)}.", f" {quoted(schema.name)}.", 1)
    return replace(row, finding=replace(finding, found=found, fix=fix))
