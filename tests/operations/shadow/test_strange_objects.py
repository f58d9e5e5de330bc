"""--shadow of strange names and rare kinds: no false alarm, and fixes that PostgreSQL takes."""

import json
from pathlib import Path

import pytest

from tests.operations.dump_and_restore import SOURCES, Place, new_database, restore
from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import KEY, migrate_history, run_command
from tests.operations.shadow.strange_objects import KINDS, MANY_FUNCTIONS, NAMES

SHELF = f"migrations.CreateModel('Shelf', [{KEY}])"

# What is lost of the strange names, each thing before what it needs.
LOST = r'''
SET search_path TO public;
DROP TRIGGER t2 ON "Other.Schema"."T ""2""";
DROP VIEW "Other.Schema"."V";
DROP FUNCTION "Other.Schema".twice(integer);
COMMENT ON TABLE "Weird ""Table"".x" IS NULL;
DROP TRIGGER "Trig ""1""" ON "Weird ""Table"".x";
DROP RULE "Rule.1" ON "Weird ""Table"".x";
DROP POLICY "Pol ""1""" ON "Weird ""Table"".x";
ALTER TABLE "Weird ""Table"".x" DISABLE ROW LEVEL SECURITY;
DROP STATISTICS "Stat ""1""";
DROP MATERIALIZED VIEW "Mat (view)";
DROP VIEW "View ""2""", "View.1";
DROP FUNCTION "Func.1"(integer), "Func.1"(text, text[]), atomic(numeric), "Func ""2""()"();
DROP PROCEDURE "Proc"(integer);
DROP SEQUENCE "Seq.1"
'''

# More of the same kinds, each with a name that has to be quoted.
MORE = r'''
CREATE TABLE "More.1" ("A ""b""" integer, CONSTRAINT "u ""1""" UNIQUE ("A ""b"""));
CREATE TABLE "Other.Schema"."More ""2""" (id integer);
CREATE INDEX "m.i" ON "Other.Schema"."T ""2""" (a, b);
CREATE INDEX "m ""i""" ON "Weird ""Table"".x" (twice);
CREATE VIEW "v.1" AS SELECT 1 AS one;
CREATE VIEW "Other.Schema"."v ""2""" AS SELECT 1 AS one;
CREATE FUNCTION "f.1"(a numeric, b text[]) RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION "Other.Schema"."f ""2"""() RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE "p.1"() LANGUAGE sql AS 'SELECT 1';
CREATE SEQUENCE "Other.Schema"."s.1";
CREATE TYPE "Other.Schema"."e ""1""" AS ENUM ('a');
CREATE DOMAIN "d.1" AS integer;
CREATE OPERATOR "Other.Schema".=== (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);
CREATE CAST ("Other.Schema"."e ""1""" AS integer) WITH INOUT;
CREATE TEXT SEARCH DICTIONARY "Other.Schema"."di ""1""" (TEMPLATE = simple);
CREATE STATISTICS "Other.Schema"."st.1" ON a, b FROM "Other.Schema"."T ""2""";
CREATE TRIGGER "tr ""1""" AFTER UPDATE ON "Other.Schema"."T ""2"""
    FOR EACH STATEMENT EXECUTE FUNCTION "Func ""2""()"();
CREATE MATERIALIZED VIEW "m.v" AS SELECT 1 AS one;
COMMENT ON COLUMN "Other.Schema"."T ""2""".b IS 'more'
'''


@pytest.fixture
def strange(
    unmigrated_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Project:
    """A project whose migrations make them by RunSQL."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "kept"))
    steps = [f"migrations.RunSQL({sql!r})" for sql in (NAMES, KINDS, MANY_FUNCTIONS)]
    migrate_history(unmigrated_project, SHELF, *steps)
    return unmigrated_project


def wrong(project: Project, *words: str, **env: str) -> list[dict[str, str]]:
    """Return the rows of --shadow that are not right."""
    by = () if "--against" in words else ("--shadow",)
    done = project.verify(*by, "--json", *words, **env)
    assert done.stderr == ""
    (survey,) = json.loads(done.stdout)["databases"]
    return [each for each in survey["components"] if each["status"] not in ("exists", "health")]


def test_a_migrated_database_has_no_finding(strange: Project) -> None:
    assert wrong(strange, "--with-grants") == []


@pytest.mark.parametrize("made", SOURCES.values(), ids=SOURCES)
def test_a_restored_database_has_no_finding(strange: Project, made: Place) -> None:
    with made() as origin, new_database() as target:
        migrated = Project(strange.folder, origin.database)
        run_command(migrated, "migrate", "mill", "-v0")
        restore(origin, target)
        restored = Project(strange.folder, target.database)
        assert wrong(restored, "--with-grants") == []
        against = wrong(restored, "--against", origin.database.url)
        assert against == []
        prints = [
            run_command(each, "verify_schema", "--fingerprint") for each in (migrated, restored)
        ]
        assert prints[0] == prints[1]


def test_what_is_lost_is_made_again(strange: Project) -> None:
    strange.psql(LOST)
    before = wrong(strange)
    assert len(before) > 15
    for _ in range(2):  # what belongs to a trigger or a view is missed once that is there
        strange.verify("--shadow", "--repair", "--replace", "--no-input", "--quiet")
    assert wrong(strange) == []


def test_the_fix_of_what_nobody_declares_takes_it_away(strange: Project) -> None:
    strange.psql(MORE)
    more = wrong(strange)
    assert {each["status"] for each in more} == {"undeclared"}
    assert len(more) > 15
    strange.psql("SET search_path TO public;" + "\n".join(each["fix"] for each in reversed(more)))
    assert wrong(strange) == []
