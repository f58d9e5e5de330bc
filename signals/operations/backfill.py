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
from django.db.models import Expression
from django.db.models.sql import UpdateQuery

from .alteration import Alteration
from .base import Convergent
from .catalog.contents import count_rows, estimate_nulls, has_rows
from .catalog.query import compose
from .catalog.questions import find_table
from .catalog.tables import Table
from .errors import (
    ROWS_IN_THE_WAY,
    LockWaitExceeded,
    NeedsAutocommit,
    RowsViolate,
    one_line,
    sqlstate,
)
from .execution import progress
from .execution.policy import LockPolicy
from .execution.progress import Walk, display_of
from .execution.send import about_to_change
from .execution.settings import with_statement_timeout
from .execution.waiting import retry_on_conflict
from .findings import Finding, Snapshot, Status
from .names import NAME
from .refusals import refuse_statement, require_column, require_rows
from .site import Site
from .statements import Lock, Statement

logger = logging.getLogger(NAME)


class BackfillInBatches(Convergent, Operation):
    """Fills the NULLs of a column, a batch of primary keys at a time, each in its own short transaction.

    What is NULL is what is still to do: a run that dies is continued by running it again, and a row
    that has a value is never touched. A NOT NULL column is known to be done without looking at a row.
    Needs atomic = False on the migration. Backwards does nothing.

    model_name, name: the column's field.
    value: the expression that fills it; where it is NULL, the run ends with RowsViolate.
    batch_size: rows of a transaction. pause: seconds between two of them.
    """

    component = "rows"
    alteration_turn = 3

    category = OperationCategory.PYTHON
    reduces_to_sql = True

    fills_rows = True

    def __init__(
        self,
        model_name: str,
        name: str,
        value: Expression,
        *,
        batch_size: int = 5000,
        pause: float = 0.0,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size} (use at least 1)")
        if pause < 0:
            raise ValueError(f"pause is {pause} (use a number of seconds from 0)")
        self.model_name = model_name
        self.name = name
        self.value = value
        self.batch_size = batch_size
        self.pause = pause

    @classmethod
    def from_alteration(cls, alteration: Alteration) -> Self | None:
        if not alteration.closes or alteration.value is None:
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
        if self.pause:
            kwargs["pause"] = self.pause
        return type(self).__name__, [], kwargs

    def describe(self) -> str:
        return f"Fill {self.name} of {self.model_name} in batches where it is null"

    @property
    def migration_name_fragment(self) -> str:
        return f"fill_{self.model_name.lower()}_{self.name.lower()}"

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Rows are no part of a model's state."""

    @property
    def model_key(self) -> str:
        return self.model_name.lower()

    def probe(self, site: Site, found: Table) -> list[str]:
        return []

    def read(self, site: Site) -> Snapshot:
        """`has_rows` says whether rows are left to fill."""
        snapshot: Snapshot = super().read(site)
        column, _ = snapshot.columns(site.column(self.name))
        if snapshot.found is None or column is None or (column.not_null and not column.unproven):
            return snapshot
        require_rows(self, site, snapshot.found)
        condition = f"{site.quote(column.name)} IS NULL"
        left = has_rows(site.connection, snapshot.found, condition)
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
        snapshot = self.read(site)
        require_column(self, site, snapshot, site.column(self.name))
        if not snapshot.has_rows:
            return
        if site.connection.in_atomic_block:
            raise NeedsAutocommit(self.describe(), "one short transaction for each batch")
        self._fill(site)
        if self.read(site).has_rows:  # written behind the walk, or with a value that is NULL
            self._fill(site)
        if self.read(site).has_rows:
            reason = f"the value of {self.name} is NULL for some rows, and they are left"
            raise RowsViolate(self.script(site)[0].sql, reason)

    def script(self, site: Site) -> list[Statement]:
        manager = site.model._base_manager.using(site.connection.alias)
        query: Any = manager.filter(**{f"{self.name}__isnull": True}).query.chain(UpdateQuery)
        query.add_update_values({self.name: self.value})
        sql = query.get_compiler(connection=site.connection).as_sql()
        return [Statement(compose(site.connection, *sql), Lock.ROW_EXCLUSIVE, site.table, "false")]

    def script_backwards(self, site: Site) -> list[Statement]:
        return []

    def needs_autocommit(self, app_label: str, before: ProjectState) -> bool:
        return True

    def waits_for(self, site: Site) -> set[tuple[str, str]]:
        return {(site.table, site.column(self.name))}

    def _fill(self, site: Site) -> None:
        rows = site.model._base_manager.using(site.connection.alias).order_by("pk")
        left = rows.filter(**{f"{self.name}__isnull": True})
        filled, last = 0, None
        walk = Walk(partial(self._left, site), after=progress.LONG_STEP)
        with display_of(site.connection, self.describe()) as shown:
            while batch := _keys(
                left if last is None else left.filter(pk__gt=last), self.batch_size
            ):
                about_to_change(site.connection)
                last = batch[-1]
                filled += self._write(site, left.order_by().filter(pk__in=batch))
                logger.info("%s: %s rows filled, up to key %s", self.describe(), filled, last)
                walk.show(shown, filled)
                time.sleep(self.pause)

    def _write(self, site: Site, rows: Any) -> int:
        """Fills one batch; tried again where transactions of others were in its way."""
        (statement,) = self.script(site)
        longest = LockPolicy.from_settings().limited(self.limits or site.limits).lock_wait
        update = partial(rows.update, **{self.name: self.value})
        try:
            return retry_on_conflict(site.connection, update, longest)
        except (IntegrityError, DataError) as error:
            raise RowsViolate(statement.sql, one_line(error)) from error
        except DatabaseError as error:
            if sqlstate(error) not in ROWS_IN_THE_WAY:
                refuse_statement(self, statement.sql, error)
                raise
            advice = (
                "run again when others write less to these rows; the next run continues from here"
            )
            raise LockWaitExceeded(statement.sql, site.table, [one_line(error)], advice) from error

    def _left(self, site: Site) -> tuple[int | None, bool]:
        """How many rows are left, and whether they were counted; else the last ANALYZE estimates them."""
        connection, column = site.connection, site.column(self.name)
        table = find_table(connection, site.table)
        if table is None:
            return None, False
        condition = f"{site.quote(column)} IS NULL"
        count = with_statement_timeout(
            connection, progress.LONG_STEP, partial(count_rows, connection, table, condition)
        )
        return (
            (estimate_nulls(connection, table, column), False) if count is None else (count, True)
        )


def _keys(rows: Any, size: int) -> Sequence[Any]:
    return list(rows.values_list("pk", flat=True)[:size])
