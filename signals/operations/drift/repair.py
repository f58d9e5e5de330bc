"""Repair the findings of a survey: run the operation of each component, one migrator at a time."""

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

_PASSES = (
    5  # each builds components that the next one needs; only tables in a circle need more than two
)

# Components that others need come first.
_ORDER = ("enum", "table", "column", "rows", "index", "unique", "check", "exclusion", "foreign key")


@dataclass(frozen=True, slots=True)
class Repaired:
    """The survey after a repair, and the rows that could not be repaired, each with the reason."""

    survey: Survey
    failures: tuple[tuple[Row, str], ...] = ()


def repair(
    connection: BaseDatabaseWrapper,
    look: Callable[[], Survey],
    *,
    replacing: bool = False,
    say: Callable[[str], None],
) -> Repaired:
    """Run the operations of the missing and unfinished components, and return the survey after them.

    Hold the migrators' lock, as `migrate` does. If a component cannot be repaired, report it and repair the
    others. Run the operations again while that helps, because one component may need another one. A killed
    run leaves the same as a killed `migrate`, and the next run continues there.

    look: surveys the database.
    replacing: whether to replace the components that differ and can be replaced.
    say: is called with a line about each component.
    """
    with migrators_lock.hold_migrators_lock(connection) as still_alone:
        before = look()
        for _ in range(_PASSES):
            todo = in_order(row for row in before.rows if row.is_repairable(replacing=replacing))
            failures = []
            for row in todo:
                still_alone()
                say(f"repairing {_row_label(row)}")
                reason = _run(connection, row)
                failures += [(row, reason)] if reason else []
            after = look()
            left = [row for row in after.rows if row.is_repairable(replacing=replacing)]
            if not left or {_row_label(row) for row in left} >= {_row_label(row) for row in todo}:
                break
            before = after
        return Repaired(after, tuple(failures))


def statements(row: Row) -> list[Statement]:
    """Return the steps that repair the row, each with the condition under which a script skips it."""
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
    """Return the foreign keys of a missing table that wait for another table."""
    if row.operation is None or row.site is None:
        return []
    return row.operation.postponed_script(row.site)


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Return the rows in the order of their dependencies, tables after those that they refer to.

    If tables refer to each other in a circle, the foreign key to the later one is postponed.
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
    """Run the row's operation; return why it failed, or an empty string."""
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
    """Return whether the step drops the index of that name."""
    return step.sql.startswith("DROP INDEX") and step.sql.endswith(f'"{name}"')


def _row_label(row: Row) -> str:
    return f"{row.finding.label} ({row.migration})"
