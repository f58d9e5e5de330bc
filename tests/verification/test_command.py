"""The command verify_signal: what it prints, and its exit codes."""

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import override_settings

from signals.models import SignalEvent, SignalVerification
from signals.verification.rules_file import SHIPPED_RULES, load_rules
from tests.deadline import DEADLINE
from tests.postgres.databases import ROOT
from tests.postgres.manage_process import ManageProcess
from tests.verification.database import contents, execute, refuse
from tests.verification.sample_rows import make_signal, make_upgradable

TABLES = (
    "signals",
    "events",
    "onchain_features",
    "signal_events",
    "signal_verifications",
)
KEYS = [
    *("run", "outcome", "error", "dry_run", "rules", "rules_sha256"),
    *("scanned", "evaluated", "updated", "skipped", "errors"),
    *("verified", "downgraded", "held", "insufficient"),
    *("dead", "would_write"),
]


@pytest.fixture
def now() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        return cursor.fetchone()[0]


def exit_code(*args: str, **environ: str) -> tuple[int, str, str]:
    """Code, output and errors of the command in a process of its own."""
    process = ManageProcess("verify_signal", *args, cwd=ROOT, env={**os.environ, **environ})
    out, err = process.communicate(timeout=DEADLINE)
    return process.wait(), out, err


@pytest.mark.django_db
def test_a_clean_run_prints_its_counts(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("verify_signal")
    assert capsys.readouterr().out == (
        "scanned            0\n"
        "evaluated          0\n"
        "updated            0\n"
        "skipped            0\n"
        "errors             0\n"
        "verified           0\n"
        "downgraded         0\n"
        "held               0\n"
        "insufficient       0\n"
    )


@pytest.mark.django_db
def test_json_is_one_object_with_the_same_keys_always(
    capsys: pytest.CaptureFixture[str], now: Any
) -> None:
    call_command("verify_signal", "--json")
    empty = json.loads(capsys.readouterr().out)
    make_upgradable(now=now)
    make_signal(now=now)
    call_command("verify_signal", "--json")
    full = json.loads(capsys.readouterr().out)
    assert list(empty) == list(full) == KEYS
    assert (full["dry_run"], full["rules"], full["would_write"]) == (False, "off", [])
    assert full["rules_sha256"] == load_rules(SHIPPED_RULES).sha256
    assert (full["scanned"], full["verified"]) == (1, 1)
    assert str(SignalEvent.objects.get().run) == full["run"]


@pytest.mark.django_db
@pytest.mark.parametrize("mode", ["on", "off"])
def test_a_dry_run_leaves_the_database_as_it_was(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], now: Any, mode: str
) -> None:
    monkeypatch.setenv("ONCHAIN_RULES", mode)
    make_upgradable(now=now)
    signal, lost = make_signal(now=now), make_signal(now=now, token_ca=None)
    before = contents(TABLES)
    call_command("verify_signal", "--dry-run", "--json")
    result = json.loads(capsys.readouterr().out)
    assert contents(TABLES) == before
    assert (result["dry_run"], result["evaluated"], result["updated"]) == (True, 2, 1)
    upgrade = {
        "signal": signal.pk,
        "decision": "upgrade",
        "confidence": 1.0,
        "note": None,
        "named": [],
        "previous_state": "candidate",
        "new_state": "verified" if mode == "on" else "candidate",
        "updates_signal": True,
        "adds_event": True,
    }
    unresolved = {
        "signal": lost.pk,
        "decision": "insufficient",
        "confidence": 0.0,
        "note": "unresolvable_token",
        "named": [],
        "previous_state": "candidate",
        "new_state": "candidate",
        "updates_signal": False,
        "adds_event": True,
    }
    assert sorted(result["would_write"], key=lambda entry: int(entry["signal"])) == [
        upgrade,
        unresolved,
    ]


@pytest.mark.django_db
def test_a_dry_run_says_what_would_be_written(
    rules_on: None, capsys: pytest.CaptureFixture[str], now: Any
) -> None:
    make_upgradable(now=now)
    signal, lost = make_signal(now=now), make_signal(now=now, token_ca=None)
    call_command("verify_signal", "--dry-run")
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines[9:-1]) == sorted(
        [
            (
                f"signal {signal.pk}: upgrade 1.000; would write state candidate -> verified, "
                "onchain_asof_ts, onchain_confidence, one row of signal_events"
            ),
            (
                f"signal {lost.pk}: insufficient 0.000 (unresolvable_token); would write one row of "
                "signal_events"
            ),
        ]
    )
    assert lines[-1] == "dry run: nothing was written"


@pytest.mark.django_db
def test_the_limit_bounds_a_run(capsys: pytest.CaptureFixture[str], now: Any) -> None:
    for _ in range(3):
        make_signal(now=now)
    call_command("verify_signal", "--limit", "2", "--json")
    assert json.loads(capsys.readouterr().out)["scanned"] == 2
    assert SignalVerification.objects.filter(checks=1).count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "", "1000001", "٣", "9" * 5000])
def test_a_bad_limit_is_a_usage_error(text: str) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("verify_signal", f"--limit={text}")
    assert str(caught.value) == (
        f"Error: argument --limit: {text[:100]!r} is not a whole number from 1 to 1000000 or all"
    )


@pytest.mark.django_db
def test_signals_that_fail_are_findings(
    rules_on: None, capsys: pytest.CaptureFixture[str], now: Any
) -> None:
    make_upgradable(now=now)
    bad, _ = make_signal(now=now), make_signal(now=now)
    refuse("signals", "id", bad)
    with pytest.raises(CommandError) as caught:
        call_command("verify_signal", "--json")
    assert caught.value.returncode == 1
    assert str(caught.value) == "1 of 2 signals failed (see their error in signal_verifications)"
    result = json.loads(capsys.readouterr().out)
    assert (result["errors"], result["verified"]) == (1, 1)


@pytest.mark.django_db
def test_a_wrong_setting_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCHAIN_VERDICT_TTL_SEC", "soon")
    with pytest.raises(CommandError) as caught:
        call_command("verify_signal")
    assert caught.value.returncode == 3
    assert str(caught.value) == (
        "ONCHAIN_VERDICT_TTL_SEC is 'soon' (set it to whole seconds, 0 to 31622400)"
    )


@pytest.mark.django_db
def test_a_wrong_rules_file_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "rules.yml").write_text("windows: [60]")
    monkeypatch.setenv("ONCHAIN_RULES_FILE", str(tmp_path / "rules.yml"))
    with pytest.raises(CommandError) as caught:
        call_command("verify_signal")
    assert caught.value.returncode == 3
    assert str(caught.value) == (
        f"rules file '{tmp_path}/rules.yml': thresholds: is missing\n"
        f"rules file '{tmp_path}/rules.yml': verdict: is missing"
    )


@pytest.mark.django_db
def test_a_migration_that_is_not_applied_is_a_configuration_error() -> None:
    MigrationRecorder(connection).ensure_schema()
    MigrationRecorder(connection).migration_qs.filter(app="signals").delete()
    with override_settings(MIGRATION_MODULES={}), pytest.raises(CommandError) as caught:
        call_command("verify_signal")
    assert caught.value.returncode == 3
    assert str(caught.value) == (
        "migration signals.0012_signal_state is not applied (run: manage.py migrate signals)"
    )


@pytest.mark.django_db
def test_a_column_that_a_faked_migration_left_out_is_a_configuration_error() -> None:
    execute("ALTER TABLE signals DROP COLUMN state CASCADE")
    with pytest.raises(CommandError, match=r"^table signals has no column state ") as caught:
        call_command("verify_signal")
    assert caught.value.returncode == 3


@pytest.mark.django_db
def test_a_statement_that_the_database_refuses_is_not_blamed_on_a_row(
    rules_on: None, now: Any
) -> None:
    make_upgradable(now=now)
    make_signal(now=now, confidence=None, onchain_confidence=Decimal("0.1"))
    execute("SET LOCAL transaction_read_only = on")
    with pytest.raises(CommandError, match=r"read-only transaction") as caught:
        call_command("verify_signal")
    assert caught.value.returncode == 4


def test_a_bad_limit_exits_with_2() -> None:
    code, output, errors = exit_code("--limit", "0")
    assert (code, output) == (2, "")
    assert "argument --limit: '0' is not a whole number from 1 to 1000000 or all" in errors


def test_a_database_that_cannot_be_reached_exits_with_4() -> None:
    code, output, errors = exit_code(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert (code, output) == (4, "")
    assert errors.startswith("CommandError: the database does not answer as it should: ")


def test_the_shipped_rules_are_part_of_the_package() -> None:
    assert SHIPPED_RULES.is_relative_to(Path(load_rules.__globals__["__file__"]).parent)
    assert SHIPPED_RULES.name == "onchain.yml"
