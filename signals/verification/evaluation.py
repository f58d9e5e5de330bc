"""The verdict on each candidate of a batch."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from signals.choices import Decision, Note
from signals.verification.bisection import bisect_writes
from signals.verification.candidates import Batch, Candidate
from signals.verification.features import DECIDING_WINDOW, Evidence
from signals.verification.rules import evaluate, insufficient
from signals.verification.run import Run
from signals.verification.tokens import Token, resolve
from signals.verification.verdict import Verdict

MAX_FAILURES: Final = 5
"""Failures in a row after which a signal is dead."""

Output = TypeVar("Output")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A candidate and the verdict on it, with the token and the evidence that were found."""

    candidate: Candidate
    verdict: Verdict
    token: Token | None = None
    evidence: Evidence | None = None

    @property
    def as_of(self) -> datetime | None:
        """The time of the evidence that decided; None if nothing was decided."""
        if self.evidence is None or self.verdict.decision is Decision.INSUFFICIENT:
            return None
        return self.evidence.as_of


@dataclass(frozen=True, slots=True)
class Failure:
    """A candidate that could not be evaluated or written, and the error as one line."""

    candidate: Candidate
    error: str

    @property
    def attempts(self) -> int:
        """The number of failures in a row, this one included."""
        return self.candidate.attempts + 1

    @property
    def is_last(self) -> bool:
        """Whether the job gives the signal up, unless the run stops for its failures."""
        return self.attempts >= MAX_FAILURES


def evaluate_batch(run: Run, batch: Batch) -> tuple[list[Evaluation], list[Failure]]:
    """Return the evaluations of the candidates, and a failure for each one that raised an error."""
    aliases = run.settings.chain_aliases
    now = batch.now

    def resolve_one(candidate: Candidate) -> Token | None:
        if error := batch.refused.get(candidate.signal_id):
            raise error
        return resolve(candidate.event_key, candidate.token_ca, aliases)

    def read_evidence(tokens: Sequence[Token]) -> list[tuple[Token, Evidence]]:
        with run.atomic():
            return list(run.evidence.read_newest(run.connection, tokens, now).items())

    resolved, failures = map_candidates(batch.candidates, resolve_one)
    token_of = dict(resolved)
    tokens = list(dict.fromkeys(token for token in token_of.values() if token))
    found, refused = bisect_writes(tokens, read_evidence)
    newest, unreadable = dict(found), {each.row: each.error for each in refused}

    def evaluate_one(candidate: Candidate) -> Evaluation:
        token = token_of[candidate]
        if token and token in unreadable:
            raise unreadable[token]
        evidence = newest.get(token) if token else None
        verdict = reach_verdict(run, candidate, token, evidence, now)
        return Evaluation(candidate, verdict, token, evidence)

    evaluated, more_failures = map_candidates(token_of, evaluate_one)
    return [evaluation for _, evaluation in evaluated], failures + more_failures


def reach_verdict(
    run: Run,
    candidate: Candidate,
    token: Token | None,
    evidence: Evidence | None,
    now: datetime,
) -> Verdict:
    """Return the verdict on a candidate with that token and that newest evidence, each None if missing."""
    if token is None:
        return insufficient(Note.UNRESOLVABLE_TOKEN)
    if evidence is None:
        return insufficient(
            Note.EVIDENCE_DELAYED if candidate.overdue else Note.INSUFFICIENT_EVIDENCE
        )
    if evidence.is_stale(now):
        return insufficient(Note.FEATURE_STALE)
    return evaluate(run.rules, DECIDING_WINDOW, evidence.features)


def map_candidates(
    candidates: Iterable[Candidate], function: Callable[[Candidate], Output]
) -> tuple[list[tuple[Candidate, Output]], list[Failure]]:
    """Call `function` for each candidate; return the results, and a failure for each one that raised."""
    done: list[tuple[Candidate, Output]] = []
    failures: list[Failure] = []
    for candidate in candidates:
        try:
            done.append((candidate, function(candidate)))
        except Exception as error:  # noqa: BLE001 - one bad row never stops the batch
            failures.append(Failure(candidate, describe_error(error)))
    return done, failures


def describe_error(error: BaseException) -> str:
    """Return the error's class and the first line of its text, in ASCII and at most 500 characters."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]!a}"[:500]
