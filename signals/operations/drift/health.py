"""The health of what is declared: sequences, keys near their end, collations and indexes of no use."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.template.defaultfilters import filesizeformat

from ..catalog.details import Sequence as OwnedSequence
from ..catalog.details import plain_name
from ..catalog.health import ChangedCollation, Position, Vitals, read_vitals
from ..catalog.indexes import Index
from ..catalog.query import quoted
from ..catalog.tables import Table
from ..errors import is_overtaken
from ..execution.policy import LockPolicy
from ..findings import Finding, Status
from ..site import Site
from .catching_up import CatchingUp, caught_up
from .details import INTEGER_RANGES
from .rows import Row

_DAY = 86_400.0

_NEAR_THE_END = 0.75  # the part of a key's numbers that may be used before it is told
WORTH_A_NOTE = 10 * 2**20  # bytes; what a smaller index costs is not worth a note
_MIN_SCANS = 100  # of a table, before it is told that none of them used an index
_MIN_DAYS, _MIN_ROWS, _MAX_DAYS = 1, 1_000, 36_500  # of statistics that tell when a key ends

# Where a declared component is found: its table and its name.
_Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DeclaredFound:
    """A declared table that was found, and where operations on it run."""

    site: Site
    found: Table

    @property
    def name(self) -> str:
        """Return the quoted name of the table, as its rows have it."""
        return self.site.table


def health_rows(
    connection: BaseDatabaseWrapper,
    tables: Sequence[DeclaredFound],
    rows: Iterable[Row],
    records: str,
) -> Iterator[Row]:
    """Yield a row for each sequence, collation and index of the tables that is not well.

    Take one round trip. Yield nothing if another session drops one of the tables meanwhile.

    rows: those on the tables. records: the quoted name of the table in which migrations are recorded.
    """
    if not tables:
        return
    try:
        vitals = read_vitals(connection, [each.found for each in tables], records)
    except DatabaseError as error:
        if connection.needs_rollback or not is_overtaken(error):
            raise
        return
    yield from rows_by_vitals(tables, vitals, rows)


def rows_by_vitals(
    tables: Iterable[DeclaredFound], vitals: Vitals, rows: Iterable[Row]
) -> Iterator[Row]:
    """Yield a row for each sequence, collation and index of the tables that the facts say is not well.

    rows: those on the tables.
    """
    known = {(row.finding.table, row.finding.name): row for row in rows}
    unused_days = LockPolicy.from_settings().index_unused_days
    for table in tables:
        yield from _of_sequences(table, vitals, known)
        yield from _of_indexes(table, vitals, known, unused_days)
    for collation in vitals.collations:
        yield Row(_of_collation(collation, vitals.database), "")


def _of_sequences(
    table: DeclaredFound, vitals: Vitals, known: Mapping[_Place, Row]
) -> Iterator[Row]:
    for sequence in table.found.details.sequences if table.found.details else ():
        position = vitals.positions.get(sequence.name)
        column = table.found.column(sequence.column)
        if position is None or column is None or column.type not in INTEGER_RANGES:
            continue
        facts, fixes = [], []
        is_behind = _is_behind(sequence, position)
        if is_behind:
            facts.append(
                f"its next value is {_next_value(sequence, position)}, and {sequence.column} reaches "
                f"{position.furthest}: an insert that leaves the key to it will fail"
            )
            fixes.append(f"SELECT {caught_up(table.found, sequence)};")
        if nearness := nearness_to_end(sequence, position, column.type, vitals, table.found.oid):
            facts.append(nearness)
            fixes.append(
                f"give {sequence.column}, and the columns that refer to it, a larger type by a migration"
                if column.type != "bigint"
                else "restart the sequence where numbers are free"
            )
        if facts:
            row = known.get((table.name, sequence.column))
            finding = _finding("sequence", plain_name(sequence.name), table.name, facts, fixes)
            operation = CatchingUp(table.found, sequence) if is_behind else None
            yield Row(finding, row.migration if row else "", operation, table.site)


def _finding(
    component: str, name: str, table: str, facts: Sequence[str], fixes: Sequence[str]
) -> Finding:
    found, fix = "; ".join(facts), " ".join(fixes)
    return Finding(component, name, table, Status.HEALTH, found, fix=fix)


def _next_value(sequence: OwnedSequence, position: Position) -> int:
    return position.last_value + sequence.step * position.is_called


def _is_behind(sequence: OwnedSequence, position: Position) -> bool:
    """Return whether the sequence has still to give a value that its column has."""
    if position.furthest is None or sequence.cycles:
        return False
    ahead = _next_value(sequence, position) - position.furthest
    return ahead <= 0 if sequence.step > 0 else ahead >= 0


def nearness_to_end(
    sequence: OwnedSequence, position: Position, kind: str, vitals: Vitals, oid: int
) -> str:
    """Return how near to its end the key is, and when it ends; empty if it is far."""
    least, most = INTEGER_RANGES[kind]
    is_upwards = sequence.step > 0
    end = min(most, sequence.most) if is_upwards else max(least, sequence.least)
    values = [position.last_value] * position.is_called
    values += [] if position.furthest is None else [position.furthest]
    used = (max if is_upwards else min)(values, default=0)
    if end == 0 or used / end < _NEAR_THE_END:
        return ""
    text = f"{int(100 * used / end)} % of its numbers are used, {used} of {end}"
    days = ((vitals.now - vitals.since) / _DAY) if vitals.since is not None else 0.0
    rows = vitals.tables[oid].inserted if oid in vitals.tables else 0
    if days < _MIN_DAYS or rows < _MIN_ROWS:
        return text
    left = (end - used) / sequence.step / (rows / days)
    end_of_it = f", until about {_date(vitals.now + left * _DAY)}" if left < _MAX_DAYS else ""
    return f"{text}; {rows / days:,.0f} rows come a day{end_of_it}"


def _of_indexes(
    table: DeclaredFound, vitals: Vitals, known: Mapping[_Place, Row], unused_days: float
) -> Iterator[Row]:
    found = table.found
    rows = {each.name: known.get((table.name, each.name)) for each in found.indexes}
    undeclared = {
        name for name, row in rows.items() if row and row.finding.status is Status.UNDECLARED
    }
    for index in found.indexes:
        use = vitals.indexes.get(index.oid)
        if use is None or use.size < WORTH_A_NOTE or not _may_go(index):
            continue
        row = rows[index.name]
        facts = []
        since = _unused_since(index, found, vitals, row)
        if since is not None and since <= vitals.now - unused_days * _DAY:
            facts.append(f"no query on this server has used it since {_date(since)}")
        if other := _container(index, found, undeclared):
            facts.append(f"{other} contains it")
        if facts:
            size = filesizeformat(use.size).replace("\xa0", " ")
            fix = "if no standby server uses it either, " * (since is not None and not other)
            fix += "remove it by a migration (a field's by db_index=False)"
            if index.name in undeclared:
                fix = f"DROP INDEX CONCURRENTLY {quoted(found.schema)}.{quoted(index.name)};"
            finding = _finding("index", index.name, table.name, [*facts, f"it has {size}"], [fix])
            yield Row(finding, row.migration if row else "")


def _may_go(index: Index) -> bool:
    """Return whether nothing but the speed of queries depends on the index."""
    serves = index.constraint or index.identity or index.referenced or index.clustered
    return index.valid and not (serves or index.part_of)


def _unused_since(index: Index, found: Table, vitals: Vitals, row: Row | None) -> float | None:
    """Return since when no query has used the index; None if it was used, is unique, or serves a key.

    An index that a foreign key's column begins with is for the deletions in the other table.
    """
    use, table = vitals.indexes[index.oid], vitals.tables.get(found.oid)
    keys = [each.columns for each in found.constraints if each.kind == "f"]
    serves_key = any(index.keys[0][0] in (key[0], quoted(key[0])) for key in keys if key)
    if index.unique or serves_key or vitals.since is None or table is None:
        return None
    if table.scans < _MIN_SCANS or (use.scans and use.last_scan is None):
        return None
    age = vitals.applied.get(row.migration, vitals.since) if row else vitals.since
    return max(vitals.since, age, use.last_scan or 0.0)


def _container(index: Index, found: Table, undeclared: set[str]) -> str:
    """Return the name of another index that can do all that this one does; empty if there is none.

    Of two that are the same it is one alone that the other contains: the undeclared one, or the later name.
    """

    def rank(each: Index) -> tuple[bool, str]:
        return each.name in undeclared, each.name

    for other in found.indexes:
        if other.oid != index.oid and _contains(other, index):
            is_spare = _may_go(other) and _contains(index, other)
            if not is_spare or rank(index) > rank(other):
                return other.name
    return ""


def _contains(other: Index, index: Index) -> bool:
    """Return whether the index is the beginning of the other one."""
    columns = {*other.include, *(key[0] for key in other.keys)}
    is_part = (
        other.valid
        and other.method == index.method == "btree"
        and other.predicate == index.predicate
        and other.keys[: len(index.keys)] == index.keys
        and columns.issuperset(index.include)
    )
    is_as_strict = (
        other.unique
        and other.keys == index.keys
        and other.nulls_not_distinct == index.nulls_not_distinct
    )
    return is_part and (is_as_strict or not index.unique)


def _of_collation(collation: ChangedCollation, database: str) -> Finding:
    name = collation.name or quoted(database)
    what, version = (
        ("COLLATION", "VERSION") if collation.name else ("DATABASE", "COLLATION VERSION")
    )
    steps = [f"REINDEX INDEX CONCURRENTLY {each};" for each in collation.indexes]
    steps.append(f"ALTER {what} {name} REFRESH {version};")
    number = len(collation.indexes)
    built = "index was built" if number == 1 else "indexes were built"
    facts = [
        f"its version was {collation.recorded}, and is {collation.actual}",
        f"{number:,} {built} by what may be another order of texts: queries may miss rows",
    ]
    return _finding("collation", collation.name or database, "", facts, steps)


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
