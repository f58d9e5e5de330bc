"""manage.py migrate_preview: print the statements that `migrate` would send, and who would block them."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from django.template.defaultfilters import filesizeformat, pluralize

from ...execution.policy import EXPAND, PHASES, LockPolicy
from ...execution.run import run_of
from ...migrate.preview import MigrationPreview, StatementPreview, preview
from ...refusals import require_driver
from ..arguments import ExitCode, find_migration, require_alias, require_app
from ..phases import has_old_code


class Command(BaseCommand):
    help = (
        "Prints the statements that this database still needs, with their locks; changes nothing."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django reads it from the class

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("app_label", nargs="?", help="as for migrate")
        parser.add_argument(
            "migration_name", nargs="?", help="the migration, a unique beginning of it, or zero"
        )
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="alias of the database")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--phase", choices=PHASES, help="as for migrate")

    def handle(self, *args: Any, **options: Any) -> None:
        alias = options["database"]
        require_alias(alias)
        connection = connections[alias]
        if connection.vendor != "postgresql":
            what = f"the database {alias!r} is {connection.display_name}, and no PostgreSQL"
            raise CommandError(what, returncode=ExitCode.USAGE)
        try:
            require_driver(connection)
            phase = options["phase"] or LockPolicy.from_settings().phase
            run_of(connection).expands = phase == EXPAND and has_old_code(connection)
            executor = MigrationExecutor(connection)
            targets = _targets(executor, options["app_label"], options["migration_name"])
            found = list(preview(connection, executor.migration_plan(targets)))
        except ImproperlyConfigured as error:
            raise CommandError(str(error), returncode=ExitCode.CONFIGURATION) from error
        except DatabaseError as error:
            what = f"the database {alias!r} cannot be read: {error}"
            raise CommandError(what, returncode=ExitCode.UNAVAILABLE) from error
        finally:
            run_of(connection).expands = False
        self.stdout.write(_as_json(alias, found) if options["json"] else "\n".join(_lines(found)))
        if found:
            raise SystemExit(ExitCode.FINDINGS)


def _targets(
    executor: Any, app_label: str | None, name: str | None
) -> list[tuple[str, str | None]]:
    """Return the targets that `migrate` would have for these arguments."""
    leaves: list[tuple[str, str | None]] = executor.loader.graph.leaf_nodes(app_label)
    if app_label is None or name is None:
        if app_label is not None:
            require_app(executor.loader, app_label)
        return leaves
    if name == "zero":
        return [(app_label, None)]
    migration = find_migration(executor.loader, app_label, name)
    key = (app_label, migration.name)
    replaced = executor.loader.replacements.get(key)
    return [key if key in executor.loader.graph.nodes or not replaced else replaced.replaces[-1]]


def _as_json(alias: str, found: Iterable[MigrationPreview]) -> str:
    migrations = [asdict(each) for each in found]
    return json.dumps({"version": 1, "database": alias, "migrations": migrations}, indent=2)


def _lines(found: list[MigrationPreview]) -> Iterator[str]:
    for each in found:
        yield f"{each.app_label}.{each.name}{', backwards' if each.backwards else ''}"
        for part in each.parts:
            yield f"  {part.operation}"
            for step in part.steps:
                yield from _of_step(step)
            if part.stops:
                yield f"    stops here: {part.stops}"
            elif not part.steps:
                yield "    nothing to send"
        if not each.parts:
            yield "  nothing to send"
    count = sum(len(part.steps) for each in found for part in each.parts)
    migrations = f"{len(found)} migration{pluralize(len(found))}"
    yield f"{migrations}, {count} statement{pluralize(count)}" if found else "Nothing to do."


def _of_step(step: StatementPreview) -> Iterator[str]:
    yield f"    {step.sql}{'' if step.sql.endswith(';') or step.sql.startswith('--') else ';'}"
    if step.lock:
        size = "a new table"
        if step.size is not None:
            count = step.size.rows or 0
            rows = f", about {count:,} row{pluralize(count)}" if count else ""
            size = f"{filesizeformat(step.size.size)}{rows}".replace("\xa0", " ")
        yield f"      {step.lock} on {step.table} ({size})"
    for blocker in step.blockers:
        yield f"      would wait for {blocker}"
