"""The SQL for a primary key that a table lacks."""

import re
from collections.abc import Sequence

from ..catalog.tables import Constraint, Table
from ..names import shortened, successor
from ..site import Site
from ..statements import Lock, Statement
from . import guards

_NEW_KEY = re.compile(
    r'(CREATE UNIQUE INDEX CONCURRENTLY "((?:[^"]|"")+)" .*); '
    r"(ALTER TABLE .* ADD CONSTRAINT .* PRIMARY KEY USING INDEX .*);"
)


def primary_key_ddl(
    site: Site, found: Table, primary: Constraint | None, columns: Sequence[str]
) -> str:
    """Return SQL, for people to run, that gives the table the primary key while writers go on.

    primary: the primary key to replace; None if the table has none. columns: plain names.
    """
    name = shortened(f"{found.name}_pkey")
    index = site.quote(successor(name) if primary else name)
    keys = ", ".join(map(site.quote, columns))
    instead = f"DROP CONSTRAINT {site.quote(primary.name)}, " if primary else ""
    return (
        f"CREATE UNIQUE INDEX CONCURRENTLY {index} ON {site.table} ({keys}); "
        f"ALTER TABLE {site.table} {instead}"
        f"ADD CONSTRAINT {site.quote(name)} PRIMARY KEY USING INDEX {index};"
    )


def script_primary_key(table: str, ddl: str) -> list[Statement]:
    """Return the steps of `primary_key_ddl` for a printed script; none if it replaces a primary key.

    table: the quoted name.
    """
    found = _NEW_KEY.fullmatch(ddl)
    if found is None or " DROP CONSTRAINT " in found[3]:
        return []
    done = guards.has_primary_key(table)
    built = guards.has_index(table, found[2].replace('""', '"'))
    lock = Lock.SHARE_UPDATE_EXCLUSIVE
    return [
        Statement(found[1], lock, table, guards.either(done, built), transactional=False),
        Statement(found[3], Lock.ACCESS_EXCLUSIVE, table, done),
    ]
