"""The command signals_report: the figures of the job."""

import json
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from signals.models import SignalVerification
from signals.verification.job import verify_signals
from tests.verification.sample_rows import MINUTE, make_features, make_signal, make_upgradable

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        found: datetime = cursor.fetchone()[0]
        return found


def reported(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    call_command("signals_report", "--json", *options)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_report_of_an_empty_database(capsys: pytest.CaptureFixture[str]) -> None:
    found = reported(capsys)
    assert (found["signals"], found["verdicts"], found["runs"]) == ({}, [], {})
    assert (found["due"], found["dead"], found["last_run_age_seconds"]) == (0, 0, None)
    call_command("signals_report")
    assert capsys.readouterr().out.endswith("job: no run yet; longest wait 0 s; 0 dead\n")


def test_the_report_counts_states_verdicts_checks_and_dead_ones(
    rules_on: None, now: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    make_upgradable(now=now)
    make_features(chain="BSC", age=7 * MINUTE, now=now, growth_ratio=Decimal(1))
    make_features(chain="bnb", age=9 * MINUTE, now=now)
    make_signal(now=now)
    make_signal(now=now, token_ca=None)
    dead = make_signal(now=now, token_ca=None)
    verify_signals()
    SignalVerification.objects.filter(pk=dead.pk).update(
        status="dead", next_check_at=None, error="ValueError: odd"
    )
    found = reported(capsys)
    assert found["signals"] == {"candidate": 2, "verified": 1}
    assert found["verdicts"] == [
        {"decision": "insufficient", "note": "unresolvable_token", "count": 2},
        {"decision": "upgrade", "note": "", "count": 1},
    ]
    assert (found["checks"]["scanned"], found["checks"]["verified"]) == (3, 1)
    assert found["runs"] == {"finished": 1}
    assert (found["waiting"], found["due"], found["dead"]) == (1, 0, 1)
    assert found["dead_errors"] == [{"error": "ValueError: odd", "count": 1}]
    assert [round(age) // 60 for age in found["feature_lag_seconds"].values()] == [7, 5]
    assert list(found["feature_lag_seconds"]) == ["bsc", "ethereum"]
    call_command("signals_report")
    out = capsys.readouterr().out
    assert (
        "verdicts of 24 h\n           2  insufficient unresolvable_token\n           1  upgrade\n"
        in out
    )
    assert re.search(r"newest features\n +7 min( \d+ s)?  bsc\n +5 min( \d+ s)?  ethereum\n", out)


def test_hours_leave_older_runs_and_verdicts_out(
    now: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = now - timedelta(hours=3)
    make_signal(now=earlier, token_ca=None)
    verify_signals(now=earlier)
    assert reported(capsys, "--hours", "2")["verdicts"] == []
    assert reported(capsys, "--hours", "2")["runs"] == {}
    assert len(reported(capsys, "--hours", "4")["verdicts"]) == 1
    assert reported(capsys, "--hours", "4")["runs"] == {"finished": 1}
