"""What all steps of one run share, and the run's row in verification_runs."""

import json
import os
import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID, uuid4

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from signals.choices import RunOutcome
from signals.verification import rules_file
from signals.verification.features import EvidenceReader
from signals.verification.rules import Rules
from signals.verification.schema import TimeColumn, read_time_column
from signals.verification.settings import Settings

NOW: Final = "coalesce(%(now)s::timestamptz, pg_catalog.statement_timestamp())"
"""SQL for the time of a statement: the clock of the run if it has one, else the database's."""
_BY_INDEX: Final = "SET LOCAL enable_seqscan = off; SET LOCAL jit = off"
_PLANNING: Final = "SELECT current_setting('enable_seqscan'), current_setting('jit')"
_PLAN_AS_BEFORE: Final = (
    "SELECT set_config('enable_seqscan', %(scan)s, true), set_config('jit', %(jit)s, true)"
)
MAX_COUNTED_DEAD: Final = 10_000
"""Dead signals are counted up to this number and one more."""

BEFORE_ALL: Final = -(2**62)
"""The position of a cursor before all keys."""

# The cursor of the features begins at their end: what is there already is seen by the first check.
_START: Final = f"""
WITH cursors AS (
    INSERT INTO verification_cursors (name, position)
    VALUES ('signals', {BEFORE_ALL}), ('sweep', {BEFORE_ALL}),
        ('features', (SELECT coalesce(max(id), 0) FROM onchain_features))
    ON CONFLICT (name) DO NOTHING
), rules AS (
    INSERT INTO verification_rules (sha256, text)
    SELECT %(sha256)s, %(text)s
    WHERE NOT EXISTS (SELECT FROM verification_rules WHERE sha256 = %(sha256)s)
    ON CONFLICT (sha256) DO NOTHING
    RETURNING id
), run AS (
    INSERT INTO verification_runs (id, started_at, heartbeat_at, host, pid, mode, rules_sha256)
    SELECT %(run)s, {NOW}, {NOW}, %(host)s, %(pid)s, %(mode)s, %(sha256)s
)
SELECT id FROM rules UNION ALL SELECT id FROM verification_rules WHERE sha256 = %(sha256)s
"""  # noqa: S608 - constants of this module
_RULES: Final = "SELECT id FROM verification_rules WHERE sha256 = %(sha256)s"
_BEAT: Final = f"""
UPDATE verification_runs SET heartbeat_at = {NOW}, counts = %(counts)s::jsonb WHERE id = %(run)s
"""  # noqa: S608 - the same
# In the order of ix_signal_verif_status, so that few dead ones are not looked for in the whole table.
_DEAD: Final = f"""
SELECT count(*)
FROM (
    SELECT updated_at FROM signal_verifications
    WHERE status = 'dead' ORDER BY updated_at DESC LIMIT {MAX_COUNTED_DEAD + 1}
) dead
"""  # noqa: S608 - the same
_FINISH: Final = f"""
UPDATE verification_runs SET heartbeat_at = {NOW}, finished_at = {NOW}, counts = %(counts)s::jsonb,
    outcome = %(outcome)s, error = %(error)s
WHERE id = %(run)s
RETURNING ({_DEAD})
"""  # noqa: S608 - the same


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the job.

    `rules_id` is the row of the rules' text; None in a dry run under rules that no run has used yet.
    `time_column` is the column that gives a signal's age. `clock` replaces the database's clock.
    `unclaimable` are the signals that the database refused to claim, which the run leaves alone.
    """

    id: UUID
    settings: Settings
    rules: Rules
    rules_id: int | None
    time_column: TimeColumn
    evidence: EvidenceReader = field(compare=False)
    clock: datetime | None = None
    unclaimable: set[int] = field(default_factory=set, compare=False)

    @property
    def connection(self) -> BaseDatabaseWrapper:
        """The connection of the thread that asks."""
        return connections[DEFAULT_DB_ALIAS]

    def read_clock(self) -> datetime:
        """Return the time: the database's, which is the same for all machines, unless the run has its own."""
        if self.clock:
            return self.clock
        ((now,),) = self.execute("SELECT pg_catalog.statement_timestamp()")
        return cast("datetime", now)

    def atomic(self) -> AbstractContextManager[None]:
        """Return a savepoint in the caller's transaction, from which a refused row is taken back.

        Without a transaction none is needed, because each statement is one.
        """
        if not self.connection.in_atomic_block:
            return nullcontext()
        return transaction.atomic(using=self.connection.alias)

    def execute_by_index(self, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
        """Send one statement that looks each row up in an index, and return its rows.

        A table may have been empty when it was analysed, or when the statement was planned, and be filled
        by other workers since. The planner would read all of it for each row, and a row that cannot be read
        would be met by every batch. In the caller's transaction the settings go back to what they were.
        """
        text = f"{_BY_INDEX};\n{sql}"
        if not self.connection.in_atomic_block:
            return self.execute(text, parameters)
        ((scan, jit),) = self.execute(_PLANNING)
        with self.atomic():
            rows = self.execute(text, parameters)
            self.execute(_PLAN_AS_BEFORE, {"scan": scan, "jit": jit})
        return rows

    def execute(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        """Send one statement, or several in one transaction, and return the rows of the last one.

        Every statement may use the parameters `run`, `now`, `rules`, `unclaimable` and the settings'
        times, and `{time}` for the time column.
        """
        known: dict[str, Any] = {
            "run": self.id,
            "now": self.clock,
            "rules": self.rules_id,
            "delay": self.settings.delay,
            "timeout": self.settings.timeout,
            "ttl": self.settings.ttl,
            "lease": self.settings.lease,
            "unclaimable": sorted(self.unclaimable),
        }
        with self.connection.cursor() as cursor:
            cursor.execute(
                sql.replace("{time}", self.time_column.value), {**known, **(parameters or {})}
            )
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []


def start_run(now: datetime | None = None, *, is_recorded: bool = True) -> Run:
    """Return a new run with the current settings, rules file and schema, and record it.

    `now` replaces the database's clock, which is the same for all machines. Raise ConfigurationError if
    a setting, the rules file or the schema is wrong; nothing is written then. With `is_recorded` false
    nothing is written at all.
    """
    settings = Settings.read(os.environ)
    rules = rules_file.load_rules(settings.rules_file)
    connection = connections[DEFAULT_DB_ALIAS]
    # A process that runs for days may hold a connection that the server has closed.
    if connection.connection and not connection.in_atomic_block and not connection.is_usable():
        connection.close()
    time_column = read_time_column(connection)
    parameters = {
        "now": now,
        "run": uuid4(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "mode": settings.mode.value,
        "sha256": rules.sha256,
        "text": rules.text,
    }
    rows: list[Any] = []
    with connection.cursor() as cursor:
        # A run that stores the same text meanwhile leaves the first statement without a row.
        for sql in (_START, _RULES) if is_recorded else (_RULES,):
            if not rows:
                cursor.execute(sql, parameters)
                rows = cursor.fetchall()
    return Run(
        id=parameters["run"],  # type: ignore[arg-type] # a UUID
        settings=settings,
        rules=rules,
        rules_id=rows[0][0] if rows else None,
        time_column=time_column,
        evidence=EvidenceReader(settings.chain_aliases),
        clock=now,
    )


def record_progress(run: Run, counts: Mapping[str, int]) -> None:
    """Renew the heartbeat and the counts of the run's row."""
    run.execute(_BEAT, {"counts": json.dumps(counts)})


def finish_run(run: Run, counts: Mapping[str, int], outcome: RunOutcome, error: str = "") -> int:
    """Complete the run's row, and return the number of dead signals."""
    parameters = {"counts": json.dumps(counts), "outcome": outcome.value, "error": error}
    return int(run.execute(_FINISH, parameters)[0][0])


def count_dead(connection: BaseDatabaseWrapper) -> int:
    """Return the number of dead signals, at most MAX_COUNTED_DEAD + 1."""
    with connection.cursor() as cursor:
        cursor.execute(_DEAD)
        return int(cursor.fetchall()[0][0])
