"""A legacy database in a schema of its own, with namesakes in public that are none of its business."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from psycopg import sql

from project.demo.legacy import build, fingerprint
from tests.migrations.chain import build_legacy
from tests.postgres.catalog_facts import catalog_versions, facts
from tests.postgres.databases import Database

Copy = Callable[[str], Database]

SCHEMAS = ("legacy", "Legacy Data", "le\"ga'cy%s")


@pytest.fixture
def empty(copy: Copy) -> Iterator[Database]:
    database = copy("empty")
    yield database
    database.close()


def in_schema(database: Database, schema: str, revision: str, path: str = "{}") -> Database:
    """The database with a legacy schema of the revision, seen through a search_path of `path`."""
    with database.connect() as session:
        quoted = sql.Identifier(schema).as_string(session)
        session.execute(f"CREATE SCHEMA {quoted}".encode())
    inside = replace(database, search_path=path.format(quoted))
    with inside.connect(autocommit=False) as session:
        build_legacy(session, revision)
    return inside


def without_schema(database: Database, schema: str) -> object:
    found = facts(database, schema)
    return {
        kind: {
            tuple(
                str(each).replace(f'"{schema}".', "").replace(f"{schema}.", "public.")
                for each in row
            )
            for row in rows
        }
        for kind, rows in found.items()
    }


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("revision", ["001", "011"])
def test_a_schema_of_any_name_is_adopted_and_its_namesake_in_public_left_alone(
    empty: Database, schema: str, revision: str
) -> None:
    with empty.connect(autocommit=False) as session:
        build(session, "012")
    inside = in_schema(empty, schema, revision)
    decoy = catalog_versions(empty, "public")
    with inside.connect() as session:
        before = fingerprint(session, revision)
    done = inside.manage("migrate", "signals")
    assert done.returncode == 0, done.stderr
    assert catalog_versions(empty, "public") == decoy
    with inside.connect() as session:
        assert fingerprint(session, revision) == before
    for migration in ("0001", "0006", "0010", "0011", "0012"):
        assert inside.verify(migration)[0] == 0
    assert facts(empty, schema)["types"] == {("goplus_risk_enum", "red yellow green unknown gray")}
    inside.migrate("0011")
    assert "state" not in {row[1] for row in facts(empty, schema)["columns"]}
    inside.migrate("0012")
    assert catalog_versions(empty, "public") == decoy


@pytest.mark.parametrize("revision", ["001", "009", "011"])
def test_namesakes_later_on_the_search_path_are_left_alone(empty: Database, revision: str) -> None:
    """What is missing in the first schema is made there, even where public has one of that name."""
    with empty.connect(autocommit=False) as session:
        build(session, "012")
    inside = in_schema(empty, "legacy", revision, path="{}, public")
    decoy = catalog_versions(empty, "public")
    inside.migrate("0012")
    assert catalog_versions(empty, "public") == decoy
    mine = facts(empty, "legacy")
    assert {row[0] for row in mine["columns"]} >= {"events", "signals", "onchain_features"}
    assert mine["types"] == {("goplus_risk_enum", "red yellow green unknown gray")}
    assert (
        empty.value(
            "SELECT n.nspname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
            " JOIN pg_namespace n ON n.oid = t.typnamespace"
            " WHERE attrelid = 'legacy.signals'::regclass AND attname = 'goplus_risk'"
        )
        == "legacy"
    )
    for number in range(1, 13):
        assert inside.verify(f"{number:04}")[0] == 0


def test_a_new_database_in_a_schema_is_that_of_public(
    empty: Database, prepared: Callable[[str], Database]
) -> None:
    empty.run("CREATE SCHEMA ours")
    inside = replace(empty, search_path="ours")
    inside.migrate()
    assert without_schema(empty, "ours") == without_schema(prepared("clean 0013"), "public")
    inside.migrate_to_nothing()
    assert not any(facts(empty, "ours").values())
    assert not any(facts(empty, "public").values())


def test_an_index_of_that_name_on_another_table_of_the_schema_stops_with_the_schemas_name(
    empty: Database,
) -> None:
    inside = in_schema(empty, "Legacy Data", "011")
    inside.run("CREATE INDEX idx_signals_state_created_at ON raw_posts (ts)")
    before = catalog_versions(empty, "Legacy Data")
    done = inside.manage("migrate", "signals")
    assert done.returncode == 1
    assert (
        '  to fix: rename it: ALTER INDEX "Legacy Data"."idx_signals_state_created_at" RENAME TO ...\n'
        in done.stderr
    )
    assert catalog_versions(empty, "Legacy Data") >= before
