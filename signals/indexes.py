"""The indexes of the admin's searches and filters, by the table that has them; the job needs none of them."""

from typing import Final

from django.db.models import F, Index, Q
from django.db.models.functions import Collate, Lower

from signals.expressions import (
    beginning,
    newest_event,
    newest_id,
    symbol_key,
    token_address_key,
    twin_of,
)

OF_EVENTS: Final = (
    # The admin's searches: the beginning of a key in any locale, and the newest events of a kind.
    Index(Collate("event_key", "C"), name="ix_events_key_prefix"),
    Index(symbol_key(), newest_event(), name="ix_events_symbol_newest"),
    Index(token_address_key(), newest_event(), name="ix_events_address_newest"),
    Index(
        *(F("topic_hash"), newest_event()),
        condition=Q(topic_hash__isnull=False),
        name="ix_events_topic_newest",
    ),
    # The admin's filters, in the order of its list.
    Index(
        *(beginning("type"), twin_of("last_ts")),
        condition=Q(type__isnull=False),
        name="ix_events_type_last_ts",
    ),
    Index(
        *(F("refine_ok"), twin_of("last_ts")),
        condition=Q(refine_ok__isnull=False),
        name="ix_events_refined_last_ts",
    ),
)
OF_SIGNALS: Final = (
    # The newest signals of a topic, which may be one of the past.
    Index(
        *(F("topic_id"), newest_id()),
        condition=Q(topic_id__isnull=False),
        name="ix_signals_topic_id_newest",
    ),
    # The admin's filters, each in an order of its list.
    Index(
        fields=("goplus_risk", "created_at"),
        condition=Q(goplus_risk__isnull=False),
        name="ix_signals_risk_arrival",
    ),
    Index(
        *(beginning("market_type"), F("created_at")),
        condition=Q(market_type__isnull=False),
        name="ix_signals_market_arrival",
    ),
    Index(
        *(beginning("source_level"), F("created_at")),
        condition=Q(source_level__isnull=False),
        name="ix_signals_source_arrival",
    ),
    Index(
        fields=("onchain_confidence", "id"),
        condition=Q(onchain_confidence__isnull=False),
        name="ix_signals_confidence",
    ),
)
OF_FEATURES: Final = (
    # The newest measurements at an address that is given in any case.
    Index(Lower("address"), newest_id(), name="ix_onf_address_newest"),
)
OF_VERDICTS: Final = (
    Index(F("run"), newest_id(), name="ix_signal_events_run_newest"),
    # The admin's filters: the newest verdicts with a decision, a note, or a new state.
    Index(
        *(F("decision"), F("note"), twin_of("created_at")),
        name="ix_signal_events_decision",
    ),
    Index(
        *(F("new_state"), twin_of("created_at")),
        condition=Q(new_state__in=("verified", "downgraded")),
        name="ix_signal_events_moved",
    ),
    # The few rows that are no verdicts of the job.
    Index(
        *(F("type"), twin_of("created_at")),
        condition=~Q(type="onchain_verify"),
        name="ix_signal_events_by_people",
    ),
)
OF_VERIFICATIONS: Final = (
    # The admin's filters and orders. They leave out what no check has found yet.
    Index(
        fields=("decision", "note", "updated_at"),
        condition=Q(decision__gt=""),
        name="ix_signal_verif_decision",
    ),
    Index(
        fields=("rules", "updated_at"),
        condition=Q(status__in=("settled", "dead")),
        name="ix_signal_verif_rules_ended",
    ),
    Index(
        fields=("margin", "signal"),
        condition=Q(margin__isnull=False),
        name="ix_signal_verif_margin",
    ),
    Index(
        fields=("as_of", "signal"),
        condition=Q(as_of__isnull=False),
        name="ix_signal_verif_as_of",
    ),
)
