"""--shadow of many schemas or of one app, and what checks, page and Prometheus tell of a kept replay."""

import json
from pathlib import Path

import pytest

from tests.operations.drift.migrated_schemas import ODD, migrate_schemas, within
from tests.operations.drift.prometheus_samples import parse_samples
from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import (
    migrate_history,
    run_command,
    write_migration,
)
from tests.operations.shadow.conftest import KindsProject

SHELF = (
    "migrations.CreateModel('Shelf', [('id', models.BigAutoField(primary_key=True)), "
    "('code', models.CharField(max_length=9))])"
)
BY_SQL = (
    'migrations.RunSQL("CREATE FUNCTION twice(a integer) RETURNS integer LANGUAGE sql '
    "AS 'SELECT 2 * a'; CREATE VIEW codes AS SELECT code FROM mill_shelf WHERE code LIKE '100%'\")"
)
ROOM = """
from django.db import migrations, models

class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Room", [("id", models.BigAutoField(primary_key=True))]),
        migrations.RunSQL("CREATE VIEW rooms AS SELECT id FROM inn_room"),
    ]
"""
SHADOW = ("--schemas", "tenant%", "--shadow", "--strict")


@pytest.fixture
def tenants(
    unmigrated_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Project:
    """A project with own SQL that is migrated in four schemas."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "kept"))
    write_migration(unmigrated_project, "0001_initial", ROOM, app="inn")
    migrate_history(unmigrated_project, SHELF, BY_SQL)
    run_command(unmigrated_project, "migrate", "-v0")
    migrate_schemas(unmigrated_project)
    return unmigrated_project


def told(project: Project, *words: str) -> set[tuple[str, str, str, str]]:
    """Return schema, component, name and status of each row that is not right."""
    done = project.verify("--json", *words)
    assert done.stderr == ""
    return {
        (each["schema"], row["component"], row["name"], row["status"])
        for each in json.loads(done.stdout)["databases"]
        for row in each["components"]
        if row["status"] != "exists"
    }


def test_all_schemas_are_compared_with_one_replay(tenants: Project, tmp_path: Path) -> None:
    done = tenants.verify(*SHADOW)
    assert (done.returncode, done.stderr) == (0, "")
    assert " 4 schemas like tenant%: 4 right" in done.stdout
    assert len(list((tmp_path / "kept/convergent_migrations").glob("shadow-*"))) == 1
    tenants.psql(
        within("tenant_b", "DROP FUNCTION twice(integer)")
        + within(ODD, "DROP VIEW codes; DROP VIEW rooms; CREATE VIEW more AS SELECT 1 AS one")
        + within("tenant_d", "DROP VIEW codes; ALTER TABLE mill_shelf DROP code")
    )
    drifts = {
        ("tenant_b", "function", "twice(integer)", "missing"),
        (ODD, "view", "codes", "missing"),
        (ODD, "view", "rooms", "missing"),
        (ODD, "view", "more", "undeclared"),
        ("tenant_d", "view", "codes", "missing"),
        ("tenant_d", "column", "code", "missing"),
    }
    assert told(tenants, *SHADOW) == drifts
    assert told(tenants, "inn", *SHADOW) == {(ODD, "view", "rooms", "missing")}
    for name in ("tenant_b", ODD, "tenant_d"):
        alone = told(tenants, "--schema", name, "--shadow")
        assert alone == {each for each in drifts if each[0] == name}


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_all_schemas_are_repaired(tenants: Project, jobs: str) -> None:
    tenants.psql(
        within("tenant_b", "DROP FUNCTION twice(integer)")
        + within(ODD, "DROP VIEW codes; DROP VIEW rooms")
    )
    done = tenants.verify(*SHADOW, "--repair", "--no-input", "--jobs", jobs)
    assert (done.returncode, "not repaired" in done.stderr) == (0, False)
    assert told(tenants, *SHADOW) == set()


def test_an_app_is_judged_by_what_its_migrations_make(tenants: Project) -> None:
    tenants.psql(
        "DROP VIEW codes; DROP VIEW rooms; CREATE RULE silent AS ON DELETE TO inn_room DO INSTEAD NOTHING;"
        "CREATE VIEW more AS SELECT 1 AS one; ALTER TABLE mill_shelf ADD extra integer"
    )
    assert told(tenants, "inn", "--shadow") == {
        ("public", "view", "rooms", "missing"),
        ("public", "rule", "silent", "undeclared"),
    }
    assert told(tenants, "mill", "--shadow") == {
        ("public", "view", "codes", "missing"),
        ("public", "column", "extra", "undeclared"),
    }
    shown = tenants.verify("inn", "--shadow", "--strict")
    assert (shown.returncode, " of 1 migrations: " in shown.stdout) == (1, True)
    tenants.verify("inn", "--shadow", "--repair", "--no-input")
    assert ("public", "view", "codes", "missing") in told(tenants, "mill", "--shadow")


CHECK = ("check", "--database", "default", "--tag", "convergent_migrations")
ASKED = {"CONVERGENT_MIGRATIONS_SHADOW": "true"}


def test_the_check_tells_what_a_kept_replay_shows_if_it_is_asked_for(
    own_kinds: KindsProject,
) -> None:
    own_kinds.database.run("DROP FUNCTION double(text)")
    assert run_command(own_kinds, *CHECK)[1] == ""
    said = run_command(own_kinds, *CHECK, **ASKED)[1]
    assert "convergent_migrations.W020) what the migrations' own SQL makes was not judged" in said
    assert "HINT: Run manage.py verify_schema --shadow as the user of this process." in said
    assert own_kinds.verify("--shadow").returncode == 1
    assert run_command(own_kinds, *CHECK)[1] == ""
    said = run_command(own_kinds, *CHECK, code=1, **ASKED)[1]
    assert "W020" not in said
    assert (
        "convergent_migrations.E010) function double(text) is missing (schema public; kinds."
        in said
    )
    said = run_command(own_kinds, "check", "auth", *CHECK[1:], **ASKED)[1]
    assert said == ""
    said = run_command(own_kinds, "check", "kinds", *CHECK[1:], code=1, **ASKED)[1]
    assert "function double(text)" in said


def test_the_textfile_counts_the_findings_of_each_kind(kinds: KindsProject, tmp_path: Path) -> None:
    file = tmp_path / "shadow.prom"
    kinds.database.run(
        "DROP FUNCTION double(text)", "ALTER TABLE kinds_thing DISABLE TRIGGER touched"
    )
    kinds.verify("--shadow", "--prometheus", str(file), "--quiet")
    samples = parse_samples(file.read_text())
    found = {key[3]: value for key, value in samples.items() if key[0] == "findings_of_kind"}
    assert {kind for kind, value in found.items() if value} == {"function", "trigger"}
    assert (found["function"], found["view"], found["column"]) == (1, 0, 0)
    kinds.verify("--prometheus", str(file), "--quiet")
    assert not [
        key
        for key in parse_samples(file.read_text())
        if key[0] == "findings_of_kind" and key[3] == "trigger"
    ]
