"""How far a long step is, as lines and as a bar of a terminal."""

import os
import pty
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import models
from django.db.models.functions import Upper

from signals import operations
from signals.operations import backfill
from signals.operations.catalog.query import query_rows
from signals.operations.catalog.sessions import Activity, Blocker
from signals.operations.execution import progress
from signals.operations.execution.progress import Display, Meter, Walk
from signals.operations.migrate import preflight
from tests.deadline import DEADLINE
from tests.operations import scratch_schema
from tests.operations.execution.conftest import ShownLines
from tests.operations.execution.part_operations import add_index
from tests.operations.log_listeners import LoggedLines
from tests.operations.scratch_schema import (
    PART_TABLE,
    forwards,
    part_model,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection", "steps_are_long_soon")

STATE = project_state(part_model())


def test_a_scan_shows_how_many_of_its_blocks_are_done(
    background: Any, shown_lines: ShownLines
) -> None:
    """An index on a function that takes its time, on a table of rows that fill half a block each."""
    recreate(
        PART_TABLE,
        "ALTER TABLE part ALTER label SET STORAGE PLAIN;"
        "INSERT INTO part (label) SELECT repeat('x', 3000) || i FROM generate_series(1, 60) i;"
        "CREATE FUNCTION bench.upper(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(0.02); RETURN left($1, 9); END $$;"
        "SET search_path TO bench, pg_catalog",
    )

    def build() -> None:
        with scratch_schema.search_path("bench, pg_catalog"):
            forwards(add_index(Upper("label")), STATE)

    future = background(build)
    shown_lines.until(r"building index: scanning table, \d+% \(\d+ of \d+ blocks, \d+/s\), \d+ s\n")
    future.result(timeout=DEADLINE)


def test_a_rewrite_shows_its_time_once_it_has_the_lock(
    background: Any, shown_lines: ShownLines
) -> None:
    recreate(
        PART_TABLE,
        "CREATE FUNCTION slow(integer) RETURNS bigint LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(0.3); RETURN $1; END $$; ANALYZE part",
    )
    operation = operations.AlterColumnTypeIfDifferent(
        "part",
        "amount",
        models.BigIntegerField(null=True),
        using="slow(amount)",
        allow_rewrite=True,
    )
    future = background(forwards, operation, STATE)
    shown_lines.until(r"ALTER TABLE .*: \d+ s, table of about 8192 bytes\n")
    future.result(timeout=DEADLINE)


def test_a_backfill_shows_the_rows_that_are_done_of_those_that_it_counted(
    shown_lines: ShownLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LONG_STEP", 0.01)
    recreate(PART_TABLE, "INSERT INTO part (label) SELECT i FROM generate_series(1, 97) i")
    operation = operations.BackfillInBatches(
        "part", "amount", models.Value(1), batch_size=10, pause=0.05
    )
    forwards(operation, STATE)
    shown_lines.until(
        r"Fill amount of part in batches where it is null: \d+%, \d+ of 97 rows, [\d,]+/s\n"
    )


def test_where_counting_takes_too_long_the_last_analyze_estimates(
    shown_lines: ShownLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LONG_STEP", 0.01)
    monkeypatch.setattr(
        backfill,
        "count_rows",
        lambda connection, *_: query_rows(connection, "SELECT 1 FROM pg_sleep(5)")[0][0],
    )
    recreate(
        PART_TABLE, "INSERT INTO part (label) SELECT i FROM generate_series(1, 97) i; ANALYZE part"
    )
    operation = operations.BackfillInBatches(
        "part", "amount", models.Value(1), batch_size=10, pause=0.05
    )
    forwards(operation, STATE)
    shown_lines.until(r"\d+%, \d+ of about \d+ rows, [\d,]+/s\n")


def at(phase: str | None = None, **numbers: Any) -> Activity:
    nobody = Blocker(1, "", "u", "active", 1.0, "")
    given: dict[str, Any] = {
        "blocks_done": 0,
        "blocks_total": 0,
        "tuples_done": 0,
        "tuples_total": 0,
        "size": None,
    }
    given |= {"blockers": (), **numbers}
    return Activity(nobody, active=True, age=7.0, phase=phase, **given)


def test_the_share_is_that_of_the_phase() -> None:
    """The blocks of the scan stay what they were while rows are loaded."""
    meter = Meter()
    assert meter.read(at("scan", blocks_done=1, blocks_total=4)) == (
        "scan, 25% (1 of 4 blocks), 7 s",
        0.25,
    )
    text, share = meter.read(at("scan", blocks_done=3, blocks_total=4))
    assert re.fullmatch(r"scan, 75% \(3 of 4 blocks, [\d,]+/s\), 7 s", text)
    assert share == 0.75
    loading = at("load", blocks_done=4, blocks_total=4, tuples_done=5, tuples_total=10)
    assert meter.read(loading) == ("load, 50% (5 of 10 rows), 7 s", 0.5)
    waiting = at("wait", blocks_done=4, blocks_total=4, blockers=(Blocker(9, *[None] * 5),))
    assert meter.read(waiting) == ("wait, 7 s, waits for pid 9", None)
    assert meter.read(at(size="8 kB")) == ("7 s, table of about 8 kB", None)


def test_a_walk_that_knows_no_number_says_what_is_done(shown_lines: ShownLines) -> None:
    with Display("Fill", 0.0) as display:
        Walk(lambda: (None, False), after=0.0).show(display, 5)
    assert re.fullmatch(r"Fill: 5 rows, [\d,]+/s\n", shown_lines.read())


@pytest.mark.parametrize("verbosity", [0, 1])
def test_verbosity_0_silences_lines_and_progress(
    verbosity: int,
    sessions: Any,
    background: Any,
    logged_lines: LoggedLines,
    shown_lines: ShownLines,
) -> None:
    recreate(PART_TABLE)
    holder = sessions.with_snapshot()

    def run() -> None:
        """In one thread and on one connection, as migrate does it."""
        preflight.remember(using="default", plan=[], verbosity=verbosity)
        try:
            forwards(add_index(), STATE)
        finally:
            preflight.forget(using="default")

    future = background(run)
    logged_lines.until("(waiting for old snapshots): pid ")
    holder.rollback()
    future.result(timeout=DEADLINE)
    assert bool(shown_lines.read()) is bool(logged_lines.warnings) is bool(verbosity)


def on_terminal(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> str:
    """What a terminal in the place of stderr gets."""
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm-256color")
    with os.fdopen(theirs, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        act()
    text = b""
    with suppress(OSError):  # the end of what a terminal whose other side is closed gives
        while piece := os.read(ours, 4096):
            text += piece
    os.close(ours)
    return text.decode()


def show_twice() -> None:
    with Display("Build [wanted]", 10.0) as display:
        display.show("first", 0.25)
        display.show("second", 0.5)


COLOUR = re.compile(r"\x1b\[[\d;]*3\d[\d;]*m")


def test_on_a_terminal_it_is_a_bar_that_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = on_terminal(monkeypatch, show_twice)
    assert "Build [wanted]" in text
    assert "━" in text
    assert "second" in text
    assert COLOUR.search(text)
    assert text.endswith("\x1b[2K")


def test_the_bar_pulses_while_nothing_is_known_of_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)

    def wait() -> None:
        with Display("Build", 10.0) as display:
            display.show("scans", 0.5)
            display.show("waits")

    scans, waits = on_terminal(monkeypatch, wait).rsplit("\r\x1b[2KBuild", 2)[:2]
    assert len(COLOUR.findall(waits)) > len(COLOUR.findall(scans)), (scans, waits)


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = on_terminal(monkeypatch, show_twice)
    assert "━" in text
    assert not COLOUR.search(text)


def test_without_rich_a_terminal_gets_lines_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    text = on_terminal(monkeypatch, show_twice)
    assert text.split("\r\n") == ["Build [wanted]: first", ""]
