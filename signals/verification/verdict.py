"""The verdict on a signal, and the features of its token that it rests on."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import TextChoices

from signals.choices import Decision, Note


class Feature(TextChoices):
    """A feature of a token that the rules can ask for."""

    ACTIVE_ADDR_PCTL = "active_addr_pctl"
    GROWTH_RATIO = "growth_ratio"
    TOP10_SHARE = "top10_share"
    SELF_LOOP_RATIO = "self_loop_ratio"


Features = Mapping[Feature, Decimal | None]
"""The measured values; None for a feature that was not measured."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision with its confidence, from 0 to 1 with three decimals.

    For the decision `insufficient`, `note` is the reason, and `named` are the features that it is about.
    """

    decision: Decision
    confidence: Decimal
    note: Note | None = None
    named: tuple[Feature, ...] = ()
