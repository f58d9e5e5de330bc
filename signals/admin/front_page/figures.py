"""The figures of the front page, in three statements whose cost does not grow with the tables."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import OuterRef, Subquery

from signals.choices import Decision
from signals.models import VerificationRules, VerificationRun
from signals.verification.features import DECIDING_WINDOW
from signals.verification.tokens import fold_chain

MAX_COUNTED: Final = 10_000
"""Rows are counted up to this number; the page says so if there are more."""
OVERDUE: Final = timedelta(minutes=15)
"""A signal whose check has been due for longer is overdue."""
HOURS: Final = 24
"""Hours whose verdicts are counted, the current one included."""
SHOWN_RUNS: Final = 8
MAX_CHAINS: Final = 1_000

_COUNT: Final = f"(SELECT count(*) FROM ({{rows}} LIMIT {MAX_COUNTED + 1}) counted)"  # noqa: S608 - constants of this module, as below
_DUE: Final = """
    SELECT FROM signal_verifications
    WHERE status = 'waiting' AND next_check_at <= pg_catalog.statement_timestamp() - {since}
    ORDER BY next_check_at"""
_DEAD: Final = (
    "SELECT FROM signal_verifications WHERE status = 'dead' ORDER BY status, updated_at DESC"
)
_OLDEST: Final = """(
    SELECT next_check_at FROM signal_verifications
    WHERE status = 'waiting' AND next_check_at <= pg_catalog.statement_timestamp()
    ORDER BY next_check_at LIMIT 1
)"""
_ERRORS: Final = f"""(
    SELECT coalesce(sum(CASE pg_catalog.jsonb_typeof(counts -> 'errors') WHEN 'number'
        THEN (counts ->> 'errors')::numeric END), 0)
    FROM (
        SELECT counts FROM verification_runs
        WHERE heartbeat_at > pg_catalog.statement_timestamp() - interval '{HOURS} hours'
        ORDER BY heartbeat_at DESC LIMIT {MAX_COUNTED + 1}
    ) runs
)"""  # noqa: S608
# The names of chains and the newest measurement of each, all by probes of ix_onf_population.
_NEWEST: Final = f"""(
    WITH RECURSIVE spelling AS (
        SELECT min(chain) AS chain FROM onchain_features
        UNION ALL
        SELECT (SELECT min(f.chain) FROM onchain_features f WHERE f.chain > spelling.chain)
        FROM spelling WHERE spelling.chain IS NOT NULL
    ), known AS (
        SELECT chain FROM spelling WHERE chain IS NOT NULL LIMIT {MAX_CHAINS}
    )
    SELECT pg_catalog.jsonb_object_agg(chain, (
        SELECT max(f.as_of_ts) FROM onchain_features f
        WHERE f.chain = known.chain AND f.window_minutes = %(window)s
            AND f.as_of_ts BETWEEN '1970-01-01' AND '9998-01-01'
    ))
    FROM known
)"""  # noqa: S608
_FIGURES: Final = {
    "due": _COUNT.format(rows=_DUE.format(since="interval '0'")),
    "overdue": _COUNT.format(rows=_DUE.format(since="%(overdue)s")),
    "oldest": _OLDEST,
    "dead": _COUNT.format(rows=_DEAD),
    "errors": _ERRORS,
    "newest": _NEWEST,
}
_VERDICTS: Final = f"""
SELECT hour, verdict.decision, count(*)
FROM pg_catalog.generate_series(
    pg_catalog.date_trunc('hour', pg_catalog.statement_timestamp(), 'UTC') - interval '{HOURS - 1} hours',
    pg_catalog.statement_timestamp(), interval '1 hour'
) AS hour
LEFT JOIN LATERAL (
    SELECT decision FROM signal_events
    WHERE created_at >= hour AND created_at < hour + interval '1 hour' AND type = 'onchain_verify'
    ORDER BY created_at DESC LIMIT {MAX_COUNTED}
) verdict ON true
GROUP BY hour, verdict.decision
ORDER BY hour
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Figures:
    """What the page counts, each None if it was not asked for.

    A count of MAX_COUNTED + 1 means that there are more. `oldest` is the time since which the signal waits
    that is due the longest, also None if none is due. `errors` are the failed checks of the last HOURS hours.
    `newest` has the newest measurement of each chain, the one that is behind the most first.
    """

    at: datetime
    due: int | None
    overdue: int | None
    oldest: datetime | None
    dead: int | None
    errors: int | None
    newest: list[tuple[str, datetime]] | None


@dataclass(frozen=True, slots=True)
class Hour:
    """The verdicts of an hour by decision, of which at most MAX_COUNTED are counted."""

    start: datetime
    verdicts: Mapping[Decision, int]

    @property
    def counts(self) -> list[int]:
        """Return the number of each decision, in the order of their definition."""
        return [self.verdicts.get(decision, 0) for decision in Decision]

    @property
    def total(self) -> int:
        return sum(self.verdicts.values())

    @property
    def is_cut(self) -> bool:
        return self.total >= MAX_COUNTED


def read_figures(
    connection: BaseDatabaseWrapper,
    aliases: Mapping[str, str],
    *,
    backlog: bool,
    errors: bool,
    newest: bool,
) -> Figures:
    """Return the figures that are asked for: the four of the `backlog`, the `errors`, the `newest`."""
    asked = {**dict.fromkeys(_FIGURES, backlog), "errors": errors, "newest": newest}
    columns = [sql if asked[name] else "NULL" for name, sql in _FIGURES.items()]
    sql = f"SELECT {', '.join(['pg_catalog.statement_timestamp()', *columns])}"
    with connection.cursor() as cursor:
        parameters: dict[str, Any] = {"overdue": OVERDUE, "window": DECIDING_WINDOW}
        cursor.execute(sql, parameters)
        at, due, overdue, oldest, dead, failed, chains = cursor.fetchall()[0]
    return Figures(
        *(at, due, overdue, oldest, dead, failed if failed is None else int(failed)),
        newest=_by_chain(json.loads(chains or "{}"), aliases) if newest else None,
    )


def _by_chain(
    times: Mapping[str, str | None], aliases: Mapping[str, str]
) -> list[tuple[str, datetime]]:
    found: dict[str, datetime] = {}
    for name, text in times.items():
        if text is not None:
            chain, time = fold_chain(name, aliases), datetime.fromisoformat(text)
            found[chain] = max(time, found.get(chain, time))
    return sorted(found.items(), key=lambda each: each[1])


def read_hours(connection: BaseDatabaseWrapper) -> list[Hour]:
    """Return the last HOURS hours, each with its verdicts."""
    with connection.cursor() as cursor:
        cursor.execute(_VERDICTS)
        rows = cursor.fetchall()
    hours: dict[datetime, dict[Decision, int]] = {}
    for start, decision, count in rows:
        verdicts = hours.setdefault(start, {})
        if decision in Decision.values:
            verdicts[Decision(decision)] = count
    return [Hour(start, verdicts) for start, verdicts in hours.items()]


def read_runs() -> list[VerificationRun]:
    """Return the runs with the newest signs of life, each with the key of its rules as `rules`."""
    rules = VerificationRules.objects.filter(sha256=OuterRef("rules_sha256")).values("pk")
    runs = VerificationRun.objects.order_by("-heartbeat_at").annotate(rules=Subquery(rules))
    return list(runs[:SHOWN_RUNS])
