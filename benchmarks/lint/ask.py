"""`python -m benchmarks.lint.ask TOOL FOLDER`: what a tool tells of each migration of the project, as JSON.

The process of one tool, in the project of FOLDER and its environment. The migrations before those that are
judged are applied first, because tools look into the database for what Django's SQL depends on.
"""

import json
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import django
from django.db import NotSupportedError, connection
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

Told = dict[str, list[str]]


def main(tool: str, folder: str) -> int:
    sys.path.insert(0, folder)
    os.environ["DJANGO_SETTINGS_MODULE"] = "lint_settings"
    warnings.simplefilter("ignore")
    django.setup()
    loader = MigrationLoader(None)
    leaves = [key for key in loader.graph.leaf_nodes() if key[0].startswith("case")]
    if tool == "prepare":
        _prepare([key for leaf in leaves for key in loader.graph.node_map[leaf].parents])
        return 0
    told = {key[0]: list(TOOLS[tool](loader.graph.nodes[key])) for key in leaves}
    json.dump(told, sys.stdout)
    return 0


def _prepare(parents: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION btree_gist")
    targets = [(each.key[0], each.key[1]) for each in parents]
    MigrationExecutor(connection).migrate(targets)


def _linter(migration: Migration) -> Iterator[str]:
    """Yield the errors and warnings of django-migration-linter."""
    from django_migration_linter.migration_linter import MigrationLinter

    class Listening(MigrationLinter):  # type: ignore[misc]
        def print_errors(self, errors: Any) -> None:
            found.extend(errors)

        print_warnings = print_errors

    found: list[Any] = []
    linter = Listening(no_cache=True, no_output=True)
    try:
        linter.lint_migration(migration)
    except NotSupportedError:
        yield "NotSupportedError"  # of Django's sqlmigrate, with which the tool ends
    except Exception as error:  # noqa: BLE001 - the tool's failure is no finding
        sys.stderr.write(f"{migration}: {type(error).__name__}: {error}\n")
    yield from (str(each.code) for each in found)


def _safe_migrations(migration: Migration) -> Iterator[str]:
    """Yield the errors and warnings of django-safe-migrations."""
    from django_safe_migrations.analyzer import MigrationAnalyzer

    analyzer = MigrationAnalyzer(db_vendor="postgresql")
    for each in analyzer.analyze_migration(migration):
        if each.severity.name != "INFO":
            yield str(each.rule_id)


def _zero_downtime(migration: Migration) -> Iterator[str]:
    """Yield the operation that django-pg-zero-downtime-migrations refuses as unsafe."""
    from django_zero_downtime_migrations.backends.postgres.schema import UnsafeOperationException

    loader = MigrationLoader(connection)
    node: Any = loader.graph.nodes[migration.app_label, migration.name]
    try:
        loader.collect_sql([(node, False)])
    except UnsafeOperationException as error:
        yield str(error).splitlines()[0].removesuffix(" is unsafe operation")
    except NotSupportedError:
        yield "NotSupportedError"
    except Exception as error:  # noqa: BLE001 - the tool's failure is no finding
        sys.stderr.write(f"{migration}: {type(error).__name__}: {error}\n")


TOOLS = {
    "linter": _linter,
    "safe": _safe_migrations,
    "zero": _zero_downtime,
}

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
