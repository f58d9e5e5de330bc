"""Let this app's commands stand in front of those of other apps instead of hiding them."""

from importlib import import_module
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.core.management import find_commands, get_commands

from ..names import NAME, PACKAGE

TENANTS = "django_tenants"

_IN_FRONT = f"{PACKAGE}.management.in_front"


def next_command(name: str) -> Any:
    """Return the class that this app's command of that name derives from.

    It is the command of the next app in INSTALLED_APPS that has one which derives from Django's, as Django
    would choose it without this app, or else Django's own.
    """
    configs = _configs()
    place = configs.index(apps.get_app_config(NAME))
    found = (_command(each.name, name) for each in configs[place + 1 :] if _has_command(each, name))
    own = _command("django.core", name)
    return next((each for each in found if issubclass(each, own)), own)


def app_in_front(name: str) -> str:
    """Return the app before this one in INSTALLED_APPS whose command of that name Django runs; '' if none."""
    configs = _configs()
    place = configs.index(apps.get_app_config(NAME))
    return next((each.name for each in configs[:place] if _has_command(each, name)), "")


def take_over() -> None:
    """Let Django run the commands in the folder in_front instead of those of other apps that they serve.

    These are `makemigrations`, if an app in front of this one has it, and the commands of django-tenants.
    """
    if app_in_front("makemigrations"):
        get_commands()["makemigrations"] = _IN_FRONT
    if apps.is_installed(TENANTS):
        chosen = get_commands()
        for name in ("migrate", "migrate_schemas"):
            if chosen[name] in (TENANTS, PACKAGE):
                chosen[name] = _IN_FRONT


def derived_from_both(name: str) -> Any:
    """Return a class that derives from this app's command and from that of the app in front of it.

    Return the latter if it derives from this app's by itself, or not from Django's, so that nobody knows
    what it does.
    """
    own, front = _command(PACKAGE, name), _command(app_in_front(name), name)
    if issubclass(front, own) or not issubclass(front, _command("django.core", name)):
        return front
    return type("Command", (own, front), {})


def _configs() -> list[AppConfig]:
    return list(apps.get_app_configs())


def _has_command(config: AppConfig, name: str) -> bool:
    return name in find_commands(str(Path(config.path) / "management"))


def _command(package: str, name: str) -> Any:
    return import_module(f"{package}.management.commands.{name}").Command
