"""The settings, rules, clock and connection that all steps of one run share."""

import os
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID, uuid4

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from signals.verification import rules_file
from signals.verification.rules import Rules
from signals.verification.schema import TimeColumn, read_time_column
from signals.verification.settings import Settings


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the job.

    `now` is the only clock of the run. `time_column` is the column that gives a signal's age.
    """

    id: UUID
    now: datetime
    settings: Settings
    rules: Rules
    time_column: TimeColumn
    connection: BaseDatabaseWrapper


def start_run(now: datetime | None = None) -> Run:
    """Return a new run with the current settings, rules file and schema; nothing is written.

    `now` defaults to the database's clock, which is the same for all machines. Raise ConfigurationError
    if a setting, the rules file or the schema is wrong.
    """
    settings = Settings.read(os.environ)
    rules = rules_file.load_rules(settings.rules_file)
    # A process that runs for days may hold a connection that the server has closed.
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
    time_column = read_time_column(connection)
    return Run(uuid4(), now or _read_clock(connection), settings, rules, time_column, connection)


def _read_clock(connection: BaseDatabaseWrapper) -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.statement_timestamp()")
        return cast("datetime", cursor.fetchall()[0][0])
