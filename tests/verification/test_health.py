"""The options of verify_signal that look at the job and revive dead signals."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from signals.models import SignalVerification, VerificationRun
from signals.verification.job import run_once
from tests.verification.database import execute
from tests.verification.sample_rows import NOW, make_signal

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def make_dead(*, died: Any = NOW) -> int:
    signal = make_signal()
    SignalVerification.objects.create(
        signal=signal, status="dead", outcome="failed", attempts=5, updated_at=died
    )
    return int(signal.pk)


def command(*args: str) -> tuple[int, str]:
    """Return the exit code and the error text of the command."""
    try:
        call_command("verify_signal", *args)
    except CommandError as error:
        return error.returncode, str(error)
    return 0, ""


def test_a_job_that_never_ran_is_stuck(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--check") == (
        6,
        (
            "no run gave a sign of life for 300 s (start the job: manage.py verify_signal --watch 60 "
            "--limit all)"
        ),
    )
    assert capsys.readouterr().out == "no run yet; longest wait 0 s; 0 dead\n"


def test_a_job_that_ran_just_now_is_healthy_although_nothing_was_due() -> None:
    run_once()
    assert command("--check") == (0, "")


def test_a_job_whose_last_heartbeat_is_old_is_stuck() -> None:
    run_once()
    execute("UPDATE verification_runs SET heartbeat_at = heartbeat_at - interval '301 seconds'")
    assert command("--check")[0] == 6
    assert command("--check", "--max-age", "400")[0] == 0


def test_dead_signals_are_findings(capsys: pytest.CaptureFixture[str]) -> None:
    make_dead()
    run_once()
    assert command("--check", "--json")[0] == 1
    health = json.loads(capsys.readouterr().out)
    assert health["age_seconds"] < 300
    assert {**health, "age_seconds": 0, "last_sign": ""} == {
        "last_sign": "",
        "age_seconds": 0,
        "outcome": "finished",
        "error": "",
        "dead": 1,
        "longest_wait_seconds": 0,
    }


def test_every_run_counts_the_dead(capsys: pytest.CaptureFixture[str]) -> None:
    make_dead()
    call_command("verify_signal", "--json")
    assert json.loads(capsys.readouterr().out)["dead"] == 1
    call_command("verify_signal")
    assert capsys.readouterr().out.splitlines()[-1] == "dead               1"


def test_dead_signals_are_revived_by_number(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = make_dead(), make_dead()
    assert command("--revive", str(first), "999999") == (1, "not dead: 999999")
    assert capsys.readouterr().out == "1 revived\n"
    rows = dict(SignalVerification.objects.values_list("pk", "status"))
    assert rows == {first: "waiting", second: "dead"}
    assert run_once()["scanned"] == 1


def test_all_dead_signals_are_revived_or_those_that_died_lately() -> None:
    old, young = make_dead(died=NOW - 2 * DAY), make_dead()
    assert command("--revive-dead", "--since", (NOW - DAY).isoformat()) == (0, "")
    assert dict(SignalVerification.objects.values_list("pk", "status"))[old] == "dead"
    assert command("--revive-dead") == (0, "")
    assert set(SignalVerification.objects.values_list("pk", "status", "attempts")) == {
        (old, "waiting", 0),
        (young, "waiting", 0),
    }
    assert not VerificationRun.objects.exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--check", "--dry-run"),
        ("--watch", "5", "--dry-run"),
        ("--workers", "0"),
        ("--batch-size", "10001"),
        ("--since", "yesterday"),
        ("--since", "2026-13-01"),
        ("--chain", "two words"),
        ("--signal", "x"),
    ],
)
def test_wrong_words_are_a_usage_error(words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=r"^Error: argument "):
        call_command("verify_signal", *words)
