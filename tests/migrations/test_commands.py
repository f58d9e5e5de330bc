"""What Django's own commands make of the convergent operations."""

import re
import shutil
import subprocess
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.operations.scratch_schema import psql_binary
from tests.postgres.catalog_facts import catalog_versions, facts
from tests.postgres.databases import ROOT, Database

Copy = Callable[[str], Database]


def run(database: Database, script: str) -> None:
    done = subprocess.run(
        [psql_binary(), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database.url],
        input=script,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)


def run_twice(database: Database, script: str) -> None:
    for _ in range(2):
        run(database, script)


def test_the_plan_describes_each_operation_and_changes_nothing(copy: Copy) -> None:
    database = copy("legacy 011")
    before = catalog_versions(database)
    done = database.manage("migrate", "signals", "--plan")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    at = lines.index("signals.0012_signal_state")
    assert lines[at : at + 4] == [
        "signals.0012_signal_state",
        "    Add column state to signal if missing",
        "    Add check signals_state_check to signal if missing",
        (
            "    Create index idx_signals_state_created_at or 3 fallbacks on signal concurrently if"
            " missing"
        ),
    ]
    assert "    Fill created_at of signal in batches where it is null" in lines
    assert catalog_versions(database) == before


def test_the_plan_backwards_names_every_migration_and_changes_nothing(copy: Copy) -> None:
    database = copy("adopted 011")
    before = catalog_versions(database)
    done = database.manage("migrate", "signals", "zero", "--plan")
    assert done.returncode == 0, done.stderr
    shown = re.findall(r"^signals\.(\d{4})", done.stdout, re.MULTILINE)
    assert shown == [f"{number:04}" for number in range(12, 0, -1)]
    assert "IRREVERSIBLE" not in done.stdout
    assert catalog_versions(database) == before


def test_showmigrations_tells_what_is_applied(copy: Copy) -> None:
    database = copy("adopted 011")
    done = database.manage("showmigrations", "signals")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" [X] 00") == 12
    assert " [X] 0012_signal_state\n" in done.stdout
    assert " [ ] 0013_signal_events\n" in done.stdout


@pytest.mark.parametrize("description", ["clean", "adopted 011", "adopted 012"])
def test_0012_as_a_script_converges_run_twice_and_back_and_twice(
    copy: Copy, prepared: Callable[[str], Database], description: str
) -> None:
    database = copy(description)
    forwards = database.manage("sqlmigrate", "signals", "0012").stdout
    backwards = database.manage("sqlmigrate", "signals", "0012", "--backwards").stdout
    before = catalog_versions(database)
    run_twice(database, forwards)
    assert catalog_versions(database) == before
    run_twice(database, backwards)
    found = facts(database)
    assert "state" not in {row[1] for row in found["columns"]}
    assert not {row for row in found["indexes"] if row[1].startswith("idx_signals_state")}
    run_twice(database, forwards)
    expected = facts(prepared(description))
    expected["indexes"] = {row for row in expected["indexes"] if "onlystate" not in row[1]}
    assert facts(database) == expected


@pytest.mark.parametrize("description", ["empty", "legacy 011"])
def test_the_whole_chain_as_scripts_makes_what_migrate_makes(
    copy: Copy, prepared: Callable[[str], Database], description: str
) -> None:
    database = copy(description)
    out = StringIO()
    for number in range(1, 13):
        call_command("sqlmigrate", "signals", f"{number:04}", database=database.alias, stdout=out)
    script = out.getvalue()
    run_twice(database, script)
    target = prepared("clean" if description == "empty" else f"adopted {description[-3:]}")
    assert facts(database) == facts(target)


def test_the_plain_statements_make_what_migrate_makes_and_back(copy: Copy) -> None:
    database, made = copy("empty"), copy("empty")
    names = [path.stem for path in sorted((ROOT / "signals/migrations").glob("0*.py"))][:15]
    assert made.manage("migrate", "signals", names[-1], "-v0").returncode == 0
    run(made, "DROP TABLE django_migrations;")
    scripts = {
        way: [
            database.manage("sqlmigrate", "signals", name, "--plain", *way).stdout for name in names
        ]
        for way in ((), ("--backwards",))
    }
    text = "".join(scripts[()])
    assert "\\gexec" not in text
    assert "SELECT FROM pg_catalog" not in text
    quiet = "SET client_min_messages = warning;\n"
    run(database, quiet + text)
    assert facts(database) == facts(made)
    before_0012 = copy("empty")
    assert before_0012.manage("migrate", "signals", names[10], "-v0").returncode == 0
    run(before_0012, "DROP TABLE django_migrations;")
    run(database, quiet + "".join(scripts["--backwards",][:10:-1]))
    assert facts(database) == facts(before_0012)


def test_sqlmigrate_reads_no_catalog(copy: Copy) -> None:
    """The script is the same wherever it is printed."""
    printed = {
        copy(description).manage("sqlmigrate", "signals", "0012").stdout
        for description in ("empty", "legacy 012", "adopted 011")
    }
    assert len(printed) == 1


BLOCKING = re.compile(
    r"migrations\.(AddField|AlterField|AddIndex|AddConstraint|CreateModel|RemoveField|RunPython)\("
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project whose migrations may be squashed."""
    for name in ("manage.py", "project", "signals"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    return tmp_path


def test_a_squash_holds_no_blocking_operation_and_does_the_same(
    copy: Copy, prepared: Callable[[str], Database], project: Path
) -> None:
    new, old = copy("empty"), copy("legacy 009")
    done = new.manage("squashmigrations", "signals", "0001", "0012", "--noinput", cwd=project)
    assert done.returncode == 0, done.stderr
    (squashed,) = (project / "signals/migrations").glob("*_squashed_*.py")
    text = squashed.read_text()
    assert not BLOCKING.findall(text)
    for name in ("CreateTable", "AddColumn", "AddCheck", "CreateIndexConcurrently", "CreateEnum"):
        assert f"signals.operations.{name}IfMissing(" in text
    assert "signals.operations.BackfillInBatches(" in text
    # Django does not carry atomic = False over; the run says so before anything is changed.
    refused = new.manage("migrate", "signals", cwd=project)
    assert refused.returncode == 1
    assert (
        "cannot run in a transaction\n\tHINT: Set atomic = False on the migration."
        in refused.stderr
    )
    assert not facts(new)["columns"]
    squashed.write_text(
        text.replace(
            "class Migration(migrations.Migration):\n",
            "class Migration(migrations.Migration):\n    atomic = False\n",
        )
    )
    for database, expected in ((new, "clean"), (old, "adopted 009")):
        done = database.manage(
            "migrate", "signals", "0001_events_and_signals_squashed_0012_signal_state", cwd=project
        )
        assert done.returncode == 0, done.stderr
        assert facts(database) == facts(prepared(expected))
    unchanged = new.manage("makemigrations", "--check", "--dry-run", cwd=project)
    assert unchanged.returncode == 0, unchanged.stdout
