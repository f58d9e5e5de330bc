"""Rows of signal_events that people made: the job and its reports tell them from verdicts."""

import json
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from signals.models import Signal, SignalEvent
from signals.verification.job import verify_signals
from signals.verification.review.explanation import explain
from signals.verification.review.replay import replay
from signals.verification.rules_file import load_rules
from signals.verification.settings import Settings
from signals.verification.upkeep.statistics import read_report
from tests.verification.database import verdicts
from tests.verification.sample_rows import MINUTE, NOW, make_features, make_signal

pytestmark = pytest.mark.django_db


def add_row(signal: Signal, **fields: object) -> SignalEvent:
    """Add the row of an override, which changes nothing else."""
    values = {
        "type": "override",
        "previous_state": "candidate",
        "new_state": "verified",
        "person": "analyst",
        "reason": "because",
        "run": uuid4(),
    }
    return SignalEvent.objects.create(signal=signal, **values | fields)  # type: ignore[misc] # any of them


@pytest.fixture
def held() -> Signal:
    """A signal that was held, and then overridden."""
    make_features()
    signal = make_signal()
    verify_signals(now=NOW)
    add_row(signal)
    return signal


def test_a_verdict_equal_to_the_last_one_adds_no_row_after_a_row_of_a_person(held: Signal) -> None:
    before = SignalEvent.objects.count()
    verify_signals(now=NOW + 20 * MINUTE)
    make_features(age=-20 * MINUTE)
    verify_signals(now=NOW + 60 * MINUTE)
    assert SignalEvent.objects.count() == before
    assert verdicts(held)[-1] == ("", "")


def test_the_last_verdict_is_explained_and_not_the_row_of_a_person(held: Signal) -> None:
    explanation = explain(connection, held.pk, {})
    assert explanation is not None
    assert explanation.verdict is not None
    assert explanation.verdict.event == SignalEvent.objects.get(type="onchain_verify").pk


def test_replays_and_reports_leave_rows_of_people_out(
    held: Signal, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = load_rules(Settings.read({}).rules_file)
    assert [each.signal for each in replay(connection, rules)] == [held.pk]
    report = read_report(connection, {}, timezone.now() - NOW + MINUTE)
    assert sum(report.verdicts.values()) == 1
    call_command("verify_signal", "--explain", str(held.pk), "--json")
    assert json.loads(capsys.readouterr().out)["signal"] == held.pk


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "onchain_verify"},
        {"decision": "hold"},
        {"confidence": "0.5"},
        {"person": ""},
        {"type": "other"},
        {"type": "onchain_verify", "decision": "hold", "confidence": None},
    ],
)
def test_a_row_that_is_neither_a_verdict_nor_that_of_a_person_is_refused(
    fields: dict[str, object],
) -> None:
    signal = make_signal()
    with pytest.raises(IntegrityError, match="signal_events_maker_check"), transaction.atomic():
        add_row(signal, **fields)
