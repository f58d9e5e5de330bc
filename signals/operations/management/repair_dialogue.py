"""Repair for `verify_schema --repair`: ask on the terminal, repair, and report on stderr."""

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Any

from django.core.management.base import CommandError, OutputWrapper
from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.schemas import search_path
from ..drift.repair import in_order, postponed, repair, statements
from ..drift.rows import Row, Survey
from ..drift.schemas import Result, Schemas, in_existing_schema, repair_schemas
from ..errors import ConvergenceError
from .arguments import ExitCode


class RepairDialogue:
    """Repairs the findings of a survey, as far as the options and the answers on the terminal allow.

    stdout, stderr, options: those of the command.
    results: the result of each schema's repair.
    """

    def __init__(
        self, stdout: OutputWrapper, stderr: OutputWrapper, options: dict[str, Any]
    ) -> None:
        self.stdout, self.stderr, self.options = stdout, stderr, options
        self.results: list[Result] = []

    def repair(self, connection: BaseDatabaseWrapper, found: Survey, look: Any) -> Survey:
        """Repair one schema, and return the survey after it, made by `look`."""
        replacing = self.options["replace"]
        todo = in_order(row for row in found.rows if row.is_repairable(replacing=replacing))
        if self.options["dry_run"]:
            self._print(todo)
            return found
        if not todo or (self.options["interactive"] and not self._agrees(todo)):
            return found
        done = repair(connection, look, replacing=replacing, say=self.stderr.write)
        for row, reason in done.failures:
            self.stderr.write(f"not repaired: {row.finding.label}: {reason}")
        return done.survey

    def repair_each(
        self,
        connection: BaseDatabaseWrapper,
        found: Schemas,
        look: Callable[[], Schemas],
        each: Callable[[BaseDatabaseWrapper], Survey],
    ) -> Schemas:
        """Repair each of the schemas by itself, and return the survey after it, made by `look`.

        each: surveys the schema that the connection is in.
        """
        replacing = self.options["replace"]
        todo = {
            survey.schema: rows
            for survey in found.surveys
            if (rows := [row for row in survey.rows if row.is_repairable(replacing=replacing)])
        }
        if self.options["dry_run"]:
            for name in todo:
                with in_existing_schema(connection, name):
                    self.stdout.write(f"SET search_path TO {search_path(connection)};")
                    survey = each(connection)
                    self._print(
                        in_order(
                            row for row in survey.rows if row.is_repairable(replacing=replacing)
                        )
                    )
            return found
        if not todo or (self.options["interactive"] and not self._agrees_to_all(todo)):
            return found
        repairs = repair_schemas(
            connection,
            list(todo),
            each,
            jobs=self.options["jobs"],
            replacing=replacing,
            say=self.stderr.write,
        )
        with closing(repairs) as results:  # stops the other jobs if this loop ends early
            for result in results:
                self.results.append(result)
                reasons = list(result.reasons())
                for reason in reasons:
                    self.stderr.write(f"{result.schema}: not repaired: {reason}")
                if not reasons:
                    self.stderr.write(f"{result.schema}: repaired")
        return look()

    def _print(self, todo: Sequence[Row]) -> None:
        """Print each statement once.

        The index of a missing column is created with the column, and has a row of its own.
        """
        steps: list[str] = []
        for row in todo:
            try:
                steps += [statement.sql for statement in statements(row)]
            except ConvergenceError as error:
                self.stderr.write(f"{row.finding.component} {row.finding.name}: {error}")
        steps += [statement.sql for row in todo for statement in postponed(row)]
        for sql in dict.fromkeys(steps):
            if not sql.startswith("DO "):  # only makes a script stop
                self.stdout.write(f"{sql};")

    def _agrees(self, todo: Sequence[Row]) -> bool:
        """Return whether the user agrees; raise CommandError if there is no terminal to ask on."""
        _require_terminal()
        self._list(todo)
        return _confirms(f"Repair {len(todo)} components?")

    def _agrees_to_all(self, todo: dict[str, list[Row]]) -> bool:
        """Return whether the user agrees, for many schemas."""
        _require_terminal()
        for name, rows in todo.items():
            self._list(rows, f"{name}: ")
        number = sum(map(len, todo.values()))
        return _confirms(f"Repair {number} components in {len(todo)} schemas?")

    def _list(self, rows: Iterable[Row], where: str = "") -> None:
        for row in rows:
            finding = row.finding
            self.stderr.write(f"{where}{finding.status.value}: {finding.label} ({row.migration})")


def _require_terminal() -> None:
    """Raise CommandError if standard input is no terminal."""
    if not sys.stdin.isatty():
        raise CommandError(
            "--repair asks first, and there is no terminal (use --no-input)",
            returncode=ExitCode.USAGE,
        )


def _confirms(question: str) -> bool:
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
