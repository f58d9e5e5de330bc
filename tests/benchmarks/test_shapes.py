"""benchmarks/django_suite/shapes.py: each shape of a model becomes what Django makes of it, and stays so."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from benchmarks.django_suite import shapes
from benchmarks.django_suite.models import SHAPES

LIKE = "varchar_pattern_ops)"

# The index for LIKE of a primary key comes with a new table only; of two equal uniquenesses one is enough.
KNOWN = {
    "foreign key to a text key, with its table": ("does not heal", LIKE),
    "foreign key to a text key, added": ("does not heal", LIKE),
    "unique twice": ("does not heal", "(x)"),
}


@pytest.fixture(scope="module")
def sent(test_database: None, django_db_blocker: Any) -> Iterator[shapes.Sent]:
    """What the operations send; the schema that the shapes are made in goes in the end."""
    with django_db_blocker.unblock(), shapes.listening() as statements:
        yield statements
    connection.close()


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_made_as_django_makes_it(name: str, sent: shapes.Sent) -> None:
    lines = list(shapes.differences(SHAPES[name], sent))
    if name not in KNOWN:
        assert lines == []
        return
    start, end = KNOWN[name]
    assert lines
    assert all(line.startswith(start) and line.endswith(end) for line in lines)
