"""A database default that plain SQL set, on a column whose field has a default in Python."""

import pytest

from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import (
    KEY,
    migrate_history,
    run_command,
    write_history,
)

FIELDS = {
    "number": "models.IntegerField(default=5)",
    "kind": "models.CharField(max_length=9, default='old')",
    "flag": "models.BooleanField(default=False)",
    "price": "models.DecimalField(max_digits=8, decimal_places=2, default=1)",
    "data": "models.JSONField(default=dict)",
    "labels": "ArrayField(models.CharField(max_length=9), default=list)",
    "token": "models.UUIDField(default=uuid.uuid4)",
    "born": "models.DateTimeField(auto_now_add=True)",
    "blank": "models.CharField(max_length=9, blank=True)",
    "nullable": "models.IntegerField(null=True, default=7)",
}
SAME = {
    "number": "2 + 3",
    "kind": "'old'",
    "flag": "'f'",
    "price": "1.00",
    "data": "'{ }'",
    "labels": "'{}'",
    "token": "gen_random_uuid()",
    "born": "now()",
    "blank": "''",
    "nullable": "7",
}
CONTRARY = {
    "number": "6",
    "kind": "'new'",
    "flag": "true",
    "price": "2",
    "data": "'[]'",
    "labels": "'{x}'",
    "blank": "'x'",
    "nullable": "8",
}
IMPORTS = "import uuid\nfrom django.contrib.postgres.fields import ArrayField\n"


def model(**fields: str) -> str:
    listed = ", ".join(f"('{name}', {field})" for name, field in fields.items())
    return f"migrations.CreateModel('Book', [{KEY}, {listed}])"


def with_imports(project: Project) -> None:
    for path in (project.folder / "mill/migrations").glob("0*.py"):
        path.write_text(IMPORTS + path.read_text())


@pytest.fixture
def project(unmigrated_project: Project) -> Project:
    write_history(unmigrated_project, model(**FIELDS))
    with_imports(unmigrated_project)
    run_command(unmigrated_project, "migrate", "mill", "-v0")
    return unmigrated_project


def set_defaults(project: Project, defaults: dict[str, str]) -> None:
    for name, default in defaults.items():
        project.database.run(f"ALTER TABLE mill_book ALTER {name} SET DEFAULT {default}")


def test_the_same_default_is_a_note(project: Project) -> None:
    set_defaults(project, SAME)
    assert project.not_as_declared("--strict") == set()
    rows = project.json_report()["components"]
    notes = {each["name"]: each["note"] for each in rows if each["note"]}
    assert notes.keys() == SAME.keys()
    assert notes["kind"] == (
        "DEFAULT 'old'::character varying in the database, in the declaration in Python alone"
    )
    out, _ = run_command(project, "verify_schema", "--sql")
    assert "DROP DEFAULT" not in out
    out, _ = run_command(project, "verify_schema", "mill")
    assert out.endswith(" exist; 10 with a note (--all shows it)\n")


def test_another_default_is_a_difference(project: Project) -> None:
    set_defaults(project, CONTRARY)
    assert project.not_as_declared() == {("column", name, "different") for name in CONTRARY}
    run_command(project, "verify_schema", "--repair", "--no-input", code=1)
    assert project.not_as_declared() == {("column", name, "different") for name in CONTRARY}
    run_command(project, "verify_schema", "--repair", "--replace", "--no-input")
    assert project.not_as_declared("--strict") == set()
    set_defaults(project, CONTRARY)
    out, _ = run_command(project, "verify_schema", "--sql", code=1)
    project.psql(out)
    assert project.not_as_declared("--strict") == set()


def test_a_field_without_a_default_and_one_with_a_database_default_are_judged_as_before(
    unmigrated_project: Project,
) -> None:
    fields = {"a": "models.IntegerField()", "b": "models.IntegerField(db_default=5)"}
    migrate_history(unmigrated_project, model(**fields))
    unmigrated_project.database.run(
        "ALTER TABLE mill_book ALTER a SET DEFAULT 5, ALTER b SET DEFAULT 6"
    )
    assert unmigrated_project.not_as_declared() == {
        ("column", "a", "different"),
        ("column", "b", "different"),
    }


def test_a_not_null_that_was_lost_is_repaired_and_the_default_stays(project: Project) -> None:
    project.database.run(
        "ALTER TABLE mill_book ALTER number SET DEFAULT 5, ALTER number DROP NOT NULL"
    )
    assert project.not_as_declared() == {("column", "number", "different")}
    run_command(project, "verify_schema", "--repair", "--replace", "--no-input")
    assert project.not_as_declared() == set()
    assert project.database.value(
        "SELECT column_default FROM information_schema.columns WHERE column_name = 'number'"
    ) == ("5")


def test_a_convergent_migration_leaves_it_and_takes_it_to_a_new_type_and_back(
    unmigrated_project: Project,
) -> None:
    first = model(kind="models.IntegerField(default=5)")
    later = (
        "migrations.AlterField('book', 'kind', models.CharField(max_length=9, default='5')), "
        "migrations.AddField('book', 'more', models.IntegerField(default=1))"
    )
    write_history(unmigrated_project, first, later)
    run_command(unmigrated_project, "convergent_migration", "mill", "0001")
    run_command(unmigrated_project, "convergent_migration", "mill", "0002")
    run_command(unmigrated_project, "migrate", "mill", "0001", "-v0")
    database = unmigrated_project.database
    default = (
        "SELECT data_type || ' ' || column_default FROM information_schema.columns"
        " WHERE column_name = 'kind'"
    )
    database.run(
        "ALTER TABLE mill_book ALTER kind SET DEFAULT 5, ADD more integer NOT NULL DEFAULT 1"
    )
    run_command(unmigrated_project, "migrate", "mill", "-v0")
    assert database.value(default) == "character varying '5'::character varying"
    assert unmigrated_project.not_as_declared("--strict") == set()
    run_command(unmigrated_project, "migrate", "mill", "0001", "-v0")
    assert database.value(default) == "integer 5"
