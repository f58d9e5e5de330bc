"""The phases in `migrate_schemas` of django-tenants, which runs `migrate` in each schema."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.module_loading import import_string

from ..execution.policy import CONTRACT, LockPolicy
from ..names import PACKAGE
from .arguments import ExitCode
from .inheritance import TENANTS
from .phases import (
    add_phase_arguments,
    add_refusal_argument,
    chosen_phase,
    wait_for_old_processes,
)

SETTING = "TENANT_BASE_MIGRATE_COMMAND"
OWN = f"{PACKAGE}.management.commands.migrate.Command"

_SUBPROCESS = "subprocess"  # the executor that hands on only the options of django-tenants
_OPTIONS = ("phase", "after", "older_than", "dry_run", "refuse_drift")

if TYPE_CHECKING:
    SchemasCommand = BaseCommand
else:
    SchemasCommand = object  # in front of the command of django-tenants


class PhasedSchemas(SchemasCommand):
    """Take the options of the phases, and hand them on to the `migrate` of each schema."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_phase_arguments(parser)
        add_refusal_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it for the schemas; with --phase contract, wait once before the first of them."""
        _require_executor(options)
        phase = chosen_phase(options, LockPolicy.from_settings().phase)
        if phase == CONTRACT and options["after"] and not options["dry_run"]:
            wait_for_old_processes(options["after"], self.stdout if options["verbosity"] else None)
            options["after"] = None
        super().handle(*args, **options)


def schemas_command(name: str) -> Any:
    """Return the class of the command of django-tenants of that name, with the options of the phases.

    Return it as it is if its setting does not name the `migrate` of this app.
    """
    command = import_module(f"{TENANTS}.management.commands.{name}").Command
    return type("Command", (PhasedSchemas, command), {}) if runs_own_migrate() else command


def runs_own_migrate() -> bool:
    """Return whether django-tenants is told to run the `migrate` of this app, or one derived from it."""
    path = str(getattr(settings, SETTING, ""))
    return bool(path) and issubclass(import_string(path), import_string(OWN))


def _require_executor(options: dict[str, Any]) -> None:
    """Raise CommandError if the chosen executor does not hand on an option that is given."""
    given = [f"--{name.replace('_', '-')}" for name in _OPTIONS if options.get(name)]
    if given and (options.get("executor") or os.environ.get("EXECUTOR")) == _SUBPROCESS:
        raise CommandError(
            f"the executor {_SUBPROCESS} does not hand on {', '.join(given)} "
            "(use --executor standard or multiprocessing)",
            returncode=ExitCode.USAGE,
        )
