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


def graph_of(*steps: tuple[Sequence[Operation], bool]) -> Any:
    """Return what the walk reads of a loader, for migrations of the operations, each atomic or not."""
    graph = MigrationGraph()
    for number, (operations, atomic) in enumerate(steps):
        migration = Migration(f"{number:04}_step", APP)
        migration.operations, migration.atomic = list(operations), atomic
        migration.initial = not number
        graph.add_node((APP, migration.name), migration)
        if number:
            graph.add_dependency(migration, (APP, migration.name), (APP, f"{number - 1:04}_step"))
    return SimpleNamespace(graph=graph, unmigrated_apps=set())


def faults(
    *steps: tuple[Sequence[Operation], bool], last: int = 1, is_one_release: bool = True
) -> list[PlacedFault]:
    """Return the faults of the last migrations."""
    loader = graph_of(*steps)
    selected = sorted(loader.graph.nodes)[-last:]
    return list(walk(loader, selected, types_connection(), is_one_release=is_one_release))
