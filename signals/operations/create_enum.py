"""CreateEnumIfMissing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.db import router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.migrations.state import ProjectState
from django.db.models import Model

from .base import Convergent
from .catalog.enums import Enum
from .catalog.questions import ENUM, Question, ask
from .catalog.records import Standing
from .components import guards
from .components.guards import literal
from .execution.run import run_of
from .findings import Finding, Snapshot, Status
from .further_back import missing_part, own_or_behind
from .refusals import keep, require_name, require_postgresql
from .site import Site
from .statements import Lock, Statement


class CreateEnumIfMissing(Convergent, Operation):
    """Create an enum type, or add the declared values that an existing type lacks.

    Existing values keep their order; a missing one is added after its declared predecessor. A killed run
    leaves the type without some of the values, and the next run adds them. Values that are not declared,
    another order, or a type of that name that is no enum stop the run.

    Backwards drops the type unless something uses it. PostgreSQL cannot remove a value from a type, so
    values that were added to an existing one stay.

    name: the type's name.
    values: the labels in order.
    later_values: labels that later migrations add, which are accepted here.
    keep_on_reverse: backwards keeps the type, for a migration that only adds values.
    """

    component = "enum"
    category = OperationCategory.ADDITION

    is_indifferent = True
    makes_type, reads_table = True, False

    def __init__(
        self,
        name: str,
        values: Sequence[str],
        *,
        later_values: Sequence[str] = (),
        keep_on_reverse: bool = False,
    ) -> None:
        if not values:
            raise ValueError(f"the enum {name} has no values (give at least one)")
        require_name(name)
        labels = [*values, *later_values]
        if len(set(labels)) < len(labels):
            raise ValueError(f"the enum {name} names a value twice: {', '.join(labels)}")
        for label in labels:
            if not 0 < len(label.encode()) < 64:  # noqa: PLR2004 - NAMEDATALEN
                raise ValueError(
                    f"the value {label!r} of the enum {name} is not 1 to 63 bytes long"
                )
        self.name = name
        self.values = tuple(values)
        self.later_values = tuple(later_values)
        self.keep_on_reverse = keep_on_reverse

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        kwargs: dict[str, Any] = {"name": self.name, "values": self.values}
        if self.later_values:
            kwargs["later_values"] = self.later_values
        if self.keep_on_reverse:
            kwargs["keep_on_reverse"] = True
        return type(self).__name__, [], kwargs

    def describe(self) -> str:
        return f"Create enum {self.name} if missing"

    @property
    def migration_name_fragment(self) -> str:
        return f"enum_{self.name.lower()}"

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Leave the state as it is: a type is not part of any model."""

    def locate(
        self,
        app_label: str,
        connection: BaseDatabaseWrapper,
        with_operation: ProjectState,
        without: ProjectState,
    ) -> Site | None:
        if not router.allow_migrate(connection.alias, app_label, **self.hints):
            return None
        require_postgresql(connection, self)
        is_plain = run_of(connection).prints_plain
        return Site(connection, Model, "", apps_before=without.apps if is_plain else None)

    @property
    def hints(self) -> dict[str, str]:
        return {"enum": self.name}

    def read(self, site: Site) -> Snapshot:
        return self.placed(site, ask(site.connection, [self.question(site)])[0])

    def inspect(self, site: Site, snapshot: Snapshot) -> list[Finding]:
        wanted, enum = ", ".join(self.values), snapshot.enum
        if enum is None:
            return [missing_part("enum", self.name, "", snapshot, wanted)]
        known = [label for label in enum.labels if label not in self.later_values]
        found = ", ".join(enum.labels)
        if enum.kind != "e":
            status, found = Status.DIFFERENT, f"a type of kind {enum.kind!r}, no enum"
        elif known == list(self.values):
            status = Status.EXISTS
        elif known == [label for label in self.values if label in known]:
            status = Status.MISSING
        else:
            status = Status.DIFFERENT
        fix = "rename the values (ALTER TYPE ... RENAME VALUE), or declare them in the operation"
        return [Finding("enum", self.name, "", status, found, wanted, fix)]

    def plan(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        create, _, *additions = self.script(site)
        enum = snapshot.enum
        if enum is None:
            return [create]
        missing = [label not in enum.labels for label in self.values[1:]]
        first = [] if self.values[0] in enum.labels else [self._first(site, enum.labels)]
        return first + [step for step, needed in zip(additions, missing, strict=True) if needed]

    def plan_backwards(self, site: Site, snapshot: Snapshot) -> list[Statement]:
        enum = snapshot.enum
        if enum is None or self.keep_on_reverse:
            return []
        if enum.kind != "e":
            keep(self, f"type {self.name}", "it is no enum")
            return []
        if enum.used:
            keep(self, f"type {self.name}", "something uses it")
            return []
        return self.script_backwards(site)

    def script(self, site: Site) -> list[Statement]:
        name = site.quote(self.name)
        labels = ", ".join(literal(label) for label in self.values)
        done = guards.has_enum(name)
        create = Statement(f"CREATE TYPE {name} AS ENUM ({labels})", Lock.NONE, name, done)
        additions = [
            Statement(
                f"ALTER TYPE {name} ADD VALUE {literal(label)} AFTER {literal(before)}",
                Lock.NONE,
                name,
                guards.has_label(name, label),
            )
            for before, label in zip(self.values, self.values[1:], strict=False)
        ]
        return [create, self._first(site), *additions]

    def script_backwards(self, site: Site) -> list[Statement]:
        if self.keep_on_reverse:
            return []
        name = site.quote(self.name)
        unused = guards.either(guards.negated(guards.has_enum(name)), guards.uses_type(name))
        return [Statement(f"DROP TYPE {name}", Lock.NONE, name, unused)]

    def plain_script(self, site: Site, *, forwards: bool) -> list[Statement]:
        is_used = self._is_used_before(site)
        if not forwards:
            return [] if is_used else self.script_backwards(site)
        create, _, *additions = self.script(site)
        if not is_used:
            return [create]
        again = "ADD VALUE IF NOT EXISTS"  # nothing tells which values an earlier migration made
        return [replace(each, sql=each.sql.replace("ADD VALUE", again, 1)) for each in additions]

    def question(self, site: Site, family: int = 0) -> Question:
        """Return the question that asks the catalog about the type."""
        return Question(site.quote(self.name), kind=ENUM, family=family)

    def placed(self, site: Site, found: Enum | None) -> Snapshot:
        """Return the snapshot with the type, if that is the declared one, as for a table."""
        enum, behind = own_or_behind(site, site.quote(self.name), found)
        return Snapshot(None, enum=enum, behind=behind)

    def outcome(self, snapshot: Snapshot) -> Snapshot:
        known = snapshot.enum.labels if snapshot.enum else ()
        labels = [*self.values, *(each for each in known if each not in self.values)]
        made = Enum("e", "", Standing.CURRENT, labels=tuple(labels), used=False)
        return replace(snapshot, enum=made)

    def _is_used_before(self, site: Site) -> bool:
        """Return whether a field of the models before the migration has the type."""
        models: Any = site.apps_before.get_models() if site.apps_before else ()
        kinds = {
            field.db_type(site.connection) for model in models for field in model._meta.local_fields
        }
        return bool(kinds & {self.name, site.quote(self.name)})

    def _first(self, site: Site, labels: Sequence[str] = ()) -> Statement:
        """Return the statement that adds the first value in front of the existing ones.

        labels: the existing values; if empty, a printed script looks them up when it runs.
        """
        name, label = site.quote(self.name), self.values[0]
        add = f"ALTER TYPE {name} ADD VALUE {literal(label)}"
        return Statement(
            f"{add} BEFORE {literal(labels[0])}" if labels else add,
            Lock.NONE,
            name,
            guards.has_label(name, label),
            question=f"SELECT {literal(add)} || {guards.before_first_label(name)}",
        )
