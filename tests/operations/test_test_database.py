"""Where these tests work."""

import pytest
from django.db.backends.base.creation import TEST_DATABASE_PREFIX

from tests.operations import scratch_schema

pytestmark = pytest.mark.usefixtures("committing_connection")


def test_the_bench_stands_in_a_test_database_whichever_tests_are_run() -> None:
    assert scratch_schema.value("SELECT current_database()").startswith(TEST_DATABASE_PREFIX)
