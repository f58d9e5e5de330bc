"""Write the two releases of a project: for each change an application, with its models and migrations."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.rollout.changes import KEY, Change

SETTINGS = "rollout_settings"
RELEASES = ("old", "new")

_SETTINGS = """\
import os
from project.environment import database_from_url

SECRET_KEY = "rollout"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [*os.environ.get("ROLLOUT_APPS", "").split(), *{apps}]
DATABASES = {{"default": database_from_url(os.environ["DATABASE_URL"])}}
"""
_MIGRATION = """\
import time

{imports}from django.db import migrations, models


class Migration(migrations.Migration):
{attributes}    dependencies = {dependencies}
    operations = [
        {operations},
    ]
"""


def write_releases(folder: Path, changes: Sequence[Change], migrations: Mapping[str, str]) -> None:
    """Write both releases into the folders old and new.

    migrations: the source of the migration behind the first one, by the label of the change; a change that
        is not in it gets none.
    """
    for release in RELEASES:
        root = folder / release
        labels = [change.label for change in changes]
        _write(root / f"{SETTINGS}.py", _SETTINGS.format(apps=labels))
        for change in changes:
            package = root / change.label
            _write(package / "__init__.py", "")
            _write(package / "models.py", models_source(change, release))
            _write(package / "migrations/__init__.py", "")
            _write(package / "migrations/0001_initial.py", initial_source(change))
            if release == "new" and change.label in migrations:
                _write(package / "migrations/0002_change.py", migrations[change.label])


def models_source(change: Change, release: str) -> str:
    """Return the module of models of a release."""
    meta = change.old_meta if release == "old" else change.new_meta
    lines = ["import time", "", "from django.db import models"]
    for name, fields in change.models(release).items():
        lines += ["", "", f"class {name}(models.Model):"]
        lines += [f"    {each} = {source}" for each, source in fields.items()]
        if meta and name != "Box":
            lines += ["", "    class Meta:", f"        {meta}"]
    return "\n".join(lines) + "\n"


def initial_source(change: Change) -> str:
    """Return the migration that makes the tables of the old release."""
    made = []
    for name, fields in change.models("old").items():
        shown = ", ".join(f'("{each}", {source})' for each, source in [KEY, *fields.items()])
        options = f", options=dict({change.old_meta})" if change.old_meta and name != "Box" else ""
        made.append(f'migrations.CreateModel("{name}", [{shown}]{options})')
    return migration_source(made, attributes=("initial = True",), depends_on=())


def change_source(change: Change) -> str:
    """Return the migration of the change by the operations of the library."""
    imports = "from signals import operations\n"
    label = (change.label, "0001_initial")
    return migration_source(
        change.ours, attributes=("atomic = False",), depends_on=[label], imports=imports
    )


def stock_source(change: Change) -> str:
    """Return the migration of the change by Django's operations."""
    return migration_source(change.stock, depends_on=[(change.label, "0001_initial")])


def migration_source(
    operations: Sequence[str],
    *,
    attributes: Sequence[str] = (),
    depends_on: Sequence[tuple[str, str]],
    imports: str = "",
) -> str:
    """Return the source of a migration."""
    return _MIGRATION.format(
        imports=imports,
        attributes="".join(f"    {each}\n" for each in attributes),
        dependencies=list(depends_on),
        operations=",\n        ".join(operations),
    )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
