"""Run commands over a project in a folder of its own."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deadline import DEADLINE
from tests.operations.scratch_schema import psql_binary
from tests.postgres.databases import Database


@dataclass(frozen=True, slots=True)
class Project:
    """A project in a folder, its database, and the commands that run over them."""

    folder: Path
    database: Database

    def env(self, **further: str) -> dict[str, str]:
        return {
            "DJANGO_SETTINGS_MODULE": "stock_settings",
            "PYTHONPATH": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            **further,
        }

    def manage(self, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return self.database.manage(*words, env=self.env(**env))

    def verify(self, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return self.manage("verify_schema", *words, **env)

    def json_report(self, *words: str) -> dict[str, Any]:
        """Return what verify_schema --json prints of the one database."""
        done = self.verify("--json", *words)
        assert done.stderr == ""
        shown = json.loads(done.stdout)
        assert done.returncode == (0 if shown["clean"] else 1)
        (one,) = shown["databases"]
        return dict(one)

    def not_as_declared(self, *words: str) -> set[tuple[str, str, str]]:
        """Return component, name and status of each row that does not exist as declared."""
        components = self.json_report(*words)["components"]
        return {
            (each["component"], each["name"], each["status"])
            for each in components
            if each["status"] != "exists"
        }

    def psql(self, script: str) -> None:
        done = subprocess.run(
            [psql_binary(), "-X", "-q", "-d", self.database.url],
            input=script,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )
        assert (done.returncode, done.stderr) == (0, "")
