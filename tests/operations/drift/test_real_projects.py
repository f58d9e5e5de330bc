"""verify_schema on a project of real applications, after migrate: nothing to say, on each server."""

import os
import re
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.drifts.run import OURS, column
from benchmarks.peers.server import Server
from project.embedded import cluster
from project.embedded.folders import PORT
from project.embedded.programs import Programs
from tests.operations.projects.project import Project
from tests.postgres import run_server
from tests.postgres.databases import Database

pytestmark = pytest.mark.usefixtures("unblocked_database")


def other_servers() -> dict[str, Path]:
    """By major version, the programs of further servers: Debian's, and those that PGBINDIRS lists."""
    listed = filter(None, os.environ.get("PGBINDIRS", "").split(os.pathsep))
    folders = [*sorted(Path("/usr/lib/postgresql").glob("*/bin")), *map(Path, listed)]
    found = {Programs(each).major(): each for each in folders if (each / "initdb").is_file()}
    return {major: folder for major, folder in found.items() if int(major) >= 15}


SERVERS: dict[str, Path | None] = {"of the test run": None, **other_servers()}


@pytest.mark.parametrize("folder", SERVERS.values(), ids=SERVERS)
def test_real_applications_are_clean_after_migrate(
    folder: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        server = Server(Database("postgres").url)
        if folder is not None:
            monkeypatch.setenv("PGBINDIR", str(folder))
            data_dir = stack.enter_context(run_server.data_dir())
            host = cluster.join(data_dir, run_server.SETTINGS)
            server = Server(f"host='{host}' port={PORT} user=postgres dbname=postgres")
        answer = column(server, "rare", OURS, Path(sys.executable)).clean
    found = re.fullmatch(
        r"default, schema public: (\d+) components of (\d+) migrations: \1 exist\n", answer.text
    )
    assert found, answer.text  # no finding, nothing undeclared, no note
    assert (int(found[1]) > 300, int(found[2]) > 60, answer.code) == (True, True, 0)


def test_a_record_of_a_migration_that_the_code_lacks_is_told_but_not_that_of_a_replaced_one(
    stock_project: Project,
) -> None:
    before = stock_project.not_as_declared()
    stock_project.database.run(
        "INSERT INTO django_migrations (app, name, applied) VALUES ('shop', '0009_gone', now()),"
        " ('folded', '0002_second', now()), ('uninstalled', '0001_initial', now())"
    )
    assert stock_project.not_as_declared() == before | {("migration", "0009_gone", "undeclared")}
    done = stock_project.verify("shop")
    assert done.returncode == 0
    assert (
        "found:  shop.0009_gone is recorded as applied, and shop has no such migration"
        in done.stdout
    )
    assert "0009_gone" not in stock_project.verify("auth").stdout
    assert (
        "or, if it is gone for good, migrate --prune shop" in stock_project.verify("--sql").stdout
    )


def test_a_primary_key_and_a_sequence_are_told_with_the_sql_that_builds_them(
    stock_project: Project,
) -> None:
    before = stock_project.not_as_declared()
    stock_project.database.run(
        "INSERT INTO django_site (domain, name) VALUES ('b', 'b')",
        "ALTER TABLE django_site ALTER id DROP IDENTITY",
        "ALTER TABLE auth_user_groups DROP CONSTRAINT auth_user_groups_pkey",
    )
    told = [
        each for each in stock_project.json_report()["components"] if each["status"] == "different"
    ]
    assert {each["name"] for each in told} == {"id", "auth_user_groups"}
    for each in told:
        stock_project.psql(each["fix"])
    assert stock_project.not_as_declared() == before
    stock_project.database.run("INSERT INTO django_site (domain, name) VALUES ('c', 'c')")
