"""The run as a whole: its counts, the rules on and off, its settings, its cost."""

from decimal import Decimal
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signals.models import Event, OnchainFeature, Signal, SignalEvent, SignalVerification
from signals.verification.errors import RulesError, SettingError
from signals.verification.job import run_once, verify_signals
from tests.verification.database import execute, stored, verification
from tests.verification.expected import STALE_AFTER, counts
from tests.verification.sample_rows import (
    AS_OF,
    MINUTE,
    NOW,
    make_downgradable,
    make_features,
    make_population,
    make_signal,
    make_upgradable,
)

pytestmark = pytest.mark.django_db


def test_a_run_without_candidates_counts_nothing() -> None:
    assert run_once() == counts()


def test_run_once_needs_no_argument_and_reads_the_database_clock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        (now,) = cursor.fetchone()
    make_upgradable(now=now)
    signal = make_signal(now=now)
    assert run_once() == counts(scanned=1, evaluated=1, updated=1, verified=1)
    assert stored(signal) == ("candidate", now - 5 * MINUTE, Decimal(1))


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match=f"^limit is {limit} \\(at least 1\\)$"):
        run_once(limit)


def test_rules_on_an_upgrade_verifies_the_signal(rules_on: None) -> None:
    make_upgradable()
    signal = make_signal()
    assert verify_signals(now=NOW).counts == counts(scanned=1, evaluated=1, updated=1, verified=1)
    assert stored(signal) == ("verified", AS_OF, Decimal(1))
    assert (verification(signal).status, verification(signal).next_check_at) == ("settled", None)


def test_rules_on_a_downgrade_downgrades_the_signal(rules_on: None) -> None:
    make_downgradable()
    signal = make_signal()
    assert verify_signals(now=NOW).counts == counts(scanned=1, evaluated=1, updated=1, downgraded=1)
    assert stored(signal) == ("downgraded", AS_OF, Decimal(1))


def test_rules_on_a_hold_leaves_the_signal_a_candidate(rules_on: None) -> None:
    make_population()
    make_features()
    signal = make_signal()
    assert verify_signals(now=NOW).counts == counts(scanned=1, evaluated=1, updated=1, held=1)
    assert stored(signal) == ("candidate", AS_OF, Decimal("0.5"))
    assert (verification(signal).status, verification(signal).next_check_at) == (
        "waiting",
        AS_OF + STALE_AFTER,
    )


def test_rules_off_evidence_and_event_are_written_and_no_state() -> None:
    make_upgradable()
    signal = make_signal()
    assert verify_signals(now=NOW).counts == counts(scanned=1, evaluated=1, updated=1, verified=1)
    assert stored(signal) == ("candidate", AS_OF, Decimal(1))
    event = SignalEvent.objects.get()
    assert (event.decision, event.previous_state, event.new_state) == (
        "upgrade",
        "candidate",
        "candidate",
    )


def test_switching_the_rules_on_acts_on_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    make_upgradable()
    signal = make_signal()
    verify_signals(now=NOW)
    monkeypatch.setenv("ONCHAIN_RULES", "on")
    assert verify_signals(now=NOW).counts == counts(scanned=1, evaluated=1, updated=1, verified=1)
    assert stored(signal) == ("verified", AS_OF, Decimal(1))
    assert [event.new_state for event in SignalEvent.objects.order_by("pk")] == [
        "candidate",
        "verified",
    ]


def test_a_signal_that_is_no_candidate_is_never_looked_at(rules_on: None) -> None:
    make_upgradable()
    make_signal(state="verified")
    make_signal(state="downgraded")
    assert verify_signals(now=NOW).counts == counts()


def test_the_columns_that_the_job_does_not_need_may_be_gone(rules_on: None) -> None:
    make_upgradable()
    signal = make_signal()
    execute(
        "ALTER TABLE signals DROP COLUMN features_snapshot, DROP COLUMN heat_slope",
        "ALTER TABLE events DROP COLUMN summary, DROP COLUMN evidence",
    )
    verify_signals(now=NOW)
    assert stored(signal)[0] == "verified"


def test_a_wrong_setting_stops_the_run_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_signal()
    monkeypatch.setenv("ONCHAIN_RULES", "maybe")
    with pytest.raises(SettingError):
        verify_signals(now=NOW)
    assert not SignalVerification.objects.exists()


def test_a_wrong_rules_file_stops_the_run_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_signal()
    monkeypatch.setenv("ONCHAIN_RULES_FILE", str(tmp_path / "none.yml"))
    with pytest.raises(RulesError):
        verify_signals(now=NOW)
    assert not SignalVerification.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_batch_takes_the_same_few_statements_whatever_its_size(rules_on: None) -> None:
    def statements(signals: int) -> int:
        for n in range(signals):
            address = f"0x{n + 1:040x}"
            make_signal(token_ca=address)
            make_features(address=address, growth_ratio=Decimal(3))
        with CaptureQueriesContext(connection) as queries:
            assert verify_signals(now=NOW).counts["evaluated"] == signals
        for model in (SignalEvent, SignalVerification, Signal, Event, OnchainFeature):
            model.objects.all().delete()
        return len(queries)

    assert statements(1) == statements(60) <= 12
