"""How many rows a list has, without reading them."""

import json
from typing import Any, Final

from django.db import connection
from django.db.models import QuerySet

COUNTED: Final = 1_000
"""Rows up to which a count is exact; they are read along with the first page."""

_DIGITS: Final = 3  # of an estimate


def estimate(rows: QuerySet[Any]) -> int:
    """Return how many rows there are by the statistics: of the table, or of the planner."""
    if rows.query.where:
        (plan,) = json.loads(rows.order_by().explain(format="json"))
        return int(plan["Plan"]["Plan Rows"])
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reltuples::bigint FROM pg_catalog.pg_class WHERE oid = %s::regclass",
            [connection.ops.quote_name(rows.model._meta.db_table)],
        )
        (number,) = cursor.fetchone()
    return max(int(number), 0)


def as_text(total: int, *, exact: bool) -> str:
    """Return the number as it is shown: 42, or ≈ 4,990,000."""
    return f"{total:,}" if exact else f"≈ {_rounded(total):,}"


def _rounded(number: int) -> int:
    return round(number, _DIGITS - len(str(number))) if number else 0
