"""The phases of `migrate`: the options, what expand has to say before it begins, and contract."""

import time
from argparse import ArgumentTypeError
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from django.core.management.base import CommandError, CommandParser, OutputWrapper
from django.db import migrations
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import BadMigrationError
from django.db.migrations.migration import Migration
from django.db.migrations.recorder import MigrationRecorder

from ..base import Convergent
from ..catalog.old_code import made_for_old_code
from ..drift.contracting import Leftovers, left_by_expand
from ..errors import Refused
from ..execution.policy import CONTRACT, EXPAND, PHASES
from ..execution.run import run_of
from ..migrate.walk import in_database
from .arguments import ExitCode, load_migrations, require_app
from .plan_checks import checking_plan

# Options by what people write; each is of the phase contract alone, or not of it.
_OF_CONTRACT = {"after": "--after", "older_than": "--older-than", "dry_run": "--dry-run"}
_NOT_OF_CONTRACT = {
    "migration_name": "the name of a migration",
    "fake": "--fake",
    "fake_initial": "--fake-initial",
    "plan": "--plan",
    "check_unapplied": "--check",
    "prune": "--prune",
}

# What Django removes or renames at once, and what to write in its place.
_WRITES = "manage.py convergent_migration {app} {name} writes "
_AT_ONCE: tuple[tuple[type[Any], str, str], ...] = (
    (migrations.RemoveField, "dropped", f"{_WRITES}RemoveColumnIfPresent"),
    (migrations.DeleteModel, "dropped", "write RemoveTableIfPresent"),
    (migrations.RenameField, "renamed", f"{_WRITES}RenameColumnIfNeeded"),
    (migrations.RenameModel, "renamed", f"{_WRITES}RenameTableIfNeeded"),
)


def add_phase_arguments(parser: CommandParser) -> None:
    """Add the options of the phases to those of `migrate`."""
    parser.add_argument(
        "--phase",
        choices=(*PHASES, CONTRACT),
        help="expand: leave what the release before still uses; contract: remove what expand left, and do "
        "nothing else; both: all at once. The default is the setting PHASE.",
    )
    parser.add_argument(
        "--after",
        type=_number,
        metavar="SECONDS",
        help="With --phase contract: wait so long before the first removal, for old processes to end.",
    )
    parser.add_argument(
        "--older-than",
        type=_number,
        metavar="DAYS",
        help="With --phase contract: leave alone what was recorded in the last DAYS days.",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="With --phase contract: list what would be removed, and change nothing.",
    )


def add_refusal_argument(parser: CommandParser) -> None:
    """Add the option that stops `migrate` where what it touches has drifted."""
    parser.add_argument(
        "--refuse-drift",
        action="store_true",
        help="Stop before the first statement if a table that the plan touches is not as declared.",
    )


def chosen_phase(options: dict[str, Any], default: str) -> str:
    """Return the phase of the run; raise CommandError for options of another one."""
    phase = str(options.get("phase") or default)
    refused = _NOT_OF_CONTRACT if phase == CONTRACT else _OF_CONTRACT
    for name, shown in refused.items():
        if options.get(name):
            fix = "leave it out" if phase == CONTRACT else "add --phase contract"
            what = f"the phase {phase} does not take {shown} ({fix})"
            raise CommandError(what, returncode=ExitCode.USAGE)
    if phase == CONTRACT and options.get("app_label"):
        require_app(load_migrations(), options["app_label"])
    return phase


@contextmanager
def expanding(connection: BaseDatabaseWrapper, stderr: OutputWrapper) -> Iterator[None]:
    """Run `migrate` within the block in the phase expand; warn before it of what is not left for old code."""
    run = run_of(connection)
    before = run.expands

    def begin(plan: Sequence[tuple[Migration, bool]], _: Any) -> None:
        run.expands = has_old_code(connection)
        if run.expands and plan:
            for line in (*_done_at_once(plan), *_still_awaiting(connection, plan)):
                stderr.write(line)

    try:
        with checking_plan(connection, begin):
            yield
    finally:
        run.expands = before


def has_old_code(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a migration is recorded, so that code of a release before may use the database."""
    return bool(MigrationRecorder(connection).applied_migrations())


def run_contract(
    connection: BaseDatabaseWrapper, options: dict[str, Any], stdout: OutputWrapper
) -> None:
    """Remove what the recorded migrations left, or list it with --dry-run.

    Raise the first refusal once the others are removed.
    """
    says = stdout.write if options["verbosity"] else _silent
    found = _find(connection, options)
    if options.get("dry_run") or not found.removable:
        _list(found, says)
        return
    if seconds := options.get("after"):
        wait_for_old_processes(seconds, stdout if options["verbosity"] else None)
        found = _find(connection, options)
    for line in found.kept:
        says(f"  Left alone: {line}")
    refused: list[Refused] = []
    for each in found.removable:
        try:
            each.remove()
            says(f"  Removed {each.label}")
        except Refused as error:
            refused.append(error)
    if refused:
        raise refused[0]


def wait_for_old_processes(seconds: float, stdout: OutputWrapper | None) -> None:
    """Wait for processes of the release before to end, and say so."""
    if stdout:
        stdout.write(f"Waiting {seconds:g} s for processes of the release before to end")
        stdout.flush()
    time.sleep(seconds)


def _find(connection: BaseDatabaseWrapper, options: dict[str, Any]) -> Leftovers:
    days = options.get("older_than") or 0
    try:
        return left_by_expand(connection, options.get("app_label"), days)
    except BadMigrationError as error:
        raise CommandError(str(error), returncode=ExitCode.CONFIGURATION) from error


def _list(found: Leftovers, says: Any) -> None:
    for line in found.kept:
        says(f"  Left alone: {line}")
    for each in found.removable:
        says(f"  To remove: {each.label}")
    if not found.removable:
        says("  Nothing to remove.")


def _silent(_: str) -> None:
    """Say nothing, as with --verbosity 0."""


def _done_at_once(plan: Sequence[tuple[Migration, bool]]) -> Iterator[str]:
    """Yield a line for each stock operation of the plan that drops or renames a column or table at once."""
    for migration, backwards in plan:
        for operation in in_database(migration.operations) if not backwards else ():
            if isinstance(operation, Convergent):
                continue
            app, name = migration.app_label, migration.name
            for kind, done, fix in _AT_ONCE:
                if isinstance(operation, kind):
                    yield (
                        f"warning: {app}.{name}: {operation.describe()}: {done} at once in the phase "
                        f"{EXPAND}, and the release before may still use it "
                        f"({fix.format(app=app, name=name)})"
                    )


def _still_awaiting(
    connection: BaseDatabaseWrapper, plan: Sequence[tuple[Migration, bool]]
) -> Iterator[str]:
    """Yield a line for each migration before the plan whose triggers and views still await contract."""
    planned = {f"{each.app_label}.{each.name}" for each, _ in plan}
    for label, left in made_for_old_code(connection).items():
        if label not in planned:
            yield (
                f"warning: what {label} made for the release before it awaits contract: {', '.join(left)}. "
                "PostgreSQL may refuse changes of it (run migrate --phase contract before the next expand)"
            )


def _number(text: str) -> float:
    """Return the number; raise ArgumentTypeError if the text is none, or below 0."""
    with suppress(ValueError):
        number = float(text)
        if 0 <= number < float("inf"):
            return number
    raise ArgumentTypeError(f"{text!r} is no number from 0 on")
