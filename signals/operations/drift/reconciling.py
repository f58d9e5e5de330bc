"""The repair of a column, a comment or a sequence by its catalog alone."""

import re

from ..base import Convergent
from ..components import guards
from ..convergence import send_all
from ..site import Site
from ..statements import Lock, Statement

# A change of the catalog alone, which reads and writes no row and loses nothing.
_CATALOG_ONLY = re.compile(
    r'ALTER TABLE \S+ (ALTER COLUMN "(?:[^"]|"")+" '
    r"(DROP DEFAULT|SET DEFAULT [^;,]+|DROP NOT NULL)(, )?)+;"
)


class Reconciling(Convergent):
    """Give a column its declared default, or let it be NULL; a comment its text; a sequence its limits.

    No row is read or written. A run that dies leaves the component as it was, or as declared.
    """

    has_safe_script = True

    def __init__(self, component: str, name: str, fix: str) -> None:
        self.component, self.name, self.fix = component, name, fix

    def describe(self) -> str:
        return f"Reconcile {self.component} {self.name}"

    def converge(self, site: Site, *, forwards: bool) -> None:
        send_all(self, site, self.script(site))

    def script(self, site: Site) -> list[Statement]:
        is_comment = self.component == "comment"
        lock = Lock.SHARE_UPDATE_EXCLUSIVE if is_comment else Lock.ACCESS_EXCLUSIVE
        return [Statement(self.fix.rstrip(";"), lock, site.table, guards.NEVER)]


def is_catalog_only(fix: str) -> bool:
    """Return whether the fix of a finding changes the catalog alone."""
    return _CATALOG_ONLY.fullmatch(fix) is not None
