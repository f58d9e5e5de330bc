"""A graph of migrations that stand in no file, and the walk through them."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from django.db.migrations import Migration
from django.db.migrations.graph import MigrationGraph
from django.db.migrations.operations.base import Operation

from benchmarks.lint.cases.case import APP
from signals.operations.lint.steps import types_connection
from signals.operations.lint.walking import PlacedFault, walk


def graph_of(*steps: tuple[Sequence[Operation], bool], is_limited: bool = True) -> Any:
    """Return what the walk reads of a loader, for migrations of the operations, each atomic or not."""
    graph = MigrationGraph()
    for number, (operations, atomic) in enumerate(steps):
        migration = Migration(f"{number:04}_step", APP)
        migration.operations, migration.atomic = list(operations), atomic
        migration.initial = not number
        migration.limit_every_statement = is_limited
        graph.add_node((APP, migration.name), migration)
        if number:
            graph.add_dependency(migration, (APP, migration.name), (APP, f"{number - 1:04}_step"))
    return SimpleNamespace(graph=graph, unmigrated_apps=set())


def faults(*steps: tuple[Sequence[Operation], bool], is_limited: bool = True) -> list[PlacedFault]:
    """Return the faults of the last migration."""
    loader = graph_of(*steps, is_limited=is_limited)
    selected = sorted(loader.graph.nodes)[-1:]
    return list(walk(loader, selected, types_connection(), is_one_release=True))
