"""The adaptive index: the best of the declared variants that the table's columns allow."""

from itertools import combinations
from typing import Any

import pytest
from django.db import models
from django.db.migrations.state import ModelState
from django.db.models import Index

from signals import operations
from tests.operations import scratch_schema
from tests.operations.contract.failed_builds import cancelled_build
from tests.operations.scratch_schema import (
    APP,
    backwards,
    catalog_versions,
    facts,
    forwards,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

VARIANTS = {
    "part_state_created": "state, created_at",
    "part_state_updated": "state, updated_at",
    "part_state_ts": "state, ts",
    "part_state": "state",
}
TIMES = ("created_at", "updated_at", "ts")
COLUMN_SETS = [chosen for size in range(4) for chosen in combinations(TIMES, size)]
STATE = project_state(
    ModelState(
        APP,
        "Part",
        [
            ("id", models.BigAutoField(primary_key=True)),
            ("state", models.TextField()),
            *((name, models.DateTimeField(null=True)) for name in TIMES),
        ],
        {"db_table": "part"},
    )
)


def adaptive() -> Any:
    first, *rest = (Index(fields=sql.split(", "), name=name) for name, sql in VARIANTS.items())
    return operations.CreateIndexConcurrentlyIfMissing("part", first, fallbacks=rest)


def table(*times: str, name: str = "part") -> str:
    columns = "".join(f", {time} timestamptz" for time in times)
    return f"CREATE TABLE {name} (id bigint PRIMARY KEY, state text{columns});"


def index(name: str, on: str = "part") -> str:
    return f"CREATE INDEX {name} ON {on} ({VARIANTS[name]});"


def best(times: tuple[str, ...]) -> str:
    return next(name for name, sql in VARIANTS.items() if set(sql.split(", ")) <= {"state", *times})


def indexes(table_name: str = "part") -> set[str]:
    return {
        row[2]
        for row in facts()
        if row[0] == "index" and row[1] == table_name and not row[2].endswith("_pkey")
    }


@pytest.mark.parametrize("times", COLUMN_SETS, ids=lambda times: "+".join(times) or "state alone")
def test_the_best_variant_that_the_columns_allow_is_built_and_taken_back(
    times: tuple[str, ...],
) -> None:
    recreate(table(*times))
    start = facts()
    recreate(table(*times), index(best(times)))
    wanted = facts()
    recreate(table(*times))
    forwards(adaptive(), STATE)
    assert facts() == wanted
    before = catalog_versions()
    forwards(adaptive(), STATE)
    assert catalog_versions() == before
    for _ in range(2):
        backwards(adaptive(), STATE)
        assert facts() == start
    forwards(adaptive(), STATE)
    assert facts() == wanted


@pytest.mark.parametrize("worse", list(VARIANTS)[1:])
def test_a_worse_variant_that_exists_is_no_reason_to_do_without_the_best(worse: str) -> None:
    recreate(table(*TIMES), index(worse))
    forwards(adaptive(), STATE)
    assert indexes() == {"part_state_created", worse}


def test_a_column_that_came_later_brings_the_better_index() -> None:
    recreate(table("ts"))
    forwards(adaptive(), STATE)
    assert indexes() == {"part_state_ts"}
    scratch_schema.execute("ALTER TABLE part ADD COLUMN created_at timestamptz")
    forwards(adaptive(), STATE)
    assert indexes() == {"part_state_ts", "part_state_created"}


def test_back_drops_every_declared_variant_of_this_table_and_nothing_else() -> None:
    others = [table(*TIMES, name="aside.part"), table(*TIMES, name="other")]
    others += [index(name, on="aside.part") for name in VARIANTS]
    mine = [name for name in VARIANTS if name != "part_state_ts"]
    recreate(*others, index("part_state_ts", on="other"), table(*TIMES))
    start = facts()
    scratch_schema.execute(
        "".join(index(name) for name in mine) + "CREATE INDEX own ON part (state)"
    )
    for _ in range(2):
        backwards(adaptive(), STATE)
        assert indexes() == {"own"}
    scratch_schema.execute("DROP INDEX own")
    assert facts() == start


@pytest.mark.parametrize("leftover", VARIANTS)
def test_an_invalid_leftover_of_any_variant_is_dropped_on_the_way_back(leftover: str) -> None:
    recreate(table(*TIMES))
    start = facts()
    cancelled_build(f"CREATE INDEX CONCURRENTLY {leftover} ON part ({VARIANTS[leftover]})")()
    assert indexes() == {leftover}
    backwards(adaptive(), STATE)
    assert facts() == start


def test_an_invalid_leftover_of_the_best_variant_is_built_anew() -> None:
    recreate(table(*TIMES), index("part_state_created"))
    wanted = facts()
    recreate(table(*TIMES))
    cancelled_build("CREATE INDEX CONCURRENTLY part_state_created ON part (state, created_at)")()
    assert facts() != wanted
    forwards(adaptive(), STATE)
    assert facts() == wanted


def test_no_variant_possible_is_refused_with_the_columns_that_are_missing() -> None:
    recreate("CREATE TABLE part (id bigint PRIMARY KEY, created_at timestamptz)")
    before = catalog_versions()
    with pytest.raises(operations.Refused) as caught:
        forwards(adaptive(), STATE)
    assert catalog_versions() == before
    assert caught.value.reason == (
        'table "part" has the columns of none of part_state_created (state, created_at), '
        "part_state_updated (state, updated_at), part_state_ts (state, ts), part_state (state)"
    )
    assert caught.value.fix == (
        "add the missing column, or a fallback on columns that the table has"
    )
    backwards(adaptive(), STATE)
    assert catalog_versions() == before


def test_a_variant_with_another_definition_stops_only_if_it_is_the_chosen_one() -> None:
    recreate(table(*TIMES), "CREATE INDEX part_state_ts ON part (id)")
    forwards(adaptive(), STATE)
    assert indexes() == {"part_state_created", "part_state_ts"}
    recreate(table("ts"), "CREATE INDEX part_state_ts ON part (id)")
    before = catalog_versions()
    with pytest.raises(operations.DifferentDefinition):
        forwards(adaptive(), STATE)
    assert catalog_versions() == before


def test_the_columns_of_condition_include_and_expression_count() -> None:
    recreate(table("ts"))
    operation = operations.CreateIndexConcurrentlyIfMissing(
        "part",
        Index(fields=["state"], condition=models.Q(created_at__isnull=False), name="one"),
        fallbacks=[
            Index(fields=["state"], include=["updated_at"], name="two"),
            Index(models.F("created_at").desc(), name="three"),
            Index(fields=["state"], condition=models.Q(ts__isnull=False), name="four"),
        ],
    )
    forwards(operation, STATE)
    assert indexes() == {"four"}


def test_the_tables_columns_decide_not_the_models() -> None:
    """The model of the state has all of them; this table does not."""
    recreate(table("updated_at", name="aside.part"), table())
    with scratch_schema.search_path("aside, bench"):
        forwards(adaptive(), STATE)
    assert indexes("aside.part") == {"part_state_updated"}
    assert indexes("part") == set()
