"""The job: checks the candidates that are due, and writes the verdicts of the rules.

A run that is stopped or killed leaves whole batches written and the other signals due, and the next run
goes on with those. Runs at the same time, on any number of machines, share the signals that are due.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Event
from time import monotonic
from typing import Final
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections

from signals.choices import RunOutcome
from signals.verification.arrivals import enrol_range, judge_range, read_chains
from signals.verification.bisection import RefusedRow, bisect_writes
from signals.verification.candidates import (
    EVERY_SIGNAL,
    Batch,
    Candidate,
    Selection,
    claim,
    peek,
    release,
    renew,
    unread,
)
from signals.verification.changes import Change, plan_changes
from signals.verification.errors import TooManyFailures
from signals.verification.evaluation import Evaluation, Failure, describe_error, evaluate_batch
from signals.verification.intake import CHUNK, enrol, take_in
from signals.verification.judging import judge
from signals.verification.run import Run, count_dead, finish_run, record_progress, start_run
from signals.verification.settings import Mode
from signals.verification.tally import OnBatch, Stop, Tally
from signals.verification.tokens import fold_chain
from signals.verification.writing import bury, write_evaluations, write_failures

logger = logging.getLogger("signals.verification")

BATCH_SIZE: Final = 2000
"""Signals that a worker claims, evaluates and writes at once."""
MAX_REHEARSED: Final = 1_000_000
"""Signals that a dry run checks at most."""
HEARTBEAT: Final = 5.0
"""Seconds after which a working run renews its row."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a run works.

    * `limit`: check at most this many signals; None for all that are due.
    * `batch_size`: signals that a worker claims at once.
    * `workers`: threads that work, each with a connection of its own if there are several.
    * `dry_run`: write nothing.
    * `selection`: check only these of the due signals.
    """

    limit: int | None = 100
    batch_size: int = BATCH_SIZE
    workers: int = 1
    dry_run: bool = False
    selection: Selection = EVERY_SIGNAL


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run changed, or would have changed if it was a dry run.

    `changes` are those of a dry run, and empty otherwise. `error` says why the run ended early, and
    `stopped` is the error of one that stopped because too many checks failed. `dead` is the number of dead
    signals after the run, None if the database did not answer any more.
    """

    run: UUID
    mode: Mode
    rules_sha256: str
    dry_run: bool
    counts: dict[str, int]
    changes: tuple[Change, ...]
    outcome: RunOutcome
    error: str
    stopped: TooManyFailures | None
    dead: int | None


def run_once(limit: int = 100) -> dict[str, int]:
    """Check at most `limit` candidates that are due, and return the counts of the run.

    `scanned` = `evaluated` + `skipped` + `errors`, and `evaluated` = `verified` + `downgraded` + `held` +
    `insufficient`, which count decisions even if the rules are off. `updated` counts the signals whose row
    was written, `skipped` those that another session or newer evidence overtook, and `errors` those that
    failed. A connection that was closed before is closed again.

    Raise ConfigurationError if a setting, the rules file or the schema is wrong; nothing is written then.
    Raise TooManyFailures if the run stopped because too many checks failed.
    """
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"limit is {limit!r} (a whole number of at least 1)")
    was_open = connections[DEFAULT_DB_ALIAS].connection is not None
    try:
        report = verify_signals(limit)
    finally:
        if not was_open:
            connections[DEFAULT_DB_ALIAS].close()
    if report.stopped:
        raise report.stopped
    return report.counts


def verify_signals(
    limit: int | None = 100, *, now: datetime | None = None, dry_run: bool = False
) -> RunReport:
    """Do what run_once() does, and return the report of the run.

    `now` replaces the database's clock. With `dry_run` nothing is written.
    """
    return run_job(Options(limit=limit, dry_run=dry_run), now=now)


def run_job(
    options: Options,
    *,
    now: datetime | None = None,
    stop: Stop | None = None,
    on_batch: OnBatch | None = None,
    on_end: Callable[[RunReport], None] | None = None,
) -> RunReport:
    """Do one run with these options, which `stop` may end early, and return its report.

    `on_batch` is called with the counts when the run begins, and after each batch in the thread of the
    worker. `on_end` is called with the report, also if the run ends with an error, which is raised then.
    """
    if options.limit is not None and options.limit < 1:
        raise ValueError(f"limit is {options.limit} (at least 1)")
    stop = stop or Stop()
    run = start_run(now, is_recorded=not options.dry_run)
    tally = Tally(options.limit, run.settings, on_batch)
    changes: list[Change] = []
    error: BaseException | None = None
    dead: int | None = None
    try:
        if options.dry_run:
            changes = _rehearse(run, tally, options)
            dead = count_dead(run.connection)
        else:
            _work_in_threads(run, tally, options, stop)
            _bury(run, tally)
    except BaseException as caught:  # noqa: BLE001 - raised again when the run's row is complete
        error = caught
    outcome = _outcome(error, stop)
    if not options.dry_run:
        dead = _finish(run, tally, outcome, error)
    report = RunReport(
        run=run.id,
        mode=run.settings.mode,
        rules_sha256=run.rules.sha256,
        dry_run=options.dry_run,
        counts=tally.counts,
        changes=tuple(changes),
        outcome=outcome,
        error=_describe(error),
        stopped=error if isinstance(error, TooManyFailures) else None,
        dead=dead,
    )
    _log(report)
    if on_end:
        on_end(report)
    if error and not report.stopped:
        raise error
    return report


def _log(report: RunReport) -> None:
    """Log one line a run, whose fields a structured log keeps."""
    fields = {
        "run": str(report.run),
        "outcome": report.outcome.value,
        "rules": report.mode.value,
        "rules_sha256": report.rules_sha256,
        "dry_run": report.dry_run,
        "dead": report.dead,
        "reason": report.error,
        **report.counts,
    }
    counts = ", ".join(f"{name} {count}" for name, count in report.counts.items() if count)
    text = report.error or counts or "nothing was due"
    logger.info("run %s %s: %s", report.run, report.outcome, text, extra=fields)


def _outcome(error: BaseException | None, stop: Stop) -> RunOutcome:
    if isinstance(error, TooManyFailures):
        return RunOutcome.STOPPED
    if error:
        return RunOutcome.FAILED
    return RunOutcome.INTERRUPTED if stop.soon.is_set() else RunOutcome.FINISHED


def _describe(error: BaseException | None) -> str:
    if isinstance(error, TooManyFailures):
        return str(error)
    return describe_error(error) if error else ""


def _finish(run: Run, tally: Tally, outcome: RunOutcome, error: BaseException | None) -> int | None:
    """Complete the run's row, and return the number of dead signals.

    After an error the database may not answer any more. Then the row stays as it is, and nothing is known.
    """
    if error is None:
        return finish_run(run, tally.counts, outcome)
    if not run.connection.needs_rollback:
        with suppress(DatabaseError, InterfaceError):
            return finish_run(run, tally.counts, outcome, _describe(error))
    return None


def _work_in_threads(run: Run, tally: Tally, options: Options, stop: Stop) -> None:
    """Let the workers work until nothing is due; if one raises an error, the others end their batch."""
    if options.workers == 1:
        return _work(run, tally, options, stop)
    failed = Event()

    def work() -> None:
        try:
            _work(run, tally, options, stop, failed)
        except BaseException:
            failed.set()
            raise
        finally:
            run.connection.close()

    with ThreadPoolExecutor(options.workers, thread_name_prefix="verify_signal") as pool:
        futures = [pool.submit(work) for _ in range(options.workers)]
    for future in futures:
        future.result()
    return None


def _work(
    run: Run, tally: Tally, options: Options, stop: Stop, failed: Event | None = None
) -> None:
    """Claim, evaluate and write batches until nothing is due, the limit is reached or the run is stopped."""
    with stop.cancels(run.connection):
        try:
            _work_batches(run, tally, options, stop, failed)
        except DatabaseError:
            if not stop.now.is_set():  # else the statement was cancelled
                raise


def _work_batches(
    run: Run, tally: Tally, options: Options, stop: Stop, failed: Event | None
) -> None:
    takes_ranges = options.limit is None and options.selection == EVERY_SIGNAL
    range_size = options.batch_size if takes_ranges else None
    if options.selection.ids:
        _count_refused(tally, enrol(run, options.selection.ids))
        has_more = False
    else:
        has_more = _take_in(run, tally, range_size)
    beat, since_intake = monotonic(), 0
    while not stop.soon.is_set() and not (failed and failed.is_set()):
        if monotonic() - beat > HEARTBEAT:
            record_progress(run, tally.counts)
            beat = monotonic()
        if takes_ranges and _check_range(run, tally):
            continue
        size = tally.take(options.batch_size)
        if not size:
            return
        batch, checked = _claim(run, tally, size, options.selection)
        if batch.candidates:
            checked += _check(run, tally, options, stop, batch)
        tally.give_back(size - checked)
        since_intake += checked
        if batch.is_last and not has_more:
            return
        # Where many are due, what is new has its turn after as many of them as an intake reads.
        if batch.is_last or (takes_ranges and since_intake >= CHUNK):
            has_more, since_intake = _take_in(run, tally, range_size, sweep=False), 0


def _take_in(run: Run, tally: Tally, range_size: int | None, *, sweep: bool = True) -> bool:
    """Take in what is new; return whether there is more of it."""
    intake = take_in(run, sweep=sweep, range_size=range_size)
    _count_refused(tally, intake.refused)
    if sweep and range_size:
        read_chains(run)
    elif sweep:
        # A run that takes ranges may have been killed.
        while left := enrol_range(run):
            _count_refused(tally, left.refused)
    return intake.has_more


def _check_range(run: Run, tally: Tally) -> bool:
    """Judge a range of new signals; return whether there was one."""
    arrivals = judge_range(run)
    if arrivals is None:
        return False
    tally.count(arrivals.counts)
    _count_refused(tally, arrivals.refused)
    return True


def _count_refused(tally: Tally, rows: Sequence[RefusedRow[int]]) -> None:
    """Count and log the signals that the database refused to take in."""
    for refused in rows:
        logger.error("signal %d: its failure cannot be stored: %s", refused.row, refused.error)
        tally.add(1, [], [Failure(unread(refused.row), describe_error(refused.error))])


def _claim(run: Run, tally: Tally, size: int, selection: Selection) -> tuple[Batch, int]:
    """Claim a batch; return what is to be checked of it, and the number of those that were judged already."""
    if selection != EVERY_SIGNAL:
        return claim(run, size, selection), 0
    batch, counts = judge(run, size)
    tally.count(counts)
    return batch, counts["scanned"]


def _check(run: Run, tally: Tally, options: Options, stop: Stop, batch: Batch) -> int:
    """Check a claimed batch, and return how many signals were checked.

    Those that are not selected are given back, and all that are not written yet if the run is stopped or
    the batch raises an error.
    """
    try:
        evaluations, failures = evaluate_batch(run, batch)
        evaluations, failures, others = _select(run, options.selection, evaluations, failures)
        release(run, others)
        if stop.now.is_set():
            release(run, batch.candidates)
            return 0
        scanned = len(evaluations) + len(failures)
        done, failures = _write_evaluations(run, evaluations, failures)
        if len(done) + len(failures) < scanned:
            release(run, [evaluation.candidate for evaluation in evaluations])
        refusal = tally.refusal(scanned, failures)
        if refusal:
            release(run, [failure.candidate for failure in failures])
        else:
            _write_failures(run, failures)
        tally.add(scanned, done, failures)
        if refusal:
            raise refusal
    except BaseException:
        # If the database does not answer any more, the leases end by themselves.
        if not run.connection.needs_rollback:
            with suppress(DatabaseError, InterfaceError):
                release(run, batch.candidates)
        if stop.now.is_set():
            return 0
        raise
    return scanned


def _select(
    run: Run, selection: Selection, evaluations: list[Evaluation], failures: list[Failure]
) -> tuple[list[Evaluation], list[Failure], list[Candidate]]:
    """Return the evaluations and failures of the selected signals, and the other candidates."""
    if selection.chain is None and selection.since is None:
        return evaluations, failures, []
    chain = selection.chain and fold_chain(selection.chain, run.settings.chain_aliases)
    wanted = [
        each
        for each in evaluations
        if each.candidate.is_wanted and (not chain or (each.token and each.token.chain == chain))
    ]
    failed = [each for each in failures if each.candidate.is_wanted and not chain]
    every = [each.candidate for each in evaluations] + [each.candidate for each in failures]
    kept = {each.candidate for each in wanted} | {each.candidate for each in failed}
    return wanted, failed, [candidate for candidate in every if candidate not in kept]


def _write_evaluations(
    run: Run, evaluations: Sequence[Evaluation], failures: Sequence[Failure]
) -> tuple[list[Change], list[Failure]]:
    """Write the evaluations; return what was changed, and all failures.

    An evaluation that the database refuses is one more failure. While refused rows are looked for, the
    lease is renewed.
    """
    claimed = monotonic()

    def write(rows: Sequence[Evaluation]) -> list[Change]:
        nonlocal claimed
        if monotonic() - claimed > run.settings.lease.total_seconds() / 3:
            renew(run, [evaluation.candidate for evaluation in evaluations])
            claimed = monotonic()
        return write_evaluations(run, rows)

    done, refused = bisect_writes(evaluations, write)
    return done, [*failures, *(Failure(r.row.candidate, describe_error(r.error)) for r in refused)]


def _write_failures(run: Run, failures: Sequence[Failure]) -> None:
    """Write and log the failures."""
    written, lost = bisect_writes(failures, lambda rows: write_failures(run, rows))
    kept = {failure.candidate for failure in written}
    for failure in failures:
        end = "dead" if failure.is_last else f"failure {failure.attempts}"
        end = end if failure.candidate in kept else "not stored"
        logger.warning("signal %d: %s (%s)", failure.candidate.signal_id, failure.error, end)
    for unwritten in lost:
        signal_id = unwritten.row.candidate.signal_id
        logger.error("signal %d: its failure cannot be stored: %s", signal_id, unwritten.error)


def _bury(run: Run, tally: Tally) -> None:
    """Make the signals dead that the job gives up."""
    for refused in bury(run, tally.last_failures):
        error = describe_error(refused.error)
        logger.error("signal %d: it cannot be made dead: %s", refused.row, error)


def _rehearse(run: Run, tally: Tally, options: Options) -> list[Change]:
    """Return what a run would change, without a claim and without a write."""
    size = MAX_REHEARSED if options.limit is None else options.limit
    found = peek(run, size, options.selection)
    changes: list[Change] = []
    for first in range(0, len(found.candidates), options.batch_size):
        candidates = found.candidates[first : first + options.batch_size]
        part = replace(found, candidates=candidates)
        evaluations, failures, _ = _select(run, options.selection, *evaluate_batch(run, part))
        done = plan_changes(run, evaluations)
        tally.add(len(evaluations) + len(failures), done, failures)
        changes += done
    return changes
