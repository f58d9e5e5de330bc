"""When an index that exists is the declared one, and when it is another."""

from typing import Any

import pytest
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BTreeIndex, GinIndex
from django.db import connection, models
from django.db.migrations.state import ProjectState
from django.db.models import Index, Q, UniqueConstraint

from signals import operations
from signals.operations.names import successor
from tests.operations import scratch_schema
from tests.operations.components.assertions import assert_different, assert_unchanged
from tests.operations.components.definition_pairs.indexes import INDEX_VARIANTS
from tests.operations.components.definition_pairs.uniques import UNIQUE_VARIANTS
from tests.operations.scratch_schema import (
    APP,
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

STATE = project_state(part_model())

TAGS = ("tags", ArrayField(models.TextField(), null=True))
START = f"{PART_TABLE} ALTER TABLE part ADD COLUMN tags text[];"
N: Any = {"name": "wanted"}

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
        for what, (index, same, others) in INDEX_VARIANTS.items()
    },
    **{
        f"unique, {what}": (operations.AddUniqueIfMissing("part", constraint), same, others)
        for what, (constraint, same, others) in UNIQUE_VARIANTS.items()
    },
}
OTHER_VARIANTS = [
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


@pytest.mark.parametrize(("what", "sql"), OTHER_VARIANTS)
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


def test_a_predicate_that_lived_through_a_change_of_the_type_is_no_difference() -> None:
    recreate(
        PART_TABLE,
        "ALTER TABLE part ADD COLUMN code varchar(9)",
        "CREATE INDEX wanted ON part (label) WHERE code IN ('a', 'b')",
        "ALTER TABLE part ALTER COLUMN code TYPE text",
    )
    index = Index(fields=["label"], condition=Q(code__in=("a", "b")), name="wanted")
    assert_unchanged(
        operations.CreateIndexConcurrentlyIfMissing("part", index),
        project_state(part_model(("code", models.TextField(null=True)))),
    )


def test_a_storage_parameter_in_another_spelling_is_the_same() -> None:
    recreate(PART_TABLE, "CREATE INDEX wanted ON part (label) WITH (deduplicate_items = false)")
    index = BTreeIndex(fields=["label"], deduplicate_items=False, name="wanted")
    assert_unchanged(
        operations.CreateIndexConcurrentlyIfMissing("part", index), project_state(part_model())
    )


def test_the_storage_parameters_of_a_unique_constraint_are_shown() -> None:
    recreate(
        PART_TABLE, "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label) WITH (fillfactor = 70)"
    )
    error = assert_different(
        operations.AddUniqueIfMissing("part", UniqueConstraint(fields=["amount"], name="wanted")),
        project_state(part_model()),
    )
    assert error.found != error.wanted


def findings(operation: Any, before: ProjectState) -> list[operations.Finding]:
    after = before.clone()
    operation.state_forwards(APP, after)
    return list(operation.findings(operation.locate(APP, connection, after, before)))


UNSTATED: dict[str, tuple[str, Any, str]] = {
    "index": (
        "CREATE INDEX wanted ON part (label) WITH (fillfactor = 70)",
        operations.CreateIndexConcurrentlyIfMissing("part", Index(fields=["label"], **N)),
        "fillfactor=70",
    ),
    "beside a declared one": (
        "CREATE INDEX wanted ON part (label) WITH (deduplicate_items = off, fillfactor = 70)",
        operations.CreateIndexConcurrentlyIfMissing(
            "part", BTreeIndex(fields=["label"], fillfactor=70, **N)
        ),
        "deduplicate_items=off",
    ),
    "gin": (
        "CREATE INDEX wanted ON part USING gin (tags) WITH (fastupdate = off)",
        operations.CreateIndexConcurrentlyIfMissing("part", GinIndex(fields=["tags"], **N)),
        "fastupdate=off",
    ),
    "unique constraint": (
        "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label) WITH (fillfactor = 70)",
        operations.AddUniqueIfMissing("part", UniqueConstraint(fields=["label"], **N)),
        "fillfactor=70",
    ),
    "unique index": (
        "CREATE UNIQUE INDEX wanted ON part (label) WITH (fillfactor = 70) WHERE amount > 1",
        operations.AddUniqueIfMissing(
            "part", UniqueConstraint(fields=["label"], condition=models.Q(amount__gt=1), **N)
        ),
        "fillfactor=70",
    ),
}


@pytest.mark.parametrize("what", UNSTATED)
def test_a_storage_parameter_that_nothing_declares_is_a_note(what: str) -> None:
    sql, operation, parameter = UNSTATED[what]
    recreate(START, sql)
    state = project_state(part_model(TAGS))
    assert_unchanged(operation, state)
    (finding,) = findings(operation, state)
    assert (finding.status, finding.note) == (
        operations.Status.EXISTS,
        f"WITH ({parameter}) in the database, not in the declaration; left as it is",
    )


LEFT: dict[str, tuple[str, Any, str]] = {
    "REINDEX": (
        (
            "CREATE INDEX wanted ON part (label); CREATE INDEX wanted_ccnew ON part (label);"
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'wanted_ccnew'::regclass"
        ),
        operations.CreateIndexConcurrentlyIfMissing("part", Index(fields=["label"], **N)),
        "wanted_ccnew, which an interrupted REINDEX or replacement has left",
    ),
    "REINDEX of a uniqueness": (
        (
            "ALTER TABLE part ADD CONSTRAINT wanted UNIQUE (label);"
            "CREATE INDEX wanted_ccnew1 ON part (label);"
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'wanted_ccnew1'::regclass"
        ),
        operations.AddUniqueIfMissing("part", UniqueConstraint(fields=["label"], **N)),
        "wanted_ccnew1, which an interrupted REINDEX or replacement has left",
    ),
    "a replacement of a check": (
        (
            "ALTER TABLE part ADD CONSTRAINT wanted CHECK (amount > 0),"
            f" ADD CONSTRAINT {successor('wanted')} CHECK (amount > 1)"
        ),
        operations.AddCheckIfMissing(
            "part", models.CheckConstraint(condition=models.Q(amount__gt=0), **N)
        ),
        f"{successor('wanted')}, which an interrupted replacement has left",
    ),
}


@pytest.mark.parametrize("what", LEFT)
def test_what_was_left_beside_a_component_is_named(what: str) -> None:
    sql, operation, note = LEFT[what]
    recreate(PART_TABLE, sql)
    (finding,) = findings(operation, STATE)
    assert (finding.status, finding.note) == (
        operations.Status.UNFINISHED,
        f"beside it in the database: {note}",
    )
    forwards(operation, STATE)
    (finding,) = findings(operation, STATE)
    assert (finding.status, finding.note) == (operations.Status.EXISTS, "")


@pytest.mark.parametrize(
    "sql",
    ["INDEX theirs ON part USING brin (c)", "INDEX theirs ON part USING hash (c)"],
    ids=["brin", "hash"],
)
def test_an_index_of_another_method_does_not_serve(sql: str) -> None:
    recreate(PART_TABLE, f"ALTER TABLE part ADD COLUMN c integer; CREATE {sql}")
    forwards(
        operations.AddColumnIfMissing("part", "c", models.IntegerField(null=True, db_index=True)),
        project_state(part_model()),
    )
    assert len([row for row in facts() if row[0] == "index"]) == 3


HELD: dict[str, tuple[str, str]] = {
    "the replica identity": (
        (
            "ALTER TABLE part ALTER label SET NOT NULL; CREATE UNIQUE INDEX wanted ON part (label, id);"
            "ALTER TABLE part REPLICA IDENTITY USING INDEX wanted"
        ),
        "(the replica identity of its table)",
    ),
    "what foreign keys rest on": (
        "CREATE UNIQUE INDEX wanted ON part (amount); CREATE TABLE k (a integer REFERENCES part (amount))",
        "(foreign keys depend on it)",
    ),
}


@pytest.mark.parametrize("what", HELD)
def test_an_index_that_something_holds_is_not_replaced(what: str) -> None:
    sql, held = HELD[what]
    recreate(PART_TABLE, sql)
    start = facts()
    unique = UniqueConstraint(fields=["label"], include=["amount"], name="wanted")
    index = models.Index(fields=["label"], name="wanted")
    for operation in (
        operations.AddUniqueIfMissing("part", unique, on_different="replace"),
        operations.CreateIndexConcurrentlyIfMissing("part", index, on_different="replace"),
    ):
        with pytest.raises(operations.DifferentDefinition) as caught:
            forwards(operation, STATE)
        assert caught.value.found.endswith(held)
        assert facts() == start


def test_dropping_a_replica_identity_is_said(caplog: pytest.LogCaptureFixture) -> None:
    recreate(PART_TABLE, HELD["the replica identity"][0])
    index = models.Index(fields=["label", "id"], name="wanted")
    operation = operations.DropIndexConcurrentlyIfPresent("part", "wanted")
    forwards(operation, project_state(part_model(indexes=[index])))
    assert 'index wanted of "part": its table has no replica identity without it' in caplog.messages


def test_an_expression_that_comes_to_a_column_is_no_key_for_a_constraint() -> None:
    recreate(PART_TABLE, "CREATE UNIQUE INDEX wanted ON part ((CASE WHEN true THEN label END))")
    unique = UniqueConstraint(fields=["label"], name="wanted")
    with pytest.raises(operations.DifferentDefinition):
        forwards(operations.AddUniqueIfMissing("part", unique), STATE)
