"""What a run of `migrate` or of a repair knows, for whoever reads or sends a statement in it."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ProjectState
from django.utils.connection import ConnectionProxy


class Plan(Protocol):
    """The plan of a run of `migrate`."""

    def migration_of(self, operation: Any) -> str:
        """Return the label of the operation's migration; empty if the operation is not in the plan."""

    def read_ahead(self, operation: Any, before: ProjectState) -> None:
        """Read what the operation and those that follow it will ask for; before: the state without it."""

    def look_ahead(self, operation: Any, before: ProjectState) -> None:
        """Raise what would stop the operation or a later one; before: the state without the operation."""


# Answers are used for as long as nothing was sent, and in no case for longer than this, in seconds.
ANSWERS_LAST = 1.0


class Answers:
    """What the server has answered in a run, until the run changes something.

    Other sessions may change what was read at any time; what they change within a second after a reading is
    found as it would be had they changed it within a second after the run.
    """

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}
        self._until = 0.0

    def begin(self) -> None:
        """Remember what is answered from now on."""
        self._known, self._until = {}, time.monotonic() + ANSWERS_LAST

    def forget(self) -> None:
        """Ask for everything anew, and remember no answer."""
        self._known, self._until = {}, 0.0

    def to_all(self, keys: Iterable[Any], ask: Callable[[list[Any]], Iterable[Any]]) -> list[Any]:
        """Return the answer to each key; ask once for all that are not known, each once."""
        given = list(keys)
        if time.monotonic() > self._until:
            self.forget()
        unknown = list(dict.fromkeys(key for key in given if key not in self._known))
        answers = dict(zip(unknown, ask(unknown), strict=True)) if unknown else {}
        if self._until:
            self._known |= answers
        return [answers[key] if key in answers else self._known[key] for key in given]


@dataclass(slots=True)
class Run:
    """The context of a run on one connection.

    still_alone: raises MigratorsLockLost once the migrators' lock is gone.
    verbosity: of `migrate`; 0 is silent.
    answers: those of the server, as long as nothing was sent.
    has_sent: whether the run has changed something.
    """

    still_alone: Callable[[], None] | None = None
    verbosity: int = 1
    answers: Answers = field(default_factory=Answers)
    has_sent: bool = False
    _plan: Plan | None = None
    _at: tuple[Any, ProjectState] | None = None

    def begin(self, plan: Plan, verbosity: int) -> None:
        """Take in the plan, and how much to say."""
        self._plan, self._at, self.verbosity = plan, None, verbosity
        self.has_sent = False

    def end(self) -> None:
        """Forget the plan."""
        self._plan, self._at, self.verbosity = None, None, 1
        self.answers.forget()

    def migration_of(self, operation: Any) -> str:
        """Return the label of the operation's migration; empty outside a plan."""
        return self._plan.migration_of(operation) if self._plan else ""

    def enter(self, operation: Any, before: ProjectState) -> None:
        """Take in that the operation begins, forwards; before: the state without it."""
        self._at = operation, before
        if self._plan:
            self._plan.read_ahead(operation, before)

    def about_to_change(self) -> None:
        """Check that the run may go on; before its first change look ahead at the rest of the plan.

        Raise MigratorsLockLost if the run has lost the migrators' lock, and what would stop a later step.
        """
        if self.still_alone is not None:
            self.still_alone()
        is_first, self.has_sent = not self.has_sent, True
        if is_first and self._plan and self._at:
            self._plan.look_ahead(*self._at)
        self.answers.forget()


_runs: WeakKeyDictionary[BaseDatabaseWrapper, Run] = WeakKeyDictionary()


def run_of(connection: BaseDatabaseWrapper) -> Run:
    """Return the context of the run on the connection; between two runs it is empty."""
    if isinstance(connection, ConnectionProxy):  # django.db.connection: each thread has another
        connection = connections[connection.alias]
    return _runs.setdefault(connection, Run())
