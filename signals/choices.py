"""The closed sets of values that the tables hold as text or numbers.

They stand below the models and the verification, which both use them. The values of the database's own
enum types are in fields.py.
"""

from typing import Final

from django.db.models import TextChoices

WINDOW_MINUTES: Final = (30, 60, 180)
"""Lengths of the windows over which on-chain features are measured."""


class SignalState(TextChoices):
    """The result of a signal's verification so far."""

    CANDIDATE = "candidate"
    VERIFIED = "verified"
    DOWNGRADED = "downgraded"


class SignalEventType(TextChoices):
    """The kind of a row of signal_events: a verdict of the job, or what a person did."""

    ONCHAIN_VERIFY = "onchain_verify"
    OVERRIDE = "override"
    RECHECK = "recheck"
    REVIVE = "revive"


class ActionStatus(TextChoices):
    """How far an action on many signals is: chosen, confirmed, done, or given up half done."""

    CHOSEN = "chosen"
    CONFIRMED = "confirmed"
    FINISHED = "finished"
    DROPPED = "dropped"


class Decision(TextChoices):
    """The decision of the rules on a signal."""

    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    HOLD = "hold"
    INSUFFICIENT = "insufficient"


class Note(TextChoices):
    """The reason for the decision `insufficient`; the other decisions carry no note."""

    WINDOW_UNSUPPORTED = "window_unsupported"
    FEATURE_MISSING = "feature_missing"
    FEATURE_OUT_OF_RANGE = "feature_out_of_range"
    FEATURE_STALE = "feature_stale"
    INSUFFICIENT_EVIDENCE = "insufficient_evidence"
    EVIDENCE_DELAYED = "evidence_delayed"
    UNRESOLVABLE_TOKEN = "unresolvable_token"  # noqa: S105 - a token of a chain, not a secret


class VerificationStatus(TextChoices):
    """Whether the job will check a signal again."""

    WAITING = "waiting"
    SETTLED = "settled"
    DEAD = "dead"


class VerificationOutcome(TextChoices):
    """How the last check of a signal ended."""

    EVALUATED = "evaluated"
    SKIPPED = "skipped"
    FAILED = "failed"


class RunOutcome(TextChoices):
    """How a run of the job ended; a run that was killed stays `running`, with an old heartbeat."""

    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    FAILED = "failed"
