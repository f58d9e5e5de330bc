"""The tests here work on databases of their own."""

import pytest


@pytest.fixture(autouse=True)
def _unblocked_database(unblocked_database: None) -> None:
    """Let each test here work on databases of its own."""
