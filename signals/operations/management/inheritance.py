"""Let this app's commands stand in front of those of other apps instead of hiding them."""

from importlib import import_module
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management import find_commands

from ..names import NAME


def next_command(name: str) -> Any:
    """Return the class that this app's command of that name derives from.

    It is the command of the next app in INSTALLED_APPS that has one, as Django would choose it without this
    app, or else Django's own.
    """
    configs = list(apps.get_app_configs())
    place = configs.index(apps.get_app_config(NAME))
    packages = [
        config.name
        for config in configs[place + 1 :]
        if name in find_commands(str(Path(config.path) / "management"))
    ]
    package = next(iter(packages), "django.core")
    return import_module(f"{package}.management.commands.{name}").Command
