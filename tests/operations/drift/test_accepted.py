"""The file of accepted findings: what it takes out, where it is read, and what in it is stale."""

import json
from pathlib import Path

import pytest

from tests.operations.drift.prometheus_samples import parse_samples
from tests.operations.drift.tenant_schemas import found_rows
from tests.operations.projects.project import Project

STAFF = """
[[accepted]]
row = 'column is_staff of "auth_user"'
status = "different"
reason = "old workers insert without it"
who = "Ada"
until = {until}
"""
FURTHER = """
[[accepted]]
row = 'unique further of "auth_group"'
status = "undeclared"
reason = "the importer needs it"
who = "Ben"
until = 9999-12-31
database = "{database}"
"""
ENTRY = STAFF.format(until="9999-12-31")
DRIFT = (
    "ALTER TABLE auth_user ALTER is_staff SET DEFAULT true;"
    "ALTER TABLE auth_group ADD CONSTRAINT further UNIQUE (id, name)"
)
CHECK = ("check", "--database", "default", "--tag", "convergent_migrations", "-v0")


def accept(project: Project, folder: Path, text: str) -> dict[str, str]:
    file = folder / "accepted.toml"
    file.write_text(text)
    return {"CONVERGENT_MIGRATIONS_ACCEPTED_FINDINGS": str(file)}


@pytest.mark.parametrize(
    ("sql", "row"),
    [
        (
            "ALTER TABLE auth_group ADD CONSTRAINT further UNIQUE (id, name)",
            ("unique", "further"),
        ),
        ("CREATE UNIQUE INDEX further ON auth_group (id, name)", ("index", "further")),
        (
            "ALTER TABLE auth_group ADD CONSTRAINT further EXCLUDE (name WITH =)",
            ("exclusion", "further"),
        ),
        ("ALTER TABLE auth_group ADD further integer NOT NULL", ("column", "further")),
    ],
)
def test_what_refuses_rows_that_the_models_allow_is_a_finding(
    stock_project: Project, sql: str, row: tuple[str, str]
) -> None:
    stock_project.psql(sql)
    report = stock_project.json_report()
    found = [each for each in report["components"] if each["finding"]]
    assert [(each["component"], each["name"], each["status"]) for each in found] == [
        (*row, "undeclared")
    ]
    assert found[0]["note"] == "it refuses rows that the models allow"
    assert stock_project.verify("--quiet").returncode == 1
    done = stock_project.manage(*CHECK)
    assert (done.returncode, "convergent_migrations.E019" in done.stderr) == (1, True)


def test_an_undeclared_column_that_fills_itself_is_none(stock_project: Project) -> None:
    stock_project.psql(
        "ALTER TABLE auth_group ADD a integer NOT NULL DEFAULT 1, ADD b integer,"
        " ADD c integer GENERATED ALWAYS AS IDENTITY,"
        " ADD d integer GENERATED ALWAYS AS (id + 1) STORED NOT NULL"
    )
    assert stock_project.verify("--quiet").returncode == 0
    assert stock_project.verify("--quiet", "--strict").returncode == 1


def test_accepted_findings_are_none_and_are_shown_as_such(
    stock_project: Project, tmp_path: Path
) -> None:
    stock_project.psql(DRIFT)
    env = accept(stock_project, tmp_path, ENTRY + FURTHER.format(database="default"))
    done = stock_project.verify(**env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "is_staff" not in done.stdout
    assert done.stdout.endswith("; 2 undeclared; 2 accepted (--all shows it)\n")
    done = stock_project.verify("--all", **env)
    assert ("  accepted: until 9999-12-31 by Ada: old workers insert without it\n") in done.stdout
    assert "is_staff" not in stock_project.verify("--sql", **env).stdout
    assert stock_project.manage(*CHECK, **env).returncode == 0
    assert stock_project.verify("auth", **env).returncode == 0
    done = stock_project.verify("--prometheus", str(tmp_path / "found.prom"), **env)
    found = parse_samples((tmp_path / "found.prom").read_text())
    assert found["clean", "default", "public"] == 1
    assert found["accepted", "default", "public"] == 2
    assert found["stale_accepted", "default", "public"] == 0


@pytest.mark.parametrize(
    ("entry", "told", "code"),
    [
        (
            STAFF.format(until="2020-01-31"),
            'different: column is_staff of "auth_user": was accepted until 2020-01-31 by Ada',
            1,
        ),
        (
            ENTRY.replace('"different"', '"missing"'),
            'missing: column is_staff of "auth_user": is not found any more (take it out of the file)',
            1,
        ),
        (
            ENTRY + FURTHER.format(database="other"),
            "",
            0,
        ),
        (
            ENTRY + FURTHER.format(database="default"),
            'undeclared: unique further of "auth_group": is not found any more (take it out of the file)',
            0,
        ),
    ],
    ids=["over", "another status", "another database", "gone"],
)
def test_what_is_stale_in_it_is_told(
    stock_project: Project, tmp_path: Path, entry: str, told: str, code: int
) -> None:
    stock_project.psql(DRIFT.partition(";")[0])
    env = accept(stock_project, tmp_path, entry)
    done = stock_project.verify("--json", **env)
    assert done.returncode == code
    assert done.stderr == (f"stale accepted finding: {told}\n" if told else "")
    done = stock_project.manage(*CHECK, **env)
    assert ("(convergent_migrations.W018) stale accepted finding: " in done.stderr) is bool(told)
    assert stock_project.verify("sites", **env).stderr == ""  # the others are not looked at


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[accepted]", "the accepted findings in {file} cannot be read: "),
        ("[accepted]\na = 1", "{file} has more than accepted findings (use [[accepted]])"),
        ("[[accepted]]\nrow = 'x'", "{file}, accepted finding 1: status is missing"),
        (
            ENTRY.replace("who", "whom"),
            (
                "{file}, accepted finding 1: whom is not a key "
                "(use row, status, reason, who, until, database, shadow)"
            ),
        ),
        (
            STAFF.format(until='"2030-01-31"'),
            "{file}, accepted finding 1: until is '2030-01-31' (use a date without quotation marks)",
        ),
        (
            ENTRY.replace("different", "other"),
            "{file}, accepted finding 1: status is 'other' (use one of missing, unfinished, ",
        ),
    ],
)
def test_a_wrong_file_is_told_with_its_place(
    stock_project: Project, tmp_path: Path, text: str, told: str
) -> None:
    env = accept(stock_project, tmp_path, text)
    done = stock_project.verify(**env)
    assert done.returncode == 3
    assert f"CommandError: {told.format(file=tmp_path / 'accepted.toml')}" in done.stderr
    done = stock_project.verify(CONVERGENT_MIGRATIONS_ACCEPTED_FINDINGS="/nowhere/accepted.toml")
    assert (done.returncode, "No such file" in done.stderr) == (3, True)


def test_of_many_schemas_an_accepted_finding_counts_in_each(
    tenant_schemas: Project, tmp_path: Path
) -> None:
    words = ("--schemas", "tenant%", "--json")
    before = json.loads(tenant_schemas.verify(*words).stdout)
    entry = ENTRY.replace("is_staff", "extra").replace("auth_user", "crate_crate")
    index = ENTRY.replace("column is_staff", "index crate_weight").replace(
        "auth_user", "crate_crate"
    )
    env = accept(tenant_schemas, tmp_path, entry + index)
    done = tenant_schemas.verify(*words, **env)
    (stale,) = done.stderr.splitlines()
    assert 'different: column extra of "crate_crate": is not found' in stale
    found = json.loads(done.stdout)
    gone = found_rows(before) - found_rows(found)
    assert gone == {
        (schema, "crate_weight", "different")
        for schema, name, status in found_rows(before)
        if (name, status) == ("crate_weight", "different")
    }
    assert len(gone) > 1
