"""Columns, checks, foreign keys and tables on partitioned tables, and the removals."""

from contextlib import suppress
from typing import Any

import pytest
from django.db import connection, models
from django.db.migrations.state import ModelState
from django.db.models import Index, Q, UniqueConstraint

from signals import operations
from tests.operations import scratch_schema
from tests.operations.components.partitioned_table import (
    STATE,
    TREE,
    all_valid,
    attached_indexes,
    index,
)
from tests.operations.kill_between_statements import Killed, kill_after
from tests.operations.scratch_schema import (
    APP,
    SCHEMA,
    backwards,
    catalog_versions,
    facts,
    forwards,
    part_model,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")


def test_the_index_of_a_new_column_is_built_on_each_partition() -> None:
    recreate(TREE)
    start = facts()
    operation = operations.AddColumnIfMissing(
        "part", "code", models.CharField(max_length=5, null=True, db_index=True)
    )
    for _ in range(2):
        forwards(operation, STATE)
    names = scratch_schema.rows(
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "WHERE i.indrelid = 'part'::regclass AND i.indisvalid"
    )
    assert len(names) == 2  # the other one serves LIKE
    for (each,) in names:
        assert attached_indexes(each) == all_valid()
    backwards(operation, STATE)
    assert facts() == start


INDEXED: dict[str, Any] = {
    "slug": models.SlugField(null=True),
    "text": models.TextField(null=True, db_index=True),
    "number": models.IntegerField(null=True, db_index=True),
    "uuid": models.UUIDField(null=True, db_index=True),
    "plain": models.CharField(max_length=9, null=True),
}
CHANGES = [
    *(("slug", "text"), ("text", "slug"), ("slug", "number"), ("text", "uuid")),
    *(("number", "text"), ("plain", "slug")),
]


def indexes_of_part() -> dict[str, tuple[str, dict[str, str]]]:
    """Return the definition of each index of the table, and of its partitions which have it."""
    found = scratch_schema.rows(
        "SELECT c.relname, pg_get_indexdef(c.oid) FROM pg_index i "
        "JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = 'part'::regclass"
    )
    return {name: (definition, attached_indexes(name)) for name, definition in found}


@pytest.mark.parametrize(("before", "after"), CHANGES, ids=map(" to ".join, CHANGES))
def test_the_index_for_like_goes_and_comes_with_the_type(before: str, after: str) -> None:
    recreate(TREE)
    add = operations.AddColumnIfMissing("part", "code", INDEXED[before])
    forwards(add, STATE)
    made, state = indexes_of_part(), STATE.clone()
    add.state_forwards(APP, state)
    using = {"using": "NULL"} if {"number", "uuid"} & {before, after} else {}
    alter = operations.AlterColumnTypeIfDifferent(
        "part", "code", INDEXED[after], allow_rewrite=True, **using
    )
    for _ in range(2):
        forwards(alter, state)
    assert all(partitions == all_valid() for _, partitions in indexes_of_part().values())
    is_text = after in ("slug", "text") and before != "number"  # as with Django's
    assert ("_like" in str(indexes_of_part())) is is_text
    scratch_schema.execute("TRUNCATE part")
    for _ in range(2):
        backwards(alter, state)
    assert indexes_of_part() == made
    assert all(partitions == all_valid() for _, partitions in made.values())


OTHERS = ModelState(
    APP,
    "Other",
    [("id", models.BigIntegerField(primary_key=True))],
    {"db_table": "other"},
)
PLAIN = models.ForeignKey(
    "bench.Other", models.CASCADE, null=True, db_constraint=False, db_index=False
)
KEYS = {
    "new column": (operations.AddColumnIfMissing, part_model()),
    "column that exists": (operations.AddForeignKeyIfMissing, part_model(("other", PLAIN))),
}


@pytest.mark.parametrize("what", KEYS)
def test_a_foreign_key_is_added_with_its_index_or_refused_with_steps_that_lead_there(
    what: str,
) -> None:
    """PostgreSQL before 18 adds none NOT VALID to a partitioned table."""
    kind, model = KEYS[what]
    column = "ALTER TABLE part ADD other_id bigint"
    recreate(
        TREE, "CREATE TABLE other (id bigint PRIMARY KEY)", column if model != part_model() else ""
    )
    state = project_state(model, OTHERS)
    operation = kind("part", "other", models.ForeignKey("bench.Other", models.CASCADE, null=True))
    if connection.pg_version < 180000:  # type: ignore[attr-defined]
        before = catalog_versions()
        with pytest.raises(operations.Refused, match="before 18 adds no foreign key"):
            forwards(operation, state)
        assert catalog_versions() == before
        key = "CONSTRAINT f FOREIGN KEY (other_id) REFERENCES other (id) DEFERRABLE INITIALLY DEFERRED"
        scratch_schema.execute("ALTER TABLE part ADD IF NOT EXISTS other_id bigint")
        for table in ("part_1", "part_21", "part_22", "part_rest"):
            scratch_schema.execute(f"ALTER TABLE {table} ADD {key} NOT VALID")
            scratch_schema.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT f")
        scratch_schema.execute(f"ALTER TABLE part ADD {key}")
    forwards(operation, state)
    ((name,),) = scratch_schema.rows(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'I' "
        f"AND NOT relispartition AND relnamespace = '{SCHEMA}'::regnamespace"
    )
    assert attached_indexes(name) == all_valid()
    assert scratch_schema.value(
        "SELECT bool_and(convalidated) FROM pg_constraint "
        "WHERE contype = 'f' AND conrelid = 'part'::regclass"
    )
    before = catalog_versions()
    forwards(operation, state)
    assert catalog_versions() == before
    backwards(operation, state)
    assert attached_indexes(name) == {}


def test_a_declared_table_that_is_partitioned_gets_its_indexes_and_uniqueness() -> None:
    fields: Any = [
        ("id", models.BigIntegerField(primary_key=True)),
        ("label", models.TextField(null=True)),
    ]
    options = {
        "db_table": "part",
        "indexes": [Index(fields=["label"], name="wanted")],
        "constraints": [UniqueConstraint(fields=["label", "id"], name="alone")],
    }
    operation = operations.CreateTableIfMissing("Piece", fields, options)
    recreate(
        "CREATE TABLE part (id bigint PRIMARY KEY, label text) PARTITION BY RANGE (id);"
        "CREATE TABLE part_1 PARTITION OF part DEFAULT"
    )
    forwards(operation, project_state())
    valid = {"part": "valid", "part_1": "valid"}
    assert attached_indexes() == attached_indexes("alone") == valid
    before = catalog_versions()
    forwards(operation, project_state())
    assert catalog_versions() == before


def test_the_removals_drop_what_was_built_and_build_it_again_on_the_way_back() -> None:
    declared = project_state(
        part_model(
            indexes=[Index(fields=["label"], name="wanted")],
            constraints=[UniqueConstraint(fields=["id", "label"], name="alone")],
        )
    )
    recreate(TREE)
    start = facts()
    forwards(index(), STATE)
    forwards(
        operations.AddUniqueIfMissing(
            "part", UniqueConstraint(fields=["id", "label"], name="alone")
        ),
        STATE,
    )
    wanted = facts()
    removals = (
        operations.DropIndexConcurrentlyIfPresent("part", "wanted"),
        operations.RemoveUniqueIfPresent("part", "alone"),
    )
    for _ in range(2):
        for operation in removals:
            forwards(operation, declared)
        assert facts() == start
    for _ in range(2):
        for operation in removals:
            backwards(operation, declared)
        assert facts() == wanted


CHECKS = {
    "none has it": "",
    "one has it": "ALTER TABLE part_21 ADD CONSTRAINT wanted CHECK (amount >= 0)",
    "one has it NOT VALID": "ALTER TABLE part_21 ADD CONSTRAINT wanted CHECK (amount >= 0) NOT VALID",
    "a sub-partitioned one has it NOT VALID": (
        "ALTER TABLE part_2 ADD CONSTRAINT wanted CHECK (amount >= 0) NOT VALID"
    ),
}


@pytest.mark.parametrize("before", CHECKS.values(), ids=CHECKS)
def test_a_check_recurses_and_is_validated_on_every_partition(
    before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = operations.AddCheckIfMissing(
        "part", models.CheckConstraint(condition=Q(amount__gte=0), name="wanted")
    )
    question = (
        "SELECT conrelid::regclass::text, convalidated FROM pg_constraint WHERE conname = 'wanted'"
    )
    for limit in range(3):
        recreate(TREE, before)
        with monkeypatch.context() as patch, suppress(Killed):
            kill_after(patch, limit)
            forwards(operation, STATE)
        forwards(operation, STATE)
        assert dict(scratch_schema.rows(question)) == dict.fromkeys(all_valid(), True)
        forwards(operation, STATE)
        backwards(operation, STATE)
        assert scratch_schema.rows(question) == []
