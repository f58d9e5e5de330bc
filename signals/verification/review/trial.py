"""What the rules would decide now on signals of any state; nothing is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from signals.choices import SignalState
from signals.verification.candidates import Batch, Candidate
from signals.verification.evaluation import Evaluation, Failure, evaluate_batch
from signals.verification.readable import readable
from signals.verification.run import NOW, Run

_SIGNALS: Final = f"""
SELECT s.state, s.id, {readable("s.event_key")}, {readable("e.token_ca")},
    s.{{time}} IS NULL OR s.{{time}} < {NOW} - %(timeout)s, 0, 0
FROM signals s
LEFT JOIN events e ON e.event_key = s.event_key
WHERE s.id = ANY (%(ids)s)
ORDER BY s.id DESC
"""  # noqa: S608 - names of columns


@dataclass(frozen=True, slots=True)
class Trial:
    """A signal as it is, and what the rules make of its newest evidence."""

    signal: int
    state: SignalState
    made: Evaluation | Failure


def try_rules(run: Run, signals: Sequence[int]) -> list[Trial]:
    """Return the trials of the signals that are there, the newest first."""
    now = run.read_clock()
    rows = run.execute_by_index(_SIGNALS, {"ids": list(signals)})
    states = {number: SignalState(state) for state, number, *_ in rows}
    candidates = [Candidate(*row) for _, *row in rows]
    evaluations, failures = evaluate_batch(run, Batch(now, candidates, is_last=True))
    ends: list[Evaluation | Failure] = [*evaluations, *failures]
    made = {each.candidate.signal_id: each for each in ends}
    return [Trial(number, state, made[number]) for number, state in states.items()]
