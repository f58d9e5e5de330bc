"""Let this app's commands stand in front of those of other apps instead of hiding them."""

from importlib import import_module
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.core.management import find_commands, get_commands

from ..names import NAME, PACKAGE


def next_command(name: str) -> Any:
    """Return the class that this app's command of that name derives from.

    It is the command of the next app in INSTALLED_APPS that has one, as Django would choose it without this
    app, or else Django's own.
    """
    configs = _configs()
    place = configs.index(apps.get_app_config(NAME))
    packages = [each.name for each in configs[place + 1 :] if _has_command(each, name)]
    return _command(next(iter(packages), "django.core"), name)


def app_in_front(name: str) -> str:
    """Return the app before this one in INSTALLED_APPS whose command of that name Django runs; '' if none."""
    configs = _configs()
    place = configs.index(apps.get_app_config(NAME))
    return next((each.name for each in configs[:place] if _has_command(each, name)), "")


def take_over(name: str) -> None:
    """Let Django run a command that derives from this app's and from that of the app in front of it."""
    if app_in_front(name):
        get_commands()[name] = f"{PACKAGE}.management.in_front"


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
