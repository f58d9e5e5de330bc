"""Enum types and their labels."""

import json
from dataclasses import dataclass

from .records import TYPE_STANDING, Standing


@dataclass(frozen=True, slots=True)
class Enum:
    """A type that has the name of a wanted enum.

    kind: pg_type.typtype; 'e' for an enum.
    standing: whether the type is in current_schema(), or how else its schema stands to that one.
    labels: in the order of the enum.
    used: whether a column, a function or another object depends on the type or on its array type.
    """

    kind: str
    schema: str
    standing: Standing
    labels: tuple[str, ...]
    used: bool


# `q` is a question, a row of questions.py's _QUESTIONS.
ENUM_FACTS = """
SELECT pg_catalog.json_build_object(
  'kind', t.typtype, 'standing', <standing>, 'schema', n.nspname,
  'labels', (SELECT pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder)
             FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
  'used', EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
                  AND d.refobjid IN (t.oid, t.typarray) AND d.deptype = 'n')
)::pg_catalog.text
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE t.oid = pg_catalog.to_regtype(q.name)
""".replace("<standing>", TYPE_STANDING)


def parse_enum(text: str) -> Enum:
    """Return the Enum that the JSON text of ENUM_FACTS describes."""
    facts = json.loads(text)
    labels = tuple(facts["labels"] or ())
    return Enum(**{**facts, "standing": Standing(facts["standing"]), "labels": labels})
