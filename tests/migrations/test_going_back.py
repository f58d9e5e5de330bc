"""The way back on databases with rows: what the legacy database brought stays."""

from collections.abc import Callable
from typing import Any

import pytest

from project.demo.legacy import fingerprint
from signals.operations import Refused
from tests.postgres.catalog_facts import catalog_versions, facts
from tests.postgres.databases import Database

Copy = Callable[[str], Database]

REFUSAL = (
    'Create table of Signal if missing, backwards: table "signals" has rows, and going back would'
    " drop them; nothing was changed. To fix: empty the table first, or leave it and record the step"
    " with migrate --fake"
)


def fingerprint_of(database: Database, revision: str) -> Any:
    with database.connect() as session:
        return fingerprint(session, revision)


def brought(database: Database, revision: str) -> dict[str, set[Any]]:
    """The legacy database's objects but for 0012's own."""
    found = facts(database)
    del found["sequences"]
    return {
        kind: {row for row in rows if "state" not in " ".join(map(str, row[:3]))}
        for kind, rows in found.items()
    }


@pytest.mark.parametrize("revision", ["001", "009", "012"])
def test_back_to_0001_nothing_that_the_legacy_database_brought_is_lost(
    copy: Copy, prepared: Callable[[str], Database], revision: str
) -> None:
    database = copy(f"adopted {revision}")
    rows = fingerprint_of(database, min(revision, "011"))
    database.run("DELETE FROM onchain_features") if revision >= "010" else None
    rows.pop("onchain_features", None)
    database.migrate("0001")
    found = facts(database)
    tables = {row[0] for row in found["columns"]}
    assert tables >= {"events", "signals", "raw_posts"}
    columns = {row[:2] for row in found["columns"]}
    legacy = brought(prepared(f"legacy {revision}"), revision)
    assert columns >= {row[:2] for row in legacy["columns"] if row[0] != "onchain_features"}
    assert ("signals", "state") not in columns
    kept = {row for row in legacy["constraints"] if row[0] != "onchain_features"}
    assert found["constraints"] >= kept
    names = min(revision, "009")
    with database.connect() as session:
        left = fingerprint(session, names)
    with prepared(f"legacy {revision}").connect() as session:
        assert left == fingerprint(session, names)


@pytest.mark.parametrize("revision", ["006", "011"])
def test_back_to_0001_the_legacy_indexes_stay(
    copy: Copy, prepared: Callable[[str], Database], revision: str
) -> None:
    database = copy(f"adopted {revision}")
    database.run("DELETE FROM onchain_features") if revision >= "010" else None
    database.migrate("0001")
    legacy = {
        row
        for row in facts(prepared(f"legacy {revision}"))["indexes"]
        if row[0] != "onchain_features" and not row[1].startswith("idx_signals_state")
    }
    assert legacy - facts(database)["indexes"] == set()


@pytest.mark.parametrize("revision", ["001", "011"])
def test_back_and_forward_again_gives_what_adoption_gave(
    copy: Copy, prepared: Callable[[str], Database], revision: str
) -> None:
    database = copy(f"adopted {revision}")
    database.run("DELETE FROM onchain_features") if revision >= "010" else None
    rows = database.rows("SELECT id, ts, created_at, state FROM signals ORDER BY id")
    database.migrate("0001")
    database.migrate("0012")
    before = facts(prepared(f"adopted {revision}"))
    after = facts(database)
    for kind in ("columns", "indexes", "types", "sequences", "constraints"):
        mine = {row for row in after[kind] if row[0] != "onchain_features"}
        theirs = {row for row in before[kind] if row[0] != "onchain_features"}
        assert mine == theirs, kind
    assert database.rows("SELECT id, ts, created_at, state FROM signals ORDER BY id") == rows


@pytest.mark.parametrize("description", ["adopted 001", "adopted 009"])
def test_zero_refuses_to_drop_a_table_with_rows_and_leaves_everything(
    copy: Copy, description: str
) -> None:
    database = copy(description)
    database.migrate("0001")
    before = catalog_versions(database)
    rows = fingerprint_of(database, "001")
    with pytest.raises(Refused) as refused:
        database.migrate("zero")
    assert str(refused.value) == REFUSAL
    assert catalog_versions(database) == before
    assert fingerprint_of(database, "001") == rows
    assert database.applied() == ["0001"]
    database.migrate("0012")
    assert database.verify("0001")[0] == 0
    assert database.verify("0012")[0] == 0


def test_features_with_rows_are_not_dropped_on_the_way_back(copy: Copy) -> None:
    database = copy("adopted 011")
    count = database.value("SELECT count(*) FROM onchain_features")
    assert count > 0
    done = database.manage("migrate", "signals", "0009")
    assert done.returncode == 1
    assert done.stderr.endswith(
        'Create table of OnchainFeature if missing, backwards: table "onchain_features" has rows,'
        " and going back would drop them; nothing was changed. To fix: empty the table first, or"
        " leave it and record the step with migrate --fake\n"
    )
    assert "Traceback" not in done.stderr
    assert database.value("SELECT count(*) FROM onchain_features") == count
    database.migrate("0012")
    for number in range(1, 13):
        assert database.verify(f"{number:04}")[0] == 0


def test_a_new_database_with_rows_goes_back_to_0001_and_keeps_them(copy: Copy) -> None:
    database = copy("clean 0013")
    database.run(
        "INSERT INTO events (event_key, start_ts, last_ts, symbol) VALUES ('k', now(), now(), 'S')",
        "INSERT INTO signals (event_key, goplus_risk, onchain_confidence) VALUES ('k', 'gray', 0.5)",
    )
    database.migrate("0001")
    assert database.rows("SELECT symbol FROM events") == [("S",)]
    assert database.rows("SELECT goplus_risk::text, onchain_confidence::text FROM signals") == [
        ("gray", "0.500")
    ]
    database.migrate()
    assert database.verify("0012")[0] == 0


def test_after_the_tables_are_emptied_zero_drops_them(copy: Copy) -> None:
    database = copy("adopted 011")
    database.run("DELETE FROM signals", "DELETE FROM events", "DELETE FROM onchain_features")
    database.migrate("zero")
    tables = {row[0] for row in facts(database)["columns"]}
    assert tables == {"raw_posts", "goplus_cache", "alembic_version"}
    assert facts(database)["types"] == set()


def test_going_back_behind_rows_of_people_is_refused_with_nothing_undone(copy: Copy) -> None:
    database = copy("clean 0013")
    database.run(
        "INSERT INTO signal_events (signal_id, type, previous_state, new_state, decision, rules_sha256,"
        " run, person) VALUES (1, 'revive', 'candidate', 'candidate', '', '', gen_random_uuid(), 'me')"
    )
    database.migrate("0018")
    before = facts(database)
    with pytest.raises(Refused, match="has rows of people, which the check does not allow"):
        database.migrate("0017")
    assert "0018" in database.applied()
    assert facts(database) == before
    database.run("DELETE FROM signal_events")
    database.migrate("0017")
    assert "signal_actions" not in {row[0] for row in facts(database)["columns"]}
    database.migrate()
    assert database.verify("0018")[0] == 0
