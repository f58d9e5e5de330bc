"""What a run of `migrate` or of a repair knows, for whoever sends a statement in it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.connection import ConnectionProxy


@dataclass(slots=True)
class Run:
    """A run on one connection: who begins it says what it knows, who sends a statement asks.

    still_alone: raises MigratorsLockLost once the migrators' lock is gone. look_ahead: looks at the plan;
    called once, before the first change. verbosity: of `migrate`; 0 is silent.
    """

    still_alone: Callable[[], None] | None = None
    look_ahead: Callable[[], None] | None = None
    verbosity: int = 1
    _labels: dict[int, tuple[Any, str]] = field(default_factory=dict)

    def begin(
        self, labels: Iterable[tuple[Any, str]], look_ahead: Callable[[], None], verbosity: int
    ) -> None:
        """Take in a plan: the migration of each operation, how to look at it, and how much to say."""
        self._labels = {id(operation): (operation, label) for operation, label in labels}
        self.look_ahead, self.verbosity = look_ahead, verbosity

    def end(self) -> None:
        """Forget the plan."""
        self._labels, self.look_ahead, self.verbosity = {}, None, 1

    def migration_of(self, operation: Any) -> str:
        """Return the label of the operation's migration; empty outside a plan."""
        known, label = self._labels.get(id(operation), (None, ""))
        return label if known is operation else ""


_runs: WeakKeyDictionary[BaseDatabaseWrapper, Run] = WeakKeyDictionary()


def run_of(connection: BaseDatabaseWrapper) -> Run:
    """Return the run on the connection; between two runs, one that knows nothing."""
    if isinstance(connection, ConnectionProxy):  # django.db.connection: each thread has another
        connection = connections[connection.alias]
    return _runs.setdefault(connection, Run())
