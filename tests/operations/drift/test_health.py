"""Notes of health: sequences, keys near their end, collations, and indexes of no use."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signals.operations.catalog.details import Sequence
from signals.operations.catalog.health import Position, TableUse, Vitals
from signals.operations.drift.health import nearness_to_end
from tests.operations.drift.prometheus_samples import parse_samples
from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import (
    migrate_history,
    run_command,
    write_models,
)
from tests.postgres.databases import Database, server_session
from tests.postgres.polling import lock_waiter, wait_until

SHELF = (
    "migrations.CreateModel('Shelf', [('id', models.BigAutoField(primary_key=True)), "
    "('code', models.CharField(max_length=9, unique=True))])"
)
BOOK = (
    "migrations.CreateModel('Book', [('id', models.AutoField(primary_key=True)), "
    "('title', models.TextField()), ('shelf', models.ForeignKey('mill.Shelf', models.CASCADE))], "
    "{'indexes': [models.Index(fields=['title'], name='by_title'), "
    "models.Index(fields=['title', 'shelf'], name='by_title_and_shelf')]})"
)
# 6,000 rows, of which an index that is packed a tenth full has more than 10 MB.
MANY_ROWS = """
INSERT INTO mill_shelf (code) VALUES ('a');
INSERT INTO mill_book (title, shelf_id)
SELECT repeat(md5(n::text), 6) || n, 1 FROM generate_series(1, 6000) n;
ALTER INDEX {index} SET (fillfactor = 10);
REINDEX INDEX {index};
"""
AT_ONCE = {"CONVERGENT_MIGRATIONS_INDEX_UNUSED_DAYS": "0.0000001"}
SCANS = "DO $$ BEGIN FOR n IN 1..100 LOOP PERFORM count(*) FROM mill_book; END LOOP; END $$"
HAS_SCANS = "SELECT pg_stat_get_numscans('mill_book'::regclass) >= 100"


@pytest.fixture
def books(unmigrated_project: Project) -> Project:
    migrate_history(unmigrated_project, SHELF, BOOK)
    return unmigrated_project


def health(project: Project, *words: str, **env: str) -> dict[str, Any]:
    """Return the rows with a note of health, by the name of the component."""
    done = project.verify("--json", *words, **env)
    (survey,) = json.loads(done.stdout)["databases"]
    rows = [each for each in survey["components"] if each["status"] == "health"]
    assert survey["counts"]["health"] == len(rows)
    assert done.returncode == int("--strict" in words and bool(rows)), done.stdout
    return {each["name"]: each for each in rows}


def notes(project: Project, **env: str) -> dict[str, Any]:
    """Return the rows with a note of health, by name, of a project in which there are findings too."""
    (survey,) = json.loads(project.verify("--json", **env).stdout)["databases"]
    return {each["name"]: each for each in survey["components"] if each["status"] == "health"}


def test_a_new_database_has_none(books: Project) -> None:
    assert health(books, "--strict", **AT_ONCE) == {}


@pytest.mark.parametrize(
    ("sql", "next_value", "furthest"),
    [
        ("INSERT INTO mill_shelf VALUES (1, 'a')", 1, 1),
        ("INSERT INTO mill_shelf VALUES (1, 'a'), (70, 'b'), (-5, 'c')", 1, 70),
        (
            (
                "INSERT INTO mill_shelf VALUES (nextval('mill_shelf_id_seq'), 'a'), (9, 'b');"
                "SELECT setval('mill_shelf_id_seq', 3)"
            ),
            4,
            9,
        ),
        (
            (
                "ALTER SEQUENCE mill_shelf_id_seq INCREMENT -1 MINVALUE -9223372036854775808 START -1;"
                "ALTER SEQUENCE mill_shelf_id_seq RESTART;"
                "INSERT INTO mill_shelf VALUES (-1, 'a'), (5, 'b')"
            ),
            -1,
            -1,
        ),
    ],
)
def test_a_sequence_behind_its_column_is_told_with_what_mends_it(
    books: Project, sql: str, next_value: int, furthest: int
) -> None:
    books.psql(sql)
    row = health(books)["mill_shelf_id_seq"]
    assert (row["component"], row["migration"]) == ("sequence", "mill.0001_step")
    assert row["found"].startswith(f"its next value is {next_value}, and id reaches {furthest}: ")
    assert health(books, "--strict")["mill_shelf_id_seq"] == row | {"finding": True}
    shown, _ = run_command(books, "verify_schema")
    assert "▲ Health" in shown
    assert f"  to fix: {row['fix']}" in shown
    assert shown.endswith(" exist; 1 of health\n")
    books.psql(row["fix"])
    assert health(books, "--strict") == {}
    books.psql("INSERT INTO mill_shelf (code) VALUES ('next')")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO mill_shelf (code) VALUES ('a'), ('b')",
        "INSERT INTO mill_shelf VALUES (5, 'a'); SELECT setval('mill_shelf_id_seq', 6, false)",
        "INSERT INTO mill_shelf VALUES (5, 'a'); ALTER SEQUENCE mill_shelf_id_seq RESTART 6",
        "INSERT INTO mill_shelf VALUES (-5, 'a')",
        "ALTER TABLE mill_shelf ALTER id DROP IDENTITY; INSERT INTO mill_shelf VALUES (5, 'a')",
    ],
)
def test_a_sequence_that_is_ahead_is_well(books: Project, sql: str) -> None:
    books.psql(sql)
    assert notes(books) == {}


def test_a_serial_may_be_behind_too_and_an_entry_accepts_it(books: Project) -> None:
    books.psql(
        'ALTER TABLE mill_shelf ALTER id DROP IDENTITY; CREATE SEQUENCE "Num bers" OWNED BY mill_shelf.id;'
        "ALTER TABLE mill_shelf ALTER id SET DEFAULT nextval('\"Num bers\"');"
        "INSERT INTO mill_shelf VALUES (1, 'a')"
    )
    (row,) = health(books).values()
    assert row["name"] == "Num bers"
    file = books.folder / "accepted.toml"
    file.write_text(
        '[[accepted]]\nrow = \'sequence Num bers of "mill_shelf"\'\nstatus = "health"\n'
        'reason = "it is read only"\nwho = "Ada"\nuntil = 9999-12-31\n'
    )
    done = books.verify("--strict", CONVERGENT_MIGRATIONS_ACCEPTED_FINDINGS=str(file))
    assert (done.returncode, done.stderr) == (0, "")
    books.psql(row["fix"])
    done = books.verify("--strict", CONVERGENT_MIGRATIONS_ACCEPTED_FINDINGS=str(file))
    assert (done.returncode, done.stderr) == (0, "")


def test_what_the_role_may_not_read_is_left_out(books: Project) -> None:
    role = f"{books.database.name}_reader"
    books.psql(f"INSERT INTO mill_shelf VALUES (1, 'a'); CREATE ROLE {role}")
    url = books.database.url + f"%20-c%20role%3D{role}"
    try:
        books.psql(f"GRANT SELECT ON django_migrations TO {role}")
        assert health(books, DATABASE_URL=url) == {}
        books.psql(f"GRANT SELECT ON mill_shelf TO {role}")
        assert health(books, DATABASE_URL=url) == {}
        books.psql(f"GRANT SELECT ON mill_shelf_id_seq TO {role}")
        assert health(books, DATABASE_URL=url).keys() == {"mill_shelf_id_seq"}
    finally:
        books.psql(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize(
    ("sql", "percent"),
    [
        ("SELECT setval('mill_book_id_seq', 1700000000)", 79),
        ("SELECT setval('mill_book_id_seq', 2147483647)", 100),
        ("SELECT setval('mill_book_id_seq', 1600000000)", None),
        ("ALTER TABLE mill_book ALTER id RESTART 1700000000", None),
        (
            "ALTER TABLE mill_book ALTER id TYPE smallint; SELECT setval('mill_book_id_seq', 26000)",
            79,
        ),
    ],
)
def test_a_key_close_to_the_end_of_its_type_is_told(
    books: Project, sql: str, percent: int | None
) -> None:
    books.psql(sql)
    told = [
        each["found"].partition(" % of its numbers are used, ")[0] for each in notes(books).values()
    ]
    assert told == ([] if percent is None else [f"{percent}"])


DAY = 86_400.0
BOOK_KEY = Sequence("book_id_seq", "id", 1, 2_147_483_647, 1, False, True, "public")


@pytest.mark.parametrize(
    ("days", "rows", "text"),
    [
        (10, 10_000_000, "; 1,000,000 rows come a day, until about 1971-03-24"),
        (10, 999, ""),
        (0.5, 10_000_000, ""),
        (10, 1_000, "; 100 rows come a day"),
    ],
)
def test_statistics_tell_until_when_a_key_lasts(days: float, rows: int, text: str) -> None:
    vitals = Vitals("shop", days * DAY, 0.0, {7: TableUse(rows, 0)}, {}, (), {}, {})
    position = Position(1_710_000_000, True, None)
    said = nearness_to_end(BOOK_KEY, position, "integer", vitals, 7)
    assert said == f"79 % of its numbers are used, 1710000000 of 2147483647{text}"


def test_a_key_whose_statistics_have_no_beginning_has_no_end_either() -> None:
    vitals = Vitals("shop", DAY, None, {7: TableUse(10**9, 0)}, {}, (), {}, {})
    said = nearness_to_end(BOOK_KEY, Position(2_000_000_000, True, None), "integer", vitals, 7)
    assert said == "93 % of its numbers are used, 2000000000 of 2147483647"


def test_an_index_that_another_one_contains_is_told_from_a_size_on(books: Project) -> None:
    books.psql(MANY_ROWS.format(index="by_title_and_shelf"))
    assert health(books) == {}
    books.psql("ALTER INDEX by_title SET (fillfactor = 10); REINDEX INDEX by_title")
    row = health(books)["by_title"]
    assert row["found"].startswith("by_title_and_shelf contains it; it has ")
    assert (row["component"], row["migration"]) == ("index", "mill.0002_step")
    assert row["fix"] == "remove it by a migration (a field's by db_index=False)"


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("CREATE INDEX zz_twin ON mill_book (title) WITH (fillfactor = 10)", {"zz_twin"}),
        ("CREATE INDEX aa_twin ON mill_book (title) WITH (fillfactor = 10)", {"aa_twin"}),
        ("CREATE UNIQUE INDEX alone ON mill_book (title) WITH (fillfactor = 10)", set()),
        ("CREATE INDEX part ON mill_book (title) WITH (fillfactor = 10) WHERE id > 0", set()),
        ("CREATE INDEX back ON mill_book (title DESC) WITH (fillfactor = 10)", set()),
        ("CREATE INDEX other ON mill_book (title text_pattern_ops) WITH (fillfactor = 10)", set()),
        (
            "CREATE INDEX more ON mill_book (title) INCLUDE (shelf_id) WITH (fillfactor = 10)",
            {"more"},
        ),
        ("CREATE INDEX most ON mill_book (title) INCLUDE (id) WITH (fillfactor = 10)", set()),
    ],
)
def test_only_what_serves_as_well_contains_an_index(
    books: Project, sql: str, names: set[str]
) -> None:
    books.psql(f"{MANY_ROWS.format(index='by_title_and_shelf')};{sql}")
    told = notes(books)
    assert told.keys() == names
    for name in names:
        assert told[name]["fix"] == f'DROP INDEX CONCURRENTLY "public"."{name}";'


def test_an_index_that_no_query_uses_is_told_after_a_time(books: Project) -> None:
    books.psql(f"DROP INDEX by_title; {MANY_ROWS.format(index='by_title_and_shelf')}")
    assert notes(books, **AT_ONCE) == {}
    books.database.run(SCANS)
    wait_until(lambda: books.database.value(HAS_SCANS), "the scans are counted")
    assert notes(books) == {}
    row = notes(books, **AT_ONCE)["by_title_and_shelf"]
    assert row["found"].startswith("no query on this server has used it since 20")
    assert row["fix"].startswith("if no standby server uses it either, remove it")
    with books.database.connect() as session:
        session.execute("SET enable_seqscan = off")
        session.execute("SET enable_bitmapscan = off")
        session.execute("SELECT id FROM mill_book WHERE title = 'a'").fetchall()
    used = "SELECT pg_stat_get_numscans('by_title_and_shelf'::regclass) > 0"
    wait_until(lambda: books.database.value(used), "the scan is counted")
    assert notes(books) == {}


A_VERSIONED_COLLATION = """
SELECT quote_ident(nspname) || '.' || quote_ident(collname) FROM pg_collation l
JOIN pg_namespace n ON n.oid = l.collnamespace
WHERE collversion IS NOT NULL AND collversion = pg_collation_actual_version(l.oid)
AND collencoding IN (-1, 6) AND collisdeterministic ORDER BY 1 LIMIT 1
"""


def test_a_collation_of_another_version_is_told_with_the_indexes_to_build_again(
    books: Project,
) -> None:
    collation = books.database.value(A_VERSIONED_COLLATION)
    books.psql(f"ALTER TABLE mill_book ALTER title TYPE text COLLATE {collation}")
    assert health(books) == {}
    books.psql(
        f"UPDATE pg_collation SET collversion = '0.1' WHERE oid = '{collation}'::regcollation"
    )
    (row,) = health(books, "--strict").values()
    assert (row["component"], row["table"]) == ("collation", "")
    assert row["found"].startswith("its version was 0.1, and is ")
    assert "; 2 indexes were built by what may be another order of texts" in row["found"]
    steps = row["fix"].replace("; ", ";").rstrip(";").split(";")
    assert steps[0] == "REINDEX INDEX CONCURRENTLY by_title"
    assert steps[1] == "REINDEX INDEX CONCURRENTLY by_title_and_shelf"
    books.database.run(*steps)
    assert health(books, "--strict") == {}


@pytest.fixture
def collated(tmp_path: Path, unblocked_database: None) -> Iterator[Project]:
    """Yield a project on a database whose collation has a version."""
    name = f"test_mig_{secrets.token_hex(4)}"
    is_builtin = server_session().info.server_version >= 170_000
    provider = "builtin BUILTIN_LOCALE 'C.UTF-8'" if is_builtin else "icu ICU_LOCALE 'und'"
    server_session().execute(
        f'CREATE DATABASE "{name}" TEMPLATE template0 ENCODING utf8 LOCALE_PROVIDER {provider}'.encode()
    )
    project = Project(tmp_path, Database(name))
    write_models(project.folder)
    yield project
    project.database.drop()


def test_the_collation_of_the_database_is_told_too(collated: Project, tmp_path: Path) -> None:
    migrate_history(collated, SHELF)
    assert health(collated, "--strict") == {}
    name = collated.database.name
    collated.psql(f"UPDATE pg_database SET datcollversion = '0.1' WHERE datname = '{name}'")
    row = health(collated)[name]
    assert row["component"] == "collation"
    assert row["fix"].endswith(f'ALTER DATABASE "{name}" REFRESH COLLATION VERSION;')
    assert "REINDEX INDEX CONCURRENTLY mill_shelf_code_key;" in row["fix"]
    file = tmp_path / "schema.prom"
    collated.verify("--prometheus", str(file), "--quiet")
    samples = parse_samples(file.read_text())
    assert samples["components", "default", "public", "health"] == 1
    assert samples["findings", "default", "public"] == 0


def test_repair_sets_a_sequence_that_is_behind(books: Project) -> None:
    books.psql("INSERT INTO mill_shelf VALUES (1, 'a'), (70, 'b')")
    script = books.verify("--sql").stdout
    dry = books.verify("--repair", "--dry-run").stdout
    assert "setval" in script
    assert "LOCK TABLE" in dry
    assert health(books).keys() == {"mill_shelf_id_seq"}
    done = books.verify("--repair", "--no-input", "--strict")
    assert (done.returncode, "not repaired" in done.stderr) == (0, False)
    books.psql("INSERT INTO mill_shelf (code) VALUES ('next')")
    for _ in range(2):  # the script does no harm where nothing is behind any more
        books.psql(script)
        books.psql("INSERT INTO mill_shelf (code) VALUES ((SELECT max(id) FROM mill_shelf))")
    assert books.database.value("SELECT max(id) FROM mill_shelf") == 73


def test_a_repaired_sequence_gives_no_number_again_that_was_taken_meanwhile(books: Project) -> None:
    books.psql("INSERT INTO mill_shelf VALUES (1, 'a'), (9, 'b')")
    env = books.env(CONVERGENT_MIGRATIONS_LOCK_WAIT="60")
    words = ("verify_schema", "--repair", "--no-input", "--quiet")
    with books.database.connect(autocommit=False) as writer:
        writer.execute("INSERT INTO mill_shelf VALUES (15, 'c')")
        writer.execute("SELECT nextval('mill_shelf_id_seq')")
        with books.database.running(*words, env=env) as process:
            waiting = lock_waiter(books.database, "setval")
            wait_until(waiting, "the repair waits for the writer")
            wait_until(lambda: not waiting(), "the try ends, and writers go on")
            for _ in range(30):
                taken = writer.execute("SELECT nextval('mill_shelf_id_seq')").fetchone()
            writer.commit()
            assert process.wait() == 0
    assert taken == (31,)
    assert books.database.value("SELECT nextval('mill_shelf_id_seq')") == 32


def test_a_row_that_is_being_inserted_is_behind_the_repaired_sequence(books: Project) -> None:
    books.psql("INSERT INTO mill_shelf VALUES (1, 'a')")
    env = books.env(CONVERGENT_MIGRATIONS_LOCK_WAIT="60")
    words = ("verify_schema", "--repair", "--no-input", "--quiet")
    with books.database.connect(autocommit=False) as writer:
        writer.execute("INSERT INTO mill_shelf VALUES (50, 'c')")
        with books.database.running(*words, env=env) as process:
            wait_until(lock_waiter(books.database, "setval"), "the repair waits for the writer")
            writer.commit()
            assert process.wait() == 0
    assert books.database.value("SELECT nextval('mill_shelf_id_seq')") == 51
