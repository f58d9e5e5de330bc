"""Legacy databases of every revision, adopted in place: nothing is lost, and what was missing comes."""

from collections.abc import Callable
from typing import Any

import pytest

from project.demo.legacy import REVISIONS, fingerprint
from tests.migrations.chain import ROWS
from tests.postgres.catalog_facts import catalog_versions, facts
from tests.postgres.databases import Database

Copy = Callable[[str], Database]

ours = ("events", "signals", "onchain_features")
EVERY = pytest.mark.parametrize("revision", REVISIONS)


def of_tables(found: dict[str, set[Any]], *tables: str) -> dict[str, set[Any]]:
    return {
        kind: {row for row in found[kind] if row[0] in tables}
        for kind in ("columns", "constraints", "indexes")
    }


def fingerprint_of(database: Database, revision: str) -> Any:
    with database.connect() as session:
        return fingerprint(session, revision)


@EVERY
def test_every_legacy_row_is_what_it_was(
    prepared: Callable[[str], Database], revision: str
) -> None:
    before = fingerprint_of(prepared(f"legacy {revision}"), revision)
    assert before["signals"][0] == ROWS
    assert fingerprint_of(prepared(f"adopted {revision}"), revision) == before


@EVERY
def test_tables_of_others_are_untouched(prepared: Callable[[str], Database], revision: str) -> None:
    tables = ("raw_posts", "goplus_cache", "alembic_version")
    before = of_tables(facts(prepared(f"legacy {revision}")), *tables)
    assert of_tables(facts(prepared(f"adopted {revision}")), *tables) == before
    assert (
        prepared(f"adopted {revision}").value("SELECT version_num FROM alembic_version") == revision
    )


@EVERY
def test_legacy_columns_constraints_and_indexes_stay(
    prepared: Callable[[str], Database], revision: str
) -> None:
    before = of_tables(facts(prepared(f"legacy {revision}")), *ours)
    after = of_tables(facts(prepared(f"adopted {revision}")), *ours)
    assert before["constraints"] <= after["constraints"]
    assert before["indexes"] <= after["indexes"]
    altered = {row[:3] for row in before["columns"] - after["columns"]}
    assert altered == {
        *({("signals", "goplus_risk", "text")} if revision < "006" else ()),
        *({("signals", "onchain_confidence", "integer")} if revision == "010" else ()),
    }


@EVERY
def test_the_times_and_the_state_of_adopted_rows(
    prepared: Callable[[str], Database], revision: str
) -> None:
    database = prepared(f"adopted {revision}")
    wrong = "created_at IS DISTINCT FROM ts AND ts IS NOT NULL"
    assert database.value(f"SELECT count(*) FROM signals WHERE {wrong}") == 0
    undated = "created_at > now() - interval '1 hour' AND created_at <= now()"
    assert database.rows(
        f"SELECT count(*), count(*) FILTER (WHERE {undated}) FROM signals WHERE ts IS NULL"
    ) == [(database.value("SELECT count(*) FROM signals WHERE ts IS NULL"),) * 2]
    assert database.value("SELECT count(*) FROM signals WHERE ts IS NULL") > 0
    assert database.value("SELECT count(DISTINCT updated_at) FROM signals") == 1
    states = {state for (state,) in database.rows("SELECT DISTINCT state FROM signals")}
    assert states == (
        {"candidate", "verified", "downgraded"} if revision == "012" else {"candidate"}
    )


@EVERY
def test_the_foreign_key_keeps_its_name_and_its_cascade(
    prepared: Callable[[str], Database], revision: str
) -> None:
    keys = {
        row
        for row in facts(prepared(f"adopted {revision}"))["constraints"]
        if row[0] == "signals" and row[2] == "f"
    }
    assert keys == {
        (
            "signals",
            "signals_event_key_fkey",
            "f",
            True,
            "FOREIGN KEY (event_key) REFERENCES events(event_key) ON DELETE CASCADE",
        )
    }


def only(found: dict[str, set[Any]]) -> dict[str, set[str]]:
    return {kind: {row[1] for row in rows} for kind, rows in found.items() if rows}


@EVERY
def test_the_catalog_is_that_of_a_new_database_but_for_what_is_named_here(
    prepared: Callable[[str], Database], revision: str
) -> None:
    adopted, clean = (
        facts(prepared(description)) for description in (f"adopted {revision}", "clean")
    )
    mine, theirs = of_tables(adopted, *ours), of_tables(clean, *ours)
    more = only({kind: mine[kind] - theirs[kind] for kind in mine})
    expected = {"constraints": {"signals_event_key_fkey"}}  # the legacy name and ON DELETE CASCADE
    columns = {
        *({"score"} if revision >= "002" else ()),  # a default 0 where Django writes 0.0
        *({"candidate_score"} if revision >= "003" else ()),  # the same
        *({"evidence_refs"} if revision >= "007" else ()),  # not mapped by the application
    }
    if columns:
        expected["columns"] = columns
    if revision == "012":
        expected["indexes"] = {
            "idx_signals_state_onlystate"
        }  # the variant that the legacy made do with
    assert more == expected
    less = {kind: theirs[kind] - mine[kind] for kind in mine}
    assert {row[1].rpartition("_")[2] for row in less["indexes"]} == {
        "like"
    }  # Django's, of a text key
    assert [row[3:] for row in less["constraints"]] == [
        (True, "FOREIGN KEY (event_key) REFERENCES events(event_key) DEFERRABLE INITIALLY DEFERRED")
    ]
    assert {row[1] for row in less["columns"]} == columns - {"evidence_refs"}
    assert adopted["types"] == clean["types"]
    legacy_sequences = {("signals_id_seq",), ("onchain_features_id_seq",), ("raw_posts_id_seq",)}
    if revision >= "005":
        legacy_sequences |= {("goplus_cache_id_seq",)}
    assert adopted["sequences"] == legacy_sequences


@EVERY
def test_a_second_run_without_djangos_memory_sends_no_ddl(
    prepared: Callable[[str], Database], revision: str
) -> None:
    database = prepared(f"adopted {revision}")
    before, rows = catalog_versions(database), fingerprint_of(database, revision)
    times = "SELECT id, created_at, updated_at, state, xmin::text FROM signals ORDER BY id"
    values = database.rows(times)
    database.forget()
    database.migrate("0012")
    database.close()
    assert catalog_versions(database) == before
    assert fingerprint_of(database, revision) == rows
    assert database.rows(times) == values


@pytest.mark.parametrize("revision", ["001", "011"])
def test_a_real_migrate_adopts_and_goes_on_to_the_newest(copy: Copy, revision: str) -> None:
    database = copy(f"legacy {revision}")
    before = fingerprint_of(database, revision)
    done = database.manage("migrate")
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        'foreign key signals_event_key_fkey of "signals": ON DELETE CASCADE in the database, '
        "NO ACTION in the declaration; left as it is\n"
    )
    assert fingerprint_of(database, revision) == before
    for number in range(1, 13):
        assert database.verify(f"{number:04}")[0] == 0
    database.run(
        "INSERT INTO signals (event_key) SELECT event_key FROM events LIMIT 1",
        "DELETE FROM events",
    )
    assert database.value("SELECT count(*) FROM signals WHERE event_key IS NOT NULL") == 0


def test_rows_written_after_adoption_get_the_defaults_of_the_database(copy: Copy) -> None:
    database = copy("adopted 009")
    database.run("INSERT INTO signals DEFAULT VALUES")
    assert database.rows(
        "SELECT state, created_at = updated_at, created_at = ts, onchain_confidence FROM signals"
        " ORDER BY id DESC LIMIT 1"
    ) == [("candidate", True, True, None)]


def test_the_legacy_collectors_go_on_writing_while_they_know_nothing_of_it(copy: Copy) -> None:
    """What a legacy INSERT of revision 011 writes is still accepted, text for text."""
    database = copy("adopted 011")
    database.run(
        "INSERT INTO signals (event_key, market_type, goplus_risk, onchain_confidence)"
        " VALUES (NULL, 'dex', 'gray', 0.125)"
    )
    assert database.rows(
        "SELECT goplus_risk::text, state FROM signals ORDER BY id DESC LIMIT 1"
    ) == [("gray", "candidate")]


def test_an_adopted_sequence_goes_on_from_the_last_legacy_row(copy: Copy) -> None:
    database = copy("adopted 006")
    database.run("INSERT INTO signals DEFAULT VALUES")
    assert database.value("SELECT max(id) FROM signals") == ROWS + 1
