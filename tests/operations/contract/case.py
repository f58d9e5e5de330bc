"""Describe an operation by cases: databases without, with and partly with what one declares."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState

from signals import operations
from tests.operations.scratch_schema import PART_TABLE, part_model


@dataclass(frozen=True)
class OtherDefinition:
    """A database in which the declared name is taken: what makes it, and what the error says.

    found, wanted: as PostgreSQL prints them. fix: the advice; where it is SQL, running it heals.
    replaceable: whether on_different="replace" heals it too.
    """

    what: str
    sql: str
    name: str
    found: str
    wanted: str
    fix: str
    table: str = '"part"'
    component: str = ""
    replaceable: bool = False

    @property
    def repair(self) -> str:
        """Return the SQL of the advice, if it is SQL that loses nothing."""
        sql, _, _ = self.fix.partition("; and run again")
        return sql if sql.startswith(("ALTER", "DROP INDEX")) and "..." not in sql else ""


@dataclass(frozen=True)
class Case:
    """An operation, a database without what it declares, and hand-written SQL for one that has it.

    make: a new operation; full: the same class with every argument given.
    models: the state before. start: the SQL of the database before; done: the SQL that completes it.
    unfinished: what a killed run leaves, by hand or by a really failed build.
    namesakes: objects of the same name elsewhere, which the operation leaves alone; created before the start.
    after_back: what remains after going back; the start, unless it says otherwise.
    replacing: the same with on_different="replace", where the operation offers it.
    is_removal: whether the component is gone once the operation is done, where its name does not say so.
    settled: the statuses for which nothing is to be done, if those are several.
    absent: the status of the component before the operation, if it is neither missing nor a leftover.
    table: the name of the table when it is done.
    """

    name: str
    make: Callable[[], Any]
    full: Callable[[], Any]
    done: str
    describes: str
    fragment: str
    django: Callable[[], Operation] | None
    models: tuple[ModelState, ...] = (part_model(),)
    start: str = PART_TABLE
    unfinished: dict[str, str | Callable[[], None]] = field(default_factory=dict)
    namesakes: str = ""
    other_definitions: tuple[OtherDefinition, ...] = ()
    component: str = ""
    after_back: str | None = None
    replacing: Callable[[], Any] | None = None
    is_removal: bool = False
    settled: frozenset[operations.Status] = frozenset()
    absent: operations.Status | None = None
    table: str = "part"

    def __str__(self) -> str:
        return self.name

    @property
    def removes(self) -> bool:
        """Return whether the component is gone once the operation is done."""
        return self.is_removal or self.operation_class.__name__.endswith("IfPresent")

    @property
    def settled_statuses(self) -> frozenset[operations.Status]:
        """Return the statuses of components for which nothing is to be done."""
        status = operations.Status.ABSENT if self.removes else operations.Status.EXISTS
        return self.settled or frozenset({status})

    @property
    def operation_class(self) -> type[Any]:
        return type(self.make())

    def limited(self, **limits: float) -> Any:
        """Return the full operation with its own limits of waiting."""
        _, args, kwargs = self.full().deconstruct()
        limits = limits or {"lock_timeout": 0.02, "lock_wait": 0.2}
        return self.operation_class(*args, **kwargs, **limits)
