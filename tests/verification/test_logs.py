"""The log of the job: one line a run, as text or as JSON."""

import json
import logging
from typing import Any

import pytest

from project.logs import JsonFormatter
from signals.verification.job import verify_signals
from tests.verification.sample_rows import NOW, make_signal, make_upgradable

pytestmark = pytest.mark.django_db


def run_records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [each for each in caplog.records if each.levelno == logging.INFO]


def test_each_run_logs_one_line_with_its_counts(
    rules_on: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "signals.verification")
    make_upgradable()
    make_signal()
    run = verify_signals(now=NOW).run
    verify_signals(now=NOW)
    first, second = run_records(caplog)
    assert (
        first.getMessage() == f"run {run} finished: scanned 1, evaluated 1, updated 1, verified 1"
    )
    assert second.getMessage().endswith("finished: nothing was due")
    assert "\n" not in JsonFormatter().format(first)


def test_a_structured_line_has_the_fields_of_the_run(
    rules_on: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "signals.verification")
    make_upgradable()
    make_signal()
    report = verify_signals(now=NOW)
    (record,) = run_records(caplog)
    entry: dict[str, Any] = json.loads(JsonFormatter().format(record))
    assert (entry["level"], entry["logger"]) == ("info", "signals.verification")
    assert (entry["run"], entry["outcome"], entry["rules"]) == (str(report.run), "finished", "on")
    assert (entry["scanned"], entry["verified"], entry["errors"]) == (1, 1, 0)
    assert entry["rules_sha256"] == report.rules_sha256


def test_an_error_keeps_its_traceback_on_the_one_line() -> None:
    try:
        raise ValueError("odd")
    except ValueError as error:
        record = logging.LogRecord(
            "signals", logging.ERROR, "", 1, "%s failed", ("it",), (ValueError, error, None)
        )
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert json.loads(text)["message"] == "it failed"
    assert "ValueError: odd" in json.loads(text)["error"]
