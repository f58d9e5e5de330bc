"""The SQL for a primary key that a table lacks."""

from collections.abc import Sequence

from ..catalog.tables import Constraint, Table
from ..names import shortened, successor
from ..site import Site


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
