"""Records and tables come from one place, though another schema stands before it on the search_path."""

import secrets
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from django.db import connections

from signals.operations.execution import migrators_lock
from tests.operations.drift.hand_made_drifts import NOTE
from tests.operations.projects.project import Project
from tests.operations.scratch_schema import psql_binary
from tests.postgres.catalog_facts import catalog_versions
from tests.postgres.databases import Database

pytestmark = pytest.mark.usefixtures("unblocked_database")


@dataclass(frozen=True, slots=True)
class Role:
    """A role with a schema of its own name, which the default search_path has before public."""

    name: str

    def url(self, database: Database) -> str:
        return f"{database.url}%20-c%20role%3D{self.name}"

    def env(self, database: Database) -> dict[str, str]:
        return {"DATABASE_URL": self.url(database)}

    def tables(self, database: Database) -> set[str]:
        names = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
        return {name for (name,) in database.rows(names, [self.name])}


@pytest.fixture
def role(request: pytest.FixtureRequest) -> Iterator[Callable[[Database], Role]]:
    made: list[tuple[Database, Role]] = []

    def make(database: Database) -> Role:
        one = Role(f"owner_{secrets.token_hex(4)}")
        database.run(f"CREATE ROLE {one.name} SUPERUSER", f"CREATE SCHEMA {one.name}")
        made.append((database, one))
        return one

    yield make
    for database, one in made:
        database.run(f"DROP OWNED BY {one.name} CASCADE", f"DROP ROLE {one.name}")


MakeRole = Callable[[Database], Role]
Copy = Callable[[str], Database]


def test_tables_beside_their_records_are_judged_and_repaired_there(
    stock_project: Project, role: MakeRole
) -> None:
    database = stock_project.database
    mine = role(database)
    env = mine.env(database)
    done = stock_project.verify("--repair", "--no-input", **env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\ndefault, schema public: " in done.stdout
    database.run("DROP INDEX thing_lower")
    assert stock_project.verify(**env).returncode == 1
    database.run("DROP TABLE django_session")
    assert 'SET search_path TO "public", ' in stock_project.verify("--sql", **env).stdout
    assert stock_project.verify("--repair", "--no-input", **env).returncode == 0
    assert database.value("SELECT schemaname FROM pg_indexes WHERE indexname = 'thing_lower'")
    assert stock_project.not_as_declared() == {NOTE}
    assert mine.tables(database) == set()


def test_a_schema_that_is_named_is_judged_by_itself_and_gets_no_empty_tables(
    stock_project: Project, role: MakeRole
) -> None:
    database = stock_project.database
    mine = role(database)
    done = stock_project.verify("--schema", mine.name, "--repair", "--no-input")
    assert done.returncode == 1
    assert 'table auth_user of schema "public", further back on the search_path' in done.stdout
    assert "do not name a schema without a django_migrations of its own" in done.stdout
    assert mine.tables(database) == set()


def test_migrate_adopts_tables_beside_their_records_and_makes_no_twin(
    copy: Copy, role: MakeRole
) -> None:
    database = copy("adopted 011")
    database.forget()
    mine = role(database)
    rows = database.value("SELECT count(*) FROM signals")
    done = database.manage("migrate", "signals", "0012", env=mine.env(database))
    assert done.returncode == 0, done.stderr
    assert mine.tables(database) == set()
    assert database.rows("SELECT count(*) FROM public.signals") == [(rows,)]
    assert (
        database.value(
            "SELECT typnamespace::regnamespace::text FROM pg_type WHERE "
            "typname = 'goplus_risk_enum'"
        )
        == "public"
    )
    done = database.manage("verify_schema", "signals", "0001", env=mine.env(database))
    assert done.returncode == 0
    database.run("TRUNCATE public.onchain_features")
    done = database.manage("migrate", "signals", "0009", env=mine.env(database))
    assert done.returncode == 0, done.stderr
    assert database.value("SELECT to_regclass('public.onchain_features')") is None


@pytest.mark.parametrize("path", ["", "app, public"])
def test_tables_without_records_get_no_empty_twin_in_front_and_are_named(
    copy: Copy, role: MakeRole, path: str
) -> None:
    database = copy("legacy 012")
    mine = role(database)
    env = mine.env(database)
    place = mine.name
    if path:
        place = "app"
        database.run(
            "CREATE SCHEMA app", f"ALTER DATABASE {database.name} SET search_path = {path}"
        )
        env = {}
    before = catalog_versions(database, "public")
    done = database.manage("migrate", "signals", "0012", env=env)
    assert done.returncode == 1
    assert 'of schema "public", further back on the search_path' in done.stderr
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
    assert database.rows(tables, [place]) == [("django_migrations",)]
    assert catalog_versions(database, "public") == before
    seen = database.manage("verify_schema", "signals", "0001", env=env)
    assert (seen.returncode, 'of schema "public"' in seen.stdout) == (1, True)


def test_a_schema_with_records_of_its_own_gets_its_own_tables(copy: Copy, role: MakeRole) -> None:
    """Such as a tenant's, in front of the public one."""
    database = copy("adopted 011")
    mine = role(database)
    database.run(
        f"CREATE TABLE {mine.name}.django_migrations (LIKE django_migrations INCLUDING ALL)"
    )
    done = database.manage("migrate", "signals", "0012", env=mine.env(database))
    assert done.returncode == 0, done.stderr
    assert mine.tables(database) >= {"django_migrations", "signals", "events"}


def test_the_printed_script_finds_the_table_further_back(copy: Copy, role: MakeRole) -> None:
    database = copy("adopted 011")
    mine = role(database)
    script = database.manage("sqlmigrate", "signals", "0001").stdout
    before = catalog_versions(database, "public")
    done = subprocess.run(
        [psql_binary(), "-X", "-q", "-d", mine.url(database)],
        input=script,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (mine.tables(database), catalog_versions(database, "public")) == (set(), before)


def test_a_dropped_table_that_stands_further_back_is_a_leftover(
    stock_project: Project, role: MakeRole
) -> None:
    database = stock_project.database
    mine = role(database)
    assert "leftover" not in stock_project.verify("shop", **mine.env(database)).stdout
    stock_project.psql("CREATE TABLE public.shop_gone (id int)")
    done = stock_project.verify("shop", **mine.env(database))
    assert (done.returncode, "1 leftover" in done.stdout) == (1, True)


def test_the_migrators_of_one_place_exclude_each_other_whatever_their_roles(
    copy: Copy, role: MakeRole
) -> None:
    database = copy("adopted 011")
    env = role(database).env(database) | {"CONVERGENT_MIGRATIONS_MIGRATORS_WAIT": "0.3"}
    with migrators_lock.hold_migrators_lock(connections[database.alias]):
        done = database.manage("migrate", "signals", env=env)
    assert done.returncode == 1
    assert "another migrator is at work on database" in done.stderr
    assert "schema public" in done.stderr
