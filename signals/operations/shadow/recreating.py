"""The repair of an object by the SQL with which another database has it."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from ..base import Convergent
from ..catalog.objects import CatalogObject
from ..components import guards
from ..convergence import send_all
from ..site import Site
from ..statements import Lock, Statement

# The kinds that are made without reading or losing a row, with the lock that this takes on their table.
_LOCKS = {
    "function": Lock.NONE,
    "procedure": Lock.NONE,
    "view": Lock.NONE,
    "schema": Lock.NONE,
    "sequence": Lock.NONE,
    "trigger": Lock.SHARE_ROW_EXCLUSIVE,
    "rule": Lock.ACCESS_EXCLUSIVE,
    "policy": Lock.ACCESS_EXCLUSIVE,
    "row security": Lock.ACCESS_EXCLUSIVE,
    "statistics": Lock.SHARE_UPDATE_EXCLUSIVE,
    "comment": Lock.SHARE_UPDATE_EXCLUSIVE,
    "materialized view": Lock.NONE,
}

# Those that CREATE OR REPLACE changes where they differ.
_REPLACEABLE = (
    "comment",
    "function",
    "policy",
    "procedure",
    "row security",
    "rule",
    "trigger",
    "view",
)


class Recreating(Convergent):
    """Make an object that another database has, by the SQL that PostgreSQL prints of it there.

    No row is read or lost. A run that dies leaves the object as it was, or as it is wanted.
    """

    has_safe_script = True
    reads_table = False

    def __init__(self, wanted: CatalogObject) -> None:
        self.wanted, self.component, self.name = wanted, wanted.kind, wanted.name

    def describe(self) -> str:
        return f"Make {self.wanted.label}"

    def converge(self, site: Site, *, forwards: bool) -> None:
        send_all(self, site, self.script(site))

    def script(self, site: Site) -> list[Statement]:
        lock = _LOCKS[self.wanted.kind] if self.wanted.table else Lock.NONE
        return [Statement(self.wanted.create, lock, self.wanted.table, guards.NEVER)]


def recreation(wanted: CatalogObject) -> Recreating | None:
    """Return the operation that makes the object; None if no SQL is safe."""
    is_safe = wanted.kind in _LOCKS and wanted.create
    return Recreating(wanted) if is_safe else None


def is_replaceable(wanted: CatalogObject) -> bool:
    """Return whether the operation changes an object of that name into the wanted one."""
    return wanted.kind in _REPLACEABLE and "CREATE CONSTRAINT TRIGGER" not in wanted.definition


def site_of(connection: BaseDatabaseWrapper, wanted: CatalogObject) -> Site:
    """Return where the operation runs: the table of the object, if it has one."""
    name = wanted.table  # quoted, and so taken as it is
    meta = type("Meta", (), {"db_table": name})
    model: Any = type("NoModel", (), {"_meta": meta})
    return Site(connection, model, name)
