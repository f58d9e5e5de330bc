"""The loop of convergence: read, plan, send, read again."""

import logging
import time
from functools import partial
from typing import Any

from django.db import DatabaseError

from .catalog.contents import is_empty
from .catalog.questions import find_table
from .components.indexes import drop_index
from .components.single_transaction import combine, is_combinable
from .contract import Contract
from .errors import NeedsAutocommit, NotConverged, RowsViolate, StatementRefused, is_overtaken
from .execution.send import fits_transaction, send
from .execution.violations import explain_violation
from .execution.waiting import OthersBuild, pauses, poll, retry_without_timeouts
from .findings import Finding, Status
from .names import NAME
from .refusals import refuse_different, refuse_statement
from .site import Site
from .statements import Lock, Statement

_TRIES = 6  # of a plan that other sessions overtake

# What another session may be changing between two questions.
_UNSURE = (Status.UNFINISHED, Status.DIFFERENT)

logger = logging.getLogger(NAME)


def converge(operation: Contract, site: Site, *, forwards: bool) -> None:
    """Send what this database still needs, or still has, until the catalog needs nothing more.

    A run that dies anywhere is continued by running it again. Raise NotConverged if the catalog asks
    for the same statements again after they ran.
    """
    sent: list[list[Statement]] = []
    refused: StatementRefused | None = None
    in_one_transaction = True
    rest = pauses(1.0)
    while statements := needed(
        operation, site, forwards=forwards, in_one_transaction=in_one_transaction
    ):
        if statements in sent:
            if refused is None:
                remaining = [statement.sql for statement in statements]
                raise NotConverged(operation.describe(), remaining)
            if not is_overtaken(refused.__cause__) or len(sent) > _TRIES:
                raise refused
            time.sleep(next(rest))
        sent.append(statements)
        refused = None
        _require_transactional(operation, site, statements)
        try:
            for statement in statements:
                _send(operation, site, statement)
        except StatementRefused as error:
            if not (statement.part or is_overtaken(error.__cause__)):
                raise
            # What the catalog, read again, asks for; the same again where others undo it meanwhile.
            refused, in_one_transaction = error, False


def needed(
    operation: Contract, site: Site, *, forwards: bool, in_one_transaction: bool = False
) -> list[Statement]:
    """Read the catalog and return the plan.

    in_one_transaction: for an empty table, combine the plan into one statement.
    """
    plan = partial(
        _planned, operation, site, forwards=forwards, in_one_transaction=in_one_transaction
    )
    return retry_without_timeouts(site.connection, plan)


def _planned(
    operation: Contract, site: Site, *, forwards: bool, in_one_transaction: bool
) -> list[Statement]:
    snapshot, findings = _settled(operation, site)
    if forwards:
        for finding in findings:
            _announce(operation, site, finding)
    snapshot = operation.with_row_facts(site, snapshot, forwards=forwards)
    plan = operation.plan if forwards else operation.plan_backwards
    statements = plan(site, snapshot)
    if site.connection.in_atomic_block and not all(each.transactional for each in statements):
        return statements  # refused here too, not only where the table has rows
    is_short = in_one_transaction and is_combinable(statements) and _is_empty(site)
    return combine(statements) if is_short else statements


def _settled(operation: Contract, site: Site) -> tuple[Any, list[Finding]]:
    """Return a snapshot in which no other session builds one of the components, and what it says.

    What looks unfinished or different is read twice: a build may end between a reading's view of the
    index and its question who builds, and a column go before the probe copies it.
    """
    snapshot: Any = None
    findings: list[Finding] = []

    def settled() -> bool:
        nonlocal snapshot, findings
        snapshot = operation.read(site)
        before, findings = findings, operation.compare(site, snapshot)
        statuses = {finding.status for finding in findings}
        if Status.BUILDING in statuses:
            if site.connection.in_atomic_block:  # which the build may be waiting for
                raise NeedsAutocommit(operation.describe(), "another session builds it")
            others.look(site.table)
        is_sure = statuses.isdisjoint(_UNSURE) or findings == before
        return Status.BUILDING not in statuses and is_sure

    with OthersBuild(site.connection, operation.describe()) as others:
        poll(settled)
    return snapshot, findings


def _announce(operation: Contract, site: Site, finding: Finding) -> None:
    """Say what deserves a line before anything is sent; raise DifferentDefinition where the run stops."""
    if operation.stops_at(finding):
        refuse_different(operation, finding, site.migration)
    verb = {Status.UNFINISHED: "healing the unfinished", Status.DIFFERENT: "replacing the"}
    if finding.status in verb:
        logger.warning("%s %s", verb[finding.status], finding.label)
    if finding.note:
        logger.warning("%s: %s", finding.label, finding.note)


def _is_empty(site: Site) -> bool:
    try:
        return bool(site.db_table) and is_empty(site.connection, site.table)
    except DatabaseError as error:
        if site.connection.in_atomic_block or not is_overtaken(error):
            raise
        return False  # what the plan then meets, it says


def _require_transactional(operation: Contract, site: Site, statements: list[Statement]) -> None:
    """Raise NeedsAutocommit if a statement cannot run in the transaction that is open."""
    if not site.connection.in_atomic_block:
        return
    for statement in statements:
        if not fits_transaction(site.connection, statement):
            raise NeedsAutocommit(operation.describe(), statement.sql)


def _send(operation: Contract, site: Site, statement: Statement) -> None:
    if statement.lock is Lock.SHARE_UPDATE_EXCLUSIVE:
        _give_way(operation, site, statement)
    try:
        send(site.connection, statement, operation.limits or site.limits)
    except RowsViolate as error:
        table = find_table(site.connection, statement.table)
        explained = explain_violation(site.connection, table, statement, error)
        _retreat(operation, site, statement)
        raise explained from error
    except DatabaseError as error:
        if not is_overtaken(error):
            _retreat(operation, site, statement)
        refuse_statement(operation, statement.sql, error)
        raise


def _give_way(operation: Contract, site: Site, statement: Statement) -> None:
    """Wait, holding nothing, until no other session builds an index of the table.

    Its build ends by waiting for all older snapshots, and this statement would wait for its lock
    with one: a deadlock, which the build would lose.
    """

    def is_free() -> bool:
        builds = others.look(statement.table)
        if builds and site.connection.in_atomic_block:
            raise NeedsAutocommit(operation.describe(), statement.sql)
        return not builds

    what = "another session builds an index of the table"
    with OthersBuild(site.connection, operation.describe(), what) as others:
        poll(is_free)


def _retreat(operation: Contract, site: Site, statement: Statement) -> None:
    """Drop the invalid unique index of a failed build, which would go on refusing rows."""
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
