"""Which values of an enum are declared, which are tolerated, and what no enum is."""

from typing import Any

import pytest

from signals import operations
from tests.operations import scratch_schema
from tests.operations.scratch_schema import (
    backwards,
    catalog_versions,
    forwards,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")


@pytest.mark.parametrize("options", [{}, {"later_values": ["high"]}], ids=["plain", "later"])
def test_an_enum_that_something_uses_is_kept_on_the_way_back(options: Any) -> None:
    operation = operations.CreateEnumIfMissing("grade", ["low", "mid"], **options)
    recreate()
    forwards(operation, project_state())
    scratch_schema.execute("CREATE TABLE graded (grades grade[])")
    before = catalog_versions()
    for _ in range(2):
        backwards(operation, project_state())
        assert catalog_versions() == before


def test_a_later_value_is_tolerated_wherever_it_stands() -> None:
    operation = operations.CreateEnumIfMissing("grade", ["low", "high"], later_values=["mid"])
    recreate("CREATE TYPE grade AS ENUM ('low', 'mid', 'high')")
    before = catalog_versions()
    forwards(operation, project_state())
    assert catalog_versions() == before


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE grade ()",
        "CREATE DOMAIN grade AS text",
        "CREATE TYPE grade AS (a int)",
        "CREATE TYPE grade AS RANGE (subtype = int)",
    ],
    ids=["table", "domain", "composite", "range"],
)
def test_a_type_of_that_name_that_is_no_enum_stops_the_run_and_is_kept(sql: str) -> None:
    operation = operations.CreateEnumIfMissing("grade", ["low", "high"])
    recreate(sql)
    before = catalog_versions()
    with pytest.raises(operations.DifferentDefinition) as caught:
        forwards(operation, project_state())
    assert (caught.value.component, caught.value.name) == ("enum", "grade")
    for _ in range(2):
        backwards(operation, project_state())
    assert catalog_versions() == before
    assert scratch_schema.value("SELECT to_regtype('grade') IS NOT NULL")
