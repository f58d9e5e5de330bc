"""verify_schema after renames: what a field implies is known by its columns, whatever its name."""

from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import (
    KEY,
    migrate_history,
    run_command,
    write_history,
)
from tests.postgres.catalog_facts import catalog_versions

FIELDS = {
    "foreign key": "models.ForeignKey('mill.Person', models.CASCADE, related_name='+')",
    "one to one": "models.OneToOneField('mill.Person', models.CASCADE, related_name='+')",
    "slug": "models.SlugField()",
    "unique": "models.CharField(max_length=9, unique=True)",
    "number": "models.PositiveIntegerField(db_index=True)",
}
KINDS = {name: name.replace(" ", "_") for name in FIELDS}

PERSON = f"migrations.CreateModel('Person', [{KEY}])"


def book() -> str:
    pairs = [
        f"('{old}_{kind}', {FIELDS[name]})"
        for name, kind in KINDS.items()
        for old in ("author", "editor")
    ]
    together = "{('author_slug', 'editor_number')}"
    options = (
        f"{{'unique_together': {together}, 'index_together': {{('author_number', 'editor_slug')}}}}"
    )
    return f"migrations.CreateModel('Book', [{KEY}, {', '.join(pairs)}], options={options})"


RENAMED = ", ".join(
    f"migrations.RenameField('book', '{old}_{kind}', '{new}_{kind}')"
    for kind in KINDS.values()
    for old, new in (("author", "owner"), ("editor", "author"))
)


def test_a_field_that_takes_the_name_of_a_renamed_one_is_as_declared(
    unmigrated_project: Project,
) -> None:
    migrate_history(unmigrated_project, f"{PERSON}, {book()}", RENAMED)
    before = catalog_versions(unmigrated_project.database)
    assert unmigrated_project.not_as_declared() == set()
    out, _ = run_command(unmigrated_project, "verify_schema", "--sql", "--strict")
    assert "ALTER" not in out
    run_command(unmigrated_project, "verify_schema", "--repair", "--replace", "--no-input")
    assert catalog_versions(unmigrated_project.database) == before


def test_the_renaming_migration_is_that_of_both_columns(unmigrated_project: Project) -> None:
    migrate_history(unmigrated_project, f"{PERSON}, {book()}", RENAMED)
    rows = unmigrated_project.json_report()["components"]
    columns = {each["name"]: each["migration"] for each in rows if each["component"] == "column"}
    assert columns["author_slug"] == columns["owner_slug"] == "mill.0002_step"


def test_an_index_is_superfluous_where_another_one_serves_though_it_has_a_generated_name(
    unmigrated_project: Project,
) -> None:
    first = (
        f"migrations.CreateModel('Book', [{KEY}, ('author', models.IntegerField(db_index=True)),"
    )
    migrate_history(
        unmigrated_project,
        f"{first} ('editor', models.IntegerField(db_index=True))])",
        "migrations.RenameField('book', 'author', 'owner'), "
        "migrations.RenameField('book', 'editor', 'author')",
    )
    ((generated,),) = unmigrated_project.database.rows(
        "SELECT indexname FROM pg_indexes WHERE indexdef LIKE '%(owner)'"
    )
    unmigrated_project.database.run("CREATE INDEX by_hand ON mill_book (owner)")
    rows = unmigrated_project.not_as_declared()
    assert rows == set()  # which of the two serves is not known
    unmigrated_project.database.run(f"DROP INDEX {generated}")
    assert unmigrated_project.not_as_declared() == set()
    unmigrated_project.database.run("DROP INDEX by_hand")
    ((_, name, status),) = unmigrated_project.not_as_declared()
    assert status == "missing"
    run_command(unmigrated_project, "verify_schema", "--repair", "--no-input")
    assert unmigrated_project.not_as_declared() == set()
    unmigrated_project.database.run(f"CREATE INDEX {generated} ON mill_book (owner)")
    assert unmigrated_project.not_as_declared() == {("index", generated, "undeclared")}
    assert name != generated


def test_the_printed_script_builds_no_second_index(unmigrated_project: Project) -> None:
    fields = "('a', models.SlugField()), ('b', models.IntegerField(unique=True))"
    write_history(unmigrated_project, f"migrations.CreateModel('Book', [{KEY}, {fields}])")
    run_command(unmigrated_project, "convergent_migration", "mill", "0001")
    run_command(unmigrated_project, "migrate", "mill", "-v0")
    unmigrated_project.database.run(
        *(
            f"ALTER INDEX {name} RENAME TO by_hand_{number}"
            for number, (name,) in enumerate(
                unmigrated_project.database.rows(
                    "SELECT indexname FROM pg_indexes WHERE tablename = 'mill_book'"
                )
            )
        )
    )
    before = catalog_versions(unmigrated_project.database)
    out, _ = run_command(unmigrated_project, "sqlmigrate", "mill", "0001")
    unmigrated_project.psql(out)
    assert catalog_versions(unmigrated_project.database) == before
    assert unmigrated_project.not_as_declared() == set()
