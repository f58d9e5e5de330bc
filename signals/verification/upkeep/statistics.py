"""Figures of the job, from the database alone: what waits, what was decided, how old the features are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from signals.choices import RunOutcome
from signals.verification.features import DECIDING_WINDOW, EvidenceReader
from signals.verification.health import Health, read_health
from signals.verification.tally import COUNT_NAMES
from signals.verification.upkeep.backlog import Backlog, read_backlog

_RUNS: Final = """
SELECT outcome, count(*) FROM verification_runs
WHERE heartbeat_at > pg_catalog.statement_timestamp() - %(period)s GROUP BY outcome
"""
_CHECKS: Final = """
SELECT each.key, sum(each.value::numeric)::bigint
FROM verification_runs r CROSS JOIN LATERAL pg_catalog.jsonb_each_text(r.counts) each
WHERE r.heartbeat_at > pg_catalog.statement_timestamp() - %(period)s
GROUP BY each.key
"""
_NEWEST: Final = """
SELECT chain, (
    SELECT pg_catalog.statement_timestamp() - max(f.as_of_ts)
    FROM onchain_features f
    WHERE f.chain = given.chain AND f.window_minutes = %(window)s
        AND f.as_of_ts BETWEEN '1970-01-01' AND '9998-01-01'
)
FROM pg_catalog.unnest(%(chains)s::text[]) AS given(chain)
"""
_BACKLOG: Final = """
SELECT count(*) FILTER (WHERE next_check_at <= pg_catalog.statement_timestamp()), count(*),
    count(*) FILTER (WHERE leased_until > pg_catalog.statement_timestamp())
FROM signal_verifications WHERE status = 'waiting'
"""
_STATES: Final = "SELECT state, count(*) FROM signals GROUP BY state ORDER BY state"
_VERDICTS: Final = """
SELECT decision, note, count(*)
FROM signal_events
WHERE type = 'onchain_verify' AND created_at > pg_catalog.statement_timestamp() - %(period)s
GROUP BY decision, note ORDER BY decision, note
"""
_ERRORS: Final = """
SELECT error, count(*) FROM signal_verifications WHERE status = 'dead'
GROUP BY error ORDER BY count(*) DESC, error LIMIT 5
"""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is cheap enough to be read every minute.

    `runs` and `checks` count the runs of the period by outcome, and their checks by result, the names being
    those of a run's counts. `lags` is the age of the newest measurement of each chain.
    """

    health: Health
    backlog: Backlog
    runs: Mapping[RunOutcome, int]
    checks: Mapping[str, int]
    lags: Mapping[str, timedelta]


@dataclass(frozen=True, slots=True)
class Report:
    """The statistics, and what takes a scan of the tables, which is the exact `backlog` too.

    `verdicts` counts the verdicts of the period by decision and note, `errors` the dead signals of the most
    frequent errors.
    """

    statistics: Statistics
    backlog: Backlog
    states: Mapping[str, int]
    verdicts: Mapping[tuple[str, str], int]
    errors: Mapping[str, int]


def read_statistics(
    connection: BaseDatabaseWrapper, aliases: Mapping[str, str], period: timedelta
) -> Statistics:
    """Return the statistics, with the runs and checks of the last `period`."""
    spellings = EvidenceReader(aliases).spellings(connection)
    names = [name for each in spellings.values() for name in each]
    parameters = {"period": period, "chains": names, "window": DECIDING_WINDOW}
    checks = dict(_rows(connection, _CHECKS, parameters))
    ages = dict(_rows(connection, _NEWEST, parameters))
    known = {
        chain: [ages[name] for name in each if ages[name] is not None]
        for chain, each in spellings.items()
    }
    return Statistics(
        health=read_health(connection),
        backlog=read_backlog(connection),
        runs={RunOutcome(name): n for name, n in _rows(connection, _RUNS, parameters)},
        checks={name: checks.get(name, 0) for name in COUNT_NAMES},
        lags={chain: min(found) for chain, found in known.items() if found},
    )


def read_report(
    connection: BaseDatabaseWrapper, aliases: Mapping[str, str], period: timedelta
) -> Report:
    """Return the report, with the runs, checks and verdicts of the last `period`."""
    parameters = {"period": period}
    return Report(
        statistics=read_statistics(connection, aliases, period),
        backlog=Backlog(*_rows(connection, _BACKLOG, parameters)[0]),
        states=dict(_rows(connection, _STATES, parameters)),
        verdicts={(a, b): n for a, b, n in _rows(connection, _VERDICTS, parameters)},
        errors=dict(_rows(connection, _ERRORS, parameters)),
    )


def _rows(connection: BaseDatabaseWrapper, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
