"""A partitioned table of which one partition is a foreign table."""

from typing import Any

import pytest

from tests.operations import scratch_schema
from tests.operations.components.partitioned_table import FOREIGN, TREE
from tests.operations.scratch_schema import recreate


@pytest.fixture
def foreign_partition(committing_connection: None) -> Any:
    """Create the partitioned table with a foreign partition, and drop its server in the end."""
    recreate(TREE, FOREIGN)
    yield
    scratch_schema.execute("DROP FOREIGN DATA WRAPPER bench_nowhere CASCADE")
