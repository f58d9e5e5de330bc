"""The command rules_replay: which past verdicts other rules would change."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from signals.models import OnchainFeature, Signal
from signals.verification.job import verify_signals
from signals.verification.review import replay
from signals.verification.rules_file import SHIPPED_RULES
from tests.verification.database import contents
from tests.verification.sample_rows import (
    ADDRESS,
    NOW,
    make_features,
    make_signal,
    make_upgradable,
)

pytestmark = pytest.mark.django_db
OTHER = ADDRESS.replace("ab", "cd")


@pytest.fixture
def history(rules_on: None) -> dict[str, Signal]:
    """Make an upgrade, a hold, a verdict without evidence and one without a token."""
    make_upgradable()
    make_features(address=OTHER, growth_ratio=Decimal("1.99999999999999999999"))
    made = {
        "upgrade": make_signal(),
        "hold": make_signal(token_ca=OTHER),
        "nothing": make_signal(token_ca="0x" + "0" * 40),
        "unresolvable": make_signal(token_ca=None),
    }
    verify_signals(now=NOW)
    OnchainFeature.objects.all().delete()
    return made


def rules_file(folder: Path, threshold: str) -> Path:
    """Write the shipped rules with another threshold of growth_ratio."""
    file = folder / "rules.yml"
    file.write_text(SHIPPED_RULES.read_text().replace("fast: 2.0", f"fast: {threshold}"))
    return file


def replayed(file: Path, capsys: pytest.CaptureFixture[str], *options: Any) -> list[dict[str, Any]]:
    with pytest.raises(CommandError) as caught:
        call_command("rules_replay", file, "--json", *options)
    assert caught.value.returncode == 1
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_rules_that_gave_the_verdicts_change_none(
    history: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("rules_replay", SHIPPED_RULES)
    assert capsys.readouterr().out == "0 of 4 verdicts would change\n"


def test_a_higher_threshold_turns_the_upgrade_into_a_hold(
    history: dict[str, Signal], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, counts = replayed(rules_file(tmp_path, "2.6"), capsys)
    assert change["signal"] == history["upgrade"].pk
    assert (change["from"]["decision"], change["to"]["decision"]) == ("upgrade", "hold")
    assert (counts["verdicts"], counts["changed"]) == (4, 1)
    assert counts["changes"] == [{"from": "upgrade", "to": "hold", "count": 1}]


def test_a_verdict_is_replayed_with_all_digits_of_its_features(
    history: dict[str, Signal], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, _ = replayed(rules_file(tmp_path, "1.99999999999999999999"), capsys)
    assert change["signal"] == history["hold"].pk
    assert change["to"] == {"decision": "upgrade", "confidence": "1.000", "note": None, "named": []}
    call_command("rules_replay", SHIPPED_RULES)
    assert "0 of 4" in capsys.readouterr().out


def test_since_leaves_older_verdicts_out(
    history: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = (NOW + timedelta(seconds=1)).isoformat()
    call_command("rules_replay", rules_file(tmp_path, "2.6"), "--since", later)
    assert capsys.readouterr().out == "0 of 0 verdicts would change\n"
    assert replayed(rules_file(tmp_path, "2.6"), capsys, "--since", NOW.isoformat())


def test_changes_are_listed_and_counted_and_nothing_is_written(
    history: dict[str, Signal],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay, "CHUNK", 1)  # each verdict is read by itself
    before = contents(["signals", "signal_events", "verification_rules"])
    file = tmp_path / "rules.yml"
    file.write_text(SHIPPED_RULES.read_text().replace("[30, 60, 180]", "[30]"))
    with pytest.raises(CommandError, match="2 verdicts would change"):
        call_command("rules_replay", file)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"signal {history['upgrade'].pk}, event ")
    assert lines[0].endswith(": upgrade 1.000 -> insufficient 0.000 (window_unsupported)")
    assert lines[2:] == [
        "hold -> insufficient: 1",
        "upgrade -> insufficient: 1",
        "2 of 4 verdicts would change",
    ]
    assert contents(["signals", "signal_events", "verification_rules"]) == before


def test_an_invalid_file_is_a_wrong_configuration(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file") as caught:
        call_command("rules_replay", tmp_path / "none.yml")
    assert caught.value.returncode == 3
