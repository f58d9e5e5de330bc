"""migrate_preview says what migrate then sends, and changes nothing."""

import json
import logging
from collections.abc import Callable
from importlib import import_module
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command

from signals import operations
from tests.migrations.chain import LAST_MIGRATION
from tests.postgres.catalog_facts import facts
from tests.postgres.databases import Database

Copy = Callable[[str], Database]


def preview(database: Database, *words: str) -> tuple[int, str]:
    """Exit code and stdout, in this process."""
    out, code = StringIO(), 0
    try:
        call_command("migrate_preview", *words, database=database.alias, stdout=out)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, out.getvalue()


def statements(database: Database, *words: str) -> list[dict[str, Any]]:
    _, text = preview(database, *words, "--json")
    return [
        step
        for migration in json.loads(text)["migrations"]
        for part in migration["parts"]
        for step in part["steps"]
    ]


def sent(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.INFO and record.funcName == "send"
    ]


HALVES: dict[str, tuple[str, ...]] = {
    "nothing of it": (),
    "the column": ("ALTER TABLE signals ADD COLUMN state text DEFAULT 'candidate' NOT NULL",),
    "a check that is not valid": (
        "ALTER TABLE signals ADD COLUMN state text DEFAULT 'candidate' NOT NULL",
        (
            "ALTER TABLE signals ADD CONSTRAINT signals_state_check "
            "CHECK (state IN ('candidate', 'verified', 'downgraded')) NOT VALID"
        ),
    ),
    "all but the column's neighbour": (
        "ALTER TABLE signals ADD COLUMN state text DEFAULT 'candidate' NOT NULL",
        "CREATE INDEX idx_signals_state_created_at ON signals (state, created_at)",
    ),
}


@pytest.mark.parametrize("half", HALVES)
def test_it_is_what_0012_sends_to_a_database_that_has(
    half: str, copy: Copy, caplog: pytest.LogCaptureFixture
) -> None:
    database = copy("legacy 011")
    database.migrate("0011")
    database.run(*HALVES[half])
    before = facts(database)
    shown = [step["sql"] for step in statements(database, "signals", LAST_MIGRATION)]
    assert facts(database) == before
    caplog.set_level(logging.INFO, "convergent_migrations")
    database.migrate(LAST_MIGRATION)
    assert shown == sent(caplog)


@pytest.mark.parametrize("start", ["empty", "legacy 001", "legacy 005", "legacy 009", "legacy 012"])
def test_it_is_what_the_whole_history_sends(
    start: str, copy: Copy, caplog: pytest.LogCaptureFixture
) -> None:
    """A type is changed under a guard where its column is still to come; batches are one statement."""
    database = copy(start)
    call_command("migrate", "auth", database=database.alias, verbosity=0)  # 0017 needs its tables
    shown = [step["sql"] for step in statements(database, "signals")]
    caplog.set_level(logging.INFO, "convergent_migrations")
    database.migrate()
    really = sent(caplog)
    for step in (shown, really):
        step[:] = [sql for sql in step if not sql.startswith(("UPDATE", "-- not SQL"))]
        step[:] = [" TYPE " if " TYPE " in sql and "ALTER" in sql else sql for sql in step]
    assert shown == really
    assert preview(database, "signals") == (0, "Nothing to do.\n")


def test_back_is_shown_too(copy: Copy, caplog: pytest.LogCaptureFixture) -> None:
    database = copy("adopted 011")
    shown = [step["sql"] for step in statements(database, "signals", "0011")]
    caplog.set_level(logging.INFO, "convergent_migrations")
    database.migrate("0011")
    assert shown == sent(caplog)
    assert len(shown) == 3


def test_each_statement_has_its_lock_its_table_and_those_it_would_wait_for(copy: Copy) -> None:
    database = copy("legacy 011")
    database.migrate("0011")
    with psycopg.connect(database.url, application_name="nightly report") as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM signals")
        column, check, validation, index = statements(database, "signals", LAST_MIGRATION)
        _, text = preview(database, "signals", LAST_MIGRATION)
        pid = reader.info.backend_pid
    assert [step["lock"] for step in (column, check, validation, index)] == [
        "AccessExclusiveLock",
        "AccessExclusiveLock",
        "ShareUpdateExclusiveLock",
        "ShareUpdateExclusiveLock",
    ]
    assert {step["table"] for step in (column, check, validation, index)} == {'"signals"'}
    blocked = [[each["pid"] for each in step["blockers"]] for step in (column, validation, index)]
    assert blocked == [[pid], [], [pid]]
    assert column["size"]["size"] > 8192
    lines = text.splitlines()
    assert lines[:3] == [
        "signals.0012_signal_state",
        "  Add column state to signal if missing",
        '    ALTER TABLE "signals" ADD COLUMN "state" text DEFAULT \'candidate\' NOT NULL;',
    ]
    assert lines[3].startswith('      AccessExclusiveLock on "signals" (')
    assert lines[4].startswith(f"      would wait for pid {pid}, nightly report, user ")
    assert lines[-1] == "1 migration, 4 statements"


def test_what_would_stop_the_run_is_said(copy: Copy) -> None:
    database = copy("legacy 011")
    database.migrate("0011")
    database.run("ALTER TABLE signals ADD COLUMN state integer")
    code, text = preview(database, "signals", LAST_MIGRATION)
    assert code == 1
    assert "    stops here: " in text
    assert 'the column state of table "signals" differs from its declaration' in text


def test_an_atomic_migration_that_cannot_be_one_is_said_as_migrate_says_it(
    copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = copy("legacy 011")
    database.migrate("0011")
    state = import_module("signals.migrations.0012_signal_state").Migration
    monkeypatch.setattr(state, "atomic", True)
    _, text = preview(database, "signals", LAST_MIGRATION)
    with pytest.raises(operations.NeedsAutocommit) as refused:
        database.migrate(LAST_MIGRATION)
    assert f"    stops here: {refused.value}\n" in text


def test_wrong_words_are_named(copy: Copy) -> None:
    database = copy("empty")
    for words, message in (
        (("nope",), "the app 'nope' has no migrations"),
        (("signals", "0099"), "'0099' names no single migration of signals"),
    ):
        with pytest.raises(CommandError) as caught:
            preview(database, *words)
        assert caught.value.returncode == 2
        assert message in str(caught.value)
    assert preview(database, "signals", "zero") == (0, "Nothing to do.\n")
