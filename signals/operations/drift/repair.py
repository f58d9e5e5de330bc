"""Puts right what a survey finds: the plan of each component again, one migrator at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..components import guards
from ..components.foreign_keys import (
    referenced,
    script_foreign_key,
)
from ..errors import ConvergenceError, MigratorsLockLost
from ..execution import migrators_lock
from ..findings import Status
from ..statements import Statement
from .rows import Row, Survey

_PASSES = 5  # each brings what the next one stands on; more than two need tables in a circle

# What others stand on goes first.
_ORDER = ("enum", "table", "column", "rows", "index", "unique", "check", "exclusion", "foreign key")


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair came to: the survey after it, and what it could not do, each with the reason."""

    survey: Survey
    failures: tuple[tuple[Row, str], ...] = ()


def repair(
    connection: BaseDatabaseWrapper,
    look: Callable[[], Survey],
    *,
    replacing: bool = False,
    say: Callable[[str], None],
) -> Repaired:
    """Runs the operations of what is missing or unfinished, and verifies again.

    One migrator at a time, as `migrate`. What cannot be done is told, and the rest is done. A run that
    dies leaves what `migrate` would leave, and the next one continues. Runs again while that helps,
    since what one component lacks another one may bring.

    look: surveys the database. replacing: what differs and can be replaced is replaced too.
    """
    with migrators_lock.hold_migrators_lock(connection) as still_alone:
        before = look()
        for _ in range(_PASSES):
            todo = in_order(row for row in before.rows if row.is_repairable(replacing=replacing))
            failures = []
            for row in todo:
                still_alone()
                say(f"repairing {_name(row)}")
                reason = _run(connection, row)
                failures += [(row, reason)] if reason else []
            after = look()
            left = [row for row in after.rows if row.is_repairable(replacing=replacing)]
            if not left or {_name(row) for row in left} >= {_name(row) for row in todo}:
                break
            before = after
        return Repaired(after, tuple(failures))


def statements(row: Row) -> list[Statement]:
    """The steps that put the row right, each with the condition under which it is done."""
    operation, site = row.operation, row.site
    if operation is None or site is None:
        return []
    finding = row.finding
    if finding.status is Status.MISSING and finding.component == "foreign key":
        return script_foreign_key(site, site.field(operation.name))  # type: ignore[attr-defined]
    if finding.status is Status.MISSING or operation.has_safe_script:
        steps = operation.script(site)
        return steps[:1] if finding.component == "table" else steps  # the others are its parts
    snapshot = operation.with_row_facts(site, operation.read(site), forwards=True)
    unless = guards.negated(guards.has_index(site.table, finding.name, valid=False))
    return [
        replace(step, unless=unless) if _drops(step, finding.name) else step
        for step in operation.plan(site, snapshot)
    ]


def postponed(row: Row) -> list[Statement]:
    """The foreign keys of a missing table that wait for another one."""
    if row.operation is None or row.site is None:
        return []
    return row.operation.postponed_script(row.site)


def in_order(rows: Iterable[Row]) -> list[Row]:
    """What others stand on first; of tables those before that the foreign keys of others lead to.

    Where tables refer to each other in a circle, the foreign key to the later one waits for it.
    """
    listed = list(rows)
    tables = list(_by_reference([row for row in listed if row.finding.component == "table"]))
    others = [row for row in listed if row.finding.component != "table"]
    ordered = [
        _postponing(row, frozenset(each.finding.table for each in tables[place:]))
        for place, row in enumerate(tables, 1)
    ]
    return sorted([*ordered, *others], key=_rank)


def _postponing(row: Row, tables: frozenset[str]) -> Row:
    if row.operation is None:
        return row
    return replace(row, operation=row.operation.postponing(tables))


def _rank(row: Row) -> int:
    own = row.operation.component if row.operation else ""
    component = own or row.finding.component
    return _ORDER.index(component) if component in _ORDER else len(_ORDER)


def _by_reference(tables: Sequence[Row]) -> Iterator[Row]:
    by_name = {row.finding.table: row for row in tables}
    done: set[str] = set()

    def visit(name: str) -> Iterator[Row]:
        if name in done or name not in by_name:
            return
        done.add(name)
        row = by_name[name]
        if row.site is not None and row.operation is not None:
            for other in referenced(row.site, row.operation.declared(row.site)):
                yield from visit(other)
        yield row

    for name in by_name:
        yield from visit(name)


def _run(connection: BaseDatabaseWrapper, row: Row) -> str:
    """Why it could not be done, or nothing."""
    if row.operation is None or row.site is None:
        return ""
    operation = row.operation
    site = replace(row.site, migration=row.migration, limits=operation.limits)
    try:
        operation.converge(site, forwards=True)
    except MigratorsLockLost:
        raise
    except ConvergenceError as error:
        return str(error)
    except DatabaseError as error:
        if not connection.is_usable():
            raise
        return str(error)
    return ""


def _drops(step: Statement, name: str) -> bool:
    return step.sql.startswith("DROP INDEX") and step.sql.endswith(f'"{name}"')


def _name(row: Row) -> str:
    return f"{row.finding.label} ({row.migration})"
