"""The cost of a list."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from signals.admin import paging
from tests.admin.pages import MODELS, listed
from tests.admin.sample_rows import make_one_of_each


@pytest.mark.parametrize("model", MODELS)
def test_a_list_costs_the_same_number_of_queries_for_2_rows_and_for_50(
    viewer: Client, model: Any
) -> None:
    counts = []
    for rows in (2, 48):
        for _ in range(rows):
            make_one_of_each()
        with CaptureQueriesContext(connection) as queries:
            shown = listed(viewer, model)
        counts.append(len(queries))
    assert len(shown) == 50
    assert counts[0] == counts[1] <= 7


@pytest.mark.parametrize("model", MODELS)
def test_a_list_counts_no_more_rows_than_it_has_pages_for(
    viewer: Client, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "MAX_COUNTED_ROWS", 2)
    for _ in range(3):
        make_one_of_each()
    response = viewer.get(f"/admin/signals/{model._meta.model_name}/")
    assert response.context["cl"].result_count == 2
    assert "These are the first 2; there may be more." in response.text


@pytest.mark.parametrize("model", MODELS)
def test_no_query_of_a_list_reads_a_table_without_a_bound(viewer: Client, model: Any) -> None:
    make_one_of_each()
    with CaptureQueriesContext(connection) as queries:
        listed(viewer, model)
    ours = [q["sql"] for q in queries if f'FROM "{model._meta.db_table}"' in q["sql"]]
    unbounded = [sql for sql in ours if " LIMIT " not in sql]
    # The page itself has no LIMIT if the count says that it holds everything.
    assert len(unbounded) == 1
    assert "COUNT" not in unbounded[0]
