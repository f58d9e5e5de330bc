"""The context of a `migrate` or repair run, for the code that reads the catalog or sends statements in it."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ProjectState
from django.utils.connection import ConnectionProxy


class Plan(Protocol):
    """The plan of a run of `migrate`."""

    def knowing(self, operation: Any) -> Any:
        """Return the operation, or a copy that knows what its migration alters later."""

    def migration_of(self, operation: Any) -> str:
        """Return the label of the operation's migration; empty if the operation is not in the plan."""

    def read_ahead(self, operation: Any, before: ProjectState) -> None:
        """Read the catalog for the operation and those that follow it; before: the state without it."""

    def declares_again(self, operation: Any) -> bool:
        """Return whether the plan declares later what has the name of what the operation removes."""

    def creates_model_of(self, operation: Any) -> bool:
        """Return whether the plan creates the model before the operation."""

    def makes_not_null(self, operation: Any) -> bool:
        """Return whether the plan makes the operation's field NOT NULL later."""

    def look_ahead(self, operation: Any, before: ProjectState) -> None:
        """Raise the error that would stop the operation or a later one; before: the state without it."""


# Seconds for which answers are used at most, even if the run changes nothing.
ANSWERS_LAST = 1.0


class Answers:
    """The answers of the server in a run, kept until the run changes something.

    They are kept for ANSWERS_LAST seconds at most, and longer only to look ahead. A change that another
    session makes in that time may go unnoticed, like a change that it makes shortly after the run.
    """

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}
        self._given: dict[Any, Any] = {}
        self._until = 0.0

    def begin(self, lasting: float = ANSWERS_LAST) -> None:
        """Forget the answers so far, and keep those from now on, for so many seconds."""
        self._known, self._given, self._until = {}, {}, time.monotonic() + lasting

    def forget(self) -> None:
        """Forget the answers so far, and keep none."""
        self._known, self._given, self._until = {}, {}, 0.0

    def give(self, key: Any, answer: Any) -> None:
        """Keep the answer for the next call of `to_all`, and no longer."""
        self._given[key] = answer

    def to_all(self, keys: Iterable[Any], ask: Callable[[list[Any]], Iterable[Any]]) -> list[Any]:
        """Return the answer to each key; call ask() once, with all keys that have no answer yet."""
        given, answers, self._given = list(keys), self._given, {}
        if time.monotonic() > self._until:
            self.forget()
        known = {*self._known, *answers}
        unknown = list(dict.fromkeys(key for key in given if key not in known))
        if unknown:
            answers |= zip(unknown, ask(unknown), strict=True)
        if self._until:
            self._known |= answers
        return [answers[key] if key in answers else self._known[key] for key in given]


@dataclass(slots=True)
class Run:
    """The context of a run on one connection.

    still_alone: raises MigratorsLockLost if the migrators' lock is lost.
    verbosity: that of `migrate`; 0 is silent.
    names_schema: whether the schema to work in was named, as by --schema.
    answers: the answers of the server since the last change of the run.
    has_sent: whether the run has changed something.
    prints_plain: whether `sqlmigrate` prints statements without the checks whether they are needed.
    is_converging: whether a convergent operation is at work, which limits its statements itself.
    expands: whether removals leave what the release before still uses, and only make it harmless.
    """

    still_alone: Callable[[], None] | None = None
    verbosity: int = 1
    names_schema: bool = False
    answers: Answers = field(default_factory=Answers)
    has_sent: bool = False
    is_converging: bool = False
    prints_plain: bool = False
    expands: bool = False
    _plan: Plan | None = None
    _at: tuple[Any, ProjectState] | None = None

    def begin(self, plan: Plan, verbosity: int) -> None:
        """Store the plan and the verbosity of a run."""
        self._plan, self._at, self.verbosity = plan, None, verbosity
        self.has_sent = False
        self.answers.forget()

    def end(self) -> None:
        """Forget the plan."""
        self._plan, self._at, self.verbosity = None, None, 1
        self.answers.forget()

    def knowing(self, operation: Any) -> Any:
        """Return the operation, or a copy that knows what its migration alters later."""
        return self._plan.knowing(operation) if self._plan else operation

    def migration_of(self, operation: Any) -> str:
        """Return the label of the operation's migration; empty outside a plan."""
        return self._plan.migration_of(operation) if self._plan else ""

    def declares_again(self, operation: Any) -> bool:
        """Return whether the plan declares later what has the name of what the operation removes."""
        return bool(self._plan and self._plan.declares_again(operation))

    def creates_model_of(self, operation: Any) -> bool:
        """Return whether the plan creates the model before the operation."""
        return bool(self._plan and self._plan.creates_model_of(operation))

    def makes_not_null(self, operation: Any) -> bool:
        """Return whether the plan makes the operation's field NOT NULL later."""
        return bool(self._plan and self._plan.makes_not_null(operation))

    def enter(self, operation: Any, before: ProjectState) -> None:
        """Note that the operation begins, going forwards, and read ahead; before: the state without it."""
        self._at = operation, before
        if self._plan:
            self._plan.read_ahead(operation, before)
        else:
            self.answers.forget()

    @contextmanager
    def converging(self) -> Iterator[None]:
        """Run the block as the work of a convergent operation."""
        before, self.is_converging = self.is_converging, True
        try:
            yield
        finally:
            self.is_converging = before

    def about_to_change(self) -> None:
        """Check, before a change, that the run may go on; before the first change look ahead at the plan.

        Raise MigratorsLockLost if the run has lost the migrators' lock, or the error that would stop a later
        step.
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
