"""The rows of signal_events that a run writes."""

from decimal import Decimal

import pytest
from django.db import connection

from signals.models import SignalEvent
from signals.verification.job import verify_signals
from signals.verification.rules_file import SHIPPED_RULES, load_rules
from tests.verification.database import execute, verdicts
from tests.verification.sample_rows import (
    ADDRESS,
    AS_OF,
    NOW,
    make_features,
    make_population,
    make_signal,
    make_upgradable,
)

pytestmark = pytest.mark.django_db


def test_a_verdict_is_one_row_with_everything_it_rests_on(rules_on: None) -> None:
    make_upgradable()
    signal = make_signal(event_key="pump-17")
    report = verify_signals(now=NOW)
    event = SignalEvent.objects.get()
    assert (event.signal_id, event.event_key, event.type) == (
        signal.pk,
        "pump-17",
        "onchain_verify",
    )
    assert (event.previous_state, event.new_state) == ("candidate", "verified")
    assert (event.decision, event.confidence, event.note) == ("upgrade", Decimal(1), "")
    assert event.features == {
        "active_addr_pctl": 0.9975,
        "growth_ratio": 2.5,
        "top10_share": 0.1,
        "self_loop_ratio": 0.01,
    }
    assert (event.rules_sha256, event.run) == (load_rules(SHIPPED_RULES).sha256, report.run)
    assert event.created_at == NOW
    assert event.metadata == {
        "mode": "on",
        "named": [],
        "chain": "ethereum",
        "address": ADDRESS,
        "window_minutes": 60,
        "as_of": AS_OF.isoformat(),
        "calc_version": 2,
    }


def test_features_and_metadata_are_json_objects_in_the_database() -> None:
    make_features()
    execute("UPDATE onchain_features SET top10_share = 'NaN'")
    make_signal()
    make_signal(token_ca=None)
    verify_signals(now=NOW)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT jsonb_typeof(features), jsonb_typeof(metadata) FROM signal_events"
        )
        assert cursor.fetchall() == [("object", "object")]


def test_a_number_that_json_does_not_have_is_stored_as_a_text() -> None:
    make_features()
    make_population()
    execute("UPDATE onchain_features SET top10_share = 'NaN'")
    signal = make_signal()
    verify_signals(now=NOW)
    event = SignalEvent.objects.get()
    assert verdicts(signal) == [("insufficient", "feature_out_of_range")]
    assert event.features["top10_share"] == "NaN"
    assert event.metadata["named"] == ["top10_share"]
