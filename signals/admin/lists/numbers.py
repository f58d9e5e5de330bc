"""The number that a row of a time has, in a table whose numbers and times grow together."""

from datetime import datetime
from typing import Any, Final

from django.db import connection, models

# Bisects the numbers: each step looks one row up.
_FIRST_LATER: Final = """
WITH RECURSIVE search(low, high) AS (
    SELECT coalesce(min(id), 1), coalesce(max(id), 0) + 1 FROM {table}
    UNION ALL
    SELECT CASE WHEN is_later THEN low ELSE middle + 1 END, CASE WHEN is_later THEN middle ELSE high END
    FROM (SELECT low, high, (low + high) / 2 AS middle FROM search WHERE low < high) halved
    CROSS JOIN LATERAL (
        SELECT coalesce(
            (SELECT {time} > %s FROM {table} WHERE id >= middle ORDER BY id LIMIT 1), true
        ) AS is_later
    ) probed
)
SELECT low FROM search WHERE low >= high LIMIT 1
"""


def first_number_after(model: type[models.Model], time: str, moment: datetime) -> int:
    """Return the number from which on the rows of the model are later than the moment."""
    opts: Any = model._meta
    quote = connection.ops.quote_name
    names = {"table": quote(opts.db_table), "time": quote(opts.get_field(time).column)}
    with connection.cursor() as cursor:
        cursor.execute(_FIRST_LATER.format(**names), [moment])
        (number,) = cursor.fetchone()
    return int(number)
