"""The metrics of the job: what they say, where they are written, and the rules that ask for them."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from signals.models import SignalVerification
from signals.verification.tokens import CHAIN_ALIASES
from signals.verification.upkeep.metrics import PERIOD, JobCollector
from signals.verification.upkeep.statistics import read_statistics
from tests.postgres.databases import ROOT
from tests.verification.sample_rows import MINUTE, make_features, make_signal, make_upgradable

Samples = dict[tuple[str, str], float]


def samples_of(text: str) -> Samples:
    """Return the value of each sample by its name and label."""
    return {
        (sample.name.removeprefix("signals_"), "".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        found: datetime = cursor.fetchone()[0]
        return found


@pytest.mark.django_db
def test_the_textfile_has_the_figures_after_the_run(
    rules_on: None, tmp_path: Path, now: datetime
) -> None:
    make_upgradable(now=now)
    make_features(chain="bnb", age=9 * MINUTE, now=now)
    dead = make_signal(now=now, token_ca=None)
    make_signal(now=now)
    call_command("verify_signal")
    SignalVerification.objects.filter(pk=dead.pk).update(status="dead", next_check_at=None)
    for _ in range(3):
        make_signal(now=now, age=4 * MINUTE)
    file = tmp_path / "job.prom"
    call_command("verify_signal", "--limit", "1", "--prometheus", file)
    samples = samples_of(file.read_text())
    assert samples["up", ""] == 1
    assert (samples["due", ""], samples["waiting", ""], samples["dead", ""]) == (2, 2, 1)
    assert 60 <= samples["oldest_wait_seconds", ""] < 600
    assert samples["checks_last_hour", "scanned"] == 3
    assert samples["checks_last_hour", "verified"] == 2
    assert samples["checks_last_hour", "errors"] == 0
    assert samples["runs_last_hour", "finished"] == 2
    assert samples["feature_lag_seconds", "bsc"] >= 540
    assert abs(samples["last_run_timestamp_seconds", ""] - now.timestamp()) < 600


@pytest.mark.django_db
def test_a_run_to_which_nothing_was_due_is_a_sign_of_life(tmp_path: Path) -> None:
    file = tmp_path / "job.prom"
    call_command("verify_signal", "--prometheus", file)
    first = samples_of(file.read_text())
    call_command("verify_signal", "--prometheus", file)
    second = samples_of(file.read_text())
    assert first["checks_last_hour", "scanned"] == second["checks_last_hour", "scanned"] == 0
    key = ("last_run_timestamp_seconds", "")
    assert first[key] < second[key]


@pytest.mark.django_db
def test_a_file_that_cannot_be_written_does_not_stop_the_job(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    call_command("verify_signal", "--prometheus", "/nowhere/job.prom")
    assert "scanned" in capsys.readouterr().out
    assert "cannot be written to /nowhere/job.prom: No such file" in caplog.text


def test_a_database_that_does_not_answer_leaves_one_metric(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def read() -> Any:
        raise OperationalError("gone")

    registry = CollectorRegistry()
    registry.register(JobCollector(read))
    assert samples_of(generate_latest(registry).decode()) == {("up", ""): 0}
    assert "the metrics cannot be read: gone" in caplog.text


def names_in_rules() -> Iterator[str]:
    _, group, _ = yaml.safe_load((ROOT / "infra/prometheus-rules.yml").read_text())["groups"]
    for rule in group["rules"]:
        assert {"alert", "expr", "labels", "annotations"} <= set(rule)
        found = re.findall(r"signals_(\w+)", rule["expr"])
        assert found, rule["expr"]
        yield from found


@pytest.mark.django_db
def test_the_rules_ask_for_metrics_that_are_written() -> None:
    call_command("verify_signal")
    make_features()
    registry = CollectorRegistry()
    registry.register(JobCollector(lambda: read_statistics(connection, CHAIN_ALIASES, PERIOD)))
    written = {name for name, _ in samples_of(generate_latest(registry).decode())}
    asked = set(names_in_rules())
    assert asked <= written
    assert asked >= {"up", "oldest_wait_seconds", "dead", "feature_lag_seconds"}


@pytest.mark.parametrize("text", ["", "0", "65536", "host", "host:", "1.5", "x:y"])
def test_a_bad_address_is_a_usage_error(text: str) -> None:
    with pytest.raises(CommandError, match="is not an address"):
        call_command("verify_signal", "--watch", "1", f"--metrics={text}")


def test_the_endpoint_needs_a_watch() -> None:
    with pytest.raises(CommandError, match="--metrics is for --watch") as caught:
        call_command("verify_signal", "--metrics", "9101")
    assert caught.value.returncode == 2
