"""The sessions in which --shadow is run: read-only ones, roles with few rights, and several databases."""

import secrets
from collections.abc import Iterator

import pytest

from tests.operations.shadow.conftest import KindsProject, record
from tests.operations.shadow.kinds_project import add_migration
from tests.postgres.databases import Database, server_session

READ_ONLY = "%20-c%20default_transaction_read_only%3Don"

FAILS = "migrations.RunSQL('SELECT 1 / 0')"
MAKES = """
migrations.RunSQL("CREATE VIEW later AS SELECT 7 % 4 AS rest WHERE 'a' LIKE '%s'"),
migrations.RunPython(lambda apps, editor: apps.get_model("kinds", "Maker").objects.filter(
    code__contains="100%").update(code="%s")),
"""


def test_a_session_that_only_reads_has_a_shadow(own_kinds: KindsProject) -> None:
    """It is written to after a failure too, which begins another session."""
    add_migration(own_kinds.folder, "0003_fails", after="0002_by_sql", operations=FAILS)
    add_migration(own_kinds.folder, "0004_makes", after="0003_fails", operations=MAKES)
    for name in ("0003_fails", "0004_makes"):
        record(own_kinds, name)
    own_kinds.database.run("CREATE VIEW later AS SELECT 7 % 4 AS rest WHERE 'a' LIKE '%s'")
    url = own_kinds.database.url + READ_ONLY
    ignored = ("--shadow-ignore", "migration kinds.0003_fails")
    done = own_kinds.verify("--shadow", "--strict", *ignored, DATABASE_URL=url)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def maker(own_kinds: KindsProject) -> Iterator[str]:
    """A role that may make databases, and read; it only reads by default."""
    name, database = f"maker_{secrets.token_hex(4)}", own_kinds.database
    database.run(
        f"CREATE ROLE {name} CREATEDB",
        f"ALTER ROLE {name} SET default_transaction_read_only = on",
        f"GRANT SELECT ON django_migrations TO {name}",
    )
    yield name
    database.run(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_a_role_that_may_not_do_what_a_migration_does_is_told_which(
    own_kinds: KindsProject, maker: str
) -> None:
    """Extensions that are not trusted, event triggers and publications take a superuser."""
    url = own_kinds.database.url + f"%20-c%20role%3D{maker}"
    done = own_kinds.verify("--shadow", DATABASE_URL=url)
    assert done.returncode == 4
    assert "kinds.0002_by_sql cannot be replayed on an empty database" in done.stderr
    assert "Traceback" not in done.stderr
    left = "SELECT count(*) FROM pg_database WHERE pg_get_userbyid(datdba) = %s"
    assert server_session().execute(left, [maker]).fetchone() == (0,)


def test_each_of_several_databases_has_its_own_shadow(own_kinds: KindsProject) -> None:
    """The router lets each app into one of them."""
    (own_kinds.folder / "kinds_router.py").write_text(
        "class Router:\n    def allow_migrate(self, db, app_label, **hints):\n"
        "        return (app_label == 'kinds') == (db == 'default')\n"
    )
    path = own_kinds.folder / "kinds_settings.py"
    path.write_text(path.read_text() + "\nDATABASE_ROUTERS = ['kinds_router.Router']\n")
    first, second = Database.new(), Database.new()
    try:
        project = KindsProject(own_kinds.folder, first, own_kinds.kept)
        for alias in ("default", "second"):
            done = project.manage("migrate", "-v0", "--database", alias, SECOND_URL=second.url)
            assert (done.returncode, done.stderr) == (0, "")
        words = ("--shadow", "--strict", "--all-databases")
        done = project.verify(*words, SECOND_URL=second.url)
        assert (done.returncode, done.stderr) == (0, "")
        second.run("CREATE VIEW more AS SELECT 1 AS one")
        done = project.verify(*words, SECOND_URL=second.url)
        assert (done.returncode, "more" in done.stdout) == (1, True)
    finally:
        first.drop()
        second.drop()
