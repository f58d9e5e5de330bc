"""An enum type with its labels."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Enum:
    """A type: `kind` is typtype, 'e' for an enum; `current` as for a table; its labels in order.

    used: whether a column, a function or another object depends on it.
    """

    kind: str
    current: bool
    labels: tuple[str, ...]
    used: bool


ENUM_FACTS = """
SELECT pg_catalog.json_build_object(
  'kind', t.typtype, 'current', n.nspname = pg_catalog.current_schema(),
  'labels', (SELECT pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder)
             FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
  'used', EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
                  AND d.refobjid IN (t.oid, t.typarray) AND d.deptype = 'n')
)::pg_catalog.text
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE t.oid = pg_catalog.to_regtype(q.name)
"""


def parse_enum(text: str) -> Enum:
    """Return the enum of the facts that ENUM_FACTS gives."""
    facts = json.loads(text)
    return Enum(**{**facts, "labels": tuple(facts["labels"] or ())})
