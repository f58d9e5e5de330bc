"""Comments, sequences, unlogged tables and foreign keys whose triggers do not fire."""

from dataclasses import dataclass

import pytest

from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import migrate_history, run_command

SHELF = (
    "migrations.CreateModel('Shelf', [('id', models.BigAutoField(primary_key=True)), "
    "('code', models.CharField(max_length=9, db_comment=\"the shelf's code\"))], "
    "{'db_table_comment': 'where books stand'})"
)
BOOK = (
    "migrations.CreateModel('Book', [('id', models.AutoField(primary_key=True)), "
    "('shelf', models.ForeignKey('mill.Shelf', models.CASCADE))])"
)


@dataclass(frozen=True, slots=True)
class Drift:
    """SQL, the row that it leads to, the fix of that row, and whether a repair makes it right."""

    sql: str
    row: tuple[str, str, str]
    fix: str
    is_repaired: bool = True

    def __str__(self) -> str:
        return self.sql


DRIFTS = [
    Drift(
        "COMMENT ON COLUMN mill_shelf.code IS NULL",
        ("comment", "code", "missing"),
        "COMMENT ON COLUMN \"mill_shelf\".\"code\" IS 'the shelf''s code';",
    ),
    Drift(
        "COMMENT ON COLUMN mill_shelf.code IS 'another'",
        ("comment", "code", "different"),
        "COMMENT ON COLUMN \"mill_shelf\".\"code\" IS 'the shelf''s code';",
    ),
    Drift(
        "COMMENT ON TABLE mill_shelf IS 'of glass'",
        ("comment", "mill_shelf", "different"),
        "COMMENT ON TABLE \"mill_shelf\" IS 'where books stand';",
    ),
    Drift(
        "ALTER SEQUENCE mill_shelf_id_seq AS integer",
        ("sequence", "mill_shelf_id_seq", "different"),
        "ALTER SEQUENCE mill_shelf_id_seq AS bigint MAXVALUE 9223372036854775807 NO CYCLE;",
    ),
    Drift(
        "ALTER SEQUENCE mill_book_id_seq CYCLE",
        ("sequence", "mill_book_id_seq", "different"),
        "ALTER SEQUENCE mill_book_id_seq AS integer MAXVALUE 2147483647 NO CYCLE;",
    ),
    Drift(
        "ALTER SEQUENCE mill_book_id_seq AS integer INCREMENT -1 MINVALUE 1 START 99 RESTART",
        ("sequence", "mill_book_id_seq", "different"),
        "ALTER SEQUENCE mill_book_id_seq AS integer MINVALUE -2147483648 NO CYCLE;",
    ),
    Drift(
        "ALTER TABLE mill_book SET UNLOGGED",
        ("table", "mill_book", "different"),
        'ALTER TABLE "mill_book" SET LOGGED;',
        is_repaired=False,
    ),
    Drift(
        "ALTER TABLE mill_shelf DISABLE TRIGGER ALL",
        ("foreign key", "", "different"),
        "ENABLE TRIGGER ALL",
        is_repaired=False,
    ),
    Drift(
        "ALTER TABLE mill_book DISABLE TRIGGER ALL",
        ("foreign key", "", "different"),
        "ENABLE TRIGGER ALL",
        is_repaired=False,
    ),
]


@pytest.fixture
def shelves(unmigrated_project: Project) -> Project:
    migrate_history(unmigrated_project, SHELF, BOOK)
    assert unmigrated_project.not_as_declared("--strict") == set()
    return unmigrated_project


@pytest.mark.parametrize("drift", DRIFTS, ids=str)
def test_a_detail_that_is_lost_is_a_finding_with_its_fix(shelves: Project, drift: Drift) -> None:
    shelves.database.run(drift.sql)
    rows = [each for each in shelves.json_report()["components"] if each["finding"]]
    component, name, status = drift.row
    found = [(each["component"], each["name"] if name else "", each["status"]) for each in rows]
    assert found == [(component, name, status)]
    assert drift.fix in rows[0]["fix"]
    done = shelves.verify("--repair", "--replace", "--no-input")
    assert done.returncode == (0 if drift.is_repaired else 1), done.stderr
    assert (shelves.not_as_declared() == set()) is drift.is_repaired


def test_a_missing_comment_is_repaired_without_replacing(shelves: Project) -> None:
    shelves.database.run("COMMENT ON COLUMN mill_shelf.code IS NULL")
    run_command(shelves, "verify_schema", "--repair", "--no-input")
    assert shelves.not_as_declared() == set()


@pytest.mark.parametrize(
    "sql",
    [
        "COMMENT ON COLUMN mill_book.shelf_id IS 'nobody declares one'",
        "ALTER SEQUENCE mill_book_id_seq AS bigint",
        "ALTER SEQUENCE mill_book_id_seq INCREMENT 50",
        "ALTER SEQUENCE mill_book_id_seq CACHE 100",
        "CREATE SEQUENCE mine OWNED BY mill_book.shelf_id MAXVALUE 5",
    ],
)
def test_what_serves_the_declaration_is_no_finding(shelves: Project, sql: str) -> None:
    shelves.database.run(sql)
    assert shelves.not_as_declared("--strict") == set()


def test_the_printed_script_repairs_the_details_and_may_run_twice(shelves: Project) -> None:
    for drift in (DRIFTS[0], DRIFTS[3]):
        shelves.database.run(drift.sql)
    out, _ = run_command(shelves, "verify_schema", "--sql", code=1)
    for _ in range(2):
        shelves.psql(out)
    assert shelves.not_as_declared("--strict") == set()
