"""manage.py demo: over nothing or its own work it runs, over anything else it does not."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.contrib.auth.hashers import check_password

from project.demo.legacy import build, fingerprint
from tests.embedded.harness import ROOT
from tests.postgres.databases import new_database

COMMAND = [sys.executable, "manage.py", "demo", "--rows", "400"]


@pytest.fixture
def url() -> Iterator[str]:
    with new_database() as url:
        yield url


def environment(url: str) -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": url, "PYTHONWARNINGS": "error"}


def demo(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        COMMAND, cwd=ROOT, env=environment(url), capture_output=True, text=True, check=False
    )


def one(url: str, query: str) -> Any:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


@pytest.mark.parametrize(
    "line",
    ["A legacy database", "Applying signals.0006", "Made up", "ONCHAIN_RULES=on .*verify_signal"],
)
def test_a_killed_demo_is_finished_by_the_next_one(url: str, line: str) -> None:
    with subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env={**environment(url), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert any(re.search(line, text) for text in process.stdout)
        os.killpg(process.pid, signal.SIGKILL)
    result = demo(url)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "400 signals, checksum unchanged" in result.stdout
    assert "ONCHAIN_RPC_URL=ethereum=https://… manage.py pull_features" in result.stdout
    assert re.search(r"User demo, password \S{16} \(", result.stdout)
    assert one(url, "SELECT count(*) FROM signals WHERE state <> 'candidate'")
    assert re.search(r"^signal \d+ is verified\nverdict +upgrade ", result.stdout, re.MULTILINE)
    assert re.search(r"^upgrade_if .* holds +margin \+", result.stdout, re.MULTILINE)


def test_a_database_with_tables_of_others_is_refused_and_left_as_it_is(url: str) -> None:
    with psycopg.connect(url) as connection:
        build(connection, "011")
        before = fingerprint(connection, "011")
    result = demo(url)
    assert result.returncode == 3
    name = one(url, "SELECT current_database()")
    assert result.stderr == (
        f"CommandError: The database {name} holds 6 tables that the demo did not make: "
        "alembic_version, events, goplus_cache, onchain_features, raw_posts, …. The demo makes a "
        "legacy database only where there is nothing (name an empty database in DATABASE_URL, or "
        "unset it for the embedded PostgreSQL).\n"
    )
    with psycopg.connect(url) as connection:
        assert fingerprint(connection, "011") == before
    assert one(url, "SELECT to_regclass('django_migrations')") is None


def test_a_table_in_another_schema_is_a_table_of_others(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE SCHEMA theirs CREATE TABLE kept (id int)")
    result = demo(url)
    assert result.returncode == 3
    assert "holds 1 table that the demo did not make: theirs.kept." in result.stderr


def test_the_password_is_shown_once_and_kept_as_a_hash(url: str) -> None:
    shown = re.search(r"User demo, password (\S+) \(", demo(url).stdout)
    assert shown
    kept = one(url, "SELECT password FROM auth_user WHERE username = 'demo' AND is_superuser")
    assert shown[1] not in kept
    assert check_password(shown[1], kept)
    assert shown[1] not in demo(url).stdout
