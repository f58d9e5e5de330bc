"""Assert what an operation makes of a component that exists."""

from typing import Any

import pytest
from django.db import connection
from django.db.migrations.state import ProjectState
from django.test.utils import CaptureQueriesContext

from signals import operations
from tests.operations.scratch_schema import catalog_versions, forwards, sent_changes


def assert_nothing_is_sent(operation: Any, state: ProjectState) -> None:
    """Run the operation; assert that it only asks."""
    before = catalog_versions()
    with CaptureQueriesContext(connection) as queries:
        forwards(operation, state)
    assert sent_changes(queries) == []
    assert catalog_versions() == before


def assert_stops(operation: Any, state: ProjectState) -> operations.DifferentDefinition:
    """Run the operation; assert that it stops at another definition before any change; return the error."""
    before = catalog_versions()
    with pytest.raises(operations.DifferentDefinition) as caught:
        forwards(operation, state)
    assert catalog_versions() == before
    return caught.value


def assert_different(operation: Any, state: ProjectState) -> operations.DifferentDefinition:
    """Run the operation; assert that it only asks and stops at another definition; return the error."""
    with CaptureQueriesContext(connection) as queries:
        error = assert_stops(operation, state)
    assert sent_changes(queries) == []
    return error


def assert_unchanged(operation: Any, state: ProjectState) -> None:
    """Run the operation; assert that no row of the catalog was written."""
    before = catalog_versions()
    forwards(operation, state)
    assert catalog_versions() == before
