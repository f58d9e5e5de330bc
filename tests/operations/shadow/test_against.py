"""verify_schema --against and --fingerprint: two databases are compared, with and without access to both."""

import json
import secrets

import pytest

from signals.operations.shadow.fingerprint import without_only_qualifier
from tests.operations.dump_and_restore import SOURCES, Place, new_database, restore
from tests.operations.shadow.conftest import KindsProject
from tests.operations.shadow.hand_made import DRIFTS
from tests.postgres.databases import Database


def fingerprint(project: KindsProject, database: Database) -> str:
    done = KindsProject(project.folder, database, project.kept).verify("--fingerprint")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def kinds_of(project: KindsProject) -> dict[str, str]:
    (shown,) = json.loads(project.verify("--fingerprint", "--json").stdout)["databases"]
    return dict(shown["kinds"])


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_restored_database_is_the_same_by_every_comparison(
    kinds: KindsProject, source: Place
) -> None:
    """PostgreSQL has parsed its definitions once more, and prints some of them otherwise."""
    with source() as origin, new_database() as target:
        migrated = KindsProject(kinds.folder, origin.database, kinds.kept)
        done = migrated.manage("migrate", "-v0")
        assert (done.returncode, done.stderr) == (0, "")
        restore(origin, target)
        restored = KindsProject(kinds.folder, target.database, kinds.kept)
        assert restored.told("--with-grants") == []
        assert restored.verify("--shadow", "--strict").returncode == 0
        url = kinds.database.url
        against = restored.verify("--against", url, "--strict", "--with-grants")
        assert (against.returncode, against.stderr) == (0, ""), against.stdout
        assert fingerprint(kinds, kinds.database) == fingerprint(kinds, target.database)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_fingerprint_is_that_of_another_server_with_the_same_migrations(
    kinds: KindsProject, source: Place
) -> None:
    with source() as other:
        migrated = KindsProject(kinds.folder, other.database, kinds.kept)
        done = migrated.manage("migrate", "-v0")
        assert (done.returncode, done.stderr) == (0, "")
        assert kinds_of(migrated) == kinds_of(kinds)
        assert fingerprint(kinds, other.database) == fingerprint(kinds, kinds.database)
        done = kinds.verify("--against", other.database.url, "--strict")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (" SELECT t.id,\n    t.name AS n\n   FROM t;", " SELECT id,\n    name AS n\n   FROM t;"),
        (' SELECT x.id FROM "T" x WHERE x.id > 1', 'SELECT id FROM "T" x WHERE id > 1'),
        (
            "SELECT t.id FROM t WHERE (EXISTS ( SELECT FROM u, v WHERE u.id = t.id))",
            "SELECT id FROM t WHERE (EXISTS ( SELECT FROM u, v WHERE u.id = t.id))",
        ),
        ("SELECT t.id, 'x.t.y' FROM t", "SELECT id, 'x.t.y' FROM t"),
    ],
)
def test_the_only_qualifier_of_a_query_is_no_part_of_it(older: str, newer: str) -> None:
    """PostgreSQL 15 prints it, and 16 does not."""
    assert without_only_qualifier(older) == without_only_qualifier(newer)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT t.id FROM t, u", "SELECT u.id FROM t, u"),
        (
            "SELECT t.id FROM (t JOIN u ON t.id = u.id)",
            "SELECT u.id FROM (t JOIN u ON t.id = u.id)",
        ),
        ("SELECT id FROM t", "SELECT no FROM t"),
        ("SELECT 't.id' FROM t", "SELECT 'id' FROM t"),
    ],
)
def test_qualifiers_that_tell_columns_apart_are(one: str, other: str) -> None:
    assert without_only_qualifier(one) != without_only_qualifier(other)


def test_neither_the_order_of_columns_nor_implied_names_are_in_a_fingerprint(
    kinds: KindsProject,
) -> None:
    before = fingerprint(kinds, kinds.database)
    kinds.database.run(
        "ALTER TABLE kinds_thing DROP name CASCADE, ADD name varchar(100) NOT NULL",
        "CREATE INDEX kinds_thing_name_key1 ON kinds_thing (name)",
        "CREATE INDEX kinds_thing_name_idx ON kinds_thing (name varchar_pattern_ops)",
        "CREATE VIEW things AS SELECT t.id, t.name FROM kinds_thing t WHERE t.state IN ('new', 'old')",
        "CREATE VIEW guarded WITH (security_barrier) AS "
        "SELECT name, double(amount) AS twice FROM kinds_thing",
        "ALTER TABLE kinds_maker RENAME CONSTRAINT kinds_maker_code_key TO kinds_maker_code_0a1b2c3d_uniq",
    )
    assert fingerprint(kinds, kinds.database) == before


def test_a_schema_of_another_name_has_its_own_shadow_and_the_same_fingerprint(
    kinds: KindsProject,
) -> None:
    """Its objects are named without it, by whichever setting the session gets there."""
    made = Database.new()
    try:
        made.run('CREATE SCHEMA "my app"')
        within = KindsProject(kinds.folder, Database(made.name, '"my app"'), kinds.kept)
        done = within.manage("migrate", "-v0")
        assert (done.returncode, done.stderr) == (0, "")
        assert within.told() == []
        outside = KindsProject(kinds.folder, made, kinds.kept)
        assert outside.told("--schema", "my app") == []
        made.run('DROP FUNCTION "my app".double(text)', 'DROP VIEW "my app".things')
        assert outside.told("--schema", "my app") == [
            ("function", "double(text)", "missing"),
            ("view", "things", "missing"),
        ]
        done = outside.verify("--schema", "my app", "--shadow", "--repair", "--no-input")
        assert done.returncode == 0
        assert kinds_of(within) == kinds_of(kinds)
        assert within.verify("--against", kinds.database.url, "--strict").returncode == 0
    finally:
        made.drop()


def test_a_right_that_is_missing_is_told(kinds: KindsProject) -> None:
    name = f"reader_{secrets.token_hex(4)}"
    kinds.database.run(
        f"CREATE ROLE {name}",
        f"GRANT SELECT ON django_migrations TO {name}",
        f"REVOKE TEMPORARY ON DATABASE {kinds.database.name} FROM PUBLIC",
    )
    try:
        url = f"{kinds.database.url}%20-c%20role%3D{name}"
        done = kinds.verify("--fingerprint", DATABASE_URL=url)
        assert (done.returncode, done.stdout) == (4, "")
        assert "permission denied to create temporary tables" in done.stderr
        assert "GRANT TEMPORARY ON DATABASE … to the role" in done.stderr
    finally:
        kinds.database.run(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_each_drift_changes_the_fingerprint_of_its_kind(kinds: KindsProject) -> None:
    before = kinds_of(kinds)
    kinds.database.run(*(each.sql for each in DRIFTS))
    after = kinds_of(kinds)
    drifted = {kind for each in DRIFTS for kind, _, _ in each.told} - {"publication"}
    assert {kind for kind in {*before, *after} if before.get(kind) != after.get(kind)} == drifted


def test_another_database_is_told_of_in_both_directions(
    kinds: KindsProject, kinds_template: KindsProject
) -> None:
    kinds.database.run("DROP TRIGGER touched ON kinds_thing", "ALTER TABLE log ADD hand integer")
    rows = kinds.json_report("--against", kinds_template.database.url)["components"]
    told = {
        (each["component"], each["name"], each["status"])
        for each in rows
        if each["status"] != "exists"
    }
    assert told == {("trigger", "touched", "missing"), ("column", "hand", "undeclared")}
    done = kinds.verify("--against", "second", SECOND_URL=kinds_template.database.url)
    assert done.returncode == 1
    assert "touched" in done.stdout


def test_several_databases_have_a_line_each(
    kinds: KindsProject, kinds_template: KindsProject
) -> None:
    url = kinds_template.database.url
    done = kinds.verify("--fingerprint", "--all-databases", SECOND_URL=url)
    value = fingerprint(kinds, kinds.database).strip()
    assert (done.returncode, done.stdout) == (0, f"{value}  default\n{value}  second\n")


def test_a_password_in_an_address_is_never_shown(kinds: KindsProject) -> None:
    for url in (
        "postgresql://me:s3cret@127.0.0.1:1/nowhere",
        "postgresql://me:s3cret@127.0.0.1:1",
        "postgresql://me:s3%zzcret@127.0.0.1:1/nowhere",
        "mysql://me:s3cret@host/name",
    ):
        for option in ("--against", "--shadow-url"):
            words = [option, url, *(["--shadow", "--shadow-fresh"] if "shadow" in option else [])]
            done = kinds.verify(*words)
            assert done.returncode in (2, 3, 4)
            assert "cret" not in done.stdout + done.stderr
            assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--shadow", "--against", "second"), "--shadow and --against exclude each other"),
        (
            ("--against", "second", "--schemas", "t%"),
            "--against judges one whole schema, and not --schemas",
        ),
        (("auth", "0001", "--shadow"), "--shadow judges what all migrations make, and not one"),
        (("--shadow-url", "postgresql:///x"), "--shadow-url goes with --shadow"),
        (("--shadow-ignore", "*"), "--shadow-ignore goes with --shadow or --against"),
        (("--with-grants",), "--with-grants goes with --shadow, --against or --fingerprint"),
        (("--fingerprint", "--repair"), "--fingerprint judges nothing that could be repaired"),
        (("--against", "nowhere"), "--against is not a PostgreSQL address (use "),
    ],
    ids=str,
)
def test_options_that_do_not_go_together_are_refused(
    kinds: KindsProject, words: tuple[str, ...], said: str
) -> None:
    done = kinds.verify(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
