"""The job: checks the candidates that are due, and writes the verdicts of the rules.

A run that is stopped or killed leaves whole batches written and the other signals due, and the next run
goes on with those. Runs at the same time, on any number of machines, never write a verdict twice.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from signals.choices import Decision
from signals.verification.bisection import bisect_writes
from signals.verification.candidates import read_due_candidates
from signals.verification.changes import Change, plan_changes
from signals.verification.evaluation import Evaluation, Failure, describe_error, evaluate_batch
from signals.verification.run import Run, start_run
from signals.verification.settings import Mode
from signals.verification.writing import write_evaluations, write_failures

logger = logging.getLogger("signals.verification")

BATCH_SIZE: Final = 1000
"""Signals that are read and written at once."""

COUNT_NAMES: Final = (
    *("scanned", "evaluated", "updated", "skipped", "errors"),
    *("verified", "downgraded", "held", "insufficient"),
)
"""The keys of a run's counts, in the order in which they are shown."""

_COUNT_OF_DECISION: Final = {
    Decision.UPGRADE: "verified",
    Decision.DOWNGRADE: "downgraded",
    Decision.HOLD: "held",
    Decision.INSUFFICIENT: "insufficient",
}


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run changed, or would have changed if it was a dry run."""

    run: UUID
    mode: Mode
    rules_sha256: str
    dry_run: bool
    counts: dict[str, int]
    changes: tuple[Change, ...]


def run_once(limit: int = 100) -> dict[str, int]:
    """Check at most `limit` candidates that are due, and return the counts of the run.

    `scanned` = `evaluated` + `skipped` + `errors`, and `evaluated` = `verified` + `downgraded` + `held` +
    `insufficient`, which count decisions even if the rules are off. `updated` counts the signals whose row
    was written, `skipped` those that another session or newer evidence overtook, and `errors` those that
    failed.

    Raise ConfigurationError if a setting, the rules file or the schema is wrong; nothing is written then.
    """
    return verify_signals(limit).counts


def verify_signals(
    limit: int = 100, *, now: datetime | None = None, dry_run: bool = False
) -> RunReport:
    """Do what run_once() does, and return the report of the run.

    `now` replaces the database's clock. With `dry_run` nothing is written.
    """
    if limit < 1:
        raise ValueError(f"limit is {limit} (at least 1)")
    run = start_run(now)
    due = read_due_candidates(run.connection, run.settings, run.time_column, run.now, limit)
    counts: Counter[str] = Counter(scanned=len(due))
    changes: list[Change] = []
    for first in range(0, len(due), BATCH_SIZE):
        evaluations, failures = evaluate_batch(run, due[first : first + BATCH_SIZE])
        if dry_run:
            done = plan_changes(run, evaluations)
        else:
            done, failures = _write_batch(run, evaluations, failures)
        changes += done
        counts["errors"] += len(failures)
        counts.update(_count_changes(done))
    counts["skipped"] = counts["scanned"] - counts["evaluated"] - counts["errors"]
    return RunReport(
        run=run.id,
        mode=run.settings.mode,
        rules_sha256=run.rules.sha256,
        dry_run=dry_run,
        counts={name: counts[name] for name in COUNT_NAMES},
        changes=tuple(changes),
    )


def _write_batch(
    run: Run, evaluations: Sequence[Evaluation], failures: Sequence[Failure]
) -> tuple[list[Change], list[Failure]]:
    """Write and log a batch; return what was changed, and all failures.

    An evaluation that the database refuses is one more failure.
    """
    done, refused = bisect_writes(evaluations, lambda rows: write_evaluations(run, rows))
    failures = [*failures, *(Failure(r.row.candidate, describe_error(r.error)) for r in refused)]
    _, lost = bisect_writes(failures, lambda rows: write_failures(run, rows))
    for failure in failures:
        end = "dead" if failure.dead else f"failure {failure.attempts}"
        logger.warning("signal %d: %s (%s)", failure.candidate.signal_id, failure.error, end)
    for unwritten in lost:
        signal_id = unwritten.row.candidate.signal_id
        logger.error("signal %d: its failure cannot be stored: %s", signal_id, unwritten.error)
    return done, list(failures)


def _count_changes(changes: Iterable[Change]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for change in changes:
        if not change.outdated:
            counts["evaluated"] += 1
            counts[_COUNT_OF_DECISION[change.evaluation.verdict.decision]] += 1
            counts["updated"] += change.updates_signal
    return counts
