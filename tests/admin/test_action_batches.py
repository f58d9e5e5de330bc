"""Actions on many signals, among other sessions, and after a batch was ended half-way."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone

from signals.action_models import SignalAction, SignalActionRow
from signals.admin.actions import batches
from signals.models import Signal, SignalEvent, SignalVerification
from signals.verification import candidates, writing
from signals.verification.evaluation import evaluate_batch
from signals.verification.intake import take_in
from signals.verification.job import verify_signals
from signals.verification.run import start_run
from tests.admin.actions import LIST, carried_out, confirmed, start, words
from tests.deadline import DEADLINE
from tests.postgres.polling import wait_until
from tests.verification.sample_rows import make_signal, make_upgradable

pytestmark = pytest.mark.django_db(transaction=True)

PERMISSIONS = ("view_signal", "reverify_signal", "override_state")
NOW = timezone.now()


@pytest.fixture
def analyst(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("ONCHAIN_RULES", "on")
    user = User.objects.create_user("analyst", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=PERMISSIONS))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def other_session() -> Iterator[Callable[[Callable[[], Any]], threading.Thread]]:
    """Run functions in threads, each with a connection of its own, and raise what they raised in the end."""
    threads: list[threading.Thread] = []
    errors: list[BaseException] = []

    def begin(work: Callable[[], Any]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - raised by the test
                errors.append(error)
            finally:
                connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        threads.append(thread)
        return thread

    yield begin
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def fill(number: int, state: str = "candidate") -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO signals (state, created_at) SELECT %s, now() - interval '1 hour'"
            " FROM generate_series(1, %s)",
            [state, number],
        )


def count(state: str) -> int:
    return Signal.objects.filter(state=state).count()


def test_the_number_said_is_confirmed_and_changed_while_rows_change(
    analyst: Client, other_session: Any
) -> None:
    """Of 150,000 that match, and of those that begin to match while the action goes on."""
    number = 150_000
    fill(number, "verified")
    fill(1000)
    response = start(analyst, "override", across=True, filters="?state=verified")
    page = analyst.get(response.url)
    assert f"Chosen: {number:,} signals" in words(page)
    assert f"downgraded: changes {number:,} signals" in words(page)
    fields = {"state": "downgraded", "reason": "the source was wrong"}
    assert confirmed(analyst, response, **fields).status_code == 302
    ends = threading.Event()

    def write() -> None:
        """Let other signals begin to match, and some of the chosen ones cease to."""
        first = Signal.objects.order_by("pk")[0].pk
        place = 0
        while not ends.is_set():
            Signal.objects.filter(pk=first + number + place).update(state="verified")
            Signal.objects.filter(pk=first + number - 1 - place).update(state="candidate")
            place += 1
            ends.wait(0.02)

    thread = other_session(write)
    result = carried_out(analyst, response)
    ends.set()
    thread.join(DEADLINE)
    assert f"{number:,} signals were set by hand to downgraded." in words(result)
    action = SignalAction.objects.get()
    assert (action.number, action.done, action.missed) == (number, number, 0)
    assert SignalEvent.objects.filter(new_state="downgraded").count() == number
    assert SignalEvent.objects.values("signal").distinct().count() == number
    assert LogEntry.objects.count() == number
    assert count("verified") > 0  # those that began to match
    assert not SignalActionRow.objects.exists()


def test_a_batch_that_fails_leaves_nothing_and_the_action_goes_on(
    analyst: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 2)
    monkeypatch.setattr(batches, "SECONDS", 0)
    fill(5)
    response = start(analyst, "override", across=True)
    confirmed(analyst, response, state="verified", reason="because")
    analyst.post(response.url, {"continue": "yes"})
    before = SignalAction.objects.values().get()
    assert before["done"] == 2
    with monkeypatch.context() as patch:
        patch.setattr(batches, "_clock", fail)
        patch.setattr(batches, "BATCH", 10)
        with pytest.raises(DatabaseError, match="the server ended"):
            analyst.post(response.url, {"continue": "yes"})
    assert SignalAction.objects.values().get() == before
    assert count("verified") == SignalEvent.objects.count() == LogEntry.objects.count() == 2
    assert "“Override the state” is not finished, 3 signals are left" in analyst.get(LIST).text
    result = carried_out(analyst, response)
    assert "5 signals were set by hand" in words(result)
    assert count("verified") == SignalEvent.objects.count() == 5
    assert "is not finished" not in analyst.get(LIST).text


def fail() -> None:
    raise DatabaseError("the server ended")


def test_an_action_is_dropped_with_what_is_left(
    analyst: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 2)
    monkeypatch.setattr(batches, "SECONDS", 0)
    fill(5)
    response = start(analyst, "override", across=True)
    confirmed(analyst, response, state="verified", reason="because")
    analyst.post(response.url, {"continue": "yes"})
    assert analyst.post(response.url, {"drop": "yes"}).status_code == 302
    assert "2 signals were set by hand to verified; the action was dropped with 3 left" in words(
        analyst.get(response.url)
    )
    for step in ("continue", "confirm"):
        analyst.post(response.url, {step: "yes", "number": 5, "state": "verified", "reason": "x"})
    assert count("verified") == 2
    assert not SignalActionRow.objects.exists()


def test_two_tabs_change_each_signal_once(
    analyst: Client, other_session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 10)
    fill(500)
    response = start(analyst, "override", across=True)
    confirmed(analyst, response, state="verified", reason="because")
    user, action = User.objects.get(), SignalAction.objects.get().pk

    def go_on() -> None:
        while SignalAction.objects.get(pk=action).finished_at is None:
            batches.carry_on(action, user)

    threads = [other_session(go_on) for _ in range(3)]
    for thread in threads:
        thread.join(DEADLINE)
    assert SignalAction.objects.get().done == 500
    assert SignalEvent.objects.count() == LogEntry.objects.count() == 500


def test_signals_that_others_hold_for_long_are_left_and_said(
    analyst: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "ATTEMPTS", 1)
    signal = make_signal(now=NOW)
    response = start(analyst, "override", [signal])
    confirmed(analyst, response, state="verified", reason="because")
    holder = connection.copy()
    try:
        holder.set_autocommit(False)
        with holder.cursor() as cursor:
            cursor.execute("UPDATE signals SET advice_tag = 'x' WHERE id = %s", [signal.pk])
            page = analyst.post(response.url, {"continue": "yes"}, follow=True)
            assert "Others are writing these signals. Press Continue" in page.text
            answer = analyst.post(
                response.url, {"continue": "yes"}, headers={"accept": "application/json"}
            )
            assert (answer.status_code, "Press Continue" in answer.json()["error"]) == (503, True)
        holder.rollback()
    finally:
        holder.close()
    assert "1 signal was set by hand" in words(carried_out(analyst, response))


def override(client: Client, signal: Signal, state: str) -> None:
    response = start(client, "override", [signal])
    confirmed(client, response, state=state, reason="because")
    carried_out(client, response)


def last_row(signal: Signal) -> tuple[str, str, str]:
    row = SignalEvent.objects.filter(signal=signal).order_by("-pk")[0]
    return row.type, row.previous_state, row.new_state


def test_an_override_between_a_claim_and_its_verdict_stays(analyst: Client) -> None:
    """The worker evaluates without a lock, and its verdict comes too late."""
    make_upgradable(now=NOW)
    signal = make_signal(now=NOW)
    run = start_run()
    take_in(run)
    claimed = claim(run)
    override(analyst, signal, "downgraded")
    evaluations, _ = evaluate_batch(run, claimed)
    assert [each.verdict.decision for each in evaluations] == ["upgrade"]
    assert writing.write_evaluations(run, evaluations) == []
    signal.refresh_from_db()
    assert signal.state == "downgraded"
    assert SignalVerification.objects.get().status == "settled"
    assert last_row(signal) == ("override", "candidate", "downgraded")
    verify_signals()
    signal.refresh_from_db()
    assert signal.state == "downgraded"


def test_a_verdict_of_before_an_override_does_not_count_for_the_candidate_after_it(
    analyst: Client,
) -> None:
    make_upgradable(now=NOW)
    signal = make_signal(now=NOW)
    run = start_run()
    take_in(run)
    claimed = claim(run)
    override(analyst, signal, "downgraded")
    override(analyst, signal, "candidate")
    evaluations, _ = evaluate_batch(run, claimed)
    assert writing.write_evaluations(run, evaluations) == []
    assert last_row(signal) == ("override", "downgraded", "candidate")
    verify_signals()
    assert last_row(signal) == ("onchain_verify", "candidate", "verified")


def test_an_override_waits_for_the_worker_that_writes_and_comes_after_it(
    analyst: Client, other_session: Any
) -> None:
    make_upgradable(now=NOW)
    signal = make_signal(now=NOW)
    response = start(analyst, "override", [signal])
    confirmed(analyst, response, state="downgraded", reason="because")
    action, user = SignalAction.objects.get().pk, User.objects.get()
    with transaction.atomic():
        verify_signals()
        thread = other_session(lambda: batches.carry_on(action, user))
        wait_for_lock()
    thread.join(DEADLINE)
    signal.refresh_from_db()
    assert signal.state == "downgraded"
    assert last_row(signal) == ("override", "verified", "downgraded")
    assert SignalAction.objects.get().done == 1


def test_workers_and_overrides_at_once_lose_nothing(analyst: Client, other_session: Any) -> None:
    """Each signal ends as the last row of signal_events says, whoever came last."""
    make_upgradable(now=NOW)
    made = [make_signal(now=NOW, age=timedelta(hours=1)) for _ in range(60)]
    ends = threading.Event()

    def work() -> None:
        while not ends.is_set():
            verify_signals(20)

    threads = [other_session(work) for _ in range(2)]
    for state in ("candidate", "downgraded", "candidate", "verified", "candidate", "downgraded"):
        response = start(analyst, "override", made)
        if confirmed(analyst, response, state=state, reason="because").status_code == 302:
            carried_out(analyst, response)
        response = start(analyst, "recheck", made[:20])
        confirmed(analyst, response)
        carried_out(analyst, response)
    ends.set()
    for thread in threads:
        thread.join(DEADLINE)
    for signal in made:
        signal.refresh_from_db()
        assert last_row(signal)[2] == signal.state
        rows = SignalEvent.objects.filter(signal=signal).order_by("pk")
        moved = [(row.previous_state, row.new_state) for row in rows]
        assert all(before[1] == after[0] for before, after in pairwise(moved))


def claim(run: Any) -> Any:
    batch = candidates.claim(run, 10)
    assert len(batch.candidates) == 1
    return batch


def wait_for_lock() -> None:
    """Return when a session waits for the lock on a signal."""

    def ask() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_clear_snapshot(), pg_stat_activity"
                " WHERE wait_event_type = 'Lock'"
                " AND query LIKE '%FOR NO KEY UPDATE%'"
            )
            return bool(cursor.fetchone()[0])

    wait_until(ask, "the action waits for the worker")
