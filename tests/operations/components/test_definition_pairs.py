"""See and show a difference in any attribute; send nothing for another spelling.

Each pair differs from its declaration in just what it is named after. Each is tried on the operation of
the component and within CreateTableIfMissing, which judges the same component of a table that exists.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from django.db import connection, models
from django.db.migrations.state import ProjectState
from django.db.models import Q

from signals import operations
from tests.operations.components.assertions import assert_different, assert_nothing_is_sent
from tests.operations.components.definition_pairs.checks import CHECKS, OTHER_CHECKS, SAME_CHECKS
from tests.operations.components.definition_pairs.columns import (
    COLUMNS,
    OTHER_COLUMNS,
    SAME_COLUMNS,
)
from tests.operations.components.definition_pairs.indexes import INDEX_VARIANTS, INDEXES
from tests.operations.components.definition_pairs.pair import EMPTY, FURTHER, Pair, each_way
from tests.operations.components.definition_pairs.uniques import UNIQUE_VARIANTS, UNIQUES
from tests.operations.scratch_schema import (
    catalog_versions,
    forwards,
    part_model,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")


def table(**options: Any) -> operations.CreateTableIfMissing:
    """The declaration of the table that START creates, with further options."""
    fields = [*part_model(*FURTHER).fields.items(), *options.pop("fields", [])]
    return operations.CreateTableIfMissing("Part", fields, {"db_table": "part", **options})


def check_of(condition: Q) -> models.CheckConstraint:
    return models.CheckConstraint(condition=condition, name="wanted")


@dataclass(frozen=True)
class Kind:
    """How a component is made by hand and declared: by its own operation, and as a part of its table."""

    pairs: dict[str, Pair]
    sql: str
    alone: Callable[[Any], Any]
    within: Callable[[Any], operations.CreateTableIfMissing]
    name: str = "wanted"


KINDS = {
    "column": Kind(
        COLUMNS,
        "ALTER TABLE part ADD COLUMN c {}",
        partial(operations.AddColumnIfMissing, "part", "c"),
        lambda field: table(fields=[("c", field)]),
        "c",
    ),
    "check": Kind(
        CHECKS,
        "ALTER TABLE part ADD CONSTRAINT wanted CHECK ({})",
        lambda condition: operations.AddCheckIfMissing("part", check_of(condition)),
        lambda condition: table(constraints=[check_of(condition)]),
    ),
    "index": Kind(
        INDEXES,
        "CREATE INDEX wanted ON part {}",
        partial(operations.CreateIndexConcurrentlyIfMissing, "part"),
        lambda index: table(indexes=[index]),
    ),
    "unique": Kind(
        UNIQUES,
        "{}",
        partial(operations.AddUniqueIfMissing, "part"),
        lambda constraint: table(constraints=[constraint]),
    ),
}

each_pair = pytest.mark.parametrize(
    ("component", "what"),
    [
        pytest.param(component, what, id=f"{component}, {what}")
        for component, kind in KINDS.items()
        for what in kind.pairs
    ],
)


def made(component: str, declared: Any, way: str) -> tuple[Any, ProjectState]:
    """The operation that declares it, and the state before that."""
    operation = getattr(KINDS[component], way)(declared)
    return operation, project_state(part_model(*FURTHER)) if way == "alone" else project_state()


def put(component: str, sql: str) -> None:
    unique = component == "index" and sql.startswith("UNIQUE ")
    text = KINDS[component].sql.format(sql.removeprefix("UNIQUE "))
    recreate(EMPTY, text.replace("CREATE INDEX", "CREATE UNIQUE INDEX") if unique else text)


def is_refused(pair: Pair, operation: Any, state: ProjectState) -> bool:
    """Whether the server is too old for it; the refusal is then what is tested."""
    if connection.pg_version >= pair.since:  # type: ignore[attr-defined]
        return False
    recreate(EMPTY)
    before = catalog_versions()
    with pytest.raises(operations.Refused, match="came with PostgreSQL 15"):
        forwards(operation, state)
    assert catalog_versions() == before
    return True


@each_way
@each_pair
def test_another_spelling_is_no_difference(component: str, what: str, way: str) -> None:
    pair = KINDS[component].pairs[what]
    operation, state = made(component, pair.declared, way)
    if not is_refused(pair, operation, state):
        put(component, pair.same)
        assert_nothing_is_sent(operation, state)


@each_way
@each_pair
def test_a_difference_is_seen_and_shown(component: str, what: str, way: str) -> None:
    kind = KINDS[component]
    pair = kind.pairs[what]
    operation, state = made(component, pair.declared, way)
    if is_refused(pair, operation, state):
        return
    put(component, pair.other)
    error = assert_different(operation, state)
    assert (error.component, error.name, error.table) == (component, kind.name, '"part"')
    assert (error.found, error.wanted) == (pair.found, pair.wanted)


# What the tables of test_columns, test_checks and test_indexes hold, as parts of a table's declaration.
ELSEWHERE: dict[str, tuple[str, Any, str, bool]] = {
    **{
        f"column, {what}": ("column", field, sql, same)
        for pairs, same in ((SAME_COLUMNS, True), (OTHER_COLUMNS, False))
        for what, (field, sql) in pairs.items()
    },
    **{
        f"check, {what}": ("check", condition, sql, same)
        for pairs, same in ((SAME_CHECKS, True), (OTHER_CHECKS, False))
        for what, (condition, sql) in pairs.items()
    },
    **{
        f"index, {what}: {sql}": ("index", index, sql, sql == same)
        for what, (index, same, others) in INDEX_VARIANTS.items()
        for sql in (same, *others)
    },
    **{
        f"unique, {what}: {sql}": ("unique", constraint, sql, sql == same)
        for what, (constraint, same, others) in UNIQUE_VARIANTS.items()
        for sql in (same, *others)
    },
}


@pytest.mark.parametrize("what", ELSEWHERE)
def test_a_table_judges_its_parts_as_their_own_operations_do(what: str) -> None:
    component, declared, sql, same = ELSEWHERE[what]
    operation, state = made(component, declared, "within")
    since = 150000 if "nulls not distinct" in what else 0
    if is_refused(Pair(declared, sql, sql, "", "", since), operation, state):
        return
    put(component, sql)
    if same:
        assert_nothing_is_sent(operation, state)
    else:
        assert assert_different(operation, state).component == component
