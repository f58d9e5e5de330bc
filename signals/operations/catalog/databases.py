"""The databases of a server: how the session's own was made, and those that nobody uses."""

import json
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from .query import query_rows

_OWN = """
SELECT pg_catalog.to_jsonb(d)::pg_catalog.text, pg_catalog.pg_encoding_to_char(d.encoding),
  (SELECT r.rolsuper OR r.rolcreatedb FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER)
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
"""

# Those that the role may drop and that have no session.
_UNUSED = """
SELECT d.datname FROM pg_catalog.pg_database d
WHERE d.datname ~ %s AND pg_catalog.pg_has_role(d.datdba, 'USAGE')
AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid)
ORDER BY d.datname
"""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """How a database was made.

    may_create: whether the current role may create databases on the server.
    locale: further columns of pg_database, which depend on the version of the server.
    """

    encoding: str
    may_create: bool
    locale: dict[str, Any]

    @property
    def clauses(self) -> list[tuple[str, str]]:
        """Return what CREATE DATABASE takes to make another one with this encoding and locale."""
        facts = self.locale
        own = facts.get("datlocale") or facts.get("daticulocale")
        given = {
            "ENCODING": self.encoding,
            "LC_COLLATE": facts["datcollate"],
            "LC_CTYPE": facts["datctype"],
        }
        if facts.get("datlocprovider") == "i":
            rules = facts.get("daticurules")
            given |= {"LOCALE_PROVIDER": "icu", "ICU_LOCALE": own, "ICU_RULES": rules}
        elif facts.get("datlocprovider") == "b":
            given |= {"LOCALE_PROVIDER": "builtin", "BUILTIN_LOCALE": own}
        return [(name, value) for name, value in given.items() if value]


def database_facts(connection: BaseDatabaseWrapper) -> DatabaseFacts:
    """Return how the session's database was made."""
    ((locale, encoding, may_create),) = query_rows(connection, _OWN)
    return DatabaseFacts(encoding, bool(may_create), json.loads(locale))


def unused_databases(connection: BaseDatabaseWrapper, pattern: str) -> list[str]:
    """Return the databases whose names match the regular expression, and that no session uses."""
    return [name for (name,) in query_rows(connection, _UNUSED, [pattern])]
