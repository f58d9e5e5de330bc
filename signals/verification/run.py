"""What all steps of one run share."""

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
    """One run: `now` is its only clock, `time` the column that tells a signal's age."""

    id: UUID
    now: datetime
    settings: Settings
    rules: Rules
    time: TimeColumn
    connection: BaseDatabaseWrapper


def start(now: datetime | None = None) -> Run:
    """A run by the settings, rules and schema of this moment; ConfigurationError if one is wrong.

    Unless `now` is given it is the database's clock, the same for every machine. Nothing is written.
    """
    settings = Settings.read(os.environ)
    rules = rules_file.load(settings.rules_file)
    if not connection.in_atomic_block:  # a process that runs for days outlives its server
        connection.close_if_unusable_or_obsolete()
    time = read_time_column(connection)
    return Run(uuid4(), now or _clock(connection), settings, rules, time, connection)


def _clock(connection: BaseDatabaseWrapper) -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.statement_timestamp()")
        return cast("datetime", cursor.fetchall()[0][0])
