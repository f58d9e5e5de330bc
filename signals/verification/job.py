"""The job: looks at the candidates that are due and writes what the rules make of them.

A run that is stopped or killed anywhere leaves whole batches written and the rest due; the next run goes on
there. Runs at the same time, on any number of machines, never write a verdict twice.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from signals.choices import Decision, Note
from signals.verification.candidates import Candidate, read_due
from signals.verification.features import WINDOW, Evidence, read_newest
from signals.verification.halves import write_in_halves
from signals.verification.rules import evaluate, insufficient
from signals.verification.run import Run, start
from signals.verification.settings import Mode
from signals.verification.tokens import Token, resolve
from signals.verification.verdict import Verdict
from signals.verification.writing import Entry, Failure, Look, compare, write, write_failures

logger = logging.getLogger("signals.verification")

BATCH: Final = 1000
"""Signals that are looked up and written at once."""

COUNTS: Final = (
    *("scanned", "evaluated", "updated", "skipped", "errors"),
    *("verified", "downgraded", "held", "insufficient"),
)
"""The keys of a run's counts, in the order in which they are shown."""

_COUNTED: Final = {
    Decision.UPGRADE: "verified",
    Decision.DOWNGRADE: "downgraded",
    Decision.HOLD: "held",
    Decision.INSUFFICIENT: "insufficient",
}

Input = TypeVar("Input")
Output = TypeVar("Output")


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did, or with `dry_run` would have done; `entries` are its looks, one by one."""

    run: UUID
    mode: Mode
    rules_sha256: str
    dry_run: bool
    counts: dict[str, int]
    entries: tuple[Entry, ...]


def run_once(limit: int = 100) -> dict[str, int]:
    """Looks at no more than `limit` candidates that are due, and counts what came of it.

    scanned = evaluated + skipped + errors. evaluated = verified + downgraded + held + insufficient,
    which count decisions, also while the rules are off. updated are the signals written. skipped were
    overtaken by somebody else or by newer evidence. ConfigurationError if a setting, the rules file or
    the schema is wrong; then nothing was read or written.
    """
    return run(limit).counts


def run(limit: int = 100, *, now: datetime | None = None, dry_run: bool = False) -> Report:
    """run_once with its report; `dry_run` writes nothing, `now` stands for the database's clock."""
    if limit < 1:
        raise ValueError(f"limit is {limit} (at least 1)")
    this = start(now)
    due = read_due(this.connection, this.settings, this.time, this.now, limit)
    counts: Counter[str] = Counter(scanned=len(due))
    entries: list[Entry] = []
    for first in range(0, len(due), BATCH):
        looks, failures = look_at(this, due[first : first + BATCH])
        if dry_run:
            done = compare(this, looks)
        else:
            done, failures = _write(this, looks, failures)
        entries += done
        counts["errors"] += len(failures)
        counts.update(_counted(done))
    counts["skipped"] = counts["scanned"] - counts["evaluated"] - counts["errors"]
    return Report(
        run=this.id,
        mode=this.settings.mode,
        rules_sha256=this.rules.sha256,
        dry_run=dry_run,
        counts={name: counts[name] for name in COUNTS},
        entries=tuple(entries),
    )


def look_at(run: Run, candidates: Sequence[Candidate]) -> tuple[list[Look], list[Failure]]:
    """The looks at a batch; a candidate that breaks the code is a failure, and only itself."""
    resolved, failures = each(candidates, lambda c: resolve(c.event_key, c.token_ca))
    tokens = [token for _, token in resolved if token]
    newest = read_newest(run.connection, tokens, run.now) if tokens else {}

    def look(candidate: Candidate) -> Look:
        token = found[candidate]
        evidence = newest.get(token) if token else None
        return Look(candidate, judge(run, candidate, token, evidence), token, evidence)

    found = dict(resolved)
    judged, more = each(found, look)
    return [look for _, look in judged], failures + more


def judge(
    run: Run, candidate: Candidate, token: Token | None, evidence: Evidence | None
) -> Verdict:
    """The verdict on a candidate, given its token and the newest evidence, if there are any."""
    if token is None:
        return insufficient(Note.UNRESOLVABLE_TOKEN)
    if evidence is None:
        return insufficient(
            Note.EVIDENCE_DELAYED if candidate.overdue else Note.INSUFFICIENT_EVIDENCE
        )
    if evidence.stale(run.now):
        return insufficient(Note.FEATURE_STALE)
    return evaluate(run.rules, WINDOW, evidence.features)


def each(
    candidates: Iterable[Candidate], function: Callable[[Candidate], Output]
) -> tuple[list[tuple[Candidate, Output]], list[Failure]]:
    """What `function` makes of each candidate, and the candidates for which it raised."""
    done: list[tuple[Candidate, Output]] = []
    failures: list[Failure] = []
    for candidate in candidates:
        try:
            done.append((candidate, function(candidate)))
        except Exception as error:  # noqa: BLE001 - one bad row never stops the batch
            failures.append(Failure(candidate, describe(error)))
    return done, failures


def describe(error: Exception) -> str:
    """The error in one bounded line of ASCII, whatever text it carries."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]!a}"[:500]


def _write(
    run: Run, looks: Sequence[Look], failures: Sequence[Failure]
) -> tuple[list[Entry], list[Failure]]:
    """Writes a batch; what the database refuses becomes a failure, and failures are remembered."""
    done, refused = write_in_halves(looks, lambda rows: write(run, rows))
    failures = [*failures, *(Failure(r.row.candidate, describe(r.error)) for r in refused)]
    _, lost = write_in_halves(failures, lambda rows: write_failures(run, rows))
    for failure in failures:
        end = "dead" if failure.dead else f"failure {failure.attempts}"
        logger.warning("signal %d: %s (%s)", failure.candidate.signal, failure.error, end)
    for unwritten in lost:
        signal = unwritten.row.candidate.signal
        logger.error("signal %d: its failure cannot be stored: %s", signal, unwritten.error)
    return done, list(failures)


def _counted(entries: Iterable[Entry]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for entry in entries:
        if not entry.outrun:
            counts["evaluated"] += 1
            counts[_COUNTED[entry.look.verdict.decision]] += 1
            counts["updated"] += entry.updates_signal
    return counts
