"""What is said of a long step: who is in its way, how far it is, where that is shown, and what it costs."""

import os
import pty
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, models
from django.db.backends.signals import connection_created
from django.db.models.functions import Upper
from django.test.utils import CaptureQueriesContext

from signals import operations
from signals.operations import preflight, session
from signals.operations.activity import Activity, Blocker, Sessions
from signals.operations.catalog import Catalog
from signals.operations.policy import LockPolicy
from signals.operations.progress import Display, Meter, Walk
from tests.operations import scratch_schema
from tests.operations.execution.conftest import ShownLines
from tests.operations.log_listeners import LoggedLines
from tests.operations.scratch_schema import (
    PART_TABLE,
    conninfo,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
)
from tests.postgres.polling import wait_until

pytestmark = pytest.mark.usefixtures("committing_connection", "steps_are_long_soon")

STATE = project_state(part_model())
WATCHERS = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database()
AND application_name LIKE '% signals.operations watch'
"""


def add_column() -> Any:
    return operations.AddColumnIfMissing("part", "state", models.TextField(db_default="new"))


def add_index(*expressions: Any) -> Any:
    fields = [] if expressions else ["label"]
    return operations.CreateIndexConcurrentlyIfMissing(
        "part", models.Index(*expressions, fields=fields, name="wanted")
    )


def add_check() -> Any:
    condition = models.Q(amount__gte=0)
    return operations.AddCheckIfMissing(
        "part", models.CheckConstraint(condition=condition, name="wanted")
    )


def named(held: psycopg.Connection[Any], name: str) -> int:
    held.execute(f"SET application_name = '{name}'")  # type: ignore[arg-type]
    return held.info.backend_pid


def test_a_build_that_others_hold_up_names_each_of_them_with_the_phase(
    sessions: Any, background: Any, logged_lines: LoggedLines, shown_lines: ShownLines
) -> None:
    recreate(PART_TABLE)
    writer, reader = sessions.holding("ROW EXCLUSIVE"), sessions.with_snapshot()
    writing, reading = named(writer, "importer"), named(reader, "nightly report")
    future = background(forwards, add_index(), STATE)
    held = 'waiting for ShareUpdateExclusiveLock on "part"'
    logged_lines.until(f"{held} (waiting for writers before build): pid {writing}, importer, user ")
    shown_lines.until(
        r"CREATE INDEX .*: waiting for writers before build, \d+ s, waits for pid " + str(writing)
    )
    writer.rollback()
    line = logged_lines.until(
        f"{held} (waiting for old snapshots): pid {reading}, nightly report, user "
    )
    assert line.endswith(""": "SET application_name = 'nightly report'\"""")
    shown_lines.until(rf"waiting for old snapshots, \d+ s, waits for pid {reading}\n")
    reader.rollback()
    future.result(timeout=60)
    assert shown_lines.out == ""
    wait_until(lambda: not scratch_schema.rows(WATCHERS), "closed")


def test_the_build_of_a_stranger_names_the_builder_and_who_holds_it_up(
    sessions: Any, background: Any, logged_lines: LoggedLines, shown_lines: ShownLines
) -> None:
    recreate(PART_TABLE)
    holder, builder = sessions.with_snapshot(), sessions()
    building, holding = named(builder, "psql"), named(holder, "nightly report")
    build = threading.Thread(
        target=builder.execute, args=("CREATE INDEX CONCURRENTLY wanted ON part (label)",)
    )
    build.start()
    wait_until(lambda: Sessions(connection).builds("part"), "building")
    future = background(forwards, add_index(), STATE)
    logged_lines.until(
        f"another session builds it; waiting for a stranger: pid {building}, psql, user "
    )
    logged_lines.until(
        f'waiting for the build of pid {building} on "part" (waiting for old snapshots): '
        f"pid {holding}, nightly report, user "
    )
    shown_lines.until(f"waiting for old snapshots, .*waits for pid {holding}\n")
    holder.rollback()
    build.join(60)
    future.result(timeout=60)


def test_the_build_of_another_migrator_is_known_for_one_of_ours(
    sessions: Any, background: Any, logged_lines: LoggedLines
) -> None:
    recreate(PART_TABLE)
    holder = sessions.with_snapshot()
    first = background(forwards, add_index(), STATE)
    (activity,) = wait_until(lambda: Sessions(connection).builds("part"), "building")
    second = background(forwards, add_index(), STATE)
    logged_lines.until(
        "another session builds it; waiting for a run of these operations, or what a killed one left: "
        f"pid {activity.session.pid}, "
    )
    holder.rollback()
    first.result(timeout=60)
    second.result(timeout=60)


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
    future.result(timeout=60)


def test_a_validation_that_waits_says_for_whom_and_how_long(
    sessions: Any, background: Any, shown_lines: ShownLines, logged_lines: LoggedLines
) -> None:
    recreate(
        PART_TABLE,
        "ALTER TABLE part ADD CONSTRAINT wanted CHECK (amount >= 0) NOT VALID; ANALYZE part",
    )
    holder = sessions.holding("SHARE UPDATE EXCLUSIVE")
    future = background(forwards, add_check(), STATE)
    logged_lines.until(
        f'waiting for ShareUpdateExclusiveLock on "part": pid {holder.info.backend_pid}, '
    )
    shown_lines.until(rf"VALIDATE CONSTRAINT .*: \d+ s, waits for pid {holder.info.backend_pid}\n")
    holder.rollback()
    future.result(timeout=60)


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
    future.result(timeout=60)


def test_a_backfill_shows_the_rows_that_are_done_of_those_that_it_counted(
    shown_lines: ShownLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "LONG", 0.01)
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
    monkeypatch.setattr(session, "LONG", 0.01)
    monkeypatch.setattr(
        Catalog, "count", lambda self, *_: self._rows("SELECT 1 FROM pg_sleep(5)")[0][0]
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
    preflight.remember(using="default", plan=[], verbosity=verbosity)
    try:
        future = background(forwards, add_index(), STATE)
        logged_lines.until("(waiting for old snapshots): pid ")
        holder.rollback()
        future.result(timeout=60)
    finally:
        preflight.forget(using="default")
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


def test_what_is_fast_opens_no_second_connection_and_sends_no_more_than_it_must() -> None:
    recreate(PART_TABLE)
    opened: list[Any] = []

    def note(**given: Any) -> None:
        opened.append(given["connection"])

    connection_created.connect(note)
    try:
        with CaptureQueriesContext(connection) as queries:
            forwards(add_column(), STATE)
        short = [query["sql"].split()[0] for query in queries]
        forwards(add_index(), STATE)
    finally:
        connection_created.disconnect(note)
    assert opened == []
    sending = ["BEGIN", "SET", "WITH", "ALTER", "COMMIT"]
    start = short.index("WITH") - 2
    assert short[start : start + len(sending)] == sending


@pytest.fixture
def closed_door() -> Iterator[Callable[[], None]]:
    """Makes the server refuse every further connection to the database."""
    name = connection.settings_dict["NAME"]
    with psycopg.connect(conninfo(), dbname="postgres", autocommit=True) as server:

        def allow(what: bool) -> None:
            server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {what}')  # type: ignore[arg-type]

        yield lambda: allow(False)
        allow(True)


def test_a_watcher_that_is_refused_changes_nothing(
    sessions: Any, background: Any, logged_lines: LoggedLines, closed_door: Callable[[], None]
) -> None:
    recreate(PART_TABLE)
    holder, connected, go = sessions.with_snapshot(), threading.Event(), threading.Event()

    def build() -> None:
        connected.set()
        assert go.wait(60)
        forwards(add_index(), STATE)

    future = background(build)
    assert connected.wait(60)
    closed_door()
    go.set()
    logged_lines.until("nobody watches for the next 0.2 s")
    holder.rollback()
    future.result(timeout=60)
    assert [row[4] for row in facts() if row[0] == "index" and row[2] == "wanted"] == [
        "valid ready"
    ]


def test_a_watcher_that_is_terminated_changes_nothing_and_another_follows(
    sessions: Any, background: Any, logged_lines: LoggedLines
) -> None:
    recreate(PART_TABLE)
    holder = sessions.with_snapshot()
    future = background(forwards, add_index(), STATE)
    ((pid,),) = wait_until(lambda: scratch_schema.rows(WATCHERS), "watched")
    scratch_schema.rows("SELECT pg_terminate_backend(%s)", [pid])
    logged_lines.until("nobody watches for the next 0.2 s")
    wait_until(
        lambda: [row for row in scratch_schema.rows(WATCHERS) if row[0] != pid], "watched again"
    )
    holder.rollback()
    future.result(timeout=60)
    wait_until(lambda: not scratch_schema.rows(WATCHERS), "closed")


@pytest.mark.parametrize("show", [True, False])
def test_queries_of_others_are_shown_only_if_they_may_be(
    show: bool, sessions: Any, background: Any, settings: Any, logged_lines: LoggedLines
) -> None:
    settings.SIGNALS_OPERATIONS = {
        **settings.SIGNALS_OPERATIONS,
        "SHOW_QUERIES": show,
        "LOCK_WAIT": 0.5,
    }
    recreate(PART_TABLE)
    reader = sessions.holding("ACCESS SHARE")
    reader.execute("SELECT 'password=hunter2'")
    with pytest.raises(operations.LockWaitExceeded) as caught:
        forwards(add_column(), STATE)
    assert ("hunter2" in str(caught.value)) is show
    assert f"pid {reader.info.backend_pid}, " in str(caught.value)
    reader.rollback()
    reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    reader.execute("SELECT 'password=hunter2'")
    future = background(forwards, add_index(), STATE)
    logged_lines.until("(waiting for old snapshots): pid ")
    reader.rollback()
    future.result(timeout=60)
    said = [line for line in logged_lines.lines if "waiting for" in line]
    assert all(("hunter2" in line) is show for line in said)


def test_the_error_names_who_was_in_the_way_and_not_who_is_left(
    sessions: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader goes in the moment after the last try, before anybody could ask for it."""
    settings.SIGNALS_OPERATIONS = {"LOCK_TIMEOUT_IN_TRANSACTION": 2.0}
    recreate(PART_TABLE)
    reader, attempt = sessions.holding("ACCESS SHARE"), session._try

    def attempt_and_go(*args: Any) -> bool:
        is_done = attempt(*args)
        reader.rollback()
        return is_done

    monkeypatch.setattr(session, "_try", attempt_and_go)
    with pytest.raises(operations.LockWaitExceeded) as caught:
        forwards(add_column(), STATE, atomic=True)
    assert [line.split(",")[0] for line in caught.value.blockers] == [
        f"pid {reader.info.backend_pid}"
    ]


def test_a_prepared_transaction_is_told_from_a_session() -> None:
    assert str(Blocker(0, None, None, None, None, None)) == (
        "a prepared transaction (pg_catalog.pg_prepared_xacts has its name)"
    )


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("LOCK_TIMEOUT", "0", r"SIGNALS_OPERATIONS_LOCK_TIMEOUT is 0\.0 \(use a number"),
        ("LOCK_WAIT", "long", r"SIGNALS_OPERATIONS_LOCK_WAIT is 'long' \(use a number"),
        ("LOCK_WAIT", "inf", r"SIGNALS_OPERATIONS_LOCK_WAIT is inf \(use a number"),
        ("LOCK_WAIT", "true", r"SIGNALS_OPERATIONS_LOCK_WAIT is True \(use a number"),
        (
            "SHOW_QUERIES",
            "maybe",
            r"SIGNALS_OPERATIONS_SHOW_QUERIES is 'maybe' \(use True or False",
        ),
        ("LOCK_TIME", "1", r"SIGNALS_OPERATIONS_LOCK_TIME is not a setting \(use LOCK_TIMEOUT, "),
    ],
)
def test_a_wrong_environment_variable_is_named_with_the_fix(
    name: str, text: str, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SIGNALS_OPERATIONS_{name}", text)
    with pytest.raises(ImproperlyConfigured, match=error):
        LockPolicy.from_settings()


def test_the_environment_goes_before_the_settings_and_the_operation_before_both(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.SIGNALS_OPERATIONS = {"LOCK_TIMEOUT": 3, "LOCK_WAIT": 5}
    monkeypatch.setenv("SIGNALS_OPERATIONS_LOCK_TIMEOUT", "0.5")
    monkeypatch.setenv("SIGNALS_OPERATIONS_SHOW_QUERIES", "false")
    policy = LockPolicy.from_settings()
    assert (policy.lock_timeout, policy.lock_wait, policy.show_queries) == (0.5, 5, False)
    own = policy.limited({"lock_timeout": 0.01, "lock_wait": 7})
    assert (own.lock_timeout, own.lock_timeout_in_transaction, own.lock_wait) == (0.01, 0.01, 7)
    assert policy.limited({}) == policy
