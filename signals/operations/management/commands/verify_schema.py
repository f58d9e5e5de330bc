"""manage.py verify_schema: which of the declared components the database has, and their repair."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.management.color import no_style
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import AmbiguityError
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration

from signals.operations import session
from signals.operations.catalog import Catalog
from signals.operations.errors import ConvergenceError
from signals.operations.findings import Status
from signals.operations.printing import (
    as_json,
    as_sql,
    as_table,
    schemas_as_json,
    schemas_as_table,
)
from signals.operations.prometheus import Textfile, exporting
from signals.operations.reading import Unreadable, in_words
from signals.operations.repair import in_order, postponed, repair, statements
from signals.operations.report import in_encoding, report
from signals.operations.schemas import Result, Schemas, inside, repair_schemas, survey_schemas
from signals.operations.survey import Row, Survey, patient_survey

FINDINGS, USAGE, CONFIGURATION, UNAVAILABLE = 1, 2, 3, 4
INTERRUPTED = 130  # as a shell says it

_STYLES = {
    Status.EXISTS: "SUCCESS",
    Status.ABSENT: "SUCCESS",
    Status.MISSING: "ERROR",
    Status.DIFFERENT: "ERROR",
    Status.UNDECLARED: "NOTICE",
}
_ALONE = (
    ("json", "sql"),
    ("repair", "sql"),
    ("dry_run", "json"),
    ("database", "all_databases"),
    ("schema", "schemas"),
)
_OF_REPAIR = ("replace", "dry_run")


class Command(BaseCommand):
    help = (
        "Shows what the applied migrations declare and the database lacks; --repair puts it right."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django reads it from the class
    textfile: Textfile

    def execute(self, *args: Any, **options: Any) -> str | None:
        with exporting(options) as self.textfile:
            return super().execute(*args, **options)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("app_label", nargs="?", help="this application alone, as in signals")
        parser.add_argument(
            "migration_name",
            nargs="?",
            help="this migration alone, or a unique beginning, as in 0012",
        )
        parser.add_argument("--database", help="alias of the database, by default 'default'")
        for name, text in {
            "all-databases": "each database of the settings that is a PostgreSQL",
            "all": "every row, not only what is not right",
            "json": "one JSON object on stdout",
            "sql": "on stdout the SQL that reconciles, guarded, for psql",
            "quiet": "nothing on stdout; the exit code says it",
            "strict": "what no migration declares is a finding too",
            "repair": "build what is missing or unfinished, and verify again",
            "replace": "with --repair: replace what differs, where that is possible without a gap",
            "dry-run": "with --repair: print the statements, and change nothing",
        }.items():
            parser.add_argument(f"--{name}", action="store_true", help=text)
        parser.add_argument(
            "--prometheus", metavar="FILE", help="what was found, for node_exporter, in FILE.prom"
        )
        parser.add_argument("--schema", help="this schema, in front of the search_path")
        parser.add_argument(
            "--schemas",
            metavar="PATTERN",
            help="each schema whose name is LIKE it, as in 'tenant_%%'; shows what is not right",
        )
        parser.add_argument(
            "--jobs", type=int, default=1, help="with --schemas and --repair: so many at a time"
        )
        parser.add_argument(
            "--no-input",
            "--noinput",
            action="store_false",
            dest="interactive",
            help="with --repair: do not ask first",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        aliases = _aliases(options)
        _refuse_contradictions(options)
        surveys: list[Any] = []
        self.results: list[Result] = []
        is_clean = True
        for alias in self.textfile.expecting(aliases):
            with _told(alias), self.textfile.reading(alias), ExitStack() as stack:
                connection = self._enter(stack, alias, options)
                if connection is None:
                    continue
                if _is_alone(options):
                    is_clean &= self._one(connection, options)
                    continue
                judge = self._many if options["schemas"] else self._whole
                surveys.append(judge(connection, options))
                self.textfile.surveys.append(surveys[-1])
                is_clean &= surveys[-1].is_clean(strict=options["strict"])
        self._end(surveys, options)
        if not is_clean:
            raise SystemExit(FINDINGS)

    def _end(self, surveys: list[Any], options: dict[str, Any]) -> None:
        """One JSON object for all that was looked at; a refusal where some of it could not be."""
        strict = options["strict"]
        if options["json"] and not options["quiet"] and surveys:
            text = (
                schemas_as_json(surveys, self.results, strict=strict)
                if options["schemas"]
                else as_json(surveys, strict=strict)
            )
            self.stdout.write(text)
        hidden = [name for each in surveys if options["schemas"] for name in each.unreadable]
        if hidden:
            raise CommandError(
                f"no right to read the schemas {', '.join(hidden)} (GRANT USAGE ON SCHEMA, and SELECT "
                "on its django_migrations)",
                returncode=UNAVAILABLE,
            )

    def _enter(
        self, stack: ExitStack, alias: str, options: dict[str, Any]
    ) -> BaseDatabaseWrapper | None:
        """The connection in the asked schema; None for another kind of database among all of them."""
        connection: BaseDatabaseWrapper = connections[alias]
        if connection.vendor != "postgresql":
            what = f"the database {alias!r} is {connection.display_name}, not PostgreSQL"
            if not options["all_databases"]:
                raise CommandError(what, returncode=CONFIGURATION)
            self.stderr.write(f"{what}; left out")
            return None
        schema = options["schema"]
        if options["repair"] and (schema or options["schemas"]) and session.is_pooled(connection):
            raise CommandError(
                f"a pooler stands before the database {alias!r}, and would give the search_path of a "
                "schema to somebody else; nothing was changed (repair over a direct connection)",
                returncode=CONFIGURATION,
            )
        if schema:
            stack.enter_context(session.in_schema(connection, schema))
            if Catalog(connection).place().schema != schema:
                raise CommandError(
                    f"there is no schema {schema} in the database {alias!r}, or no right to use it",
                    returncode=USAGE,
                )
        return connection

    def _one(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> bool:
        """One migration by itself, applied or not."""
        loader = MigrationLoader(None, replace_migrations=False)
        migration = find(loader, options["app_label"], options["migration_name"])
        findings = report(connection, loader, migration)
        text = findings.as_json() if options["json"] else findings.as_table(self._encoding)
        if not options["quiet"]:
            self.stdout.write(text)
        return findings.is_clean

    def _whole(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> Survey:
        """What the applied migrations declare together, repaired first where that is asked for."""
        look = partial(patient_survey, connection, *_asked(options))
        found = look()
        if options["repair"]:
            found = self._repair(connection, found, look, options)
        if options["quiet"] or options["json"] or options["dry_run"]:
            return found
        if options["sql"]:
            path = Catalog(connection).search_path() if options["schema"] else ""
            self.stdout.write(as_sql(found, path=path))
        else:
            text = as_table(found, self._paint, every=options["all"])
            self.stdout.write(in_encoding(text, self._encoding))
        return found

    def _many(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> Schemas:
        """What stands in each schema of the pattern, repaired first where that is asked for."""
        asked = _asked(options)
        look = partial(survey_schemas, connection, options["schemas"], *asked)
        found = look()
        if not (found.names or found.unreadable):
            what = (
                f"no schema of the database {connection.alias!r} has a name LIKE {found.pattern!r}"
            )
            if not options["all_databases"]:
                raise CommandError(what, returncode=USAGE)
            self.stderr.write(what)
        each = partial(patient_survey, app_label=asked[0], migration=asked[1])
        if options["repair"]:
            found = self._repair_many(connection, found, look, each, options)
        if options["quiet"] or options["json"] or options["dry_run"]:
            return found
        if options["sql"]:
            for wrong in found.surveys:
                with inside(connection, wrong.schema):
                    path = Catalog(connection).search_path()
                    self.stdout.write(as_sql(each(connection), path=path))
        else:
            text = schemas_as_table(found, self._paint, every=options["all"])
            self.stdout.write(in_encoding(text, self._encoding))
        return found

    def _repair_many(
        self,
        connection: BaseDatabaseWrapper,
        found: Schemas,
        look: Callable[[], Schemas],
        each: Callable[[BaseDatabaseWrapper], Survey],
        options: dict[str, Any],
    ) -> Schemas:
        replacing = options["replace"]
        todo = {
            survey.schema: rows
            for survey in found.surveys
            if (rows := [row for row in survey.rows if row.is_repairable(replacing=replacing)])
        }
        if options["dry_run"]:
            for name in todo:
                with inside(connection, name):
                    self.stdout.write(f"SET search_path TO {Catalog(connection).search_path()};")
                    there = each(connection).rows
                    self._print(
                        in_order(row for row in there if row.is_repairable(replacing=replacing))
                    )
            return found
        if not todo or (options["interactive"] and not self._agrees_to_all(todo)):
            return found
        repairs = repair_schemas(
            connection,
            list(todo),
            each,
            jobs=options["jobs"],
            replacing=replacing,
            say=self.stderr.write,
        )
        with closing(repairs) as results:  # else, interrupted here, the other jobs would go on
            for result in results:
                self.results.append(result)
                reasons = list(result.reasons())
                for reason in reasons:
                    self.stderr.write(f"{result.schema}: not repaired: {reason}")
                if not reasons:
                    self.stderr.write(f"{result.schema}: repaired")
        return look()

    def _repair(
        self, connection: BaseDatabaseWrapper, found: Survey, look: Any, options: dict[str, Any]
    ) -> Survey:
        replacing = options["replace"]
        todo = in_order(row for row in found.rows if row.is_repairable(replacing=replacing))
        if options["dry_run"]:
            self._print(todo)
            return found
        if not todo or (options["interactive"] and not self._agrees(todo)):
            return found
        done = repair(connection, look, replacing=replacing, say=self.stderr.write)
        for row, reason in done.failures:
            self.stderr.write(f"not repaired: {row.finding.label}: {reason}")
        return done.survey

    def _print(self, todo: Sequence[Row]) -> None:
        """Each statement once, though a column comes with its index, which is a row of its own."""
        steps: list[str] = []
        for row in todo:
            try:
                steps += [statement.sql for statement in statements(row)]
            except ConvergenceError as error:
                self.stderr.write(f"{row.finding.component} {row.finding.name}: {error}")
        steps += [statement.sql for row in todo for statement in postponed(row)]
        for sql in dict.fromkeys(steps):
            if not sql.startswith("DO "):  # of a script: what makes it stop
                self.stdout.write(f"{sql};")

    def _agrees(self, todo: Sequence[Row]) -> bool:
        _require_terminal()
        self._list(todo)
        return _confirms(f"Repair {len(todo)} components?")

    def _agrees_to_all(self, todo: dict[str, list[Row]]) -> bool:
        """The same for many schemas."""
        _require_terminal()
        for name, rows in todo.items():
            self._list(rows, f"{name}: ")
        number = sum(map(len, todo.values()))
        return _confirms(f"Repair {number} components in {len(todo)} schemas?")

    def _list(self, rows: Iterable[Row], where: str = "") -> None:
        for row in rows:
            finding = row.finding
            self.stderr.write(f"{where}{finding.status.value}: {finding.label} ({row.migration})")

    def _paint(self, status: Status, text: str) -> str:
        if not self.stdout.isatty():
            return text
        style = no_style() if os.environ.get("NO_COLOR") else self.style
        return str(getattr(style, _STYLES.get(status, "WARNING"))(text))

    @property
    def _encoding(self) -> str:
        return getattr(self.stdout, "encoding", None) or "utf-8"


def find(loader: MigrationLoader, app_label: str, prefix: str) -> Migration:
    """The one migration of the app whose name begins so; a CommandError says which there are."""
    require_app(loader, app_label)
    try:
        return loader.get_migration_by_prefix(app_label, prefix)
    except (AmbiguityError, KeyError):
        names = sorted(name for app, name in loader.disk_migrations if app == app_label)
        raise CommandError(
            f"{prefix!r} names no single migration of {app_label} (use one of {', '.join(names)})",
            returncode=USAGE,
        ) from None


def require_app(loader: MigrationLoader, app_label: str) -> None:
    """A CommandError where no migration is of that app."""
    if app_label not in loader.migrated_apps:
        raise CommandError(f"the app {app_label!r} has no migrations", returncode=USAGE)


def require_alias(alias: str) -> None:
    """A CommandError where the settings have no database of that alias; it says which there are."""
    if alias not in connections:
        raise CommandError(
            f"there is no database {alias!r} (use one of {', '.join(connections)})",
            returncode=USAGE,
        )


def _asked(options: dict[str, Any]) -> tuple[str | None, str | None]:
    """The app and the migration, if any; a CommandError where there is none of that name."""
    app, name = options["app_label"], options["migration_name"]
    if app is None:
        return None, None
    loader = MigrationLoader(None, replace_migrations=False)
    require_app(loader, app)
    return app, find(loader, app, name).name if name else None


def _is_alone(options: dict[str, Any]) -> bool:
    """Whether one migration is shown by itself, applied or not."""
    together = options["repair"] or options["sql"] or options["schemas"]
    return bool(options["migration_name"] and not together)


def _require_terminal() -> None:
    if not sys.stdin.isatty():
        raise CommandError(
            "--repair asks first, and there is no terminal (use --no-input)", returncode=USAGE
        )


def _confirms(question: str) -> bool:
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _aliases(options: dict[str, Any]) -> list[str]:
    if options["all_databases"]:
        return list(connections)
    alias = options["database"] or DEFAULT_DB_ALIAS
    require_alias(alias)
    return [alias]


def _refuse_contradictions(options: dict[str, Any]) -> None:
    for one, other in _ALONE:
        if options[one] and options[other]:
            names = " and ".join(f"--{name.replace('_', '-')}" for name in (one, other))
            raise CommandError(f"{names} exclude each other", returncode=USAGE)
    for name in _OF_REPAIR:
        if options[name] and not options["repair"]:
            raise CommandError(f"--{name.replace('_', '-')} goes with --repair", returncode=USAGE)
    pattern = options["schemas"] or ""
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
        raise CommandError(
            f"--schemas {pattern!r} ends with a backslash, which stands before another character "
            "(write it twice)",
            returncode=USAGE,
        )
    if options["jobs"] < 1:
        raise CommandError("--jobs is 1 or more", returncode=USAGE)
    if options["jobs"] > 1 and not (options["schemas"] and options["repair"]):
        raise CommandError("--jobs goes with --schemas and --repair", returncode=USAGE)
    if options["migration_name"] and options["all_databases"]:
        raise CommandError(
            "a migration is shown for one database (use --database)", returncode=USAGE
        )


@contextmanager
def _told(alias: str) -> Iterator[None]:
    """What cannot be judged ends in words and with the exit code of its kind."""
    try:
        with in_words(alias):
            yield
    except KeyboardInterrupt:  # what was done stands, and the next run goes on from there
        raise SystemExit(INTERRUPTED) from None
    except Unreadable as error:
        code = CONFIGURATION if error.is_misconfigured else UNAVAILABLE
        raise CommandError(str(error), returncode=code) from error
