"""What a watching worker tells from outside: its metrics over HTTP, and its log as JSON."""

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.request import urlopen

import pytest

from tests.deadline import DEADLINE
from tests.postgres.databases import ROOT, Database
from tests.postgres.manage_process import ManageProcess
from tests.verification.test_metrics import samples_of


@pytest.fixture
def watch(copy: Callable[[str], Database]) -> Iterator[Callable[..., ManageProcess]]:
    """Start `verify_signal --watch 1` on a migrated database; what still runs in the end is killed."""
    database = copy("clean 0013")
    with ExitStack() as stack:

        def start(*words: str, **environ: str) -> ManageProcess:
            env = {**os.environ, "DATABASE_URL": database.url, "PYTHONUNBUFFERED": "1", **environ}
            all_words = ("verify_signal", "--watch", "1", "--json", *words)
            process = stack.enter_context(ManageProcess(*all_words, cwd=ROOT, env=env))
            stack.callback(process.kill)
            return process

        yield start


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def scraped(port: int) -> Any:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=DEADLINE) as response:
        return samples_of(response.read().decode())


def test_a_watching_worker_serves_metrics_and_renews_its_sign_of_life(
    watch: Callable[..., ManageProcess],
) -> None:
    port = free_port()
    process = watch("--metrics", str(port))
    process.stdout.readline()
    first = scraped(port)
    process.stdout.readline()
    process.stdout.readline()
    second = scraped(port)
    assert (first["up", ""], second["dead", ""]) == (1, 0)
    key = ("last_run_timestamp_seconds", "")
    assert first[key] < second[key]
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=DEADLINE)
    assert (process.wait(), errors) == (0, "")


def test_a_port_that_is_taken_is_told(watch: Callable[..., ManageProcess]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        _, errors = (process := watch("--metrics", str(port))).communicate(timeout=DEADLINE)
    assert process.wait() == 4
    assert errors == (
        f"CommandError: the metrics cannot be served at 127.0.0.1:{port}: Address already in use\n"
    )


def test_the_log_is_one_object_a_run_when_asked(watch: Callable[..., ManageProcess]) -> None:
    process = watch(LOG_FORMAT="json", LOG_LEVEL="info", ONCHAIN_RULE="on")
    run = json.loads(process.stdout.readline())
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=DEADLINE)
    entries = [json.loads(line) for line in errors.splitlines()]
    runs = [each for each in entries if each["level"] == "info"]
    assert (runs[0]["run"], runs[0]["outcome"], runs[0]["scanned"]) == (run["run"], "finished", 0)
    assert len(runs) >= 2
    (warning,) = [each for each in entries if each["level"] == "warning"]
    assert warning["message"] == "ONCHAIN_RULE is no setting (did you mean ONCHAIN_RULES?)"


def test_an_unknown_format_of_the_log_is_a_configuration_error(
    watch: Callable[..., ManageProcess],
) -> None:
    process = watch(LOG_FORMAT="xml")
    _, errors = process.communicate(timeout=DEADLINE)
    assert (process.wait(), errors) == (3, "LOG_FORMAT is 'xml' (use one of text, json)\n")
