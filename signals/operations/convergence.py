"""The loop of convergence: read, plan, send, read again."""

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import DatabaseError

from .catalog.contents import has_rows, is_empty
from .catalog.questions import find_table
from .catalog.tables import Table
from .components.indexes import drop_index
from .components.single_transaction import combine, is_combinable
from .components.snapshots import NextReading
from .contract import Contract
from .errors import (
    REFUSAL,
    NeedsAutocommit,
    NotConverged,
    RowsViolate,
    StatementRefused,
    is_overtaken,
    one_line,
    sqlstate,
)
from .execution.run import run_of
from .execution.send import fits_transaction, send
from .execution.violations import explain_violation
from .execution.waiting import OthersBuild, pauses, poll, retry_without_timeouts
from .findings import Finding, Snapshot, Status
from .names import NAME
from .refusals import refuse_different, refuse_statement, require_judged
from .site import Site
from .statements import Lock, Statement

_TRIES = 6  # of a plan that other sessions overtake

# What another session may be changing between two questions.
_UNSURE = (Status.UNFINISHED, Status.DIFFERENT)

logger = logging.getLogger(NAME)


def converge(operation: Contract, site: Site, *, forwards: bool) -> None:
    """Read, plan, send and read again until the plan is empty.

    A run that dies anywhere is continued by running it again. Raise NotConverged if the same statements are
    still needed after they ran. Try a few times more if other sessions overtake them.
    """
    sent: list[list[Statement]] = []
    refused: StatementRefused | None = None
    combines = True
    rest = pauses(1.0)
    while statements := needed(operation, site, forwards=forwards, combines=combines):
        if statements in sent:
            _require_progress(operation, statements, refused, len(sent))
            time.sleep(next(rest))
        sent.append(statements)
        refused = send_all(operation, site, statements)
        combines = combines and refused is None


def needed(
    operation: Contract, site: Site, *, forwards: bool, combines: bool = False
) -> list[Statement]:
    """Read the catalog and return the plan; combines: whether to combine the steps for an empty table."""

    def read_and_plan() -> list[Statement]:
        snapshot = read(operation, site, forwards=forwards)
        is_atomic = site.connection.in_atomic_block
        return plan(
            operation, site, snapshot, forwards=forwards, is_atomic=is_atomic, combines=combines
        )

    return retry_without_timeouts(site.connection, read_and_plan)


def read(operation: Contract, site: Site, *, forwards: bool) -> Snapshot:
    """Return a snapshot, once no other session builds one of the components.

    Read again until two readings agree, if something looks unfinished or different: a build may have ended
    while the catalog was read, or a column may have been dropped before the probe copied the table. Raise
    DifferentDefinition if the run stops here.
    """
    snapshot = Snapshot(None)
    findings: list[Finding] = []

    def is_settled() -> bool:
        nonlocal snapshot, findings
        snapshot = operation.read(site)
        before, findings = findings, operation.compare(site, snapshot)
        require_judged(operation, findings)
        statuses = {finding.status for finding in findings}
        if Status.BUILDING in statuses:
            if site.connection.in_atomic_block:  # which the build may be waiting for
                raise NeedsAutocommit(operation.describe(), "another session builds it")
            others.look(site.table)
        is_sure = statuses.isdisjoint(_UNSURE) or findings == before
        if Status.BUILDING in statuses or not is_sure:
            run_of(site.connection).answers.forget()
            return False
        return True

    with OthersBuild(site.connection, operation.describe()) as others:
        poll(is_settled)
    if forwards:
        require_no_stop(operation, findings, site.migration)
        for finding in findings:
            _announce(finding)
    return snapshot


def plan(  # noqa: PLR0913 - what a plan depends on
    operation: Contract,
    site: Site,
    snapshot: Snapshot,
    *,
    forwards: bool,
    is_atomic: bool,
    combines: bool,
    is_new: bool = False,
) -> list[Statement]:
    """Return the statements that build the declaration or, backwards, remove it.

    is_atomic: whether they run in one transaction; return them all the same if one of them cannot.
    combines: whether to combine the steps for an empty table.
    is_new: whether the table is still to be created, so that it has no rows to look for.
    """
    if not is_new:
        snapshot = operation.with_row_facts(site, snapshot, forwards=forwards)
    make = operation.plan if forwards else operation.plan_backwards
    statements = make(site, snapshot)
    if is_atomic and not all(each.transactional for each in statements):
        return statements  # refused on an empty table too, as on one with rows
    is_short = combines and bool(site.db_table) and is_combinable(statements)
    return (
        combine(statements)
        if is_short and (is_new or _is_empty(site, snapshot.found))
        else statements
    )


def require_no_stop(operation: Contract, findings: Iterable[Finding], migration: str = "") -> None:
    """Raise DifferentDefinition for the first finding at which a run stops, NotComparable if there is one."""
    findings = list(findings)
    require_judged(operation, findings)
    for finding in findings:
        if operation.stops_at(finding):
            refuse_different(operation, finding, migration)


def send_all(
    operation: Contract, site: Site, statements: Sequence[Statement]
) -> StatementRefused | None:
    """Send the statements in order; stop at one that another session overtook, and return its refusal.

    The next reading of the operation's table is sent together with the last of them, if that can be.
    """
    _require_transactional(operation, site, statements)
    reading = NextReading(operation, site) if operation.reads_table else None
    for before, statement in zip([None, *statements], statements, strict=False):
        try:
            if statement.lock is Lock.SHARE_UPDATE_EXCLUSIVE and not _keeps_builds_out(
                before, statement
            ):
                _give_way(operation, site, statement)
            _send(operation, site, statement, reading if statement is statements[-1] else None)
        except StatementRefused as error:
            if not (statement.part or is_overtaken(error.__cause__)):
                raise
            return error  # the catalog, read again, says what is still needed
    return None


def _require_progress(
    operation: Contract,
    statements: Sequence[Statement],
    refused: StatementRefused | None,
    tries: int,
) -> None:
    """Raise NotConverged, or the refusal, unless sending the same plan again may succeed."""
    if refused is None:
        raise NotConverged(operation.describe(), [statement.sql for statement in statements])
    if not is_overtaken(refused.__cause__) or tries > _TRIES:
        raise refused


def _announce(finding: Finding) -> None:
    """Log that a component is going to be healed or replaced, and the note of the finding."""
    verb = {Status.UNFINISHED: "healing the unfinished", Status.DIFFERENT: "replacing the"}
    if finding.status in verb:
        logger.warning("%s %s", verb[finding.status], finding.label)
    if finding.note:
        logger.warning("%s: %s", finding.label, finding.note)


def _is_empty(site: Site, found: Table | None) -> bool:
    if found is None:
        return False
    try:
        return is_empty(site.connection, found)
    except DatabaseError as error:
        if site.connection.in_atomic_block or not is_overtaken(error):
            raise
        return False  # the statements that the plan has then say what is the matter


def _require_transactional(
    operation: Contract, site: Site, statements: Sequence[Statement]
) -> None:
    """Raise NeedsAutocommit if a statement cannot run in the transaction that is open."""
    if not site.connection.in_atomic_block:
        return
    for statement in statements:
        if not fits_transaction(site.connection, statement):
            raise NeedsAutocommit(operation.describe(), statement.sql)


def _send(
    operation: Contract, site: Site, statement: Statement, reading: NextReading | None
) -> None:
    limits, question = operation.limits or site.limits, reading.sql if reading else ""
    try:
        rows = send(site.connection, statement, limits, question)
        if reading is not None:
            reading.take(rows)
    except RowsViolate as error:
        table = find_table(site.connection, statement.table)
        _require_rows_to_blame(operation, site, table, error)
        explained = explain_violation(site.connection, table, statement, error)
        _retreat(operation, site, statement)
        raise explained from error
    except DatabaseError as error:
        if not is_overtaken(error):
            _retreat(operation, site, statement)
        refuse_statement(operation, statement.sql, error)
        raise


def _keeps_builds_out(before: Statement | None, statement: Statement) -> bool:
    """Return whether the statement before held a lock of the table that conflicts with index builds."""
    lock = Lock.SHARE_UPDATE_EXCLUSIVE
    return before is not None and before.table == statement.table and lock in before.lock.conflicts


def _give_way(operation: Contract, site: Site, statement: Statement) -> None:
    """Wait, holding nothing, until no other session builds an index of the table.

    A concurrent build ends by waiting for all older snapshots. This statement would have such a snapshot
    while it waits for the build's lock: a deadlock, in which PostgreSQL would cancel the build.
    """

    def is_free() -> bool:
        builds = others.look(statement.table)
        if builds and site.connection.in_atomic_block:
            raise NeedsAutocommit(operation.describe(), statement.sql)
        return not builds

    what = "another session builds an index of the table"
    with OthersBuild(site.connection, operation.describe(), what) as others:
        poll(is_free)


def _require_rows_to_blame(
    operation: Contract, site: Site, table: Table | None, error: RowsViolate
) -> None:
    """Raise StatementRefused if no row is the reason, as for a default that is too long for its column."""
    cause: Any = error.__cause__
    state = sqlstate(cause)
    is_new = table is None or error.sql.startswith("CREATE TABLE ")
    is_unknown = table is not None and (table.hides_rows or table.kind not in ("r", "p"))
    is_value = state.startswith("22") and state != REFUSAL  # which looks at rows itself
    if not is_value or site.connection.needs_rollback or (is_unknown and not is_new):
        return
    if is_new or (table is not None and not has_rows(site.connection, table)):
        reason = one_line(cause)
        raise StatementRefused(operation.describe(), error.sql, state, reason) from cause


def _retreat(operation: Contract, site: Site, statement: Statement) -> None:
    """Drop the invalid unique index of a failed build, because it would go on refusing rows."""
    connection = site.connection
    if not statement.unique or connection.in_atomic_block or not connection.is_usable():
        return
    try:
        table = find_table(connection, statement.table)
        index = table.index(statement.unique) if table else None
        if index is not None and not index.valid and not index.building:
            limits = operation.limits or site.limits
            send(connection, drop_index(site, index.name, table), limits)
    except DatabaseError as error:
        if not is_overtaken(error):
            raise
