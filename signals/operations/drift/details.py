"""What a declaration implies besides its parts: a logged table, its comments, sequences that reach far."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from ..catalog.details import Details, Sequence, plain_name
from ..catalog.tables import Table
from ..components.comments import compare_comment
from ..findings import Finding, Source, Status
from ..site import AnyField, Site
from .history import TABLE_SOURCE
from .reconciling import Reconciling

INTEGER_RANGES = {
    "smallint": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}


def with_persistence(finding: Finding, found: Table | None) -> Finding:
    """Return the finding on a table, which differs if a crash of the server would empty it."""
    if found is None or finding.status is not Status.EXISTS or not found.unlogged:
        return finding
    fix = f"ALTER TABLE {finding.table} SET LOGGED;"
    note = "a crash of the server empties it, and standby servers do not have its rows"
    return replace(
        finding, status=Status.DIFFERENT, found="UNLOGGED", wanted="LOGGED", fix=fix, note=note
    )


def with_triggers(finding: Finding, found: Table | None) -> Finding:
    """Return the finding on a foreign key, which differs if its triggers do not fire."""
    idle = found.details.idle if found and found.details else ()
    if finding.status is not Status.EXISTS or finding.name not in idle:
        return finding
    return replace(
        finding,
        status=Status.DIFFERENT,
        found=f"{finding.found}, with disabled triggers",
        fix=f"ALTER TABLE {finding.table} ENABLE TRIGGER ALL; the same for the table that it refers to; "
        "then look for rows without a target, which were not refused meanwhile",
    )


def details(
    site: Site, fields: Iterable[AnyField], found: Table
) -> Iterator[tuple[Source, Reconciling, Finding]]:
    """Yield the findings on comments and sequences that are not as the declaration needs them.

    Each comes with what declares it, and with its repair.
    """
    if found.details is None:
        return
    for source, finding in _findings(site, fields, found, found.details):
        yield source, Reconciling(finding.component, finding.name, finding.fix), finding


def _findings(
    site: Site, fields: Iterable[AnyField], found: Table, there: Details
) -> Iterator[tuple[Source, Finding]]:
    options: Any = site.model._meta
    wanted = options.db_table_comment
    finding = compare_comment(site, options.db_table, there.comment, wanted)
    if wanted and not finding.status.is_right:
        yield TABLE_SOURCE, finding
    for field in fields:
        column, source = str(field.column), Source("field", field.name)
        if found.column(column) is None:
            continue
        comment = there.comments.get(column)
        finding = compare_comment(site, column, comment, field.db_comment, column)
        if field.db_comment and not finding.status.is_right:
            yield source, finding
        for sequence in there.sequences:
            if sequence.column == column:
                for finding in _sequence(site, sequence, found):
                    yield source, finding


def _sequence(site: Site, sequence: Sequence, found: Table) -> Iterator[Finding]:
    """Yield a finding on a sequence that ends before its column's type does, or that begins again."""
    column = found.column(sequence.column)
    kind = column.type if column and column.numbered else ""
    if kind not in INTEGER_RANGES:
        return
    least, most = INTEGER_RANGES[kind]
    is_ending = sequence.most < most if sequence.step > 0 else sequence.least > least
    if not (is_ending or sequence.cycles):
        return
    end = f"MAXVALUE {most}" if sequence.step > 0 else f"MINVALUE {least}"
    own_end = f"MAXVALUE {sequence.most}" if sequence.step > 0 else f"MINVALUE {sequence.least}"
    cycle = {True: " CYCLE", False: " NO CYCLE"}
    fix = f"ALTER SEQUENCE {sequence.name} AS {kind} {end} NO CYCLE;"
    yield Finding(
        *("sequence", plain_name(sequence.name), site.table, Status.DIFFERENT),
        found=f"INCREMENT {sequence.step} {own_end}{cycle[sequence.cycles]}",
        wanted=f"INCREMENT {sequence.step} {end}{cycle[False]}",
        fix=fix,
        replaceable=True,
    )
