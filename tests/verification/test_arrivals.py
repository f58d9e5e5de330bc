"""New signals that are judged by the range of keys, as runs without a limit do."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction

from signals.models import Signal, SignalEvent, SignalVerification, VerificationRange
from signals.verification import job
from signals.verification.arrivals import enrol_range, judge_range, read_chains
from signals.verification.candidates import Selection
from signals.verification.intake import OVERLAP, take_in
from signals.verification.job import Options, run_job, verify_signals
from signals.verification.run import Run, start_run
from tests.deadline import DEADLINE
from tests.verification.database import execute, refuse, stored, verdicts, verification
from tests.verification.expected import counts
from tests.verification.sample_rows import (
    ADDRESS,
    MINUTE,
    NOW,
    make_signal,
    make_upgradable,
)

pytestmark = pytest.mark.django_db

ALL = Options(limit=None)


def cut(size: int = 2, *, knows_chains: bool = True) -> Run:
    """Return a run that has cut what is new into ranges."""
    run = start_run(NOW)
    take_in(run, range_size=size)
    if knows_chains:
        read_chains(run)
    return run


def ranges() -> list[tuple[int, int]]:
    return list(VerificationRange.objects.order_by("low").values_list("low", "high"))


def test_the_row_of_a_new_signal_is_written_once_with_its_verdict(rules_on: None) -> None:
    make_upgradable()
    signals = [make_signal() for _ in range(3)]
    execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'again'; END $$",
        "CREATE TRIGGER refuse BEFORE UPDATE ON signal_verifications "
        "FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    report = run_job(ALL, now=NOW)
    assert report.counts == counts(scanned=3, evaluated=3, updated=3, verified=3)
    assert [verdicts(each) for each in signals] == [[("upgrade", "")]] * 3
    assert set(SignalVerification.objects.values_list("status", "checks", "leased_until")) == {
        ("settled", 1, None)
    }
    assert ranges() == []


def test_a_run_with_a_limit_enrols_what_is_new_and_cuts_no_range() -> None:
    for _ in range(3):
        make_signal()
    verify_signals(1, now=NOW)
    assert (ranges(), SignalVerification.objects.count()) == ([], 3)
    assert run_job(Options(limit=None, selection=Selection(chain="ethereum")), now=NOW)
    assert ranges() == []


def test_ranges_divide_what_is_new_and_leave_no_key_between_them_out() -> None:
    first = make_signal()
    keys = [first.pk + n for n in (1, 10, 11, 100)]
    for key in keys:
        make_signal(pk=key)
    cut(2)
    assert ranges() == [(first.pk, keys[0]), (keys[0] + 1, keys[2]), (keys[2] + 1, keys[3])]
    late = make_signal(pk=first.pk + 50)
    run_job(ALL, now=NOW)
    assert verification(late).checks == 1
    assert SignalVerification.objects.filter(checks=1).count() == 6


def test_a_key_that_comes_late_before_a_range_is_seen_by_the_next_run() -> None:
    last = make_signal()
    run_job(ALL, now=NOW)
    early = make_signal(pk=last.pk - OVERLAP + 1)
    assert run_job(ALL, now=NOW).counts["scanned"] == 1
    assert verification(early).checks == 1


def test_one_that_is_too_young_waits_until_it_is_old_enough() -> None:
    signal = make_signal(age=MINUTE)
    assert run_job(ALL, now=NOW).counts == counts()
    row = verification(signal)
    assert (row.status, row.checks, row.outcome) == ("waiting", 0, "skipped")
    assert row.next_check_at == NOW + 2 * MINUTE
    assert run_job(ALL, now=NOW + 2 * MINUTE).counts["scanned"] == 1


def test_one_that_is_no_candidate_is_left_out() -> None:
    make_signal(state="verified")
    assert run_job(ALL, now=NOW).counts == counts()
    assert not SignalVerification.objects.exists()


def test_a_token_written_in_an_unusual_way_is_judged_in_the_same_run(rules_on: None) -> None:
    make_upgradable()
    signals = [make_signal(), make_signal(token_ca=f"{ADDRESS} ")]
    assert run_job(ALL, now=NOW).counts["verified"] == 2
    assert [verification(each).checks for each in signals] == [1, 1]


def test_a_chain_without_a_percentile_is_left_to_the_same_run(rules_on: None) -> None:
    make_upgradable()
    signal = make_signal()
    run = cut(knows_chains=False)
    arrivals = judge_range(run)
    assert arrivals is not None
    assert arrivals.counts == {}
    assert verification(signal).status == "waiting"
    assert run_job(ALL, now=NOW).counts["verified"] == 1


def test_a_signal_that_has_a_verdict_already_gets_no_equal_one() -> None:
    make_upgradable()
    signal = make_signal()
    run_job(ALL, now=NOW)
    execute("DELETE FROM signal_verifications", "DELETE FROM verification_cursors")
    assert run_job(ALL, now=NOW).counts["evaluated"] == 1
    assert verdicts(signal) == [("upgrade", "")]
    assert verification(signal).checks == 1


def test_newer_evidence_that_a_signal_has_already_is_kept(rules_on: None) -> None:
    make_upgradable()
    signal = make_signal(onchain_asof_ts=NOW, onchain_confidence=0)
    assert run_job(ALL, now=NOW).counts == counts(scanned=1, skipped=1)
    assert stored(signal) == ("candidate", NOW, 0)
    row = verification(signal)
    assert (row.outcome, row.decision, row.checks) == ("skipped", "upgrade", 1)
    assert verdicts(signal) == []


def test_what_a_killed_worker_has_cut_is_judged_by_the_next_run() -> None:
    for _ in range(5):
        make_signal()
    cut(2)
    assert len(ranges()) == 3
    assert run_job(ALL, now=NOW).counts["scanned"] == 5
    assert ranges() == []


def test_what_a_killed_worker_has_cut_is_enrolled_by_a_run_with_a_limit() -> None:
    signals = [make_signal(age=age * MINUTE) for age in (10, 20, 30, 40, 50)]
    cut(2)
    assert verify_signals(1, now=NOW).counts["scanned"] == 1
    assert [verification(each).checks for each in signals] == [0, 0, 0, 0, 1]
    assert ranges() == []


def test_keys_of_a_range_are_left_to_the_worker_that_takes_it() -> None:
    signal = make_signal()
    cut()
    take_in(start_run(NOW), range_size=2)
    assert not SignalVerification.objects.filter(pk=signal.pk).exists()


def test_a_signal_that_is_enrolled_meanwhile_has_one_verdict(rules_on: None) -> None:
    make_upgradable()
    signals = [make_signal() for _ in range(4)]
    run = cut(4)
    run_job(Options(selection=Selection(ids=(signals[1].pk,))), now=NOW)
    judge_range(run)
    assert SignalVerification.objects.filter(checks=1).count() == 4
    assert [verdicts(each) for each in signals] == [[("upgrade", "")]] * 4


def test_a_row_that_cannot_be_written_leaves_its_range_to_be_enrolled(rules_on: None) -> None:
    make_upgradable()
    bad, *others = [make_signal() for _ in range(30)]
    execute(
        f"ALTER TABLE signals ADD CONSTRAINT refused CHECK (id <> {bad.pk} OR state = 'candidate')"
    )
    report = run_job(ALL, now=NOW)
    assert report.counts == counts(scanned=30, evaluated=29, updated=29, errors=1, verified=29)
    assert {stored(each)[0] for each in others} == {"verified"}
    assert verification(bad).attempts == 1


def test_a_row_that_cannot_be_enrolled_stops_no_other(
    rules_on: None, caplog: pytest.LogCaptureFixture
) -> None:
    make_upgradable()
    bad, other = make_signal(), make_signal()
    refuse("signal_verifications", "signal_id", bad)
    report = run_job(ALL, now=NOW)
    assert (report.counts["errors"], report.counts["verified"]) == (1, 1)
    assert f"signal {bad.pk}: " in caplog.text
    assert (stored(other)[0], ranges()) == ("verified", [])


def test_an_event_that_cannot_be_read_stops_no_reading_of_chains(rules_on: None) -> None:
    make_upgradable()
    bad, good = make_signal(), make_signal()
    execute(
        "CREATE FUNCTION unreadable() RETURNS text STABLE LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE 'cannot be read' USING ERRCODE = '22021'; END $$",
        "ALTER TABLE events RENAME TO all_events",
        f"CREATE VIEW events AS SELECT event_key, CASE WHEN event_key = '{bad.event_id}' "
        f"THEN unreadable() ELSE token_ca END AS token_ca FROM all_events",
    )
    report = run_job(ALL, now=NOW)
    assert (report.counts["errors"], report.counts["verified"]) == (1, 1)
    assert stored(good)[0] == "verified"


def test_new_signals_and_those_that_are_due_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "CHUNK", 2)
    old = [make_signal() for _ in range(8)]
    verify_signals(1, now=NOW)  # which enrols all
    new: list[Signal] = []

    def arrive(found: Mapping[str, int]) -> None:
        if found["scanned"] == 2:
            new.append(make_signal())

    run_job(Options(limit=None, batch_size=2), now=NOW, on_batch=arrive)
    order = list(SignalEvent.objects.order_by("pk").values_list("signal", flat=True))
    assert set(order) == {each.pk for each in (*old, *new)}
    assert order.index(new[0].pk) == 3


def test_there_is_nothing_to_judge_or_enrol_without_a_range() -> None:
    run = start_run(NOW)
    assert (judge_range(run), enrol_range(run)) == (None, None)


def in_thread(function: Any, *args: Any) -> Any:
    """Call the function in a thread with its own connection, and return what it returned."""

    def call() -> Any:
        try:
            return function(*args)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result(timeout=DEADLINE)


@pytest.mark.django_db(transaction=True)
def test_a_range_that_a_worker_judges_is_passed_over_by_the_others() -> None:
    signals = [make_signal() for _ in range(4)]
    run = cut(2)
    with transaction.atomic():
        judge_range(run)
        assert in_thread(judge_range, run).counts["scanned"] == 2
        assert in_thread(judge_range, run) is None
        transaction.set_rollback(True)  # as when the worker is killed
    assert ranges() == [(signals[0].pk, signals[1].pk)]
    judge_range(run)
    assert SignalEvent.objects.count() == 4
    assert SignalVerification.objects.filter(checks=1).count() == 4


@pytest.mark.django_db(transaction=True)
def test_a_new_signal_that_another_session_holds_waits_and_is_skipped(rules_on: None) -> None:
    make_upgradable()
    held, free = make_signal(), make_signal()
    with transaction.atomic():
        Signal.objects.select_for_update().get(pk=held.pk)
        found = in_thread(lambda: run_job(ALL, now=NOW).counts)
    assert found == counts(scanned=2, evaluated=1, updated=1, verified=1, skipped=1)
    assert (verification(held).status, verification(held).checks) == ("waiting", 0)
    assert stored(free)[0] == "verified"
    assert run_job(ALL, now=NOW).counts["verified"] == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("workers", [2, 4])
def test_workers_share_the_ranges(rules_on: None, workers: int) -> None:
    make_upgradable()
    signals = [make_signal() for _ in range(60)]
    report = run_job(Options(limit=None, workers=workers, batch_size=4), now=NOW)
    assert report.counts == counts(scanned=60, evaluated=60, updated=60, verified=60)
    assert SignalEvent.objects.count() == len(signals)
    assert ranges() == []
