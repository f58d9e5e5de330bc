"""What cannot be compared is exit code 4 with the cause and the right to grant; the rest is judged."""

import json
import secrets
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import models
from django.db.migrations import CreateModel

from project.embedded import cluster
from signals import operations
from signals.operations.findings import Status
from tests.operations.dump_and_restore import DatabaseAt, Judged, new_database
from tests.operations.projects.project import Project
from tests.operations.scratch_schema import role_name
from tests.postgres import run_server
from tests.postgres.catalog_facts import catalog_versions
from tests.postgres.databases import Database, server_session

READER = role_name("reader")
CHECKED = ("check", "--database", "default", "--tag", "convergent_migrations")
FORBIDDING = """
CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no DDL by day'; END $$;
CREATE EVENT TRIGGER forbid ON ddl_command_start {} EXECUTE FUNCTION forbid()
"""
MODELS = [
    CreateModel(
        name,
        [
            ("id", models.BigAutoField(primary_key=True)),
            ("code", models.CharField(max_length=9, unique=True)),
            ("size", models.PositiveIntegerField(db_index=True)),
        ],
        {
            "constraints": [
                models.CheckConstraint(condition=models.Q(size__gt=1), name=f"{name}_check")
            ]
        },
    )
    for name in ("part", "box")
]


class Grade(models.TextField):  # type: ignore[type-arg] # not subscriptable at run time
    def db_type(self, connection: Any) -> str:  # noqa: ARG002 - Django names it
        return "grade"


GRADE = "CREATE TYPE grade AS ENUM ('low', 'high')"
CROP = CreateModel(
    "Crop", [("id", models.BigAutoField(primary_key=True)), ("grade", Grade(db_default="low"))]
)


@pytest.fixture(scope="module")
def reader(test_database: None) -> Iterator[str]:
    """Yield the name of a role that may read; a role is the whole server's."""
    server_session().execute(f"DROP ROLE IF EXISTS {READER}; CREATE ROLE {READER}".encode())
    yield READER
    server_session().execute(f"DROP ROLE {READER}".encode())


@pytest.fixture
def read_by_role(stock_project: Project, reader: str) -> Iterator[dict[str, str]]:
    """Yield the environment of commands that run as the role, which may not make temporary tables."""
    name = stock_project.database.name
    stock_project.psql(
        f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC; GRANT USAGE ON SCHEMA public TO {reader};"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}"
    )
    url = stock_project.database.url
    yield {"DATABASE_URL": url.replace("options=", f"options=-c%20role%3D{reader}%20")}
    stock_project.psql(f"DROP OWNED BY {reader}")


@pytest.fixture
def migrated(unblocked_database: None, reader: str) -> Iterator[Judged]:
    with new_database() as made:
        judged = made.by(*MODELS)
        judged.migrate()
        assert judged.wrong() == []
        yield judged
        judged.run(f"RESET ROLE; DROP OWNED BY {reader}")


def statuses(judged: Judged) -> dict[str, set[tuple[str, str]]]:
    """Return table and component of all rows, by the status."""
    found: dict[str, set[tuple[str, str]]] = {}
    for row in judged.rows():
        place = (row.finding.table, row.finding.component)
        found.setdefault(row.finding.status.name, set()).add(place)
    return found


def test_a_role_without_temporary_tables_is_told_the_right_and_what_it_sees(
    stock_project: Project, read_by_role: dict[str, str]
) -> None:
    name = "django_session_expire_date_a5c62663"
    stock_project.psql(f"DROP INDEX {name}")
    done = stock_project.verify(**read_by_role)
    grant = f"GRANT TEMPORARY ON DATABASE {stock_project.database.name} TO {READER};"
    assert done.returncode == 4
    assert "cannot be judged: permission denied to create temporary tables" in done.stderr
    assert done.stderr.endswith(f"  to fix: {grant}\n")
    assert "✗ Missing" in done.stdout
    assert "Different" not in done.stdout
    assert "DROP COLUMN" not in done.stdout
    done = stock_project.verify("--json", **read_by_role)
    shown = json.loads(done.stdout)
    assert (done.returncode, shown["clean"]) == (4, False)
    assert [each["fix"] for each in shown["errors"]] == [grant]
    assert shown["databases"][0]["counts"]["different"] == 0
    assert shown["databases"][0]["counts"]["missing"] == 1
    assert shown["databases"][0]["counts"]["unjudged"] == shown["errors"][0]["components"] > 100
    for words in (("shop", "0002"), ("crate", "0001")):
        done = stock_project.verify(*words, "--json", **read_by_role)
        shown = json.loads(done.stdout)
        assert (done.returncode, [each["fix"] for each in shown["errors"]]) == (4, [grant])
        assert "different" not in {each["status"] for each in shown["components"]}
    done = stock_project.manage(*CHECKED, **read_by_role)
    assert done.stderr.count("convergent_migrations.E015") == 1
    assert f"HINT: {grant}" in done.stderr
    stock_project.psql(grant)
    done = stock_project.verify("--json", **read_by_role)
    shown = json.loads(done.stdout)
    assert (done.returncode, shown["errors"]) == (1, [])
    assert {
        each["name"] for each in shown["databases"][0]["components"] if each["status"] == "missing"
    } == {name}


def test_no_right_on_a_table_is_needed(migrated: Judged) -> None:
    migrated.run(f"GRANT USAGE ON SCHEMA public TO {READER}; SET ROLE {READER}")
    assert statuses(migrated).keys() == {"EXISTS"}


def test_a_type_that_the_role_may_not_use_is_told_of_its_table_and_the_others_are_judged(
    migrated: Judged,
) -> None:
    judged = migrated.by(*MODELS, CROP)
    judged.run(GRADE)
    judged.migrate(start=len(MODELS))
    judged.run("REVOKE USAGE ON TYPE grade FROM PUBLIC")
    judged.run(f"GRANT USAGE ON SCHEMA public TO {READER}; SET ROLE {READER}")
    found = statuses(judged)
    assert found["UNJUDGED"] == {('"bench_crop"', "column")}
    assert ('"bench_box"', "check") in found["EXISTS"]
    assert found.keys() == {"EXISTS", "UNJUDGED"}
    reasons = {row.finding.note for row in judged.rows() if row.finding.status is Status.UNJUDGED}
    assert reasons == {"permission denied for type grade"}


@pytest.mark.parametrize("when", ["", "WHEN tag IN ('ALTER TABLE')"], ids=["any", "alter table"])
def test_an_event_trigger_that_forbids_ddl_is_no_difference(migrated: Judged, when: str) -> None:
    migrated.database.run(FORBIDDING.format(when))
    found = statuses(migrated)
    migrated.database.run("DROP EVENT TRIGGER forbid")
    assert found.keys() == {"EXISTS", "UNJUDGED"}
    assert {component for _, component in found["EXISTS"]} == {"table"}


def test_a_label_that_was_renamed_is_told_without_the_sql_of_the_comparison(
    migrated: Judged,
) -> None:
    judged = migrated.by(CROP)
    judged.run(GRADE)
    judged.migrate()
    judged.run("ALTER TYPE grade RENAME VALUE 'low' TO 'poor'")
    (wrong,) = (row.finding for row in judged.wrong())
    assert (wrong.component, wrong.status) == ("declaration", Status.DIFFERENT)
    assert wrong.found.startswith(
        'a table that cannot take it: invalid input value for enum grade: "low"'
    )
    assert (
        wrong.wanted == 'ALTER TABLE "bench_crop" ADD COLUMN "grade" grade DEFAULT \'low\' NOT NULL'
    )


def test_an_operation_that_cannot_compare_stops_before_any_change(migrated: Judged) -> None:
    name = migrated.database.name
    migrated.database.run(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
    migrated.database.run(
        f"GRANT USAGE ON SCHEMA public TO {READER}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}"
    )
    migrated.run(f"SET ROLE {READER}")
    before = catalog_versions(migrated.database)
    size = operations.AddColumnIfMissing("part", "size", models.PositiveIntegerField(db_index=True))
    before_it = CreateModel("part", [("id", models.BigAutoField(primary_key=True))])
    declared = migrated.by(before_it, size)
    for back in (False, True):
        with pytest.raises(operations.NotComparable) as refused:
            declared.migrate(back=back, start=1)
        assert refused.value.fix == f"GRANT TEMPORARY ON DATABASE {name} TO {READER};"
        assert refused.value.table == '"bench_part"'
    assert catalog_versions(migrated.database) == before


@pytest.fixture
def standby(unblocked_database: None) -> Iterator[Judged]:
    """Yield a migrated database whose server has become a standby, which it stays without a primary."""
    data_dir = run_server.run_folder() / secrets.token_hex(4) / ".postgres"
    data_dir.parent.mkdir()
    data_dir.parent.chmod(0o755)
    host = cluster.join(data_dir, run_server.SETTINGS)
    judged = Judged(DatabaseAt("postgres", "", str(host))).by(*MODELS)
    judged.migrate()
    judged.database.close()
    (home,) = cluster.stop(data_dir)
    (home / "data" / "standby.signal").touch()
    cluster.join(data_dir, run_server.SETTINGS)
    yield judged
    judged.database.close()
    cluster.stop(data_dir)


def test_on_a_hot_standby_what_the_catalog_shows_is_judged_and_the_primary_is_named(
    standby: Judged,
) -> None:
    missing = CreateModel("Later", [("id", models.BigAutoField(primary_key=True))])
    judged = standby.by(*MODELS, missing)
    found = statuses(judged)
    assert found["MISSING"] == {('"bench_later"', "table")}
    assert found.keys() == {"EXISTS", "UNJUDGED", "MISSING"}
    fixes = {row.finding.fix for row in judged.rows() if row.finding.status is Status.UNJUDGED}
    assert [each.split(",")[0] for each in fixes] == ["verify its primary"]


def test_a_database_that_cannot_be_read_is_an_error_object(unblocked_database: None) -> None:
    gone, out = Database("test_mig_gone"), StringIO()
    with pytest.raises(CommandError) as ended:
        call_command("verify_schema", database=gone.alias, json=True, stdout=out)
    gone.close()
    assert ended.value.returncode == 4
    shown = json.loads(out.getvalue())
    assert (shown["clean"], shown["databases"]) == (False, [])
    (error,) = shown["errors"]
    assert error["database"] == gone.alias
    assert error["reason"].startswith(f"the database {gone.alias!r} cannot be read: connection")
    assert (
        error["fix"] == "wait until the server can be reached, or correct DATABASES, and run again"
    )


def test_a_lock_timeout_is_heeded_and_who_has_locked_is_told(stock_project: Project) -> None:
    database = stock_project.database
    stock_project.psql(f"ALTER DATABASE {database.name} SET lock_timeout = '50ms'")
    with database.connect(autocommit=False) as other:
        other.execute("LOCK TABLE auth_group")
        pid = other.info.backend_pid
        for words in ((), ("--schemas", "public"), ("auth", "0001")):
            done = stock_project.verify(*words, "--json")
            shown = json.loads(done.stdout)
            assert (done.returncode, shown["clean"], len(shown["errors"])) == (4, False, 1)
            assert f"\n  blocked by pid {pid}" in shown["errors"][0]["reason"]
            assert "wait for the session that has locked a table" in done.stderr
        other.rollback()
    assert stock_project.verify().returncode == 0
