"""The replay of a shadow: what it locks, what a killed one leaves, and what cannot be replayed."""

import json
import signal

from tests.operations.shadow.conftest import KindsProject, Slow, record
from tests.operations.shadow.hand_made import DRIFTS
from tests.operations.shadow.kinds_project import add_migration
from tests.postgres.databases import server_session
from tests.postgres.polling import wait_until

NEEDS_ROWS = """
    migrations.RunSQL("CREATE FUNCTION lost() RETURNS integer LANGUAGE sql AS 'SELECT 1'"),
    migrations.RunPython(lambda apps, _: apps.get_model("kinds", "Maker").objects.get(code="nobody")),
"""

LATER = "migrations.RunSQL(\"CREATE FUNCTION later() RETURNS integer LANGUAGE sql AS 'SELECT 2'\")"


def shadows() -> set[str]:
    rows = server_session().execute(
        "SELECT datname FROM pg_database WHERE datname LIKE 'convergent\\_migrations\\_shadow\\_%'"
    )
    return {name for (name,) in rows}


def test_a_run_takes_no_lock_stronger_than_access_share(own_kinds: KindsProject) -> None:
    """EXCLUSIVE conflicts with all others; a run that waited for one would end with an error."""
    database = own_kinds.database
    database.run(f"ALTER DATABASE {database.name} SET lock_timeout = '3s'")
    database.run(*(each.sql for each in DRIFTS if "DROP TABLE" not in each.sql))
    with database.connect(autocommit=False) as other:
        tables = other.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p') "
            "AND relnamespace IN ('public'::regnamespace, 'reports'::regnamespace)"
        ).fetchall()
        assert len(tables) > 15
        for (table,) in tables:
            other.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        for words in (("--shadow",), ("--shadow", "--shadow-fresh"), ("--fingerprint",)):
            done = own_kinds.verify(*words, "--quiet")
            assert (done.returncode, done.stderr) == (int("--shadow" in words), "")


def test_nothing_is_left_of_a_shadow(own_kinds: KindsProject) -> None:
    before = shadows()
    assert own_kinds.verify("--shadow", "--shadow-fresh").returncode == 0
    made = shadows() - before  # by tests that run beside this one, if there are any
    wait_until(lambda: not made & shadows(), "these are dropped too")


def test_the_run_after_a_killed_one_leaves_no_database(slow: Slow) -> None:
    project = slow.project
    with project.database.running("verify_schema", "--shadow", env=project.env()) as process:
        left = wait_until(slow.databases, "the replay is at the slow migration")
        # A run that goes on is left alone by others, also by one that finds a replay that is kept.
        for _ in range(2):
            done = slow.quick().verify("--shadow")
            assert (done.returncode, done.stderr) == (0, "")
        assert slow.databases() == left
        process.kill()
    wait_until(lambda: not slow.databases(), "the server notices that the client is gone")
    done = project.verify("--shadow")
    assert (done.returncode, done.stderr) == (0, "")
    assert not left & shadows()


def test_a_replay_that_is_cancelled_drops_its_database(slow: Slow) -> None:
    project = slow.project
    with project.database.running("verify_schema", "--shadow", env=project.env()) as process:
        left = wait_until(slow.databases, "the replay is at the slow migration")
        server_session().execute(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s) "
            "AND state = 'active'",
            [list(left)],
        )
        _, complaint = process.communicate()
        assert process.wait() == 4
    assert "kinds.0003_slow cannot be replayed on an empty database: OperationalError" in complaint
    assert not left & shadows()


def test_an_interrupted_run_drops_its_database(slow: Slow) -> None:
    project = slow.project
    with project.database.running("verify_schema", "--shadow", env=project.env()) as process:
        left = wait_until(slow.databases, "the replay is at the slow migration")
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate()
        assert process.wait() == 130
    assert "Traceback" not in complaint
    assert not left & shadows()


def test_a_replay_is_kept_until_a_migration_changes(own_kinds: KindsProject) -> None:
    kept = own_kinds.kept / "convergent_migrations"
    assert own_kinds.verify("--shadow").returncode == 0
    (file,) = kept.iterdir()
    assert (kept.stat().st_mode & 0o77, file.stat().st_mode & 0o77) == (0, 0)
    # A refusal of a place shows that the kept replay needs none.
    own_kinds.database.run("DROP FUNCTION double(text)")
    url = "postgresql:///nowhere?host=/nowhere"
    done = own_kinds.verify("--shadow", "--shadow-url", url)
    assert (done.returncode, "double(text)" in done.stdout) == (1, True)
    assert own_kinds.verify("--shadow", "--shadow-url", url, "--shadow-fresh").returncode == 4
    path = own_kinds.folder / "kinds/migrations/0002_by_sql.py"
    path.write_text(path.read_text().replace("SELECT a || a", "SELECT a"))
    assert own_kinds.verify("--shadow", "--shadow-url", url).returncode == 4
    assert own_kinds.verify("--shadow").returncode == 1
    assert len(list(kept.iterdir())) == 2


def test_a_kept_replay_that_others_may_write_is_not_read(own_kinds: KindsProject) -> None:
    assert own_kinds.verify("--shadow").returncode == 0
    (file,) = (own_kinds.kept / "convergent_migrations").iterdir()
    file.write_text(json.dumps({"objects": [], "failed": []}))
    assert own_kinds.verify("--shadow", "--strict").returncode == 1  # it is read
    file.chmod(0o666)
    assert own_kinds.verify("--shadow", "--strict").returncode == 0


def test_a_migration_that_needs_rows_is_named_and_what_it_makes_is_not_judged(
    own_kinds: KindsProject,
) -> None:
    folder, database = own_kinds.folder, own_kinds.database
    add_migration(folder, "0003_rows", after="0002_by_sql", operations=NEEDS_ROWS)
    add_migration(folder, "0004_later", after="0003_rows", operations=LATER)
    for name in ("0003_rows", "0004_later"):
        record(own_kinds, name)
    database.run("CREATE FUNCTION lost() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
    done = own_kinds.verify("--shadow", "--json")
    reason = "kinds.0003_rows cannot be replayed on an empty database: DoesNotExist: "
    assert (done.returncode, reason in done.stderr) == (4, True)
    shown = json.loads(done.stdout)
    rows = {
        (each["component"], each["name"], each["status"])
        for each in shown["databases"][0]["components"]
        if each["status"] != "exists"
    }
    assert rows == {
        ("migration", "0003_rows", "unjudged"),
        ("function", "lost()", "unjudged"),
        ("function", "later()", "missing"),
    }
    assert reason in shown["errors"][0]["reason"]
    assert database.value("SELECT count(*) FROM kinds_maker WHERE code = 'by hand'") == 1
    words = ("--shadow", "--shadow-ignore", "migration kinds.0003*", "--shadow-ignore", "* lost()")
    done = own_kinds.verify(*words, "--strict")
    assert (done.returncode, done.stderr) == (1, "")
    assert "later()" in done.stdout
    assert "lost()" not in done.stdout


def test_a_migration_that_uses_another_database_does_not_reach_it(own_kinds: KindsProject) -> None:
    """While a shadow is made, the aliases of the settings lead to it or to nothing, in all threads."""
    makes = (
        "migrations.RunPython(lambda apps, _: "
        "apps.get_model('kinds', 'Maker').objects.using({alias!r}).create(code={alias!r}))"
    )
    for number, alias in ((3, "second"), (4, "default")):
        add_migration(
            own_kinds.folder,
            f"000{number}_{alias}",
            after="0002_by_sql" if number == 3 else "0003_second",
            operations=makes.format(alias=alias),
        )
        record(own_kinds, f"000{number}_{alias}")
    done = own_kinds.verify("--shadow", SECOND_URL=own_kinds.database.url)
    assert done.returncode == 4
    assert (
        "kinds.0003_second cannot be replayed on an empty database: OtherDatabaseUsed: it uses the "
        "database 'second', and only its own one has a shadow"
    ) in done.stderr
    assert "0004_default" not in done.stderr
    assert own_kinds.database.value("SELECT count(*) FROM kinds_maker") == 1


def test_an_accepted_difference_is_none_and_stale_only_where_it_could_be_met(
    own_kinds: KindsProject,
) -> None:
    own_kinds.database.run("DROP FUNCTION double(text)")
    accepted = own_kinds.folder / "accepted.toml"
    accepted.write_text(
        '[[accepted]]\nrow = "function double(text)"\nstatus = "missing"\nreason = "too slow"\n'
        'who = "Ada"\nuntil = 2999-01-01\nshadow = true\n'
    )
    env = {"CONVERGENT_MIGRATIONS_ACCEPTED_FINDINGS": str(accepted)}
    for words in (("--shadow",), ()):
        done = own_kinds.verify(*words, **env)
        assert (done.returncode, done.stderr) == (0, "")
    own_kinds.database.run(
        "CREATE FUNCTION double(a text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT a || a'"
    )
    assert own_kinds.verify(**env).stderr == ""
    stale = own_kinds.verify("--shadow", **env).stderr
    assert "stale accepted finding: missing: function double(text): is not found any more" in stale
