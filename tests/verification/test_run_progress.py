"""The bar of verify_signal, on the terminal of a real process."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.deadline import DEADLINE
from tests.postgres.databases import ROOT, Database

FILL = """
INSERT INTO events (event_key, start_ts, last_ts)
SELECT 'event-' || n, now(), now() FROM generate_series(1, 30) n;
INSERT INTO signals (event_key, created_at) SELECT event_key, now() - interval '1 hour' FROM events;
ANALYZE signals;
CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END $$;
CREATE TRIGGER take_time AFTER INSERT ON signal_events FOR EACH STATEMENT EXECUTE FUNCTION take_time()
"""


REFUSING = (
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$"
)
REFUSED = """
CREATE TRIGGER refuse BEFORE INSERT ON signal_events FOR EACH ROW WHEN (NEW.signal_id = 24)
EXECUTE FUNCTION refuse()
"""


@pytest.fixture
def database(copy: Callable[[str], Database]) -> Database:
    """Return a migrated database in which each batch takes almost half a second."""
    made = copy("clean 0013")
    for statement in FILL.split(";\n"):
        made.run(statement)
    return made


def shown(database: Database, *words: str, is_terminal: bool = True) -> tuple[str, str]:
    """Run verify_signal in batches of five; return what stdout and a terminal in place of stderr get."""
    ours, theirs = pty.openpty() if is_terminal else os.pipe()
    command = [sys.executable, "manage.py", "verify_signal", "--batch-size", "5", *words]
    environ = {
        **os.environ,
        "DATABASE_URL": database.url,
        "TERM": "xterm-256color",
        "COLUMNS": "150",
    }
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    os.close(theirs)
    text = b""
    with suppress(OSError):  # the end of what a terminal whose other side is closed gives
        while piece := os.read(ours, 4096):
            text += piece
    os.close(ours)
    return done.stdout, text.decode()


@pytest.mark.parametrize("words", [(), ("--workers", "2"), ("--limit", "20")])
def test_a_long_run_shows_a_bar_that_leaves_nothing(
    database: Database, words: tuple[str, ...]
) -> None:
    result, text = shown(database, *words)
    number = 20 if "--limit" in words else 30
    assert f"scanned{number:>13}" in result
    assert "verify_signal" in text
    assert "━" in text
    assert f"of about {number} rows" in text
    assert text.endswith("\x1b[2K")


def test_a_line_of_the_log_stands_where_the_bar_was(database: Database) -> None:
    database.run(REFUSING, REFUSED)
    _, text = shown(database)
    assert "\x1b[2Ksignal 24: ProgrammingError: 'no' (failure 1)\r\n" in text


@pytest.mark.parametrize("words", [("--json",), ("--verbosity", "0"), ("--limit", "1")])
def test_no_bar_is_shown_where_it_is_not_asked_for_or_the_run_is_short(
    database: Database, words: tuple[str, ...]
) -> None:
    assert shown(database, *words)[1] == ""


def test_nothing_is_shown_where_stderr_is_no_terminal(database: Database) -> None:
    assert shown(database, is_terminal=False)[1] == ""


def test_the_number_is_left_out_where_only_some_are_chosen(database: Database) -> None:
    _, text = shown(database, "--since", "2020-01-01")
    assert "verify_signal" in text
    assert "of about" not in text
