"""manage.py verify_schema: print which declared components the database lacks, and repair them."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.management.color import no_style
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ...catalog.query import quoted
from ...catalog.records import RECORDER_TABLE, records_of
from ...catalog.schemas import current_place, schemas_like, search_path
from ...drift.one_migration import report
from ...drift.printing import (
    as_json,
    as_sql,
    as_table,
    in_encoding,
    schemas_as_json,
    schemas_as_table,
)
from ...drift.prometheus import Textfile
from ...drift.reading import AnySurvey, errors_as_unreadable, require_records
from ...drift.records import (
    NothingRecorded,
    Unreadable,
    beside_records,
    readable_records,
)
from ...drift.rows import Problem, Survey
from ...drift.schemas import Schemas, in_existing_schema, survey_schemas
from ...drift.survey import survey_with_retry
from ...execution.settings import in_schema, is_shared
from ...findings import Status
from ...refusals import require_driver
from ...shadow.fingerprint import Fingerprint, as_hashes, fingerprint
from ..arguments import ExitCode, find_migration, load_migrations
from ..prometheus_file import written_at_the_end
from ..repair_dialogue import RepairDialogue
from ..shadow_options import JudgedByAnother
from ..verify_options import (
    add_verify_arguments,
    database_aliases,
    is_of_one_migration,
    named_migration,
    refuse_contradictions,
)

_STYLES = {
    Status.EXISTS: "SUCCESS",
    Status.ABSENT: "SUCCESS",
    Status.MISSING: "ERROR",
    Status.DIFFERENT: "ERROR",
    Status.AWAITING: "NOTICE",
    Status.UNDECLARED: "NOTICE",
    Status.HEALTH: "NOTICE",
}


class Command(BaseCommand):
    help = (
        "Shows what the applied migrations declare and the database lacks; --repair puts it right."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django reads it from the class
    textfile: Textfile
    is_beside = False  # whether the schema of the records was put in front of the role's own

    def execute(self, *args: Any, **options: Any) -> str | None:
        with written_at_the_end(options) as self.textfile:
            return super().execute(*args, **options)

    def add_arguments(self, parser: CommandParser) -> None:
        add_verify_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        aliases = database_aliases(options)
        refuse_contradictions(options)
        surveys: list[Any] = []
        self.dialogue = RepairDialogue(self.stdout, self.stderr, options)
        self.problems: list[Problem] = []
        self.fingerprints: list[Fingerprint] = []
        is_clean = True
        for alias in self.textfile.expecting(aliases):
            with self._collecting(alias), self.textfile.reading(alias), ExitStack() as stack:
                connection = self._enter(stack, alias, options)
                if connection is None:
                    continue
                if options["fingerprint"]:
                    self.fingerprints.append(fingerprint(connection, grants=options["with_grants"]))
                    continue
                if is_of_one_migration(options):
                    is_clean &= self._report_one(connection, options)
                    continue
                survey = self._survey_many if options["schemas"] else self._survey_one
                surveys.append(survey(connection, options))
                self.textfile.surveys.append(surveys[-1])
                for line in surveys[-1].stale:
                    self.stderr.write(f"stale accepted finding: {line}")
                self.problems += surveys[-1].unjudged
                is_clean &= surveys[-1].is_clean(strict=options["strict"])
        self._end(surveys, options)
        if not is_clean:
            raise SystemExit(ExitCode.FINDINGS)

    def _end(self, surveys: list[Any], options: dict[str, Any]) -> None:
        """Print one JSON object for all databases; raise CommandError if something cannot be judged."""
        strict, problems = options["strict"], self.problems
        if self.fingerprints and not options["quiet"]:
            self.stdout.write(as_hashes(self.fingerprints, as_json=options["json"]))
        is_own = (
            is_of_one_migration(options) or options["fingerprint"]
        ) and not problems  # and printed
        if options["json"] and (surveys or problems) and not (options["quiet"] or is_own):
            text = (
                schemas_as_json(surveys, self.dialogue.results, problems, strict=strict)
                if options["schemas"]
                else as_json(surveys, problems, strict=strict)
            )
            self.stdout.write(text)
        if problems:
            is_misconfigured = all(each.is_misconfigured for each in problems)
            code = ExitCode.CONFIGURATION if is_misconfigured else ExitCode.UNAVAILABLE
            raise CommandError("\n".join(map(str, problems)), returncode=code)
        hidden = [name for each in surveys if options["schemas"] for name in each.unreadable]
        if hidden:
            raise CommandError(
                f"no right to read the schemas {', '.join(hidden)} (GRANT USAGE ON SCHEMA, and SELECT "
                "on its django_migrations)",
                returncode=ExitCode.UNAVAILABLE,
            )

    def _enter(
        self, stack: ExitStack, alias: str, options: dict[str, Any]
    ) -> BaseDatabaseWrapper | None:
        """Return the connection, in the schema that is asked for.

        Return None for a database other than PostgreSQL, if all databases are asked for.
        """
        connection: BaseDatabaseWrapper = connections[alias]
        if connection.vendor != "postgresql":
            what = f"the database {alias!r} is {connection.display_name}, not PostgreSQL"
            if not options["all_databases"]:
                raise CommandError(what, returncode=ExitCode.CONFIGURATION)
            self.stderr.write(f"{what}; left out")
            return None
        require_driver(connection)
        schema = options["schema"]
        if options["repair"] and (schema or options["schemas"]) and is_shared(connection):
            raise CommandError(
                f"the connection to the database {alias!r} goes through a pooler, which would give the "
                "search_path of a schema to another client; nothing was changed (repair over a direct "
                "connection)",
                returncode=ExitCode.CONFIGURATION,
            )
        if schema:
            stack.enter_context(in_schema(connection, schema))
            if current_place(connection).schema != schema:
                _refuse_schema(connection, schema)
        if not options["schemas"]:
            self.is_beside = stack.enter_context(beside_records(connection))
        return connection

    def _report_one(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> bool:
        """Print the report of one migration, applied or not; return whether it is clean."""
        loader = load_migrations()
        migration = find_migration(loader, options["app_label"], options["migration_name"])
        readable_records(connection)
        findings = _require_seen(report(connection, loader, migration), options)
        text = findings.as_json() if options["json"] else findings.as_table(self._encoding)
        if not options["quiet"]:
            self.stdout.write(text)
        if findings.unjudged:
            lines = "\n".join(map(str, findings.unjudged))
            raise CommandError(lines, returncode=ExitCode.UNAVAILABLE)
        return findings.is_clean

    def _look(
        self,
        connection: BaseDatabaseWrapper,
        options: dict[str, Any],
        another: JudgedByAnother,
    ) -> Survey:
        """Survey the database by its migrations, by its shadow too, or by another database."""
        if options["against"]:
            return another.against()
        named = named_migration(options)
        if not options["shadow"]:
            return survey_with_retry(connection, *named)
        return another.shadow(_require_seen(survey_with_retry(connection), options))

    def _survey_one(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> Survey:
        """Survey what the applied migrations declare, repair it if asked to, and print the survey."""
        look = partial(self._look, connection, options, JudgedByAnother(connection, options))
        found = _require_seen(look(), options)
        if options["repair"]:
            found = self.dialogue.repair(connection, found, look)
        if options["quiet"] or options["json"] or options["dry_run"]:
            return found
        if options["sql"]:
            path = search_path(connection) if options["schema"] or self.is_beside else ""
            self.stdout.write(as_sql(found, path=path))
        else:
            text = as_table(found, self._paint, every=options["all"])
            self.stdout.write(in_encoding(text, self._encoding))
        return found

    def _survey_many(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> Schemas:
        """Survey each schema of the pattern, repair it if asked to, and print the surveys."""
        asked = named_migration(options)
        look = partial(survey_schemas, connection, options["schemas"], *asked)
        each = partial(survey_with_retry, app_label=asked[0], migration=asked[1])
        if options["shadow"]:
            another = JudgedByAnother(connection, options)
            look = partial(survey_schemas, connection, options["schemas"], then=another.shadow)
            each = partial(_with_shadow, another)
        found = look()
        if not (found.names or found.unreadable):
            what = (
                f"no schema of the database {connection.alias!r} has a name LIKE {found.pattern!r}"
            )
            if not options["all_databases"]:
                raise CommandError(what, returncode=ExitCode.USAGE)
            self.stderr.write(what)
        _require_seen(found, options)
        if options["repair"]:
            found = self.dialogue.repair_each(connection, found, look, each)
        if options["quiet"] or options["json"] or options["dry_run"]:
            return found
        if options["sql"]:
            for wrong in found.surveys:
                if wrong.is_clean(strict=True):
                    continue  # all of it is accepted
                with in_existing_schema(connection, wrong.schema):
                    path = search_path(connection)
                    self.stdout.write(as_sql(each(connection), path=path))
        else:
            text = schemas_as_table(found, self._paint, every=options["all"])
            self.stdout.write(in_encoding(text, self._encoding))
        return found

    @contextmanager
    def _collecting(self, alias: str) -> Iterator[None]:
        """Run the block; collect what prevents the survey of its database, for the end."""
        try:
            with errors_as_unreadable(alias):
                yield
        except KeyboardInterrupt:  # what was done is kept, and the next run continues there
            raise SystemExit(ExitCode.INTERRUPTED) from None
        except Unreadable as error:
            way_out = "; --allow-empty accepts it" if isinstance(error, NothingRecorded) else ""
            problem = error.problem(alias)
            self.problems.append(replace(problem, reason=f"{error}{way_out}"))

    def _paint(self, status: Status, text: str) -> str:
        if not self.stdout.isatty():
            return text
        style = no_style() if os.environ.get("NO_COLOR") else self.style
        return str(getattr(style, _STYLES.get(status, "WARNING"))(text))

    @property
    def _encoding(self) -> str:
        return getattr(self.stdout, "encoding", None) or "utf-8"


def _with_shadow(another: JudgedByAnother, connection: BaseDatabaseWrapper) -> Survey:
    """Return the survey of the schema that the connection is in, with what the shadow shows."""
    return another.shadow(survey_with_retry(connection), connection)


def _require_seen(found: AnySurvey, options: dict[str, Any]) -> AnySurvey:
    """Return the survey; raise NothingRecorded if it saw nothing, unless that is accepted."""
    return found if options["allow_empty"] else require_records(found)


def _refuse_schema(connection: BaseDatabaseWrapper, schema: str) -> NoReturn:
    """Raise Unreadable, with the right to grant, if the role may not use the schema, else CommandError."""
    literal = schema.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")
    what = f"there is no schema {schema} in the database {connection.alias!r}"
    if not schemas_like(connection, literal, RECORDER_TABLE):
        raise CommandError(what, returncode=ExitCode.USAGE)
    role = records_of(connection).role
    raise Unreadable(
        f"role {role} may not use schema {schema} of the database {connection.alias!r} "
        f"(GRANT USAGE ON SCHEMA {quoted(schema)} TO {role})"
    )
