"""Settings, databases and outputs that are wrong: each a clear message, and the fitting exit code."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from psycopg import sql

from project.environment import database_from_url
from signals.verification.tokens import resolve
from tests.deadline import DEADLINE
from tests.postgres.databases import ROOT, Database, server_session


def manage(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return shell(f"exec {sys.executable} manage.py {' '.join(words)}", **environ)


def shell(script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mysql://u@h/d", "is not a PostgreSQL address"),
        ("postgresql://u:p%zz@h/d", "cannot be parsed"),
        ("postgresql://u:%ff@h/d", "cannot be parsed"),
        ("postgresql://u@h:port/d", "has a port that is no number from 1 to 65535"),
        ("postgresql://u@h:99999/d", "has a port that is no number from 1 to 65535"),
        ("postgresql://u@h", "names no database"),
        ("postgresql://u@h/d?colour=red", "cannot be parsed"),
    ],
)
def test_a_malformed_database_url_is_named_without_its_password(url: str, problem: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"^DATABASE_URL {problem}"):
        database_from_url(url)


@pytest.mark.parametrize("command", ["verify_signal", "migrate", "signals_report"])
def test_a_malformed_database_url_exits_with_3_and_one_line(command: str) -> None:
    done = manage(command, DATABASE_URL="postgresql://user:secret@host:x/name")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("DATABASE_URL has a port that is no number")
    assert len(done.stderr.splitlines()) == 1
    assert "secret" not in done.stderr


@pytest.fixture
def migrated(copy: Any) -> Database:
    made: Database = copy("clean 0013")
    return made


@pytest.mark.parametrize(
    ("redirection", "reason"),
    [(">/dev/full", "No space left on device"), (">&-", "not writable")],
)
def test_an_output_that_nobody_takes_exits_with_4(
    migrated: Database, redirection: str, reason: str
) -> None:
    for command in ("verify_signal --json", "signals_report", "rules_lint"):
        done = manage(command, redirection, DATABASE_URL=migrated.url)
        assert done.returncode == 4, (command, done.stderr)
        assert done.stderr == f"CommandError: the output cannot be written: {reason}\n"


def test_a_pipe_that_nobody_reads_exits_with_4(migrated: Database) -> None:
    script = f"{{ {sys.executable} manage.py verify_signal; echo $? >&2; }} | true"
    done = shell(script, DATABASE_URL=migrated.url)
    # `true` may not have ended yet when the counts are written; then somebody took them.
    assert done.stderr in (
        "CommandError: the output cannot be written: Broken pipe\n4\n",
        "0\n",
    )


def test_closed_streams_never_hit_the_connection(migrated: Database) -> None:
    """Nothing gets the numbers of closed streams, so an error that is printed goes to no socket."""
    done = manage("verify_signal --limit 0", "<&- >&- 2>&-", DATABASE_URL=migrated.url)
    assert done.returncode == 2
    done = manage("verify_signal", "<&- >&-", DATABASE_URL=migrated.url)
    assert done.returncode == 4


@pytest.fixture
def ascii_database(unblocked_database: None) -> Iterator[Database]:
    """Make a migrated database that stores any bytes."""
    database = Database(f"test_ascii_{os.getpid()}")
    server_session().execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'").format(
            sql.Identifier(database.name)
        )
    )
    try:
        database.migrate(None)
        yield database
    finally:
        database.drop()


def test_rows_with_invalid_bytes_stop_no_run(ascii_database: Database) -> None:
    bad = r"convert_from('\x626164ffc3'::bytea, 'SQL_ASCII')"
    address = "0x" + "ab" * 20
    with ascii_database.connect() as session:
        session.execute(
            f"""
            INSERT INTO events (event_key, token_ca, start_ts, last_ts) VALUES
                ('good', '{address}', now(), now()), ({bad}, '{address}', now(), now()),
                ('bad', {bad}, now(), now()), ({bad} || ':x', NULL, now(), now());
            INSERT INTO signals (event_key, created_at)
            SELECT event_key, now() - interval '1 hour' FROM events;
            INSERT INTO onchain_features (chain, address, as_of_ts, window_minutes)
            VALUES ({bad}, {bad}, now(), 60), ('ethereum', '{address}', now(), 60)
            """
        )
    done = manage("verify_signal --json", DATABASE_URL=ascii_database.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"scanned": 4, "evaluated": 4' in done.stdout
    with ascii_database.connect() as session:
        session.execute("SET client_encoding TO 'UTF8'")
        notes = session.execute(
            "SELECT note, count(*) FROM signal_events GROUP BY note ORDER BY note"
        ).fetchall()
        numbers = session.execute("SELECT signal_id FROM signal_events").fetchall()
    assert notes == [("feature_missing", 2), ("unresolvable_token", 2)]
    for (number,) in numbers:
        done = manage(f"verify_signal --explain {number}", DATABASE_URL=ascii_database.url)
        assert (done.returncode, done.stderr) == (0, "")
    assert manage("signals_report", DATABASE_URL=ascii_database.url).returncode == 0


def test_what_cannot_be_read_is_never_another_token() -> None:
    """Each unreadable byte arrives as a question mark between spaces."""
    address = "So11111111111111111111111111111111111111112"
    assert resolve(f"solana:{address}", f"{address} ? ") is None
    assert resolve(f"solana:{address} ? ", None) is None
    assert resolve(f" ? solana:{address}", None) is None
