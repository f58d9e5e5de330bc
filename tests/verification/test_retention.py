"""The command signals_prune: old verdicts and runs go, the last verdict of a signal never."""

import gzip
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from signals.action_models import SignalAction, SignalActionRow
from signals.models import Signal, SignalEvent, VerificationRun
from signals.verification.job import verify_signals
from signals.verification.upkeep import retention
from tests.verification.database import contents, verdicts
from tests.verification.sample_rows import make_signal

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def make_verdicts() -> Callable[..., None]:
    def make(signal: Signal, *ages: int) -> None:
        """Give the signal a verdict of each age in days, oldest first."""
        verify_signals()
        first = SignalEvent.objects.get(signal=signal)
        for age in ages:
            first.pk = None
            first.created_at = timezone.now() - age * DAY
            first.save(force_insert=True)
        SignalEvent.objects.filter(signal=signal).order_by("pk")[0].delete()

    return make


def ages(signal: Signal) -> list[int]:
    """Return the ages of the signal's verdicts in days, oldest row first."""
    times = SignalEvent.objects.filter(signal=signal).order_by("pk")
    return [(timezone.now() - each).days for each in times.values_list("created_at", flat=True)]


def pruned(capsys: pytest.CaptureFixture[str], *options: Any) -> tuple[int, int]:
    call_command("signals_prune", "--json", *options)
    found = json.loads(capsys.readouterr().out)
    return found["verdicts"], found["runs"]


def test_old_verdicts_go_and_the_last_one_of_a_signal_stays_however_old_it_is(
    make_verdicts: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    old, both, new = (make_signal(token_ca=None) for _ in range(3))
    make_verdicts(old, 90, 80, 70)
    make_verdicts(both, 90, 50, 5, 1)
    make_verdicts(new, 29, 2)
    assert pruned(capsys, "--days", "30")[0] == 4
    assert (ages(old), ages(both), ages(new)) == ([70], [5, 1], [29, 2])
    assert pruned(capsys, "--days", "30")[0] == 0


def test_batches_go_on_behind_the_verdicts_that_stay(
    make_verdicts: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    made = [make_signal(token_ca=None) for _ in range(4)]
    for signal in made:
        make_verdicts(signal, 90, 80)
    assert pruned(capsys, "--days", "30")[0] == 4
    assert [ages(signal) for signal in made] == [[80]] * 4


def test_the_next_run_adds_no_verdict_that_was_there_before(
    make_verdicts: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    signal = make_signal(token_ca=None)
    make_verdicts(signal, 90, 80)
    pruned(capsys, "--days", "30")
    verify_signals(now=timezone.now() + DAY)
    assert verdicts(signal) == [("insufficient", "unresolvable_token")]


def test_old_runs_go_and_the_last_one_stays(capsys: pytest.CaptureFixture[str]) -> None:
    now = timezone.now()
    for days in (50, 40, 31):
        verify_signals(now=now - days * DAY)
    assert pruned(capsys, "--days", "30") == (0, 2)
    assert VerificationRun.objects.get().heartbeat_at == now - 31 * DAY
    verify_signals(now=now)
    assert pruned(capsys, "--days", "30") == (0, 1)


@pytest.mark.parametrize("name", ["old.jsonl", "old.jsonl.gz"])
def test_what_is_removed_is_in_the_archive(
    name: str,
    make_verdicts: Callable[..., None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    signal = make_signal(token_ca=None)
    make_verdicts(signal, 90, 80, 70)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(e)::text FROM signal_events e ORDER BY id LIMIT 2")
        wanted = [json.loads(text) for (text,) in cursor.fetchall()]
    archive = tmp_path / name
    pruned(capsys, "--days", "75", "--archive", archive)
    pruned(capsys, "--days", "30", "--archive", archive)
    content = archive.read_bytes()
    content = gzip.decompress(content) if name.endswith(".gz") else content
    found = [json.loads(line) for line in content.splitlines()]
    assert [each["row"] for each in found if each["table"] == "signal_events"] == wanted


def test_nothing_is_removed_that_cannot_be_archived(
    make_verdicts: Callable[..., None],
) -> None:
    make_verdicts(make_signal(token_ca=None), 90, 80)
    before = contents(["signal_events", "verification_runs"])
    for archive, problem in (("/nowhere/old", "No such file"), ("/dev/full", "No space left")):
        with pytest.raises(CommandError, match=problem) as caught:
            call_command("signals_prune", "--days", "30", "--archive", archive)
        assert caught.value.returncode == 4
        assert contents(["signal_events", "verification_runs"]) == before


def test_the_setting_says_how_long_verdicts_are_kept(
    make_verdicts: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_verdicts(make_signal(token_ca=None), 90, 80)
    with pytest.raises(CommandError, match="set ONCHAIN_RETENTION_DAYS, or use --days") as caught:
        call_command("signals_prune")
    assert caught.value.returncode == 3
    monkeypatch.setenv("ONCHAIN_RETENTION_DAYS", "85")
    assert pruned(capsys)[0] == 1
    monkeypatch.setenv("ONCHAIN_RETENTION_DAYS", "0")
    with pytest.raises(CommandError, match="set it to whole days, 1 to 36600, or unset it"):
        call_command("signals_prune")


def test_a_batch_is_found_by_the_index_of_times(make_verdicts: Callable[..., None]) -> None:
    """Without a sequential scan, once there are many verdicts."""
    signal = make_signal(token_ca=None)
    make_verdicts(signal, 90)
    parameters = {
        "time": datetime(1, 1, 1, tzinfo=timezone.get_current_timezone()),
        "id": 0,
        "cutoff": timezone.now() - 30 * DAY,
        "size": 100,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO signal_events (signal_id, previous_state, new_state, decision, confidence, "
            "rules_sha256, run, created_at) SELECT n, 'candidate', 'candidate', 'hold', 0.5, '', "
            "gen_random_uuid(), now() - n * interval '1 minute' FROM generate_series(1, 100000) n"
        )
        cursor.execute("ANALYZE signal_events")
        cursor.execute(f"EXPLAIN {retention._REMOVE_VERDICTS}", parameters)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "ix_signal_events_created_at" in plan
    assert "Seq Scan on signal_events" not in plan


def make_action(days: int, status: str, rows: int = 0) -> SignalAction:
    """Create an action of that age, with as many signals that are left."""
    made = SignalAction.objects.create(
        id=uuid4(),
        kind="recheck",
        status=status,
        person_key="1",
        person="analyst",
        created_at=timezone.now() - days * DAY,
    )
    SignalActionRow.objects.bulk_create(
        SignalActionRow(action=made, signal_id=number, state="candidate") for number in range(rows)
    )
    return made


def test_old_actions_go_with_their_signals_unless_they_are_to_be_continued(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    gone = [
        *(make_action(40, "finished"), make_action(41, "dropped", 1), make_action(42, "chosen", 5)),
        make_action(43, "finished"),
    ]
    kept = [
        *(make_action(40, "confirmed", 3), make_action(1, "chosen", 2), make_action(1, "finished")),
    ]
    archive = tmp_path / "old.jsonl"
    call_command("signals_prune", "--days", "30", "--archive", archive)
    assert capsys.readouterr().out == "0 verdicts, 0 runs and 4 actions removed\n"
    assert {each.pk for each in SignalAction.objects.all()} == {each.pk for each in kept}
    assert SignalActionRow.objects.count() == 5
    found = [json.loads(line) for line in archive.read_text().splitlines()]
    assert {(each["table"], each["row"]["id"]) for each in found} == {
        ("signal_actions", str(each.pk)) for each in gone
    }


def test_the_last_row_of_each_kind_stays_beside_the_last_verdict(
    make_verdicts: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    signal = make_signal(token_ca=None)
    make_verdicts(signal, 90, 80)
    for days in (70, 60):
        SignalEvent.objects.create(
            signal=signal,
            type="override",
            previous_state="candidate",
            new_state="verified",
            person="analyst",
            run=uuid4(),
            created_at=timezone.now() - days * DAY,
        )
    assert pruned(capsys, "--days", "30")[0] == 2
    assert ages(signal) == [80, 60]
