from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signals.models import Event, OnchainFeature, Signal, SignalEvent, SignalVerification
from signals.verification.errors import RulesError, SettingError
from signals.verification.job import run, run_once
from signals.verification.rules_file import SHIPPED, load
from tests.verification.builders import (
    ADDRESS,
    MINUTE,
    NOW,
    execute,
    make_downgradable,
    make_features,
    make_population,
    make_signal,
    make_upgradable,
    memory,
    stored,
    verdicts,
)

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)
TTL = timedelta(seconds=900)
AS_OF = NOW - 5 * MINUTE
NOTHING = ("candidate", None, None)


def counts(**changed: int) -> dict[str, int]:
    """A run's counts; those not given are 0."""
    names = "scanned evaluated updated skipped errors verified downgraded held insufficient"
    return {**dict.fromkeys(names.split(), 0), **changed}


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


# the two modes


def test_rules_on_an_upgrade_verifies_the_signal(rules_on: None) -> None:
    make_upgradable()
    signal = make_signal()
    assert run(now=NOW).counts == counts(scanned=1, evaluated=1, updated=1, verified=1)
    assert stored(signal) == ("verified", AS_OF, Decimal(1))
    assert (memory(signal).status, memory(signal).next_check_at) == ("settled", None)


def test_rules_on_a_downgrade_downgrades_the_signal(rules_on: None) -> None:
    make_downgradable()
    signal = make_signal()
    assert run(now=NOW).counts == counts(scanned=1, evaluated=1, updated=1, downgraded=1)
    assert stored(signal) == ("downgraded", AS_OF, Decimal(1))


def test_rules_on_a_hold_leaves_the_signal_a_candidate(rules_on: None) -> None:
    make_population()
    make_features()
    signal = make_signal()
    assert run(now=NOW).counts == counts(scanned=1, evaluated=1, updated=1, held=1)
    assert stored(signal) == ("candidate", AS_OF, Decimal("0.5"))
    assert (memory(signal).status, memory(signal).next_check_at) == ("waiting", NOW + TTL)


def test_rules_off_evidence_and_event_are_written_and_no_state() -> None:
    make_upgradable()
    signal = make_signal()
    assert run(now=NOW).counts == counts(scanned=1, evaluated=1, updated=1, verified=1)
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
    run(now=NOW)
    monkeypatch.setenv("ONCHAIN_RULES", "on")
    assert run(now=NOW).counts == counts(scanned=1, evaluated=1, updated=1, verified=1)
    assert stored(signal) == ("verified", AS_OF, Decimal(1))
    assert [event.new_state for event in SignalEvent.objects.order_by("pk")] == [
        "candidate",
        "verified",
    ]


def test_a_signal_that_is_no_candidate_is_never_looked_at(rules_on: None) -> None:
    make_upgradable()
    make_signal(state="verified")
    make_signal(state="downgraded")
    assert run(now=NOW).counts == counts()


# the event


def test_a_verdict_is_one_row_with_everything_it_rests_on(rules_on: None) -> None:
    make_upgradable()
    signal = make_signal(event_key="pump-17")
    report = run(now=NOW)
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
    assert (event.rules_sha256, event.run) == (load(SHIPPED).sha256, report.run)
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
    run(now=NOW)
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
    run(now=NOW)
    event = SignalEvent.objects.get()
    assert verdicts(signal) == [("insufficient", "feature_out_of_range")]
    assert event.features["top10_share"] == "nan"
    assert event.metadata["named"] == ["top10_share"]


def test_a_verdict_equal_to_the_last_one_adds_no_row() -> None:
    make_population()
    make_features()
    signal = make_signal()
    run(now=NOW)
    assert run(now=NOW + TTL).counts == counts(scanned=1, evaluated=1, held=1)
    assert verdicts(signal) == [("hold", "")]
    assert memory(signal).checks == 2


def test_newer_evidence_for_an_equal_verdict_updates_the_signal_and_adds_no_row() -> None:
    make_population()
    make_features()
    signal = make_signal()
    run(now=NOW)
    make_features(age=-10 * MINUTE, growth_ratio=Decimal("1.6"))
    assert run(now=NOW + TTL).counts == counts(scanned=1, evaluated=1, updated=1, held=1)
    assert stored(signal) == ("candidate", NOW + 10 * MINUTE, Decimal("0.5"))
    assert verdicts(signal) == [("hold", "")]


def test_an_upgrade_withheld_by_the_rules_being_off_is_written_once() -> None:
    make_upgradable()
    signal = make_signal()
    run(now=NOW)
    assert run(now=NOW + MINUTE).counts == counts(scanned=1, evaluated=1, verified=1)
    assert verdicts(signal) == [("upgrade", "")]


def test_a_verdict_that_differs_from_the_last_one_adds_a_row() -> None:
    signal = make_signal()
    run(now=NOW)
    make_features()
    run(now=NOW + TTL)
    make_population()
    run(now=NOW + 2 * TTL)
    assert verdicts(signal) == [
        ("insufficient", "insufficient_evidence"),
        ("insufficient", "feature_missing"),
        ("hold", ""),
    ]


def test_another_missing_feature_is_another_verdict() -> None:
    features = make_features(growth_ratio=None)
    make_population()
    make_signal()
    run(now=NOW)
    OnchainFeature.objects.filter(pk=features.pk).update(growth_ratio=1, top10_share=None)
    run(now=NOW + TTL)
    assert [event.metadata["named"] for event in SignalEvent.objects.order_by("pk")] == [
        ["growth_ratio"],
        ["top10_share"],
    ]


def test_a_verdict_by_other_rules_is_another_verdict(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_population()
    make_features()
    make_signal()
    run(now=NOW)
    other = tmp_path / "rules.yml"
    other.write_text(SHIPPED.read_text() + "# edited\n")
    monkeypatch.setenv("ONCHAIN_RULES_FILE", str(other))
    run(now=NOW + TTL)
    assert [event.rules_sha256 for event in SignalEvent.objects.order_by("pk")] == [
        load(SHIPPED).sha256,
        load(other).sha256,
    ]


def test_a_signal_moved_back_to_candidate_by_hand_is_due_at_once_and_its_move_is_written(
    rules_on: None,
) -> None:
    make_upgradable()
    signal = make_signal()
    run(now=NOW)
    Signal.objects.filter(pk=signal.pk).update(state="candidate")
    assert run(now=NOW).counts == counts(scanned=1, evaluated=1, updated=1, verified=1)
    assert verdicts(signal) == [("upgrade", ""), ("upgrade", "")]


# evidence


@pytest.mark.parametrize(
    ("age", "note"),
    [
        (720 * SECOND, "insufficient_evidence"),
        (720 * SECOND + SECOND, "evidence_delayed"),
        (timedelta(days=400), "evidence_delayed"),
    ],
)
def test_missing_evidence_is_delayed_when_the_signal_is_older_than_the_timeout(
    age: timedelta, note: str
) -> None:
    signal = make_signal(age=age)
    assert run(now=NOW).counts == counts(scanned=1, evaluated=1, insufficient=1)
    assert verdicts(signal) == [("insufficient", note)]
    assert stored(signal) == NOTHING


def test_the_timeout_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCHAIN_VERIFICATION_TIMEOUT_SEC", "1000")
    late, early = make_signal(age=1001 * SECOND), make_signal(age=1000 * SECOND)
    run(now=NOW)
    assert verdicts(late) == [("insufficient", "evidence_delayed")]
    assert verdicts(early) == [("insufficient", "insufficient_evidence")]


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (90 * MINUTE, ("hold", "")),
        (90 * MINUTE + SECOND, ("insufficient", "feature_stale")),
        (-2 * MINUTE, ("hold", "")),
        (-2 * MINUTE - SECOND, ("insufficient", "insufficient_evidence")),
    ],
)
def test_evidence_is_between_ninety_minutes_old_and_two_minutes_ahead(
    age: timedelta, expected: tuple[str, str]
) -> None:
    make_population()
    make_features(age=age)
    signal = make_signal()
    run(now=NOW)
    assert verdicts(signal) == [expected]
    assert (stored(signal) == NOTHING) is (expected[0] == "insufficient")


def test_a_missing_feature_is_insufficient_and_touches_nothing_of_the_signal(
    rules_on: None,
) -> None:
    make_population()
    make_features(growth_ratio=None)
    before = NOW - 60 * MINUTE
    signal = make_signal(onchain_asof_ts=before, onchain_confidence=Decimal("0.5"))
    assert run(now=NOW).counts == counts(scanned=1, evaluated=1, insufficient=1)
    assert stored(signal) == ("candidate", before, Decimal("0.5"))
    assert verdicts(signal) == [("insufficient", "feature_missing")]


def test_fewer_than_two_hundred_rows_make_the_percentile_a_missing_feature() -> None:
    make_population(198)
    make_features()
    make_signal()
    run(now=NOW)
    event = SignalEvent.objects.get()
    assert (event.note, event.metadata["named"]) == ("feature_missing", ["active_addr_pctl"])
    assert event.features["active_addr_pctl"] is None


def test_growth_of_calc_version_1_is_read_plus_one(rules_on: None) -> None:
    make_population()
    make_features(calc_version=1, growth_ratio=Decimal("1.0"))
    signal = make_signal()
    run(now=NOW)
    assert stored(signal)[0] == "verified"
    assert SignalEvent.objects.get().features["growth_ratio"] == 2.0


def test_a_token_is_found_whatever_the_case_of_its_evm_address(rules_on: None) -> None:
    make_upgradable(address="0x" + "aB" * 20)
    signal = make_signal(token_ca="0x" + "Ab" * 20)
    run(now=NOW)
    assert stored(signal)[0] == "verified"


def test_an_event_key_names_the_token_if_token_ca_does_not(rules_on: None) -> None:
    make_population(chain="solana")
    make_features(chain="solana", address="AbC", growth_ratio=Decimal(3))
    found = make_signal(token_ca=None, event_key="solana:AbC:17")
    not_found = make_signal(token_ca=None, event_key="solana:abc:17")
    run(now=NOW)
    assert stored(found)[0] == "verified"
    assert verdicts(not_found) == [("insufficient", "insufficient_evidence")]


def test_a_token_that_cannot_be_resolved_is_recorded_once() -> None:
    signal = make_signal(token_ca=None)
    assert run(now=NOW).counts == counts(scanned=1, evaluated=1, insufficient=1)
    for n in range(1, 4):
        assert run(now=NOW + n * TTL).counts == counts(scanned=1, evaluated=1, insufficient=1)
    assert verdicts(signal) == [("insufficient", "unresolvable_token")]


def test_a_signal_without_an_event_is_unresolvable() -> None:
    signal = make_signal()
    Signal.objects.filter(pk=signal.pk).update(event=None)
    run(now=NOW)
    assert verdicts(signal) == [("insufficient", "unresolvable_token")]
    assert SignalEvent.objects.get().event_key == ""


@pytest.mark.parametrize("text", ["'; DROP TABLE signals; --", "%s %(now)s", "\\", "💩" * 50])
def test_the_text_of_an_event_is_only_text(text: str) -> None:
    signal = make_signal(token_ca=text, event_key=f"solana:{text}")
    assert run(now=NOW).counts["errors"] == 0
    assert SignalEvent.objects.get().event_key == f"solana:{text}"
    assert Signal.objects.filter(pk=signal.pk).exists()


# older and newer evidence


def test_older_evidence_overwrites_nothing_and_the_look_is_skipped(rules_on: None) -> None:
    make_upgradable()
    newer = AS_OF + SECOND
    signal = make_signal(onchain_asof_ts=newer, onchain_confidence=Decimal("0.5"))
    assert run(now=NOW).counts == counts(scanned=1, skipped=1)
    assert stored(signal) == ("candidate", newer, Decimal("0.5"))
    assert verdicts(signal) == []
    assert (memory(signal).outcome, memory(signal).next_check_at) == ("skipped", NOW + TTL)


def test_evidence_as_old_as_what_is_stored_still_moves_the_signal(rules_on: None) -> None:
    make_upgradable()
    signal = make_signal(onchain_asof_ts=AS_OF, onchain_confidence=Decimal(1))
    assert run(now=NOW).counts == counts(scanned=1, evaluated=1, updated=1, verified=1)
    assert stored(signal) == ("verified", AS_OF, Decimal(1))


@pytest.mark.parametrize("value", ["infinity", "-infinity"])
def test_a_time_that_python_cannot_hold_stops_nothing(rules_on: None, value: str) -> None:
    make_upgradable()
    signal, odd = make_signal(), make_signal()
    execute(f"UPDATE signals SET onchain_asof_ts = '{value}' WHERE id = {odd.pk}")
    assert run(now=NOW).counts["errors"] == 0
    assert stored(signal)[0] == "verified"


# who is due


@pytest.mark.parametrize(("age", "scanned"), [(180 * SECOND, 1), (180 * SECOND - SECOND, 0)])
def test_a_candidate_is_due_when_it_is_as_old_as_the_delay(age: timedelta, scanned: int) -> None:
    make_signal(age=age)
    assert run(now=NOW).counts["scanned"] == scanned


@pytest.mark.parametrize(("delay", "scanned"), [("600", 1), ("601", 0), ("0", 1)])
def test_the_delay_is_a_setting(monkeypatch: pytest.MonkeyPatch, delay: str, scanned: int) -> None:
    monkeypatch.setenv("ONCHAIN_VERIFICATION_DELAY_SEC", delay)
    make_signal(age=600 * SECOND)
    assert run(now=NOW).counts["scanned"] == scanned


def test_a_longer_delay_holds_for_those_that_were_looked_at_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_signal()
    run(now=NOW)
    monkeypatch.setenv("ONCHAIN_VERIFICATION_DELAY_SEC", "100000")
    assert run(now=NOW + TTL).counts["scanned"] == 0


@pytest.mark.parametrize("evidence", [True, False])
def test_after_hold_and_insufficient_a_signal_rests_for_the_ttl(evidence: bool) -> None:
    make_signal()
    if evidence:
        make_population()
        make_features()
    run(now=NOW)
    assert run(now=NOW + TTL - SECOND).counts["scanned"] == 0
    assert run(now=NOW + TTL).counts["scanned"] == 1


def test_the_ttl_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCHAIN_VERDICT_TTL_SEC", "60")
    make_signal()
    run(now=NOW)
    assert run(now=NOW + 59 * SECOND).counts["scanned"] == 0
    assert run(now=NOW + 60 * SECOND).counts["scanned"] == 1


def test_the_oldest_candidates_come_first_and_no_more_than_the_limit() -> None:
    ages = [30, 20, 50, 40, 10]
    signals = {age: make_signal(age=age * MINUTE) for age in ages}
    for expected in ([50, 40], [30, 20], [10], []):
        seen = set(SignalVerification.objects.values_list("pk", flat=True))
        assert run(2, now=NOW).counts["scanned"] == len(expected)
        now_seen = set(SignalVerification.objects.values_list("pk", flat=True))
        assert now_seen - seen == {signals[age].pk for age in expected}


def test_candidates_that_come_again_and_again_never_strand_a_newer_one() -> None:
    old = [make_signal(age=timedelta(days=1), now=NOW) for _ in range(3)]
    for n in range(3):
        run(1, now=NOW + n * MINUTE)
    newer = make_signal(age=5 * MINUTE)
    run(1, now=NOW + TTL)  # the old ones are due again, later than the newer one
    assert verdicts(newer) == [("insufficient", "evidence_delayed")]
    assert {memory(signal).checks for signal in old} == {1}


def test_however_old_a_candidate_is_it_is_looked_at() -> None:
    signal = make_signal(age=timedelta(days=5000))
    execute("UPDATE signals SET created_at = '-infinity'")
    run(now=NOW)
    assert verdicts(signal) == [("insufficient", "evidence_delayed")]


def test_a_candidate_without_an_age_is_due_first_and_its_evidence_delayed() -> None:
    execute("ALTER TABLE signals ALTER COLUMN created_at DROP NOT NULL")
    make_signal(age=timedelta(days=1))
    ageless = make_signal(age=None)
    assert run(1, now=NOW).counts == counts(scanned=1, evaluated=1, insufficient=1)
    assert verdicts(ageless) == [("insufficient", "evidence_delayed")]
    assert run(now=NOW).counts["scanned"] == 1
    assert run(now=NOW + TTL).counts["scanned"] == 2


@pytest.mark.parametrize(
    ("dropped", "column"), [(["created_at"], "updated_at"), (["created_at", "updated_at"], "ts")]
)
def test_the_age_is_read_from_the_first_time_column_that_the_table_has(
    dropped: list[str], column: str
) -> None:
    young, old = make_signal(), make_signal()
    for name in dropped:
        execute(f"ALTER TABLE signals DROP COLUMN {name} CASCADE")
    execute(
        f"UPDATE signals SET {column} = '{NOW - MINUTE}' WHERE id = {young.pk}",
        f"UPDATE signals SET {column} = '{NOW - 30 * MINUTE}' WHERE id = {old.pk}",
    )
    assert run(now=NOW).counts == counts(scanned=1, evaluated=1, insufficient=1)
    assert verdicts(old) == [("insufficient", "evidence_delayed")]


def test_the_columns_that_the_job_does_not_need_may_be_gone(rules_on: None) -> None:
    make_upgradable()
    signal = make_signal()
    execute(
        "ALTER TABLE signals DROP COLUMN features_snapshot, DROP COLUMN heat_slope",
        "ALTER TABLE events DROP COLUMN summary, DROP COLUMN evidence",
    )
    run(now=NOW)
    assert stored(signal)[0] == "verified"


# settings and rules


def test_a_wrong_setting_stops_the_run_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_signal()
    monkeypatch.setenv("ONCHAIN_RULES", "maybe")
    with pytest.raises(SettingError):
        run(now=NOW)
    assert not SignalVerification.objects.exists()


def test_a_wrong_rules_file_stops_the_run_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_signal()
    monkeypatch.setenv("ONCHAIN_RULES_FILE", str(tmp_path / "none.yml"))
    with pytest.raises(RulesError):
        run(now=NOW)
    assert not SignalVerification.objects.exists()


def test_rules_without_the_deciding_window_decide_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "rules.yml"
    other.write_text(SHIPPED.read_text().replace("[30, 60, 180]", "[30, 180]"))
    monkeypatch.setenv("ONCHAIN_RULES_FILE", str(other))
    make_upgradable()
    signal = make_signal()
    run(now=NOW)
    assert verdicts(signal) == [("insufficient", "window_unsupported")]


# the cost


def test_a_batch_takes_the_same_few_statements_whatever_its_size(rules_on: None) -> None:
    def statements(signals: int) -> int:
        for n in range(signals):
            address = f"0x{n + 1:040x}"
            make_signal(token_ca=address)
            make_features(address=address, growth_ratio=Decimal(3))
        with CaptureQueriesContext(connection) as queries:
            assert run(now=NOW).counts["evaluated"] == signals
        for model in (SignalEvent, SignalVerification, Signal, Event, OnchainFeature):
            model.objects.all().delete()
        return len(queries)

    assert statements(1) == statements(60) <= 12


def test_due_candidates_are_found_by_indexes_without_reading_all_signals() -> None:
    execute(
        f"INSERT INTO signals (created_at, updated_at, state) SELECT '{NOW}', '{NOW}', "
        "CASE n % 20 WHEN 0 THEN 'candidate' ELSE 'verified' END FROM generate_series(1, 30000) n",
        "INSERT INTO signal_verifications (signal_id, status, next_check_at, outcome) "
        f"SELECT id, 'waiting', '{NOW}'::timestamptz + id * interval '1 min', 'evaluated' "
        "FROM signals WHERE id % 10 < 5",
        "ANALYZE signals, signal_verifications, events",
    )
    with CaptureQueriesContext(connection) as queries:
        run(10, now=NOW + 20 * MINUTE)
    (due,) = [query["sql"] for query in queries if "WITH due AS" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {due}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "idx_signals_state_created_at" in plan
    assert "ix_signal_verif_waiting" in plan
    assert "Seq Scan on signals" not in plan
