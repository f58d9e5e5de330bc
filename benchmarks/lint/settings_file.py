"""The settings of a project in a folder, whose database and further application the environment has."""

from collections.abc import Sequence
from pathlib import Path

SETTINGS = "lint_settings"
_SETTINGS = """\
import os

SECRET_KEY = "lint"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.postgres", {apps},
                  *filter(None, [os.environ.get("LINT_APP")])]
DATABASES = {{"default": {{
    "ENGINE": os.environ.get("LINT_ENGINE", "django.db.backends.postgresql"),
    "NAME": os.environ.get("LINT_NAME", "none"), "HOST": os.environ.get("LINT_HOST", "/nowhere"),
    "PORT": os.environ.get("LINT_PORT", ""), "USER": os.environ.get("LINT_USER", ""),
    "PASSWORD": os.environ.get("LINT_PASSWORD", ""),
}}}}
ZERO_DOWNTIME_MIGRATIONS_RAISE_FOR_UNSAFE = True
"""


def write_settings(folder: Path, labels: Sequence[str]) -> None:
    """Write the settings of a project of these applications; the environment has the database."""
    apps = ", ".join(f'"{each}"' for each in labels)
    (folder / f"{SETTINGS}.py").write_text(_SETTINGS.format(apps=apps))
