"""When an index that exists is the declared one, and when it is another."""

from typing import Any

import pytest
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, BTreeIndex, GinIndex, HashIndex
from django.db import connection, models
from django.db.models import F, Index, Q, UniqueConstraint
from django.db.models.functions import Collate, Lower, Upper

from signals import operations
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
    PART_TABLE,
    backwards,
    catalog_versions,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

TAGS = ("tags", ArrayField(models.TextField(), null=True))
START = f"{PART_TABLE} ALTER TABLE part ADD COLUMN tags text[];"
N: Any = {"name": "wanted"}

# As Django makes them, INCLUDE keeps a unique constraint an index alone.
# The declared index, the same by hand, and what is another one.
INDEXES: dict[str, tuple[Index, str, list[str]]] = {
    "two columns": (
        Index(fields=["label", "amount"], **N),
        "(label, amount)",
        ["(amount, label)", "(label)", "(label, amount, id)", "(label) INCLUDE (amount)"],
    ),
    "descending": (
        Index(fields=["-label"], **N),
        "(label DESC NULLS FIRST)",
        ["(label)", "(label DESC NULLS LAST)"],
    ),
    "nulls first": (
        Index(F("label").asc(nulls_first=True), **N),
        "(label NULLS FIRST)",
        ["(label)", "(label DESC)"],
    ),
    "nulls last": (
        Index(F("label").desc(nulls_last=True), "amount", **N),
        "(label DESC NULLS LAST, amount)",
        ["(label DESC, amount)"],
    ),
    "operator class": (
        Index(fields=["label"], opclasses=["text_pattern_ops"], **N),
        "(label text_pattern_ops)",
        ["(label)", "(label varchar_pattern_ops)"],
    ),
    "include": (
        Index(fields=["label"], include=["amount"], **N),
        "(label) INCLUDE (amount)",
        ["(label)", "(label) INCLUDE (made_at)", "(label, amount)"],
    ),
    "partial": (
        Index(fields=["label"], condition=Q(amount__gt=0), **N),
        "(label) WHERE amount > 0",
        ["(label)", "(label) WHERE amount > 1", "(label) WHERE amount IS NOT NULL"],
    ),
    "partial with IN": (
        Index(fields=["label"], condition=Q(label__in=("a", "b")), **N),
        "(label) WHERE label = ANY (ARRAY['a', 'b'])",
        ["(label) WHERE label IN ('a', 'c')"],
    ),
    "partial with a percent sign": (
        Index(fields=["label"], condition=Q(label="100%"), **N),
        "(label) WHERE label = '100%'",
        ["(label) WHERE label = '100%%'"],
    ),
    "partial with quotes": (
        Index(fields=["label"], condition=Q(label="""it's "so" """), **N),
        """(label) WHERE label = 'it''s "so" '""",
        ["(label) WHERE label = 'its'"],
    ),
    "expression": (Index(Upper("label"), **N), "(upper(label))", ["(lower(label))", "(label)"]),
    "expression and column": (
        Index(Lower("label"), F("amount").desc(), **N),
        "(lower(label), amount DESC)",
        ["(lower(label), amount)"],
    ),
    "collation": (
        Index(Collate("label", "C"), **N),
        '(label COLLATE "C")',
        ["(label)", '(label COLLATE "POSIX")'],
    ),
    "fill factor": (
        BTreeIndex(fields=["label"], fillfactor=70, **N),
        "(label) WITH (fillfactor = 70)",
        ["(label)", "(label) WITH (fillfactor = 80)"],
    ),
    "two storage parameters": (
        BTreeIndex(fields=["label"], fillfactor=70, deduplicate_items=False, **N),
        "(label) WITH (fillfactor = 70, deduplicate_items = off)",
        ["(label) WITH (fillfactor = 70)"],
    ),
    "no storage parameter": (
        Index(fields=["label"], **N),
        "(label)",
        ["(label) WITH (fillfactor = 70)"],
    ),
    "gin": (
        GinIndex(fields=["tags"], **N),
        "USING gin (tags)",
        ["USING gin (tags) WITH (fastupdate = off)", "(tags)"],
    ),
    "hash": (HashIndex(fields=["label"], **N), "USING hash (label)", ["(label)"]),
    "brin": (
        BrinIndex(fields=["made_at"], pages_per_range=16, autosummarize=True, **N),
        "USING brin (made_at) WITH (autosummarize = on, pages_per_range = 16)",
        ["USING brin (made_at)", "USING brin (made_at) WITH (pages_per_range = 16)"],
    ),
}

UNIQUES: dict[str, tuple[UniqueConstraint, str, list[str]]] = {
    "two columns": (
        UniqueConstraint(fields=["label", "amount"], **N),
        "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label, amount)",
        [
            "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (amount, label)",
            "CREATE UNIQUE INDEX wanted ON part (label, amount DESC)",
        ],
    ),
    "include": (
        UniqueConstraint(fields=["label"], include=["amount"], **N),
        "CREATE UNIQUE INDEX wanted ON part (label) INCLUDE (amount)",
        ["CREATE UNIQUE INDEX wanted ON part (label)"],
    ),
    "deferred": (
        UniqueConstraint(fields=["label"], deferrable=models.Deferrable.DEFERRED, **N),
        "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label) DEFERRABLE INITIALLY DEFERRED",
        [
            "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label)",
            "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label) DEFERRABLE",
        ],
    ),
    "deferrable": (
        UniqueConstraint(fields=["label"], deferrable=models.Deferrable.IMMEDIATE, **N),
        "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label) DEFERRABLE INITIALLY IMMEDIATE",
        ["ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label) DEFERRABLE INITIALLY DEFERRED"],
    ),
    "nulls not distinct": (
        UniqueConstraint(fields=["label"], nulls_distinct=False, **N),
        "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE NULLS NOT DISTINCT (label)",
        ["ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label)"],
    ),
    "nulls not distinct, include": (
        UniqueConstraint(fields=["label"], nulls_distinct=False, include=["amount"], **N),
        "CREATE UNIQUE INDEX wanted ON part (label) INCLUDE (amount) NULLS NOT DISTINCT",
        ["CREATE UNIQUE INDEX wanted ON part (label) INCLUDE (amount)"],
    ),
    "operator class": (
        UniqueConstraint(fields=["label"], opclasses=["text_pattern_ops"], **N),
        "CREATE UNIQUE INDEX wanted ON part (label text_pattern_ops)",
        ["CREATE UNIQUE INDEX wanted ON part (label)"],
    ),
    "condition": (
        UniqueConstraint(fields=["label"], condition=Q(label__startswith="100%"), **N),
        "CREATE UNIQUE INDEX wanted ON part (label) WHERE label::text LIKE '100\\%%'",
        ["CREATE UNIQUE INDEX wanted ON part (label) WHERE label LIKE '100%'"],
    ),
    "expression": (
        UniqueConstraint(Lower("label"), F("amount").desc(), **N),
        "CREATE UNIQUE INDEX wanted ON part (lower(label), amount DESC)",
        ["CREATE UNIQUE INDEX wanted ON part (lower(label), amount)"],
    ),
    "expression, nulls not distinct": (
        UniqueConstraint(Lower("label"), nulls_distinct=False, **N),
        "CREATE UNIQUE INDEX wanted ON part (lower(label)) NULLS NOT DISTINCT",
        ["CREATE UNIQUE INDEX wanted ON part (lower(label))"],
    ),
}

CASES: dict[str, tuple[Any, str, list[str]]] = {
    **{
        f"index, {what}": (
            operations.CreateIndexConcurrentlyIfMissing("part", index),
            f"CREATE INDEX wanted ON part {same}",
            [
                f"CREATE INDEX wanted ON part {each}"
                for each in [*others, same.replace("(made_at)", "(id)")]
                if each != same
            ],
        )
        for what, (index, same, others) in INDEXES.items()
    },
    **{
        f"unique, {what}": (operations.AddUniqueIfMissing("part", constraint), same, others)
        for what, (constraint, same, others) in UNIQUES.items()
    },
}
RIVALS = [
    pytest.param(what, sql, id=f"{what}: {sql}")
    for what, (_, _, others) in CASES.items()
    for sql in others
]


def is_refused(what: str) -> bool:
    """Whether the server is too old for it; the refusal is then what is tested."""
    if "nulls not distinct" not in what or connection.pg_version >= 150000:  # type: ignore[attr-defined]
        return False
    state = project_state(part_model(TAGS))
    recreate(START)
    before = catalog_versions()
    with pytest.raises(operations.Refused, match="came with PostgreSQL 15"):
        forwards(CASES[what][0], state)
    assert catalog_versions() == before
    return True


@pytest.mark.parametrize("what", CASES)
def test_it_is_built_as_hand_written_sql_builds_it_and_known_again(what: str) -> None:
    if is_refused(what):
        return
    operation, same, _ = CASES[what]
    state = project_state(part_model(TAGS))
    recreate(START, same)
    wanted, before = facts(), catalog_versions()
    forwards(operation, state)
    assert catalog_versions() == before
    recreate(START)
    start = facts()
    forwards(operation, state)
    assert facts() == wanted
    before = catalog_versions()
    forwards(operation, state)
    assert catalog_versions() == before
    backwards(operation, state)
    assert facts() == start


@pytest.mark.parametrize(("what", "sql"), RIVALS)
def test_another_one_of_that_name_is_seen_and_the_advice_heals(what: str, sql: str) -> None:
    if is_refused(what):
        return
    operation, same, _ = CASES[what]
    state = project_state(part_model(TAGS))
    recreate(START, same)
    wanted = facts()
    recreate(START, sql)
    before = catalog_versions()
    with pytest.raises(operations.DifferentDefinition) as caught:
        forwards(operation, state)
    assert catalog_versions() == before
    assert caught.value.found != caught.value.wanted
    assert "pg_temp" not in caught.value.wanted
    advice, _, rest = caught.value.fix.partition("; ")
    assert rest == "and run again"
    scratch_schema.execute(advice)
    forwards(operation, state)
    assert facts() == wanted


def test_duplicates_are_reported_and_no_index_stays_to_refuse_new_rows() -> None:
    recreate(PART_TABLE, "INSERT INTO part (label) VALUES ('bolt')")
    start, state = facts(), project_state(part_model())
    operation = operations.AddUniqueIfMissing("part", UniqueConstraint(fields=["label"], **N))
    for _ in range(2):
        with pytest.raises(operations.RowsViolate) as caught:
            forwards(operation, state)
        assert facts() == start
    assert caught.value.sql == 'CREATE UNIQUE INDEX CONCURRENTLY "wanted" ON "part" ("label")'
    assert "(label)=(bolt)" in caught.value.reason
    scratch_schema.execute("DELETE FROM part WHERE id = 4")
    forwards(operation, state)
    assert ("constraint", "part", "wanted", "u", "UNIQUE (label)", "true") in facts()


def test_a_failed_unique_build_drops_no_index_of_another_schema() -> None:
    """The table is found in the second schema of the search_path; the first has an index of that name."""
    recreate(PART_TABLE, "INSERT INTO part (label) VALUES ('bolt')")
    scratch_schema.execute("CREATE TABLE aside.other (label text CONSTRAINT wanted UNIQUE)")
    scratch_schema.execute(
        "CREATE TABLE aside.third (label text); CREATE INDEX spare ON aside.third (label)"
    )
    before, state = catalog_versions(), project_state(part_model())
    names = ("wanted", "spare")
    with scratch_schema.search_path("aside, bench"):
        for name in names:
            operation = operations.AddUniqueIfMissing(
                "part", UniqueConstraint(fields=["label"], name=name)
            )
            with pytest.raises(operations.RowsViolate):
                forwards(operation, state)
            assert catalog_versions() == before


def test_a_constraints_own_index_is_not_taken_for_a_declared_index() -> None:
    recreate(PART_TABLE, "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label)")
    before = catalog_versions()
    operation = operations.CreateIndexConcurrentlyIfMissing("part", Index(fields=["label"], **N))
    with pytest.raises(operations.DifferentDefinition) as caught:
        forwards(operation, project_state(part_model()))
    assert caught.value.fix == 'ALTER TABLE "part" DROP CONSTRAINT "wanted"; and run again'
    backwards(operation, project_state(part_model()))
    assert catalog_versions() == before


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((Index(fields=["label"]),), ValueError, "has no name"),
        ((UniqueConstraint(fields=["label"], **N),), TypeError, "is not an Index"),
        ((Index(fields=["label"], **N), [Index(fields=["id"], **N)]), ValueError, "share a name"),
    ],
    ids=["no name", "no index", "one name twice"],
)
def test_wrong_arguments_are_refused_while_coding(
    arguments: tuple[Any, ...], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        operations.CreateIndexConcurrentlyIfMissing("part", *arguments)
