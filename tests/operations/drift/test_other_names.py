"""A declared component that the table has under another name gets its name, and never a duplicate."""

from dataclasses import dataclass

import pytest

from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import KEY, migrate_history, run_command

BOOK = (
    f"migrations.CreateModel('Book', [{KEY}, ('a', models.IntegerField()), "
    "('b', models.CharField(max_length=9))])"
)


@dataclass(frozen=True, slots=True)
class OtherName:
    """A part that the state alone declares, and SQL that makes it, or almost, under the name by_sql."""

    component: str
    declared: str
    sql: str
    renamed_by: str

    def __str__(self) -> str:
        return self.sql


INDEX = 'ALTER INDEX "public"."by_sql" RENAME TO "named";'
CHECK = 'ALTER TABLE "mill_book" RENAME CONSTRAINT "by_sql" TO "named";'

SERVING = [
    OtherName(
        "index",
        "migrations.AddIndex('book', models.Index(fields=['a', '-b'], name='named'))",
        "CREATE INDEX by_sql ON mill_book (a, b DESC)",
        INDEX,
    ),
    OtherName(
        "index",
        "migrations.AddIndex('book', models.Index(models.F('a') + 1, name='named', "
        "condition=models.Q(b__in=['x', 'y'])))",
        "CREATE INDEX by_sql ON mill_book ((a + 1)) WHERE b = ANY (ARRAY['x', 'y']::varchar[])",
        INDEX,
    ),
    OtherName(
        "unique",
        "migrations.AddConstraint('book', models.UniqueConstraint(fields=['a', 'b'], name='named'))",
        "ALTER TABLE mill_book ADD CONSTRAINT by_sql UNIQUE (a, b)",
        INDEX,
    ),
    OtherName(
        "unique",
        "migrations.AddConstraint('book', models.UniqueConstraint(fields=['a', 'b'], name='named'))",
        "CREATE UNIQUE INDEX by_sql ON mill_book (a, b)",
        INDEX,
    ),
    OtherName(
        "unique",
        "migrations.AddConstraint('book', models.UniqueConstraint("
        "fields=['a'], condition=models.Q(b='x'), name='named'))",
        "CREATE UNIQUE INDEX by_sql ON mill_book (a) WHERE b = 'x'",
        INDEX,
    ),
    OtherName(
        "check",
        "migrations.AddConstraint('book', models.CheckConstraint("
        "condition=models.Q(b__in=['x', 'y']), name='named'))",
        "ALTER TABLE mill_book ADD CONSTRAINT by_sql CHECK (b IN ('x', 'y')) NOT VALID",
        CHECK,
    ),
    OtherName(
        "exclusion",
        "migrations.AddConstraint('book', ExclusionConstraint("
        "name='named', index_type='spgist', expressions=[('b', '=')]))",
        "ALTER TABLE mill_book ADD CONSTRAINT by_sql EXCLUDE USING spgist (b WITH =)",
        INDEX,
    ),
]


def declare(project: Project, *parts: str) -> None:
    state = ", ".join(parts)
    migrate_history(
        project, BOOK, f"migrations.SeparateDatabaseAndState(state_operations=[{state}])"
    )
    project.database.run("INSERT INTO mill_book (a, b) VALUES (1, 'x'), (2, 'y')")


def names(project: Project) -> set[str]:
    rows = project.database.rows(
        "SELECT relname FROM pg_class WHERE relkind = 'i' AND relnamespace = 'public'::regnamespace"
        " AND relname IN ('by_sql', 'named', 'second') UNION SELECT conname FROM pg_constraint"
        " WHERE conrelid = 'mill_book'::regclass AND contype <> 'n' AND conname <> 'mill_book_pkey'"
    )
    return {name for (name,) in rows}


@pytest.mark.parametrize("case", SERVING, ids=str)
def test_what_serves_is_renamed(unmigrated_project: Project, case: OtherName) -> None:
    declare(unmigrated_project, case.declared)
    unmigrated_project.database.run(case.sql)
    assert unmigrated_project.not_as_declared() == {(case.component, "named", "unfinished")}
    (row,) = (
        each
        for each in unmigrated_project.json_report()["components"]
        if each["status"] != "exists"
    )
    assert row["fix"] == case.renamed_by
    assert row["note"] == "it is there under the name by_sql; --repair renames it"
    out, _ = run_command(unmigrated_project, "verify_schema", "--sql", code=1)
    assert case.renamed_by.rstrip(";") in out
    run_command(unmigrated_project, "verify_schema", "--repair", "--no-input")
    assert names(unmigrated_project) == {"named"}
    assert unmigrated_project.not_as_declared("--strict") == set()


@pytest.mark.parametrize("case", SERVING, ids=str)
def test_the_printed_script_renames_too_and_may_run_twice(
    unmigrated_project: Project, case: OtherName
) -> None:
    declare(unmigrated_project, case.declared)
    unmigrated_project.database.run(case.sql)
    out, _ = run_command(unmigrated_project, "verify_schema", "--sql", code=1)
    for _ in range(2):
        unmigrated_project.psql(out)
        assert names(unmigrated_project) == {"named"}
    assert unmigrated_project.not_as_declared("--strict") == set()


def test_another_definition_is_left_and_of_two_that_serve_one_is_renamed(
    unmigrated_project: Project,
) -> None:
    declare(unmigrated_project, SERVING[0].declared)
    unmigrated_project.database.run("CREATE INDEX by_sql ON mill_book (a, b)")
    assert unmigrated_project.not_as_declared() == {
        ("index", "named", "missing"),
        ("index", "by_sql", "undeclared"),
    }
    unmigrated_project.database.run(
        "DROP INDEX by_sql",
        "CREATE INDEX by_sql ON mill_book (a, b DESC)",
        "CREATE INDEX second ON mill_book (a, b DESC)",
    )
    assert unmigrated_project.not_as_declared() == {
        ("index", "named", "unfinished"),
        ("index", "second", "undeclared"),
    }
    run_command(unmigrated_project, "verify_schema", "--repair", "--no-input")
    assert names(unmigrated_project) == {"named", "second"}


def test_two_missing_parts_of_one_definition_share_no_index(unmigrated_project: Project) -> None:
    other = "migrations.AddIndex('book', models.Index(fields=['a', '-b'], name='second'))"
    declare(unmigrated_project, SERVING[0].declared, other)
    unmigrated_project.database.run("CREATE INDEX by_sql ON mill_book (a, b DESC)")
    assert unmigrated_project.not_as_declared() == {
        ("index", "named", "unfinished"),
        ("index", "second", "missing"),
    }
    run_command(unmigrated_project, "verify_schema", "--repair", "--no-input")
    assert names(unmigrated_project) == {"named", "second"}


def test_the_index_of_a_field_is_not_taken_from_it(unmigrated_project: Project) -> None:
    fields = f"[{KEY}, ('a', models.IntegerField(db_index=True))]"
    declared = "migrations.AddIndex('shelf', models.Index(fields=['a'], name='named'))"
    migrate_history(
        unmigrated_project,
        f"migrations.CreateModel('Shelf', {fields})",
        f"migrations.SeparateDatabaseAndState(state_operations=[{declared}])",
    )
    assert unmigrated_project.not_as_declared() == {("index", "named", "missing")}


def test_the_uniqueness_of_a_many_to_many_stands_whichever_side_declares_it(
    unmigrated_project: Project,
) -> None:
    many = "models.ManyToManyField('mill.{}', db_table='mill_pairs')"
    moved = (
        "migrations.SeparateDatabaseAndState(state_operations=["
        "migrations.RemoveField('left', 'rights'), migrations.AddField('right', 'lefts', "
        f"{many.format('Left')})])"
    )
    migrate_history(
        unmigrated_project,
        f"migrations.CreateModel('Right', [{KEY}]), migrations.CreateModel('Left', [{KEY}, "
        f"('rights', {many.format('Right')})])",
        moved,
    )
    assert unmigrated_project.not_as_declared() == set()
    before = unmigrated_project.database.rows("SELECT indexname FROM pg_indexes ORDER BY 1")
    out, _ = run_command(unmigrated_project, "verify_schema", "--sql", "--strict")
    unmigrated_project.psql(out)
    run_command(unmigrated_project, "verify_schema", "--repair", "--no-input", "--strict")
    assert unmigrated_project.database.rows("SELECT indexname FROM pg_indexes ORDER BY 1") == before


def test_in_many_schemas_a_name_is_told_once(unmigrated_project: Project) -> None:
    declare(unmigrated_project, SERVING[0].declared)
    unmigrated_project.database.run("CREATE INDEX by_sql ON mill_book (a, b DESC)")
    tables = "mill_book", "django_migrations"
    for schema in ("tenant_1", "tenant_2"):
        unmigrated_project.database.run(
            f"CREATE SCHEMA {schema}",
            *(f"CREATE TABLE {schema}.{table} (LIKE {table} INCLUDING ALL)" for table in tables),
            f"INSERT INTO {schema}.django_migrations SELECT * FROM django_migrations",
            f"ALTER INDEX {schema}.mill_book_a_b_idx RENAME TO by_sql",
        )
    words = ("verify_schema", "--schemas", "tenant_%")
    out, _ = run_command(unmigrated_project, *words, "mill", code=1)
    assert "  note:   it is there under the name by_sql; --repair renames it\n" in out
    assert out.count("by_sql") == 1
    run_command(unmigrated_project, *words, "mill", "--repair", "--no-input")
    assert unmigrated_project.database.rows(
        "SELECT schemaname FROM pg_indexes WHERE indexname = 'named' ORDER BY 1"
    ) == [("tenant_1",), ("tenant_2",)]
