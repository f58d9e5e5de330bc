"""System checks of how the app is installed: beside which commands, and with which driver."""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured
from django.core.management import get_commands, load_command_class
from django.db import connections

from ..names import NAME, PACKAGE
from ..refusals import require_driver
from .inheritance import TENANTS, app_in_front
from .tenants import OWN, SETTING, PhasedSchemas

# What does not work while the command of another app hides that of this one.
_HIDDEN = {
    "migrate": "the migrators' lock does not keep two runs apart, waits are limited only in convergent "
    "operations, --phase is unknown, and PHASE does nothing",
    "makemigrations": "--convergent and CONVERT_NEW_MIGRATIONS do nothing",
    "sqlmigrate": "--plain is unknown",
}


_FOR_TENANTS = f"Set {SETTING} = {OWN!r}: migrate_schemas then runs that for each schema."


@register(NAME)
def check_commands(**_unused: Any) -> list[CheckMessage]:
    """Return W007 for each of the app's commands that is hidden by that of an app in front of it."""
    return [
        checks.Warning(
            f"manage.py {name} is the command of {app!r}, so that {lack}",
            hint=_FOR_TENANTS
            if app == TENANTS
            else f"Put {PACKAGE!r} before {app!r} in INSTALLED_APPS: its command derives from that one, "
            "and both work.",
            obj=app,
            id=f"{NAME}.W007",
        )
        for name, app, lack in _hidden_commands()
    ]


@register(NAME)
def check_driver(**_unused: Any) -> list[CheckMessage]:
    """Return W005 if psycopg 3 stands beside psycopg2, and E006 if Django has psycopg2 alone.

    Say nothing in a project without a PostgreSQL.
    """
    servers = [each for each in connections.all() if each.vendor == "postgresql"]
    for connection in servers:
        try:
            require_driver(connection)
        except ImproperlyConfigured as error:
            return [Error(str(error), obj=connection.alias, id=f"{NAME}.E006")]
    if not servers or find_spec("psycopg2") is None:
        return []
    return [
        checks.Warning(
            "psycopg2 and psycopg 3 are installed, and Django uses psycopg 3 for the whole project",
            hint="Port what imports psycopg2 itself (extras, errors, OPTIONS), and uninstall it.",
            id=f"{NAME}.W005",
        )
    ]


def _hidden_commands() -> Iterator[tuple[str, str, str]]:
    """Yield the name of each hidden command, the app whose command hides it, and what does not work then."""
    chosen = get_commands()
    for name, lack in _HIDDEN.items():
        own = import_module(f"{PACKAGE}.management.commands.{name}").Command
        app = chosen[name]
        command = app if not isinstance(app, str) else load_command_class(app, name)
        if not isinstance(command, own | PhasedSchemas):
            of_tenants = type(command).__module__.startswith(f"{TENANTS}.")
            yield name, TENANTS if of_tenants else app_in_front(name) or str(app), lack
