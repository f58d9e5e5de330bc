"""BackfillInBatches."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

from django.db import DatabaseError, DataError, IntegrityError
from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.migrations.state import ProjectState
from django.db.models import BooleanField, Expression, F, Func, Value
from django.db.models.sql import UpdateQuery

from .alteration import Alteration
from .base import Convergent
from .catalog.contents import (
    KeyRange,
    RowKey,
    count_rows,
    estimate_nulls,
    has_rows,
    next_range,
)
from .catalog.query import compose
from .catalog.questions import find_table
from .catalog.tables import Column, Table
from .components.old_code import fill_for_old_code
from .convergence import send_all
from .errors import (
    QUERY_CANCELED,
    ROWS_IN_THE_WAY,
    LockWaitExceeded,
    NeedsAutocommit,
    RowsViolate,
    ServerFailed,
    one_line,
    sqlstate,
)
from .execution import progress
from .execution.limits import milliseconds, seconds
from .execution.policy import LockPolicy, batch_time, shortest_timeout
from .execution.progress import Walk, display_of
from .execution.run import run_of
from .execution.settings import change_settings, with_statement_timeout
from .execution.waiting import retry_on_conflict, retry_without_timeouts
from .findings import Finding, Snapshot, Status
from .names import NAME
from .refusals import refuse_statement, require_column, require_rows
from .site import Site
from .statements import Lock, Statement

logger = logging.getLogger(NAME)

_MAX_BATCH_ROWS = 1_000_000
_SHARE_OF_TIMEOUT = 0.9  # after which a batch is ended


class BackfillInBatches(Convergent, Operation):
    """Fill the NULLs of a column, one range of primary keys after the other, each in a short transaction.

    Only rows with NULL are changed, so a run that dies is continued by running it again. A NOT NULL column
    is known to be filled without reading a row. Needs atomic = False on the migration. Backwards does
    nothing.

    In the phase expand, if the same run makes the column NOT NULL, a trigger writes the value in the place of
    NULL until contract, because the release before does not know the column.

    model_name, name: the column's field.
    value: the expression for the new value; if it gives NULL for a row, the run ends with RowsViolate.
    batch_size: the rows of the first batch; later batches adapt to target_time, and are halved if a timeout
        of the session ends one.
    target_time: the seconds that a batch should take; by default the setting BATCH_TIME.
    pause: the seconds between two batches.
    """

    component = "rows"
    alteration_turn = 3

    category = OperationCategory.PYTHON
    reduces_to_sql = True

    fills_rows = True

    def __init__(  # noqa: PLR0913 - one keyword for each thing to choose
        self,
        model_name: str,
        name: str,
        value: Expression,
        *,
        batch_size: int = 5000,
        target_time: float | None = None,
        pause: float = 0.0,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size} (use at least 1)")
        if target_time is not None and seconds(target_time) is None:
            raise ValueError(f"target_time is {target_time!r} (use a number of seconds above 0)")
        if pause < 0:
            raise ValueError(f"pause is {pause} (use a number of seconds from 0)")
        self.model_name = model_name
        self.name = name
        self.value = value
        self.batch_size = batch_size
        self.target_time = target_time
        self.pause = pause

    @classmethod
    def from_alteration(cls, alteration: Alteration) -> Self | None:
        if not alteration.becomes_not_null or alteration.value is None:
            return None
        made = alteration.operation
        return cls(made.model_name, made.name, alteration.value)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        kwargs: dict[str, Any] = {
            "model_name": self.model_name,
            "name": self.name,
            "value": self.value,
        }
        if self.batch_size != 5000:  # noqa: PLR2004 - the default
            kwargs["batch_size"] = self.batch_size
        if self.target_time is not None:
            kwargs["target_time"] = self.target_time
        if self.pause:
            kwargs["pause"] = self.pause
        return type(self).__name__, [], kwargs

    def describe(self) -> str:
        return f"Fill {self.name} of {self.model_name} in batches where it is null"

    @property
    def migration_name_fragment(self) -> str:
        return f"fill_{self.model_name.lower()}_{self.name.lower()}"

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Leave the state as it is: rows are not part of it."""

    @property
    def model_key(self) -> str:
        return self.model_name.lower()

    def probe(self, site: Site, found: Table) -> list[str]:
        return []

    def read(self, site: Site) -> Snapshot:
        """Return the snapshot, in which `has_rows` says whether rows are left to fill."""
        snapshot: Snapshot = super().read(site)
        column, _ = snapshot.columns(site.column(self.name))
        if snapshot.found is None or column is None or (column.not_null and not column.unproven):
            return snapshot
        require_rows(self, site, snapshot.found)
        left = has_rows(site.connection, snapshot.found, self.is_left(site))
        return replace(snapshot, has_rows=left)

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        name = site.column(self.name)
        column, _ = snapshot.columns(name)
        if column is None:
            return [Finding("rows", name, site.table, Status.MISSING)]
        status = Status.UNFINISHED if snapshot.has_rows else Status.EXISTS
        return [Finding("rows", name, site.table, status, wanted=f"{name} IS NOT NULL")]

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        return self.script(site) if snapshot.has_rows else []

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        return []

    def converge(self, site: Site, *, forwards: bool) -> None:
        if not forwards:
            return
        snapshot = self._read_through(site)
        table, column = require_column(self, site, snapshot, site.column(self.name))
        if self._lacks_trigger(site, table, column):
            send_all(self, site, [fill_for_old_code(site, site.field(self.name), self.value)])
        if not snapshot.has_rows:
            return
        if site.connection.in_atomic_block:
            raise NeedsAutocommit(self.describe(), "one short transaction for each batch")
        for name in site.columns_of(["pk"]):
            require_column(self, site, snapshot, name)
        for _ in range(2):  # a second time for rows that were written behind the first
            self._fill(site, table)
            if not self._read_through(site).has_rows:
                return
        reason = f"the value of {self.name} is NULL for some rows, which were not filled"
        raise RowsViolate(self.script(site)[0].sql, reason)

    def script(self, site: Site) -> list[Statement]:
        manager = site.model._base_manager.using(site.connection.alias)
        query: Any = manager.filter(**{f"{self.name}__isnull": True}).query.chain(UpdateQuery)
        query.add_update_values({self.name: self.value})
        sql = query.get_compiler(connection=site.connection).as_sql()
        return [Statement(compose(site.connection, *sql), Lock.ROW_EXCLUSIVE, site.table, "false")]

    def script_backwards(self, site: Site) -> list[Statement]:
        return []

    def is_left(self, site: Site) -> str:
        """Return the SQL condition of the rows that are left to fill."""
        return f"{site.quote(site.column(self.name))} IS NULL"

    def needs_autocommit(self, app_label: str, before: ProjectState) -> bool:
        return True

    def waits_for(self, site: Site) -> set[tuple[str, str]]:
        return {(site.table, site.column(self.name))}

    def _lacks_trigger(self, site: Site, table: Table, column: Column) -> bool:
        """Return whether old code would go on writing NULL into the column, which becomes NOT NULL."""
        is_needed = site.expands and not column.not_null and not table.triggers_on(column.name)
        return is_needed and run_of(site.connection).makes_not_null(self)

    def _read_through(self, site: Site) -> Snapshot:
        """Return the snapshot; read it without the session's timeouts if one of them cancels the query."""
        snapshot: Snapshot = retry_without_timeouts(site.connection, partial(self.read, site))
        return snapshot

    def _fill(self, site: Site, table: Table) -> None:
        """Fill range after range, in the order of the primary key."""
        limit = shortest_timeout(site.connection)
        target = batch_time(limit, self.target_time)
        size, filled, last = self.batch_size, 0, None
        walk = Walk(partial(self._left, site), after=progress.LONG_STEP)
        with display_of(site.connection, self.describe()) as shown:
            while batch := self._next(site, table, last, size):
                run_of(site.connection).about_to_change()
                begin = time.monotonic()
                written = self._write(site, batch, limit)
                if written is None:
                    size = self._smaller(batch, filled, limit)
                    continue
                size = _next_size(size, written, (time.monotonic() - begin) / target)
                filled, last = filled + written, batch.last
                key = last[0] if len(last) == 1 else f"({', '.join(last)})"
                logger.info("%s: %s rows filled, up to key %s", self.describe(), filled, key)
                walk.show(shown, filled)
                time.sleep(self.pause)

    def _next(self, site: Site, table: Table, last: RowKey | None, size: int) -> KeyRange | None:
        key, column = site.columns_of(["pk"]), site.column(self.name)
        ask = partial(next_range, site.connection, table, column, key, after=last, most=size)
        return retry_without_timeouts(site.connection, ask)

    def _smaller(self, batch: KeyRange, filled: int, limit: float | None) -> int:
        """Return a number of rows below that of a batch which a timeout ended; raise ServerFailed below 1."""
        if batch.rows == 1:
            reason = (
                f"a batch of a single row takes longer than the session's timeout of {limit:g} s"
            )
            kept = f"the {filled:,} rows filled so far; the next run continues from there"
            raise ServerFailed(self.describe(), QUERY_CANCELED, reason, kept)
        text = (
            "%s: %s rows do not fit into the session's timeout of %g s; going on with %s at a time"
        )
        logger.warning(text, self.describe(), batch.rows, limit, batch.rows // 2)
        return batch.rows // 2

    def _write(self, site: Site, batch: KeyRange, limit: float | None) -> int | None:
        """Fill one range and return the number of rows; try again after conflicts with other transactions.

        Return None if the session's timeout of `limit` seconds ended the batch. The statement is ended before
        a transaction_timeout would end the session.
        """
        (statement,) = self.script(site)
        longest = LockPolicy.from_settings().limited(self.limits or site.limits).lock_wait
        fields = [field.name for field in site.model._meta.pk_fields]
        manager = site.model._base_manager.using(site.connection.alias)
        rows = manager.filter(_is_null(self.name), *_within(fields, batch))

        begin = 0.0

        def update() -> int:
            nonlocal begin
            begin = time.monotonic()
            if limit is not None:
                timeout = str(milliseconds(limit * _SHARE_OF_TIMEOUT))
                change_settings(site.connection, {"statement_timeout": timeout})
            if batch.first[:-1] != batch.last[:-1]:
                # The planner overestimates a range of a composite key, and would scan the whole table.
                change_settings(site.connection, {"enable_seqscan": "off"})
            return rows.update(**{self.name: self.value})

        try:
            return retry_on_conflict(site.connection, update, longest)
        except (IntegrityError, DataError) as error:
            raise RowsViolate(statement.sql, one_line(error)) from error
        except DatabaseError as error:
            took = time.monotonic() - begin
            is_cancelled = sqlstate(error) == QUERY_CANCELED  # by the timeout, or by somebody
            if is_cancelled and limit is not None and took >= limit * _SHARE_OF_TIMEOUT:
                return None
            if sqlstate(error) not in ROWS_IN_THE_WAY:
                refuse_statement(self, statement.sql, error)
                raise
            advice = (
                "run again when others write less to these rows; the next run continues from here"
            )
            raise LockWaitExceeded(statement.sql, site.table, [one_line(error)], advice) from error

    def _left(self, site: Site) -> tuple[int | None, bool]:
        """Return how many rows are left, and whether they were counted or estimated by the last ANALYZE."""
        connection, column = site.connection, site.column(self.name)
        table = find_table(connection, site.table)
        if table is None:
            return None, False
        condition = self.is_left(site)
        count = with_statement_timeout(
            connection, progress.LONG_STEP, partial(count_rows, connection, table, condition)
        )
        return (
            (estimate_nulls(connection, table, column), False) if count is None else (count, True)
        )


def _next_size(size: int, written: int, took: float) -> int:
    """Return how many rows the next batch should have.

    Grow to at most twice the last size, and only if most of that batch's rows were written; shrink at once
    to the size that fits. took: the time of the last batch as a multiple of the target.
    """
    longest = 2 * size if 2 * written > size else size
    return max(1, min(longest, round(size / max(took, 0.1)), _MAX_BATCH_ROWS))


def _is_null(name: str) -> Func:
    """Return the condition that the field is NULL, in a form that cannot use an index on its column.

    In the index of a new column all rows of the table are NULL. The planner, which has no statistics of the
    column yet, would scan that index for each batch.
    """
    return _condition("(%(expressions)s IS NULL) IS TRUE", F(name))


def _within(fields: Sequence[str], batch: KeyRange) -> list[Func]:
    """Return the conditions that the key is in the range, in a form that can use its index.

    PostgreSQL compares the values, in the order of the index. Add a condition for each leading column on
    which the first and the last key agree, and for the one after, because the planner estimates conditions
    on single columns better than those on rows.
    """
    pairs = list(zip(batch.first, batch.last, strict=True))
    common = next((n for n, (low, high) in enumerate(pairs[:-1]) if low != high), len(pairs) - 1)
    conditions = [
        _compare("=", [field], [value])
        for field, value in zip(fields[:common], batch.first, strict=False)
    ]
    for end in dict.fromkeys((common + 1, len(pairs))):
        part = slice(common, end)
        conditions.append(_compare(">=", fields[part], batch.first[part]))
        conditions.append(_compare("<=", fields[part], batch.last[part]))
    return conditions


def _compare(operator: str, fields: Sequence[str], values: Sequence[str]) -> Func:
    """Return the condition that compares the row of the fields with the row of the values."""
    left = _condition("(%(expressions)s)", *map(F, fields))
    right = _condition("(%(expressions)s)", *map(Value, values))
    return _condition("%(expressions)s", left, right, arg_joiner=f" {operator} ")


def _condition(template: str, *expressions: Any, **options: str) -> Func:
    return Func(*expressions, template=template, output_field=BooleanField(), **options)
