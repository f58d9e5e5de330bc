"""Columns of a batch as PostgreSQL arrays, which unnest() makes rows again.

psycopg adapts each element of a list by itself; a batch has ten thousand of them.
"""

from collections.abc import Iterable


def as_array(values: Iterable[object]) -> str:
    """Return numbers, times, UUIDs and other values whose text needs no quotes as an array; None is NULL."""
    return "{" + ",".join("NULL" if value is None else str(value) for value in values) + "}"


def as_text_array(values: Iterable[str]) -> str:
    """Return texts as an array, each quoted."""
    texts = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join([f'"{text}"' for text in texts]) + "}"
