"""Who is in the way of a long step is said while it runs, by a second session that changes nothing."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.backends.signals import connection_created
from django.test.utils import CaptureQueriesContext

from signals import operations
from signals.operations.catalog.sessions import builds_on
from signals.operations.execution import send
from tests.deadline import DEADLINE
from tests.operations import scratch_schema
from tests.operations.execution.conftest import ShownLines
from tests.operations.execution.part_operations import add_check, add_column, add_index
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
AND application_name LIKE '% convergent_migrations observer'
"""


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
    assert line.endswith(": 'SET application_name = ?'")
    shown_lines.until(rf"waiting for old snapshots, \d+ s, waits for pid {reading}\n")
    reader.rollback()
    future.result(timeout=DEADLINE)
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
    wait_until(lambda: builds_on(connection, "part"), "building")
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
    build.join(DEADLINE)
    future.result(timeout=DEADLINE)


def test_the_build_of_another_migrator_is_known_for_one_of_ours(
    sessions: Any, background: Any, logged_lines: LoggedLines
) -> None:
    recreate(PART_TABLE)
    holder = sessions.with_snapshot()
    first = background(forwards, add_index(), STATE)
    (activity,) = wait_until(lambda: builds_on(connection, "part"), "building")
    second = background(forwards, add_index(), STATE)
    logged_lines.until(
        "another session builds it; waiting for a run of these operations, or what a killed one left: "
        f"pid {activity.session.pid}, "
    )
    holder.rollback()
    first.result(timeout=DEADLINE)
    second.result(timeout=DEADLINE)


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
    future.result(timeout=DEADLINE)


def test_what_is_fast_opens_no_second_connection_and_sends_no_more_than_it_must() -> None:
    recreate(PART_TABLE)
    opened: list[Any] = []

    def note(**given: Any) -> None:
        opened.append(given["connection"])

    connection_created.connect(note)
    try:
        with CaptureQueriesContext(connection) as queries:
            forwards(add_column(), STATE)
        texts = [query["sql"] for query in queries]
        forwards(add_index(), STATE)
    finally:
        connection_created.disconnect(note)
    assert opened == []
    (start,) = (n for n, text in enumerate(texts) if "BEGIN ISOLATION" in text)
    title, begin, *_ = texts[start].splitlines()
    assert title.startswith("-- ALTER TABLE")
    assert begin == "BEGIN ISOLATION LEVEL READ COMMITTED;"
    _, question = texts[start].split(";COMMIT;\n")
    assert question.startswith("SELECT ")


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
        assert go.wait(DEADLINE)
        forwards(add_index(), STATE)

    future = background(build)
    assert connected.wait(DEADLINE)
    closed_door()
    go.set()
    logged_lines.until("no observer for the next 0.2 s")
    holder.rollback()
    future.result(timeout=DEADLINE)
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
    logged_lines.until("no observer for the next 0.2 s")
    wait_until(
        lambda: [row for row in scratch_schema.rows(WATCHERS) if row[0] != pid], "watched again"
    )
    holder.rollback()
    future.result(timeout=DEADLINE)
    wait_until(lambda: not scratch_schema.rows(WATCHERS), "closed")


@pytest.mark.parametrize("show", [True, False, None])
def test_queries_of_others_are_shown_only_if_they_may_be(
    show: bool | None, sessions: Any, background: Any, settings: Any, logged_lines: LoggedLines
) -> None:
    settings.CONVERGENT_MIGRATIONS = {
        **settings.CONVERGENT_MIGRATIONS,
        **({"SHOW_QUERIES": show} if show is not None else {}),
        "LOCK_WAIT": 0.5,
    }
    recreate(PART_TABLE)
    reader = sessions.holding("ACCESS SHARE")
    reader.execute("SELECT 'password=hunter2'")
    with pytest.raises(operations.LockWaitExceeded) as caught:
        forwards(add_column(), STATE)
    assert ("hunter2" in str(caught.value)) is bool(show)
    assert ("'SELECT ?'" in str(caught.value)) is (show is None)
    assert f"pid {reader.info.backend_pid}, " in str(caught.value)
    reader.rollback()
    reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    reader.execute("SELECT 'password=hunter2'")
    future = background(forwards, add_index(), STATE)
    logged_lines.until("(waiting for old snapshots): pid ")
    reader.rollback()
    future.result(timeout=DEADLINE)
    said = [line for line in logged_lines.lines if "waiting for" in line]
    assert all(("hunter2" in line) is bool(show) for line in said)


def test_the_error_names_who_was_in_the_way_and_not_who_is_left(
    sessions: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader goes in the moment after the last try, before anybody could ask for it."""
    settings.CONVERGENT_MIGRATIONS = {"LOCK_TIMEOUT_IN_TRANSACTION": 2.0}
    recreate(PART_TABLE)
    reader, execute = sessions.holding("ACCESS SHARE"), send._execute

    def execute_and_go(*args: Any) -> Any:
        try:
            return execute(*args)
        finally:
            reader.rollback()

    monkeypatch.setattr(send, "_execute", execute_and_go)
    with pytest.raises(operations.LockWaitExceeded) as caught:
        forwards(add_column(), STATE, atomic=True)
    assert [line.split(",")[0] for line in caught.value.blockers] == [
        f"pid {reader.info.backend_pid}"
    ]
