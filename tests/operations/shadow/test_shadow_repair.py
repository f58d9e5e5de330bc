"""verify_schema --shadow --repair builds what the migrations' own SQL made, as far as that is safe."""

import json

import pytest

from tests.operations.shadow.conftest import KindsProject
from tests.postgres.polling import lock_waiter, wait_until

LOST = (
    "DROP TRIGGER touched ON kinds_thing",
    "DROP VIEW things",
    "DROP FUNCTION double(text)",
    "DROP PROCEDURE sweep()",
    "DROP POLICY own ON kinds_thing",
    "ALTER TABLE kinds_thing DISABLE ROW LEVEL SECURITY",
    "DROP RULE no_delete ON log",
    "DROP STATISTICS thing_stats",
    "COMMENT ON TABLE log IS NULL",
    "COMMENT ON FUNCTION double(integer) IS NULL",
    "DROP MATERIALIZED VIEW totals",
    "DROP SEQUENCE tickets",
)

CHANGED = (
    "CREATE OR REPLACE FUNCTION double(a integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1'",
    "CREATE OR REPLACE VIEW things AS SELECT id, name FROM kinds_thing",
    "ALTER TABLE kinds_thing DISABLE TRIGGER touched",
    "ALTER POLICY own ON kinds_thing USING (true)",
    "ALTER TABLE kinds_thing FORCE ROW LEVEL SECURITY",
    "COMMENT ON TABLE log IS 'something else'",
    "ALTER VIEW guarded RESET (security_barrier)",
)

UNSAFE = (
    "ALTER TABLE rooms DROP CONSTRAINT rooms_alone",
    "DROP INDEX by_python",
    "DROP TABLE log_more",
    "ALTER TYPE mood ADD VALUE 'mad'",
    "CREATE FUNCTION more() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
)


def test_what_is_missing_is_made(kinds: KindsProject) -> None:
    kinds.database.run(*LOST)
    lost = len(kinds.told())
    done = kinds.verify("--shadow", "--repair", "--no-input")
    assert done.returncode == 1
    assert "not repaired" not in done.stderr
    # The index of a materialized view is missed once that is there.
    assert (lost > 11, kinds.told()) == (True, [("index", "totals_state", "missing")])


def test_what_differs_is_replaced_only_if_that_is_asked_for(kinds: KindsProject) -> None:
    kinds.database.run(*CHANGED)
    before = kinds.told()
    assert len(before) == len(CHANGED)
    assert kinds.verify("--shadow", "--repair", "--no-input").returncode == 1
    assert kinds.told() == before
    done = kinds.verify("--shadow", "--repair", "--replace", "--no-input")
    assert (done.returncode, "not repaired" in done.stderr) == (0, False)
    assert kinds.told() == []


def test_the_printed_script_does_the_same_and_may_run_twice(kinds: KindsProject) -> None:
    kinds.database.run(*LOST, *CHANGED[:1])
    script = kinds.verify("--shadow", "--sql").stdout
    for _ in range(2):
        kinds.psql(f"SET client_min_messages = warning;\n{script}")
        # What belongs to a trigger or a view is missed once that is there.
        assert kinds.told() == [
            ("comment", "trigger touched", "missing"),
            ("index", "totals_state", "missing"),
        ]


def test_what_is_not_safe_is_told_with_its_sql(kinds: KindsProject) -> None:
    kinds.database.run(*UNSAFE)
    before = kinds.told()
    assert len(before) == len(UNSAFE)
    assert kinds.verify("--shadow", "--repair", "--replace", "--no-input").returncode == 1
    assert kinds.told() == before
    rows = kinds.json_report("--shadow")["components"]
    fixes = {each["name"]: each["fix"] for each in rows if each["status"] != "exists"}
    assert fixes["rooms_alone"] == (
        "ALTER TABLE rooms ADD CONSTRAINT rooms_alone EXCLUDE USING gist (room WITH =, during WITH &&);"
    )
    assert fixes["by_python"] == (
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS by_python ON kinds_maker "
        "USING btree (upper((code)::text));"
    )
    assert fixes["more()"] == 'DROP FUNCTION "more"();'
    shown = kinds.verify("--shadow").stdout
    assert f"to fix: {fixes['by_python']}" in shown
    kinds.psql(fixes["by_python"] + fixes["rooms_alone"] + fixes["more()"])
    assert {name for _, name, _ in kinds.told()} == {"log_more", "mood"}


def test_a_dry_run_prints_the_statements_and_changes_nothing(kinds: KindsProject) -> None:
    kinds.database.run("DROP FUNCTION double(text)", "COMMENT ON TABLE log IS NULL")
    done = kinds.verify("--shadow", "--repair", "--dry-run")
    assert done.returncode == 1
    assert "CREATE OR REPLACE FUNCTION double(a text)" in done.stdout
    assert "COMMENT ON TABLE log IS 'what happened';" in done.stdout
    assert len(kinds.told()) == 2


def test_a_trigger_is_made_under_a_short_lock_timeout_again_and_again(kinds: KindsProject) -> None:
    kinds.database.run("DROP TRIGGER touched ON kinds_thing")
    with kinds.database.connect(autocommit=False) as writer:
        writer.execute("UPDATE kinds_thing SET amount = 1")
        words = ("verify_schema", "--shadow", "--repair", "--no-input", "--json")
        env = kinds.env(CONVERGENT_MIGRATIONS_LOCK_WAIT="60")
        with kinds.database.running(*words, env=env) as process:
            waiting = lock_waiter(kinds.database, "CREATE OR REPLACE TRIGGER")
            wait_until(waiting, "the trigger waits for the writer")
            wait_until(lambda: not waiting(), "the try ends, and writers go on")
            writer.rollback()
            shown, _ = process.communicate()
            assert process.wait() == 0
    assert json.loads(shown)["clean"]


@pytest.mark.parametrize("words", [("--strict",), ()])
def test_findings_of_the_shadow_are_in_the_textfile(
    kinds: KindsProject, words: tuple[str, ...]
) -> None:
    kinds.database.run("DROP FUNCTION double(text)", "CREATE VIEW more AS SELECT 1 AS one")
    file = kinds.folder / "shadow.prom"
    kinds.verify("--shadow", "--prometheus", str(file), *words)
    findings = 'convergent_migrations_findings{database="default",schema="public"} '
    assert f"{findings}{2 if words else 1}\n" in file.read_text()
