"""The values of a column that an index begins with, each found by one look into the index."""

from typing import Any, Final

from django.db import connection, models

from signals.expressions import MAX_BEGINNING

OFFERED: Final = 50
"""Values of a column that a filter offers; others can be typed."""

_NEXT_VALUE: Final = """
WITH RECURSIVE found(value) AS (
    (SELECT {value} FROM {table} WHERE {column} IS NOT NULL ORDER BY {value} LIMIT 1)
    UNION ALL
    SELECT (
        SELECT {value} FROM {table}
        WHERE {column} IS NOT NULL AND {value} > found.value ORDER BY {value} LIMIT 1
    )
    FROM found WHERE found.value IS NOT NULL
)
SELECT value FROM found WHERE value IS NOT NULL LIMIT %s
"""


def first_values(
    model: type[models.Model], field: str, most: int = OFFERED, *, is_text: bool = False
) -> list[Any]:
    """Return the first values of the column in its order; of a text, its beginning."""
    opts: Any = model._meta
    quote = connection.ops.quote_name
    column = quote(opts.get_field(field).column)
    value = f"left({column}, {MAX_BEGINNING})" if is_text else column
    names = {"table": quote(opts.db_table), "column": column, "value": value}
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_VALUE.format(**names), [most])
        return [value for (value,) in cursor.fetchall()]
