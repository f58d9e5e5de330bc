"""Notes of health of many schemas: those of each schema by itself, and asked for together."""

import json
from typing import Any

import pytest

from signals.operations.catalog.query import quoted
from tests.operations.drift.migrated_schemas import NAMES, ODD, migrate_schemas, within
from tests.operations.drift.round_trips import counting_relay
from tests.operations.drift.test_health import (
    A_VERSIONED_COLLATION,
    AT_ONCE,
    BOOK,
    MANY_ROWS,
    SHELF,
)
from tests.operations.projects.project import Project
from tests.operations.projects.unmigrated_project import migrate_history, run_command
from tests.postgres.polling import wait_until

ALL = ("--schemas", "tenant%", "--strict")


@pytest.fixture
def tenants(unmigrated_project: Project) -> Project:
    """A project that is migrated in four schemas."""
    migrate_history(unmigrated_project, SHELF, BOOK)
    migrate_schemas(unmigrated_project)
    return unmigrated_project


def notes(project: Project, *words: str, **env: str) -> dict[str, list[dict[str, Any]]]:
    """Return by schema the rows with a note of health."""
    done = project.verify("--json", *words, **env)
    assert done.stderr == ""
    rows = {
        each["schema"]: [row for row in each["components"] if row["status"] == "health"]
        for each in json.loads(done.stdout)["databases"]
    }
    return {name: each for name, each in rows.items() if each}


def spoil(project: Project) -> None:
    """Leave sequences behind, a key near its end, an index without use, and a changed collation."""
    collation = project.database.value(A_VERSIONED_COLLATION)
    project.psql(
        within("tenant_a", "INSERT INTO mill_shelf VALUES (7, 'a'), (70, 'b')")
        + within("tenant_b", MANY_ROWS.format(index="by_title"))
        + within(ODD, "INSERT INTO mill_shelf VALUES (1, 'a')")
        + within(ODD, "SELECT setval('mill_book_id_seq', 2000000000)")
        + within(ODD, f"ALTER TABLE mill_book ALTER title TYPE text COLLATE {collation}")
        + "SET search_path TO public; UPDATE pg_collation SET collversion = '0.1' "
        f"WHERE oid = '{collation}'::regcollation"
    )
    scans = "FOR n IN 1..100 LOOP PERFORM count(*) FROM tenant_b.mill_book; END LOOP"
    project.database.run(f"DO $$ BEGIN {scans}; END $$")
    counted = "SELECT pg_stat_get_numscans('tenant_b.mill_book'::regclass) >= 100"
    wait_until(lambda: project.database.value(counted), "the scans are counted")


def test_new_schemas_have_none(tenants: Project) -> None:
    done = tenants.verify(*ALL, **AT_ONCE)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_notes_are_those_of_each_schema_by_itself(tenants: Project) -> None:
    spoil(tenants)
    together = notes(tenants, *ALL, **AT_ONCE)
    assert {name: {row["name"] for row in rows} for name, rows in together.items()} == {
        "tenant_a": {"mill_shelf_id_seq"},
        "tenant_b": {"by_title"},
        ODD: {"mill_shelf_id_seq", "mill_book_id_seq"} | {together[ODD][-1]["name"]},
    }
    for name, rows in together.items():
        (alone,) = notes(tenants, "--schema", name, **AT_ONCE).values()
        for each in (rows, alone):  # a name of an index in a fix depends on the search_path
            for row in each:
                row["fix"] = row["fix"].replace(f"{quoted(name)}.", "")
                row["finding"] = None
        assert rows == alone


def test_the_fix_of_a_sequence_works_from_everywhere_and_mends_no_other(tenants: Project) -> None:
    spoil(tenants)
    (row,) = notes(tenants, *ALL)["tenant_a"]
    tenants.psql(row["fix"])
    tenants.psql("INSERT INTO tenant_a.mill_shelf (code) VALUES ('c')")
    assert tenants.database.value("SELECT max(id) FROM tenant_a.mill_shelf") == 71
    left = notes(tenants, *ALL)
    assert "tenant_a" not in left
    assert left[ODD]


def test_the_same_note_of_several_schemas_is_one_row(tenants: Project) -> None:
    for number, name in enumerate(NAMES, 1):
        tenants.psql(within(name, f"INSERT INTO mill_shelf VALUES ({number}, 'a')"))
    shown, _ = run_command(tenants, "verify_schema", *ALL, code=1)
    assert shown.count("▲ Health") == 1
    assert f"  in:     {ODD}, tenant_a, tenant_b, tenant_d\n" in shown
    assert "4 of health" in shown


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_repair_sets_the_sequences_of_all_schemas(tenants: Project, jobs: str) -> None:
    spoil(tenants)
    words = ("--schemas", "tenant%", "--repair", "--no-input", "--jobs", jobs)
    assert tenants.verify(*words, "--quiet").returncode == 0
    left = {row["name"] for rows in notes(tenants, *ALL).values() for row in rows}
    assert "mill_shelf_id_seq" not in left
    for name in ("tenant_a", ODD):
        tenants.psql(within(name, "INSERT INTO mill_shelf (code) VALUES ('next')"))


def test_the_round_trips_do_not_grow_with_the_schemas(tenants: Project) -> None:
    spoil(tenants)
    trips = []
    for pattern in ("tenant_b", "tenant%"):
        with counting_relay(tenants.database) as (relay, _):
            user = tenants.database.url.split("://")[1].split("@")[0]
            url = f"postgresql://{user}@127.0.0.1:{relay.port}/{tenants.database.name}?sslmode=disable"
            tenants.verify("--schemas", pattern, "--quiet", DATABASE_URL=url, **AT_ONCE)
            trips.append(relay.round_trips)
    assert trips[1] <= trips[0] + 1  # the question of what is spelled otherwise
