"""Writing a batch of evaluations or failures, in one transaction.

A writer locks the signals of its batch that no other session has locked, and compares with what is stored
only then. An evaluation counts if its signal is still a candidate, no other run has checked the signal
meanwhile, and the signal has no newer evidence. A killed writer leaves nothing; its signals are still due.
"""

from collections.abc import Sequence
from typing import Final

from django.db import transaction

from signals.choices import SignalState
from signals.models import Signal, SignalEvent, SignalVerification
from signals.verification.candidates import Candidate
from signals.verification.changes import Change, evaluations_as_json, plan_changes
from signals.verification.evaluation import Evaluation, Failure
from signals.verification.rows import event_row, failed_verification_row, verification_row
from signals.verification.run import Run

_UPDATE: Final = """
UPDATE signals s
SET state = given.state, onchain_asof_ts = given.as_of, onchain_confidence = given.confidence
FROM jsonb_to_recordset(%s::jsonb) AS given(
    signal bigint, as_of timestamptz, state text, confidence numeric
)
WHERE s.id = given.signal AND s.state = 'candidate'
    AND (s.onchain_asof_ts IS NULL OR s.onchain_asof_ts <= given.as_of)
"""


def write_evaluations(run: Run, evaluations: Sequence[Evaluation]) -> list[Change]:
    """Write what the evaluations change, and return it.

    An evaluation is left out if another session has locked its signal or has checked it meanwhile.
    """
    with transaction.atomic(using=run.connection.alias):
        locked = _lock_signals(run, [evaluation.candidate for evaluation in evaluations])
        changes = plan_changes(run, [e for e in evaluations if e.candidate.signal_id in locked])
        _update_signals(run, [change.evaluation for change in changes if change.updates_signal])
        SignalEvent.objects.using(run.connection.alias).bulk_create(
            event_row(run, change) for change in changes if change.adds_event
        )
        _write_verifications(run, [verification_row(run, change) for change in changes])
    return changes


def write_failures(run: Run, failures: Sequence[Failure]) -> list[Failure]:
    """Write the failures to signal_verifications, and return those written.

    Each failure in a row doubles the time to the next check; the last one makes the signal dead. A
    failure is left out if another session has locked its signal or has checked it meanwhile.
    """
    with transaction.atomic(using=run.connection.alias):
        locked = _lock_signals(run, [failure.candidate for failure in failures])
        checks = dict(
            SignalVerification.objects.using(run.connection.alias)
            .filter(pk__in=locked)
            .values_list("pk", "checks")
        )
        written = [
            failure
            for failure in failures
            if failure.candidate.signal_id in locked
            and checks.get(failure.candidate.signal_id, 0) == failure.candidate.checks
        ]
        _write_verifications(run, [failed_verification_row(run, failure) for failure in written])
    return written


def _lock_signals(run: Run, candidates: Sequence[Candidate]) -> set[int]:
    """Lock the signals that are candidates and that no other session has locked; wait for none."""
    return set(
        Signal.objects.using(run.connection.alias)
        .filter(
            pk__in=[candidate.signal_id for candidate in candidates], state=SignalState.CANDIDATE
        )
        .order_by("pk")
        .select_for_update(skip_locked=True, no_key=True)
        .values_list("pk", flat=True)
    )


def _update_signals(run: Run, evaluations: Sequence[Evaluation]) -> None:
    if evaluations:
        with run.connection.cursor() as cursor:
            cursor.execute(_UPDATE, [evaluations_as_json(run, evaluations)])


def _write_verifications(run: Run, rows: Sequence[SignalVerification]) -> None:
    SignalVerification.objects.using(run.connection.alias).bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["signal"],
        update_fields=[
            "status",
            "next_check_at",
            "checks",
            "attempts",
            "outcome",
            "decision",
            "note",
            "error",
            "updated_at",
        ],
    )
