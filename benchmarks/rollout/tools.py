"""The tools: who writes the migration of a change, and what runs before the rollout and after it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.server import ROOT, Server
from benchmarks.rollout.changes import Change
from benchmarks.rollout.project import SETTINGS, change_source, migration_source

PYTHON = ROOT / ".venv-rollout/bin/python"
# To makemigrations: it was renamed, rows with NULL are no matter, rename before the rollout.
ANSWERS = "y\n2\n2\n2\n"
DEFAULT = "1\n0\n"  # for a new column: 0 in existing rows

# Of the changes that django-safemigrate has marked by people: what its page marks as of after the rollout.
_AFTERWARDS = ("remove_column", "remove_callable", "remove_table", "set_not_null")


@dataclass(frozen=True, slots=True)
class Tool:
    """A column of the table.

    package: the name of its distribution; empty for Django's own commands.
    apps: what it adds to INSTALLED_APPS.
    first: the words of the command that brings a new database to the old release.
    before, after: those of the commands that run before the rollout and after it.
    written: return the migrations of a change by their names, if its makemigrations is not to write them.
    edited: return a migration that its makemigrations has written, as its page tells people to change it.
    """

    name: str
    package: str
    apps: str
    first: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    written: Callable[[Change], dict[str, str]] = field(default=lambda _: {})
    edited: Callable[[Change, str], str] = field(default=lambda _, text: text)

    def write(self, folder: Path, change: Change, url: str) -> str:
        """Write the migrations of the change into the new release; return the error, empty if none."""
        migrations = folder / "new" / change.label / "migrations"
        if made := self.written(change):
            for name, text in made.items():
                (migrations / f"{name}.py").write_text(text)
            return ""
        words = ("makemigrations", change.label)
        answers = DEFAULT if change.label == "add_filled" else ANSWERS
        error = self.run(folder / "new", words, url, answers=answers)
        for path in migrations.glob("000[2-9]*.py"):
            path.write_text(self.edited(change, path.read_text()))
        return error

    def run(self, release: Path, words: Sequence[str], url: str, *, answers: str = "") -> str:
        """Run a command of the release; return what it printed if it failed."""
        env = {
            **os.environ,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "PYTHONPATH": os.pathsep.join([str(release), str(ROOT)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "ROLLOUT_APPS": self.apps,
        }
        done = subprocess.run(  # noqa: S603 - commands of the tools
            [python(), "-m", "django", *words],
            cwd=release,
            env=env,
            input=answers,
            capture_output=True,
            text=True,
            check=False,
        )
        return (done.stdout + done.stderr) or "failed" if done.returncode else ""


def python() -> str:
    """Return the Python in which the tools run: their own, or this one, which lacks most of them."""
    return str(PYTHON) if PYTHON.exists() else sys.executable


def versions() -> dict[str, str]:
    """Return the version of each distribution that Python has, by name."""
    ask = "import importlib.metadata as m, json; print(json.dumps({d.name.lower(): d.version"
    ask += " for d in m.distributions()}))"
    done = subprocess.run([python(), "-c", ask], capture_output=True, text=True, check=True)  # noqa: S603
    return dict(json.loads(done.stdout))


def made_with(server: Server, known: dict[str, str], tools: Sequence[Tool]) -> str:
    """Return the versions of the server, of Django and of the tools that are installed."""
    names = ["django", *(tool.package for tool in tools if tool.package in known)]
    packages = [f"{name} {known[name]}" for name in names if name]
    return ", ".join((f"PostgreSQL {server.version()}", *packages))


def _ours(change: Change) -> dict[str, str]:
    return {"0002_change": change_source(change)}


def _deferred(change: Change) -> dict[str, str]:
    """Return the migrations of its page for the changes that its makemigrations leaves to people."""
    first = (change.label, "0001_initial")
    if change.label == "set_not_null":
        return _filled(change, (), "0", "models.IntegerField()")
    if change.label == "add_filled":
        add = 'migrations.AddField("item", "size", models.BigIntegerField(null=True))'
        return _filled(change, (add,), "{key} * 2", "models.BigIntegerField()")
    if change.label == "add_foreign_key":
        key = "ALTER TABLE add_foreign_key_item {} CONSTRAINT add_foreign_key_item_box"
        add = f"{key.format('ADD')} FOREIGN KEY (box_id) REFERENCES add_foreign_key_box (id)"
        statements = (
            f"{add} DEFERRABLE INITIALLY DEFERRED NOT VALID",
            key.format("VALIDATE"),
        )
        sql = ", ".join(f"migrations.RunSQL({each!r})" for each in statements)
        both = f"migrations.SeparateDatabaseAndState(state_operations=[{change.stock[0]}], "
        return {
            "0002_key": migration_source(
                (f"{both}database_operations=[{sql}])",),
                attributes=(
                    "atomic = False",
                    'deploy_safety_allowed = {"E106": "a run that fails is ended by hand"}',
                ),
                depends_on=(first,),
            )
        }
    return {}


def _filled(change: Change, before: tuple[str, ...], fill: str, field: str) -> dict[str, str]:
    """Return its two migrations that make a column NOT NULL."""
    imports = "from deferred_migrations.operations import BackfillNotNull, InstallNotNullFill, SetNotNull\n"
    install = f'InstallNotNullFill("item", "size", fill_sql="{fill}")'
    backfill = f'BackfillNotNull("item", "size", fill_sql="{fill}")'
    needed = ("deferred_migrations", "0001_initial"), (change.label, "0001_initial")
    return {
        "0002_fill": migration_source((*before, install), depends_on=needed, imports=imports),
        "0003_tighten": migration_source(
            (backfill, f'SetNotNull("item", "size", {field})'),
            attributes=("atomic = False",),
            depends_on=((change.label, "0002_fill"),),
            imports=imports,
        ),
    }


def _marked(change: Change, text: str) -> str:
    mark = "after_deploy" if change.label in _AFTERWARDS else "before_deploy"
    text = text.replace(
        "class Migration(migrations.Migration):\n", f"{{}}    safe = Safe.{mark}()\n"
    )
    head = "from django_safemigrate import Safe\n"
    return head + text.format("class Migration(migrations.Migration):\n") if "{}" in text else text


OURS = Tool(
    "ours",
    "",
    "signals.operations",
    ("migrate",),
    ("migrate", "--phase", "expand"),
    ("migrate", "--phase", "contract"),
    written=_ours,
)
DJANGO = Tool("Django", "", "", ("migrate",), ("migrate",), ("migrate",))
DEFERRED = Tool(
    "django-deferred-migrations",
    "django-deferred-migrations",
    "django.contrib.contenttypes deferred_migrations",
    ("migrate_full",),
    ("migrate_pre_deploy",),
    ("migrate_post_deploy", "--fail-on-error"),
    written=_deferred,
)
SYZYGY = Tool(
    "django-syzygy",
    "django-syzygy",
    "syzygy",
    ("migrate",),
    ("migrate", "--pre-deploy"),
    ("migrate",),
)
SAFEMIGRATE = Tool(
    "django-safemigrate",
    "django-safemigrate",
    "django.contrib.contenttypes django_safemigrate",
    ("migrate",),
    ("safemigrate",),
    ("migrate",),
    edited=_marked,
)
TOOLS = (OURS, DEFERRED, SYZYGY, SAFEMIGRATE, DJANGO)
