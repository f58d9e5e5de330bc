"""The repair of a sequence that has still to give values which its column has."""

from ..base import Convergent
from ..catalog.details import Sequence, plain_name
from ..catalog.query import quoted
from ..catalog.tables import Table, name_of
from ..components import guards
from ..convergence import send_all
from ..site import Site
from ..statements import Lock, Statement


class CatchingUp(Convergent):
    """Set a sequence to the value of its column that is furthest in its direction, or leave it further on.

    Nobody inserts a row or takes a number meanwhile, so that no number is given twice: the table is locked,
    and so is the sequence, by an ALTER SEQUENCE that changes nothing. A run that dies leaves the sequence as
    it was.
    """

    has_safe_script = True
    reads_table = False

    def __init__(self, found: Table, sequence: Sequence) -> None:
        self.found, self.sequence = found, sequence
        self.component, self.name = "sequence", plain_name(sequence.name)

    def describe(self) -> str:
        return f"Set {self.sequence.name} behind the values of {self.sequence.column}"

    def converge(self, site: Site, *, forwards: bool) -> None:
        send_all(self, site, self.script(site))

    def script(self, site: Site) -> list[Statement]:
        name, lock = name_of(self.found), Lock.SHARE_ROW_EXCLUSIVE
        steps = [
            f"LOCK TABLE {name} IN {lock.mode} MODE",
            f"ALTER SEQUENCE {self.sequence.full_name} INCREMENT BY {self.sequence.step}",
            f"SELECT {caught_up(self.found, self.sequence)}",
        ]
        return [Statement("; ".join(steps), lock, site.table, guards.NEVER)]


def caught_up(found: Table, sequence: Sequence) -> str:
    """Return the call of setval() that sets the sequence, as SQL; it takes no number back."""
    function, furthest = (
        ("GREATEST", "pg_catalog.max") if sequence.step > 0 else ("LEAST", "pg_catalog.min")
    )
    column, own = quoted(sequence.column), sequence.full_name
    value = f"SELECT {furthest}({column}) FROM {name_of(found)}"  # noqa: S608 - names of the catalog
    last = f"SELECT last_value FROM {own}"  # noqa: S608 - the same
    return f"pg_catalog.setval({guards.literal(own)}, {function}(({value}), ({last})))"
