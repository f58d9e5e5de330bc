"""What follows from a change of a signal's token by hand."""

from django.db.models import QuerySet
from django.db.models.functions import Now

from signals.choices import SignalState, VerificationStatus
from signals.models import Signal, SignalVerification


def check_again(signals: QuerySet[Signal]) -> None:
    """Make the candidates among the signals due, and forget the evidence of their former token.

    The job never lets older evidence overwrite newer, and waits for newer evidence of the token it knows.
    """
    candidates = signals.filter(state=SignalState.CANDIDATE)
    SignalVerification.objects.filter(
        signal__in=candidates.values("pk"), status=VerificationStatus.WAITING
    ).update(next_check_at=Now())
    candidates.update(onchain_asof_ts=None, onchain_confidence=None)
