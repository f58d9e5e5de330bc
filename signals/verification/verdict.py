"""What a look at a signal can come to: closed sets that the models, the rules and the job share."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import TextChoices


class Feature(TextChoices):
    """What the rules may ask of a token."""

    ACTIVE_ADDR_PCTL = "active_addr_pctl"
    GROWTH_RATIO = "growth_ratio"
    TOP10_SHARE = "top10_share"
    SELF_LOOP_RATIO = "self_loop_ratio"


class Decision(TextChoices):
    """What the rules make of a signal."""

    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    HOLD = "hold"
    INSUFFICIENT = "insufficient"


class Note(TextChoices):
    """Why a decision is `insufficient`; the other decisions carry no note."""

    WINDOW_UNSUPPORTED = "window_unsupported"
    FEATURE_MISSING = "feature_missing"
    FEATURE_OUT_OF_RANGE = "feature_out_of_range"
    FEATURE_STALE = "feature_stale"
    INSUFFICIENT_EVIDENCE = "insufficient_evidence"
    EVIDENCE_DELAYED = "evidence_delayed"
    UNRESOLVABLE_TOKEN = "unresolvable_token"  # noqa: S105 - a token of a chain, not a secret


Features = Mapping[Feature, float | None]
"""What was measured; None where it was not."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision, how sure it is (0 to 1, three decimals), and for `insufficient` why.

    `named` are the features that the note is about.
    """

    decision: Decision
    confidence: Decimal
    note: Note | None = None
    named: tuple[Feature, ...] = ()
