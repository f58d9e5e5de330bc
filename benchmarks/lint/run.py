"""Ask each tool about all migrations of the project, in one run each, and count."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from benchmarks.lint.project import Judged
from benchmarks.lint.settings_file import SETTINGS
from benchmarks.peers.server import ROOT, Server


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool: how `benchmarks.lint.ask` calls it, and what it needs in the settings."""

    name: str
    word: str
    engine: str = "django.db.backends.postgresql"
    app: str = ""


OURS = "lint_migrations"
PEERS = (
    Peer("django-migration-linter", "linter", app="django_migration_linter"),
    Peer("django-safe-migrations", "safe", app="django_safe_migrations"),
    Peer(
        "django-pg-zero-downtime-migrations",
        "zero",
        "django_zero_downtime_migrations.backends.postgres",
    ),
)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a tool tells of each judged migration, by the label of its application."""

    tool: str
    told: dict[str, list[str]]

    def tells(self, judged: Judged) -> bool:
        return bool(self.told.get(judged.label))


def ours(folder: Path) -> Answers:
    """What `lint_migrations` tells, without a database."""
    environment = _environment(folder, {"LINT_APP": "signals.operations"})
    words = ("-m", "django", OURS, "--format", "json")
    done = _run([sys.executable, *words], folder, environment, codes=(0, 1))
    told: dict[str, list[str]] = {}
    last = {
        each.parent.parent.name: each.stem for each in sorted(folder.glob("case*/migrations/0*.py"))
    }
    for each in json.loads(done)["findings"]:
        label, _, name = each["migration"].partition(".")
        if name == last[label]:
            told.setdefault(label, []).append(each["rule"])
    return Answers(OURS, told)


def peers(server: Server, folder: Path, python: Path) -> list[Answers]:
    """What the others tell, on a database with the tables that the migrations work on."""
    with server.database() as database:
        database.clear()
        place: dict[str, Any] = conninfo_to_dict(database.conninfo)
        names = {
            "NAME": "dbname",
            "HOST": "host",
            "PORT": "port",
            "USER": "user",
            "PASSWORD": "password",
        }
        access = {f"LINT_{key}": str(place.get(name, "")) for key, name in names.items()}
        ask = [str(python), "-m", "benchmarks.lint.ask"]
        _run([*ask, "prepare", str(folder)], folder, _environment(folder, access))
        answers = []
        for peer in PEERS:
            sys.stderr.write(f"{peer.name} …\n")
            own = _environment(folder, {**access, "LINT_ENGINE": peer.engine, "LINT_APP": peer.app})
            told = json.loads(_run([*ask, peer.word, str(folder)], folder, own))
            answers.append(Answers(peer.name, told))
    return answers


def _environment(folder: Path, values: dict[str, str]) -> dict[str, str]:
    own = {
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return {**os.environ, **own, **values}


def _run(
    command: list[str], folder: Path, environment: dict[str, str], codes: tuple[int, ...] = (0,)
) -> str:
    done = subprocess.run(  # noqa: S603 - this repository's own modules
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in codes:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    sys.stderr.write(done.stderr)
    return done.stdout
