"""Ask PostgreSQL how it spells expressions and queries, once it has parsed what it printed itself."""

import re
from collections.abc import Sequence

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..errors import is_impossible, sqlstate
from .query import compose, query_scripts, quoted

INSUFFICIENT_PRIVILEGE = "42501"

_NAME = "convergent_migrations_spelling_"

# The definitions in the order in which the views were made.
_DEFINITIONS = """
SELECT pg_catalog.pg_get_viewdef(c.oid) FROM pg_catalog.unnest(%s::pg_catalog.text[])
WITH ORDINALITY u (name, place)
JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(u.name) ORDER BY u.place
"""

# As a constraint of a domain calls the value that it looks at.
_VALUE = re.compile(r"\bVALUE\b")

# The rows of a trigger. Before PostgreSQL 16, every view has rows of these names itself.
_ROWS = {re.compile(r"\bold\."): "row_before.", re.compile(r"\bnew\."): "row_after."}


def respelled(
    connection: BaseDatabaseWrapper, judged: str, texts: Sequence[tuple[str, str]]
) -> list[str]:
    """Return each text as PostgreSQL prints it again; a text that it does not take is returned as it is.

    What was dumped and restored was parsed once more than what was not, and is spelled otherwise for it; of
    two texts that mean the same the result is the same. Ask in temporary views, in one round trip that is
    rolled back, and in some more if PostgreSQL takes not all texts. It takes ACCESS SHARE on the tables.

    texts: the expressions, each with what it selects from as SQL; "query" if it is a query itself.
    judged: the schema that is the search_path. Raise DatabaseError if the role lacks a right for it.
    """
    try:
        return _print(connection, judged, texts)
    except DatabaseError as error:
        if not is_impossible(error):
            raise
        if len(texts) == 1:
            _print(connection, judged, [("1", "")])  # raises what is no fault of the text
            if sqlstate(error) == INSUFFICIENT_PRIVILEGE:
                raise
            return [texts[0][0]]
    middle = len(texts) // 2
    return [
        *respelled(connection, judged, texts[:middle]),
        *respelled(connection, judged, texts[middle:]),
    ]


def _print(
    connection: BaseDatabaseWrapper, judged: str, texts: Sequence[tuple[str, str]]
) -> list[str]:
    if not texts:
        return []
    names = [f"pg_temp.{_NAME}{number}" for number in range(len(texts))]
    views = [
        f"CREATE TEMPORARY VIEW {name.removeprefix('pg_temp.')} AS {_query(*each)}"
        for name, each in zip(names, texts, strict=True)
    ]
    question = compose(connection, _DEFINITIONS, [names])
    script = [f"SET LOCAL search_path = {quoted(judged)}", *views, question]
    rows = query_scripts(connection, script, writing=True)[0]
    return [text for (text,) in rows]


def _query(text: str, source: str) -> str:
    if source == "query":
        return text.rstrip().rstrip(";")
    if source.startswith("("):
        text = _VALUE.sub("value", text)
    if source.endswith(" row_after"):
        for row, name in _ROWS.items():
            text = row.sub(name, text)
    return f"SELECT ({text}) AS spelled" + (f" FROM {source}" if source else "")  # noqa: S608 - a view
