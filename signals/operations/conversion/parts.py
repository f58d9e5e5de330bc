"""Divide converted operations into migrations: one, or several if they need different transactions."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from ..migrate.walk import advance, state_at
from . import Change, convert, flat
from .atomicity import TransactionNeed

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive changes that fit into one migration."""

    changes: tuple[Change, ...]
    atomic: bool


def batches(changes: Sequence[Change], *, atomic: bool) -> list[Batch]:
    """Return the fewest batches, in order, in which no two needs contradict each other; at least one.

    atomic: that of the migration. One that is not atomic is never divided, because its author decided that
        for all of its operations.
    """
    if not atomic:
        return [Batch(tuple(changes), atomic=False)]
    groups: list[tuple[TransactionNeed, list[Change]]] = [(TransactionNeed.NONE, [])]
    for change in changes:
        need, group = groups[-1]
        if TransactionNeed.NONE in (need, change.need) or need is change.need:
            group.append(change)
            groups[-1] = (change.need if need is TransactionNeed.NONE else need, group)
        else:
            groups.append((change.need, [change]))
    return [
        Batch(tuple(group), atomic=need is not TransactionNeed.AUTOCOMMIT) for need, group in groups
    ]


@dataclass(frozen=True, slots=True)
class Planned:
    """The new migrations by app, as `makemigrations` has them.

    kept: a line for each operation that stays as it is.
    """

    migrations: dict[str, list[Migration]]
    kept: tuple[str, ...]


def plan_migrations(
    changes: Mapping[str, Sequence[Migration]],
    state: ProjectState,
    connection: BaseDatabaseWrapper,
    name: str | None = None,
) -> Planned:
    """Return the new migrations with convergent operations, divided and renumbered where needed.

    What depends on a migration that is divided depends on the last of its parts.

    changes: the new migrations by app.
    state: the state before all of them; it is modified.
    name: the name that was asked for all of them, if any.
    """
    planned: dict[Key, list[Batch]] = {}
    for migration in _in_order(changes):
        converted = convert(migration.operations, migration.app_label, state, connection)
        planned[_key(migration)] = batches(converted, atomic=migration.atomic)
        for operation in flat(converted):
            advance(operation, migration.app_label, state)
    made = {app: list(_numbered(each, planned, name)) for app, each in changes.items()}
    pairs = [pair for each in made.values() for pair in each]
    last = {old: _key(new[-1]) for old, new in pairs}
    for _, new in pairs:
        first: Any = new[0]
        first.dependencies = [last.get(needed, needed) for needed in first.dependencies]
    kept = tuple(
        f"{migration}: {change.describe()}"
        for old, new in pairs
        for migration, part in zip(new, planned[old], strict=True)
        for change in part.changes
        if change.reason
    )
    migrations = {app: [each for _, new in of_app for each in new] for app, of_app in made.items()}
    return Planned(migrations, kept)


def state_without(loader: MigrationLoader, left_out: Collection[Key]) -> ProjectState:
    """Return the state of the migrations on disk without the given ones, on which no others depend."""
    leaves = [key for key in loader.graph.leaf_nodes() if key not in left_out]
    further = [
        parent.key
        for key in left_out
        for parent in loader.graph.node_map[key].parents
        if parent.key not in leaves
    ]
    return state_at(loader, [*leaves, *further])


def _numbered(
    migrations: Sequence[Migration], planned: Mapping[Key, Sequence[Batch]], name: str | None
) -> Iterator[tuple[Key, list[Migration]]]:
    """Yield the key of each migration with the migrations that take its place, numbered on."""
    shift = 0
    for migration in migrations:
        key, own = _key(migration), planned[_key(migration)]
        made: list[Any] = []
        number = MigrationAutodetector.parse_number(migration.name)
        for place, part in enumerate(own):
            shift += bool(place)
            new: Any = migration if len(own) == 1 else _batch_of(migration, place)
            new.operations, new.atomic = flat(part.changes), part.atomic
            if number is not None and (shift or len(own) > 1):
                rest = name or migration.name.partition("_")[2]
                rest = rest if len(own) == 1 else name or new.suggest_name()
                new.name = f"{number + shift:04}_{rest}"
            if place:
                new.dependencies = [_key(made[-1])]
            made.append(new)
        yield key, made


def _batch_of(migration: Migration, place: int) -> Any:
    made: Any = Migration(migration.name, migration.app_label)
    if place == 0:
        made.dependencies, made.initial = migration.dependencies, migration.initial
    return made


def _in_order(changes: Mapping[str, Sequence[Migration]]) -> Iterator[Migration]:
    """Yield each migration after the new ones that it depends on."""
    waiting = {_key(migration): migration for each in changes.values() for migration in each}
    firsts = {app: _key(each[0]) for app, each in changes.items() if each}
    while waiting:
        ready = [
            key
            for key, migration in waiting.items()
            if not any(
                (firsts.get(app) if name == "__first__" else (app, name)) in waiting.keys() - {key}
                for app, name in migration.dependencies
            )
        ]
        for key in ready or list(waiting):
            yield waiting.pop(key)


def _key(migration: Migration) -> Key:
    return migration.app_label, migration.name
