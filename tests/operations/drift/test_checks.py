"""manage.py check: the findings of verify_schema as messages, and nobody who is stopped by them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.checks import Error, run_checks
from django.db.migrations.exceptions import NodeNotFoundError

from signals.operations.drift import history
from tests.operations.projects.project import Project
from tests.postgres.databases import Database

TAG = "convergent_migrations"

DRIFT = """
ALTER TABLE auth_user DROP last_login, ALTER email DROP NOT NULL, ALTER first_name TYPE varchar(100);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'thing_partial'::regclass;
ALTER TABLE shop_things ADD obsolete integer;
ALTER TABLE auth_group ADD extra integer;
"""

# Other tools bring their own migrate and their own check, and the tests may run on a kept database.
FOREIGN = {
    "foreign_settings.py": """
from stock_settings import *
INSTALLED_APPS = ["foreign", *INSTALLED_APPS]
DATABASES["default"]["TEST"] = {"NAME": DATABASES["default"]["NAME"]}
SILENCED_SYSTEM_CHECKS = ["convergent_migrations.W007"]  # the commands of foreign are known
""",
    "foreign/__init__.py": "",
    "foreign/management/__init__.py": "",
    "foreign/management/commands/__init__.py": "",
    "foreign/management/commands/migrate.py": "from django.core.management.commands.migrate import Command",
    "foreign/management/commands/check.py": "from django.core.management.commands.check import Command",
    "foreign/tests.py": """
from django.test import TestCase
class Kept(TestCase):
    def test_it(self): pass
""",
}


def found(*databases: str, **options: Any) -> list[tuple[str, str]]:
    messages = run_checks(
        tags=[TAG], include_deployment_checks=True, databases=databases, **options
    )
    return [(str(each.id).removeprefix(f"{TAG}."), each.msg) for each in messages]


def test_each_finding_is_a_message_with_what_puts_it_right(stock_project: Project) -> None:
    ask = ("check", "--database", "default", "--tag", TAG)
    done = stock_project.manage(*ask)
    assert (done.returncode, done.stderr) == (0, "")
    stock_project.psql(DRIFT)
    done = stock_project.manage(*ask)
    assert (done.returncode, done.stdout) == (1, "")
    assert "System check identified 5 issues (0 silenced)." in done.stderr
    lines = done.stderr.splitlines()
    shown = {
        line.split(")")[0].rpartition(".")[2]: line for line in lines if "(convergent_" in line
    }
    assert shown["E010"] == (
        'default: (convergent_migrations.E010) column last_login of "auth_user" is missing '
        "(schema public; auth.0005_alter_user_last_login_null)"
    )
    assert shown["W012"] == (
        'default: (convergent_migrations.W012) index thing_partial of "shop_things" is unfinished '
        "(schema public; shop.0002_history)"
    )
    assert shown["W014"] == (
        'default: (convergent_migrations.W014) column obsolete of "shop_things" was removed by a migration,'
        " and still exists (schema public; shop.0003_parting; found: integer)"
    )
    assert "\tHINT: Run manage.py verify_schema --repair" in lines
    assert 'ALTER COLUMN "first_name" TYPE' in done.stderr
    assert "Or run manage.py verify_schema --repair --replace" in done.stderr  # for email
    assert 'HINT: ALTER TABLE "shop_things" DROP COLUMN "obsolete"' in done.stderr
    assert "extra" not in done.stderr  # a note of verify_schema is none here
    silent = stock_project.manage(*ask, "--fail-level", "CRITICAL")
    assert silent.returncode == 0


def test_a_drift_stops_no_migrate_and_no_run_of_the_tests(
    stock_project: Project, tmp_path: Path
) -> None:
    stock_project.psql(DRIFT)
    for path, text in FOREIGN.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    foreign = {
        "DJANGO_SETTINGS_MODULE": "foreign_settings",
        "PYTHONPATH": f"{tmp_path}:{stock_project.folder}",
    }
    for words, env in (
        (("migrate", "sites"), {}),
        (("check", "--database", "default"), {}),
        (("migrate", "sites"), foreign),
        (("test", "--keepdb", "foreign"), foreign),
    ):
        done = stock_project.manage(*words, **env)
        assert (done.returncode, TAG in done.stdout + done.stderr) == (0, False), done.stderr
    done = stock_project.manage(
        "check", "--deploy", "--database", "default", "--tag", TAG, **foreign
    )
    assert (done.returncode, "E010" in done.stderr) == (1, True)


def test_what_cannot_be_judged_is_said_in_one_message(
    copy: Callable[[str], Database], sqlite_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing_applied = copy("empty").alias
    ((number, text),) = found(nothing_applied)
    assert number == "E017"
    assert text.endswith("as before the first migrate (run migrate)")
    assert [number for number, _ in found(sqlite_database.alias)] == ["E001"]
    assert found() == []
    gone = Database("test_mig_gone")
    ((number, text),) = found(gone.alias)
    assert number == "E015"
    assert text.startswith(f"the database {gone.alias!r} cannot be read: connection")
    gone.close()

    def broken(*_: Any) -> None:
        raise NodeNotFoundError("no such migration", ("shop", "0001"))

    monkeypatch.setattr(history, "LoaderOfRecorded", broken)
    assert found(nothing_applied) == [("E016", "no such migration")]


def test_of_the_named_apps_only_is_told(copy: Callable[[str], Database]) -> None:
    database = copy("clean 0013")
    database.run(
        "DROP INDEX idx_signals_state_created_at", "ALTER TABLE signals DROP onchain_asof_ts"
    )
    assert {number for number, _ in found(database.alias)} == {"E010"}
    signals, auth = (apps.get_app_config(label) for label in ("signals", "auth"))
    assert found(database.alias, app_configs=[auth]) == []
    assert len(found(database.alias, app_configs=[signals, auth])) == 2
    (first, _) = run_checks(tags=[TAG], include_deployment_checks=True, databases=[database.alias])
    assert isinstance(first, Error)
    assert str(first.hint).endswith(f" --database {database.alias} --repair")
