"""The generated legacy database is the real one: same catalog as the dumps, same rows for a seed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from project.demo.features import fill_features
from project.demo.legacy import REVISIONS, build, fill, fingerprint
from tests.postgres.databases import new_database

FACTS = {
    "columns": """
        SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
        ORDER BY 1, 2
    """,
    "constraints": """
        SELECT conrelid::regclass::text, conname, contype, convalidated, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2
    """,
    "indexes": """
        SELECT indexrelid::regclass::text, indisvalid, pg_get_indexdef(indexrelid)
        FROM pg_index WHERE indrelid IN (
            SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace
        ) ORDER BY 1
    """,
    "sequences": """
        SELECT s.seqrelid::regclass::text, s.seqtypid::regtype::text, s.seqstart, s.seqincrement,
            s.seqcache, s.seqcycle, d.refobjid::regclass::text, d.refobjsubid
        FROM pg_sequence s JOIN pg_depend d ON d.objid = s.seqrelid AND d.deptype = 'a' ORDER BY 1
    """,
    "enums": """
        SELECT enumtypid::regtype::text, array_agg(enumlabel ORDER BY enumsortorder)
        FROM pg_enum GROUP BY 1
    """,
}


@pytest.fixture
def target() -> Iterator[psycopg.Connection[Any]]:
    with new_database() as url, psycopg.connect(url) as connection:
        yield connection


def facts(connection: psycopg.Connection[Any]) -> dict[str, list[Any]]:
    connection.execute("SET search_path TO public")
    return {name: connection.execute(query).fetchall() for name, query in FACTS.items()}


@pytest.mark.parametrize("revision", ["011", "012"])
def test_what_is_built_is_what_the_dump_of_a_real_one_makes(
    target: psycopg.Connection[Any], revision: str
) -> None:
    build(target, revision)
    with new_database() as url, psycopg.connect(url) as dumped:
        dumped.execute((Path(__file__).parent / f"schema_{revision}.sql").read_text())
        expected = facts(dumped)
    found = facts(target)
    for name, rows in expected.items():
        assert rows
        assert found[name] == rows, name


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_revision_is_built_filled_and_says_which_it_is(
    target: psycopg.Connection[Any], revision: str
) -> None:
    build(target, revision)
    fill(target, revision, rows=200, seed=1)
    assert target.execute("SELECT version_num FROM alembic_version").fetchall() == [(revision,)]
    counts = {table: count for table, (count, _) in fingerprint(target, revision).items()}
    assert (counts["signals"], counts["events"], counts["raw_posts"]) == (200, 50, 50)
    assert counts.get("goplus_cache") == (10 if revision >= "005" else None)
    assert counts.get("onchain_features") == (0 if revision >= "010" else None)


def test_the_same_seed_gives_the_same_rows_and_another_gives_others() -> None:
    def sums(seed: int) -> dict[str, tuple[int, str]]:
        with new_database() as url, psycopg.connect(url) as connection:
            build(connection, "011")
            fill(connection, "011", rows=100, seed=seed, now=datetime(2026, 1, 1, tzinfo=UTC))
            return fingerprint(connection, "011")

    first, again, other = sums(1), sums(1), sums(2)
    assert first == again
    for table in ("raw_posts", "events", "goplus_cache", "signals"):
        assert first[table][1] != other[table][1]


def test_the_fingerprint_sees_one_changed_value_and_no_change_of_type(
    target: psycopg.Connection[Any],
) -> None:
    build(target, "010")
    fill(target, "010", rows=100, seed=1)
    before = fingerprint(target, "010")
    for statement in REVISIONS["011"]:
        target.execute(statement.encode())
    assert fingerprint(target, "010") == before
    target.execute("UPDATE signals SET honeypot = honeypot IS NOT TRUE WHERE id = 7")
    after = fingerprint(target, "010")
    assert [table for table in before if before[table] != after[table]] == ["signals"]


def test_rows_hold_what_real_ones_hold(target: psycopg.Connection[Any]) -> None:
    """NULLs, quotes, percent signs, other scripts, upper case in addresses, every risk."""
    build(target, "011")
    fill(target, "011", rows=500, seed=3)

    def count(table: str, condition: str) -> int:
        row = target.execute(f"SELECT count(*) FROM {table} WHERE {condition}".encode()).fetchone()
        assert row
        return int(row[0])

    assert count("signals", "ts IS NULL")
    assert count("signals", "event_key IS NULL")
    assert count("signals", "onchain_confidence NOT IN (0, 1)")
    assert count("events", r"summary LIKE '%''%' AND summary LIKE '%\%%'")
    assert count("events", "summary ~ '[^ -~]'")
    assert count("events", r"token_ca ~ '^0x.*[A-F]' AND event_key LIKE '%' || token_ca || '%'")
    assert count("events", "event_key LIKE 't.%' AND token_ca IS NULL")
    risks = target.execute("SELECT DISTINCT goplus_risk::text FROM signals").fetchall()
    assert {risk for (risk,) in risks} == {"red", "yellow", "green", "unknown", "gray", None}


def test_features_are_enough_for_a_percentile_except_on_a_young_chain(
    target: psycopg.Connection[Any],
) -> None:
    build(target, "011")
    fill(target, "011", rows=200, seed=1)
    loaded = fill_features(target, seed=1)
    chains = dict(
        target.execute(
            "SELECT chain, count(*) FROM onchain_features WHERE window_minutes = 60"
            " AND as_of_ts > now() - interval '7 days' AND as_of_ts <= now() GROUP BY 1"
        ).fetchall()
    )
    assert loaded >= sum(chains.values())
    assert chains.pop("tron") < 200
    assert chains.keys() == {"ethereum", "bsc", "base", "arbitrum", "solana"}
    assert min(chains.values()) >= 200


def test_an_unknown_revision_is_refused_before_anything_is_made(
    target: psycopg.Connection[Any],
) -> None:
    with pytest.raises(ValueError, match=r"^there is no revision '013' \(use 001 to 012\)$"):
        build(target, "013")
    assert facts(target)["columns"] == []
