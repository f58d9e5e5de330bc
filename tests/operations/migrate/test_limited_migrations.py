"""Migrations with Django's own operations, SQL and Python wait for locks as briefly as convergent ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import INITIAL, run_command, write_migration
from tests.operations.waiting_migrators import MigrateProcess
from tests.postgres.polling import wait_until

ADD = "ALTER TABLE mill_item ADD COLUMN extra integer"
FILL = "schema_editor.execute(\"INSERT INTO mill_shelf (code) VALUES ('1')\")"
OPERATIONS = {
    "RunSQL": f'migrations.RunSQL("{ADD}", "ALTER TABLE mill_item DROP COLUMN extra")',
    "RenameField": 'migrations.RenameField("Item", "name", "title")',
    "AddField": 'migrations.AddField("Item", "size", models.IntegerField(null=True))',
    "AlterField": 'migrations.AlterField("Item", "kind", models.BigIntegerField(null=True))',
    "RenameModel": 'migrations.RenameModel("Item", "Thing")',
    "DeleteModel": 'migrations.DeleteModel("Item")',
    "AddIndex": 'migrations.AddIndex("Item", models.Index(fields=["kind"], name="by_kind"))',
    "RunPython": "migrations.RunPython(add, migrations.RunPython.noop)",
}
MIGRATION = """\
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

from signals.operations import AddColumnIfMissing, repeatable


{mark}
def add(apps, schema_editor):
    {fill}
    schema_editor.execute("{add}")


class Migration(migrations.Migration):
    atomic = {atomic}
    {attribute}
    dependencies = [("mill", "0001_initial")]
    operations = [{operations}]
"""
HOLD = "LOCK TABLE mill_item IN ACCESS SHARE MODE"
WAITS = "waiting for a lock for mill.0002_step"


@pytest.fixture
def mill(unmigrated_project: Project) -> Project:
    """A project with a migration that is applied."""
    write_migration(unmigrated_project, "0001_initial", INITIAL)
    run_command(unmigrated_project, "migrate", "mill", "-v0")
    return unmigrated_project


def write(
    project: Project, *operations: str, atomic: bool = True, mark: str = "", attribute: str = ""
) -> None:
    source = MIGRATION.format(
        mark=mark,
        fill=FILL,
        add=ADD,
        atomic=atomic,
        attribute=attribute or "initial = False",
        operations=", ".join(operations),
    )
    write_migration(project, "0002_step", source)


@contextmanager
def migrating(project: Project, *words: str, **policy: str) -> Iterator[MigrateProcess]:
    variables = {f"CONVERGENT_MIGRATIONS_{name}": value for name, value in policy.items()}
    env = project.env(**{"CONVERGENT_MIGRATIONS_LOCK_WAIT": "60", **variables})
    run = MigrateProcess(project.database.url, "migrate", "mill", *words, **env)
    try:
        yield run
    finally:
        run.close()


@contextmanager
def held(project: Project, statement: str = HOLD) -> Iterator[psycopg.Connection[Any]]:
    """Hold a lock in a session until its transaction ends."""
    with psycopg.connect(project.database.url, application_name="a report") as session:
        session.execute(statement.encode())
        yield session


def read_often(project: Project) -> None:
    """Read the table again and again; a reader that waits longer than the tries raises LockNotAvailable."""
    with psycopg.connect(project.database.url, autocommit=True) as reader:
        reader.execute("SET lock_timeout = '3s'")
        for _ in range(200):
            reader.execute("SELECT count(*) FROM mill_item")


def rows(project: Project, question: str) -> list[Any]:
    with psycopg.connect(project.database.url) as session:
        return session.execute(question.encode()).fetchall()


def is_applied(project: Project) -> bool:
    name = "SELECT FROM django_migrations WHERE app = 'mill' AND name = '0002_step'"
    return bool(rows(project, name))


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize("kind", OPERATIONS)
def test_readers_go_on_while_a_migration_waits_for_its_lock(
    mill: Project, kind: str, atomic: bool
) -> None:
    write(mill, OPERATIONS[kind], atomic=atomic, mark="@repeatable")
    with held(mill, "LOCK TABLE mill_item IN ROW EXCLUSIVE MODE") as report, migrating(mill) as run:
        wait_until(lambda: run.says(WAITS), f"it waits: {run.err}")
        assert "a report" in run.err[0]
        read_often(mill)
        assert not is_applied(mill)
        report.rollback()
        assert run.succeeds().count("Applying mill.0002_step") == 1
    assert is_applied(mill)
    if kind == "RunPython":
        assert rows(mill, "SELECT count(*) FROM mill_shelf") == [(1,)]


@pytest.mark.parametrize("kind", ["RunSQL", "RenameField"])
def test_the_way_back_waits_as_briefly(mill: Project, kind: str) -> None:
    write(mill, OPERATIONS[kind])
    run_command(mill, "migrate", "mill", "-v0")
    with held(mill) as report, migrating(mill, "0001") as run:
        wait_until(lambda: run.says(WAITS), f"it waits: {run.err}")
        read_often(mill)
        report.rollback()
        assert run.succeeds().count("Unapplying mill.0002_step") == 1
    assert not is_applied(mill)


def test_an_operation_after_a_convergent_one_waits_as_briefly(mill: Project) -> None:
    size = 'AddColumnIfMissing("Item", "size", models.IntegerField(null=True))'
    write(mill, size, OPERATIONS["RenameField"], atomic=False)
    with held(mill) as report, migrating(mill) as run:
        wait_until(lambda: run.says("waiting for AccessExclusiveLock"), f"it waits: {run.err}")
        read_often(mill)
        report.rollback()
        run.succeeds()
    assert is_applied(mill)


def test_python_that_may_not_be_repeated_has_one_longer_try(mill: Project) -> None:
    write(mill, OPERATIONS["RunPython"])
    with held(mill), migrating(mill, LOCK_TIMEOUT_IN_TRANSACTION="0.3") as run:
        assert run.code() != 0
    told = run.err[0]
    assert f"no lock for: {ADD}" in told
    assert "blocked by" in told
    assert "a report" in told
    assert "@repeatable" in told
    assert WAITS not in told
    assert "Traceback" not in told
    assert rows(mill, "SELECT count(*) FROM mill_shelf") == [(0,)]
    run_command(mill, "migrate", "mill", "-v0")
    assert is_applied(mill)


def test_a_run_ends_when_the_waiting_time_is_over(mill: Project) -> None:
    write(mill, OPERATIONS["RunSQL"])
    with held(mill), migrating(mill, LOCK_WAIT="0.5") as run:
        assert run.code() != 0
    assert f"no lock for: {ADD}" in run.err[0]
    assert "end those sessions" in run.err[0]
    assert not is_applied(mill)


@pytest.mark.parametrize("way", ["migration", "setting"])
def test_a_migration_can_be_left_alone(mill: Project, way: str) -> None:
    attribute = "limit_every_statement = False" if way == "migration" else ""
    write(mill, OPERATIONS["RunSQL"], attribute=attribute)
    policy = {"LIMIT_EVERY_STATEMENT": "off"} if way == "setting" else {}
    with held(mill) as report, migrating(mill, **policy) as run:
        waiting = (
            "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER%'"
        )
        wait_until(lambda: rows(mill, waiting), "it waits")
        with psycopg.connect(mill.database.url) as reader:
            reader.execute("SET lock_timeout = '200ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                reader.execute("SELECT FROM mill_item")
        report.rollback()
        run.succeeds()
    assert WAITS not in run.err[0]


def test_a_concurrent_build_of_djangos_is_waited_for(mill: Project) -> None:
    """A timeout would leave an invalid index, which Django's operation stops at ever after."""
    build = 'AddIndexConcurrently("Item", models.Index(fields=["kind"], name="by_kind"))'
    write(mill, build, atomic=False)
    with held(mill, "INSERT INTO mill_item (kind) VALUES (1)") as report, migrating(mill) as run:
        blocked = "SELECT FROM pg_stat_progress_create_index"
        wait_until(lambda: rows(mill, blocked), "it builds")
        read_often(mill)
        report.commit()
        run.succeeds()
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_kind'::regclass"
    assert rows(mill, valid) == [(True,)]


def test_the_session_has_its_own_timeout_afterwards(mill: Project) -> None:
    shown = (
        "migrations.RunSQL(\"CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS it\")"
    )
    write(mill, shown, attribute="limit_every_statement = False")
    write_migration(
        mill,
        "0003_step",
        MIGRATION.format(mark="", fill=FILL, add=ADD, atomic=False, attribute="", operations="")
        .replace("0001_initial", "0002_step")
        .replace("operations = []", f"operations = [{OPERATIONS['AddField']}]"),
    )
    last = shown.replace("seen", "seen_later")
    write_migration(
        mill,
        "0004_step",
        MIGRATION.format(
            mark="",
            fill=FILL,
            add=ADD,
            atomic=True,
            attribute="limit_every_statement = False",
            operations=last,
        ).replace("0001_initial", "0003_step"),
    )
    run_command(mill, "migrate", "mill", "-v0")
    assert rows(mill, "SELECT * FROM seen") == rows(mill, "SELECT * FROM seen_later") == [("0",)]
