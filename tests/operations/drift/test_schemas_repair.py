"""verify_schema --schemas --repair: each schema by itself, whatever becomes of another one."""

import json
import signal
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from signals.operations.catalog.query import quoted
from signals.operations.catalog.schemas import current_place
from signals.operations.drift.rows import Survey
from signals.operations.drift.schemas import Result, SurveyMaker, repair_schemas
from signals.operations.drift.survey import survey_with_retry
from signals.operations.execution import migrators_lock
from tests.deadline import DEADLINE
from tests.operations.drift.tenant_schemas import (
    CRATE,
    DRIFTED_SCHEMAS,
    ODD,
    STATE_INDEX,
    found_rows,
)
from tests.operations.projects.project import Project
from tests.postgres.databases import Database
from tests.postgres.polling import lock_waiter, wait_until, wait_until_unused

pytestmark = pytest.mark.usefixtures("unblocked_database")


def test_repairs_go_on_where_one_fails_and_say_what_came_of_each(tenant_schemas: Project) -> None:
    tenant_schemas.psql(
        "ALTER TABLE tenant_same.crate_crate DROP CONSTRAINT crate_unique;"
        "INSERT INTO tenant_same.crate_crate (weight, height) VALUES (1, 1), (1, 1)"
    )
    words = ("crate", "--schemas", "tenant%", "--repair", "--no-input", "--replace", "--jobs", "3")
    done = tenant_schemas.verify(*words)
    assert done.returncode == 1
    lines = set(done.stderr.splitlines())
    for name in ("tenant_enum", "tenant_table", "tenant_check", "tenant_index", ODD, "tenant_late"):
        assert f"{name}: repaired" in lines
    assert "tenant_same: not repaired: unique crate_unique of" in done.stderr
    assert "(1, 1)" in done.stderr
    left = done.stdout.splitlines()
    assert left[-1].startswith(f"default, {len(DRIFTED_SCHEMAS)} schemas like tenant%: ")
    shown = json.loads(tenant_schemas.verify("crate", "--schemas", "tenant%", "--json").stdout)
    assert found_rows(shown) == {
        ("tenant_same", "crate_unique", "missing"),
        ("tenant_check", "extra", "undeclared"),
        ("tenant_parts", "crate_unique", "missing"),
        ("tenant_text", "height", "different"),
        ("tenant_text", "crate_check", "missing"),
        ("tenant_text", "crate_unique", "different"),
    }


FIRST_IS_DONE = (
    "SELECT FROM pg_constraint WHERE conname = 'crate_check' AND convalidated "
    "AND conrelid = 'tenant_right_1.crate_crate'::regclass"
)


@pytest.mark.parametrize(
    ("sent", "code", "jobs"),
    [(signal.SIGKILL, -signal.SIGKILL, 1), (signal.SIGINT, 130, 1), (signal.SIGINT, 130, 2)],
)
def test_a_repair_that_is_ended_is_continued_by_the_next_one(
    stock_project: Project, sent: signal.Signals, code: int, jobs: int
) -> None:
    words = ("crate", "--schemas", "tenant_right%", "--repair", "--no-input")
    for name in ("tenant_right_1", "tenant_right_2"):
        stock_project.psql(
            f"{CRATE.format(schema=name)}; ALTER TABLE crate_crate DROP CONSTRAINT crate_check"
        )
    with (
        stock_project.database.connect(autocommit=False) as reader,
        stock_project.database.running(
            "verify_schema",
            *words,
            f"--jobs={jobs}",
            env=stock_project.env(CONVERGENT_MIGRATIONS_LOCK_WAIT="60"),
        ) as process,
    ):
        reader.execute("SELECT FROM tenant_right_2.crate_crate")
        wait_until(
            lock_waiter(stock_project.database, "crate_crate"), "the repair waits for the reader"
        )
        wait_until(
            lambda: stock_project.database.rows(FIRST_IS_DONE), "the other schema is repaired"
        )
        process.send_signal(sent)
        _, err = process.communicate(timeout=DEADLINE)
        assert process.returncode == code
        assert "Traceback" not in err
        # A killed process's backend tries to its timeout, and would commit if the reader left before.
        waiter = lock_waiter(stock_project.database, "crate_crate")
        wait_until(lambda: not waiter(), "its last try has ended")
    wait_until_unused(stock_project.database)
    done = stock_project.verify(*words)
    assert done.returncode == 0
    assert "tenant_right_2: repaired" in done.stderr.splitlines()
    assert "tenant_right_1" not in done.stderr


def repairing(
    database: Database, names: Sequence[str], look: SurveyMaker, jobs: int = 1
) -> Generator[Result]:
    connection = connections[database.alias]
    return repair_schemas(connection, names, look, jobs=jobs, say=lambda _: None)


def test_a_schema_that_was_dropped_is_not_repaired_in_the_next_one_of_the_path(
    copy: Callable[[str], Database],
) -> None:
    database = copy("clean")
    database.run(f"DROP INDEX {STATE_INDEX}")
    (result,) = repairing(database, ["tenant_gone"], survey_with_retry)
    assert "schema tenant_gone: it no longer exists" in result.failure
    assert not database.rows("SELECT FROM pg_class WHERE relname = %s", [STATE_INDEX])


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_failure_of_one_schema_is_one_of_the_next(
    copy: Callable[[str], Database], jobs: int
) -> None:
    database = copy("clean")
    names = ("tenant_1", "tenant_2", "tenant_3", "tenant_4")
    database.run(*(f"CREATE SCHEMA {name}" for name in names))

    def look(connection: BaseDatabaseWrapper) -> Survey:
        match current_place(connection).schema:
            case "tenant_1":
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            case "tenant_3":
                raise KeyError("unforeseen")
        return survey_with_retry(connection)

    results = {each.schema: each.failure for each in repairing(database, names, look, jobs)}
    assert sorted(results) == list(names)
    assert results["tenant_1"]
    assert results["tenant_3"] == "KeyError: 'unforeseen'"
    assert (results["tenant_2"], results["tenant_4"]) == ("", "")


def test_a_repair_that_is_ended_waits_for_no_migrator(
    copy: Callable[[str], Database], settings: Any
) -> None:
    database = copy("clean")
    settings.CONVERGENT_MIGRATIONS = {"MIGRATORS_WAIT": 60}
    database.run("CREATE SCHEMA tenant_1", "CREATE SCHEMA tenant_2", "CREATE SCHEMA tenant_3")
    with database.connect(autocommit=False) as other:
        for name in ("tenant_2", "tenant_3"):
            other.execute("SELECT pg_advisory_xact_lock(%s)", [migrators_lock.lock_key(name)])
        results = repairing(
            database, ["tenant_1", "tenant_2", "tenant_3"], survey_with_retry, jobs=3
        )
        assert next(results).schema == "tenant_1"
        begin = time.monotonic()
        results.close()
        assert time.monotonic() - begin < 30


LINES = "tenant\nSELECT 'no comment' AS x; --"


def test_the_script_for_many_schemas_puts_each_right_whatever_its_name(
    stock_project: Project,
) -> None:
    for name in (LINES, "tenant_index"):
        drop = "ALTER TABLE crate_crate DROP CONSTRAINT crate_check;"
        stock_project.psql(f"{CRATE.format(schema=quoted(name))}; {drop}")
    script = stock_project.verify("crate", "--schemas", "tenant%", "--sql").stdout
    assert "\nSELECT 'no comment'" not in script.replace(f"TO {quoted(LINES)}", "")
    for _ in range(2):
        stock_project.psql(script)
    assert stock_project.verify("crate", "--schemas", "tenant%").returncode == 0
