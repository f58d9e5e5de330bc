"""What makes a partitioned table unique, and what PostgreSQL makes unique on none."""

from typing import Any

import pytest
from django.db import connection, models
from django.db.models import Q, UniqueConstraint
from django.db.models.functions import Lower

from signals import operations
from tests.operations import scratch_schema
from tests.operations.components.partitioned_table import (
    COLUMNS,
    STATE,
    TREE,
    all_valid,
    attached_indexes,
    constraint,
    index_oids,
    unique_index,
)
from tests.operations.scratch_schema import catalog_versions, facts, forwards, recreate

pytestmark = pytest.mark.usefixtures("committing_connection")


def test_a_partitions_own_unique_constraint_is_attached() -> None:
    recreate(TREE, "ALTER TABLE part_1 ADD CONSTRAINT theirs UNIQUE (id, label)")
    number = index_oids()["theirs"]
    forwards(constraint(), STATE)
    assert attached_indexes() == all_valid()
    assert index_oids()["theirs"] == number


@pytest.mark.parametrize("make", [constraint, unique_index])
def test_uniqueness_over_a_foreign_partition_is_refused(foreign_partition: None, make: Any) -> None:
    before = catalog_versions()
    with pytest.raises(operations.Refused, match="is a foreign table, which PostgreSQL cannot"):
        forwards(make(), STATE)
    assert catalog_versions() == before


NOT_UNIQUE = {
    "constraint": operations.AddUniqueIfMissing(
        "part", UniqueConstraint(fields=["label"], name="wanted")
    ),
    "index": operations.AddUniqueIfMissing(
        "part", UniqueConstraint(fields=["label"], condition=Q(amount__gt=0), name="wanted")
    ),
    "expression": operations.AddUniqueIfMissing(
        "part", UniqueConstraint(Lower("label"), name="wanted")
    ),
    "column": operations.AddColumnIfMissing(
        "part", "code", models.IntegerField(null=True, unique=True)
    ),
}


@pytest.mark.parametrize("operation", NOT_UNIQUE.values(), ids=NOT_UNIQUE)
def test_uniqueness_without_the_partition_key_is_refused_before_anything_is_changed(
    operation: Any,
) -> None:
    recreate(TREE)
    before = catalog_versions()
    with pytest.raises(operations.Refused) as refused:
        forwards(operation, STATE)
    assert refused.value.reason.startswith(
        '"bench"."part" is partitioned by (id), and PostgreSQL makes a partitioned table unique '
        "only on columns that contain these, not on ("
    )
    assert refused.value.fix == (
        "declare it with these columns, or make each partition unique by a unique index of its own"
    )
    assert catalog_versions() == before


def test_the_key_of_a_sub_partitioned_table_counts_too() -> None:
    recreate(
        f"CREATE TABLE part ({COLUMNS}) PARTITION BY RANGE (id);"
        "CREATE TABLE part_1 PARTITION OF part DEFAULT PARTITION BY LIST (amount)"
    )
    before = catalog_versions()
    with pytest.raises(operations.Refused, match=r'"part_1" is partitioned by \(amount\)'):
        forwards(constraint(), STATE)
    assert catalog_versions() == before


def test_a_partition_key_that_is_an_expression_is_refused() -> None:
    recreate(
        f"CREATE TABLE part ({COLUMNS}) PARTITION BY RANGE ((id + 1));"
        "CREATE TABLE part_1 PARTITION OF part DEFAULT"
    )
    before = catalog_versions()
    with pytest.raises(operations.Refused, match=r"is partitioned by \(an expression\)"):
        forwards(constraint(), STATE)
    assert catalog_versions() == before


@pytest.mark.parametrize("make", [constraint, unique_index])
def test_duplicates_of_a_partition_are_named_and_its_invalid_index_is_dropped(make: Any) -> None:
    recreate(TREE, "INSERT INTO part (id, label) VALUES (120, 'x120')")
    with pytest.raises(operations.DuplicateRows) as refused:
        forwards(make(), STATE)
    assert refused.value.first == ((120, "x120", 2),)
    assert refused.value.table == "bench.part_21"
    assert "part_21_wanted" not in index_oids()
    scratch_schema.execute("DELETE FROM part WHERE amount IS NULL AND id = 120")
    forwards(make(), STATE)
    assert attached_indexes() == all_valid()


def test_a_deferrable_constraint_and_nulls_not_distinct_hold_on_each_partition() -> None:
    deferrable = UniqueConstraint(
        fields=["id", "label"], name="wanted", deferrable=models.Deferrable.DEFERRED
    )
    strict = UniqueConstraint(fields=["id", "label"], name="wanted", nulls_distinct=False)
    texts = {
        "UNIQUE (id, label) DEFERRABLE INITIALLY DEFERRED": deferrable,
        "UNIQUE NULLS NOT DISTINCT (id, label)": strict,
    }
    for text, wanted in texts.items():
        operation = operations.AddUniqueIfMissing("part", wanted)
        recreate(TREE, "ALTER TABLE part_1 ADD CONSTRAINT theirs UNIQUE (id, label)")
        if wanted is strict and connection.pg_version < 150000:  # type: ignore[attr-defined]
            with pytest.raises(operations.Refused, match="came with PostgreSQL 15"):
                forwards(operation, STATE)
            continue
        forwards(operation, STATE)
        assert attached_indexes() == all_valid()
        definitions = [row[4] for row in facts() if row[0] == "constraint" and row[2] != "theirs"]
        assert definitions == [text] * len(all_valid())
        before = catalog_versions()
        forwards(operation, STATE)
        assert catalog_versions() == before


def test_a_unique_index_of_that_name_is_no_unique_constraint() -> None:
    recreate(TREE, "CREATE UNIQUE INDEX wanted ON part (id, label)")
    before = catalog_versions()
    with pytest.raises(operations.DifferentDefinition) as refused:
        forwards(constraint(), STATE)
    assert refused.value.fix == 'DROP INDEX "bench"."wanted"; and run again'
    assert catalog_versions() == before
