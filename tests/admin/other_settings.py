"""The site in a process of its own, with settings that differ from those of the tests."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings

from tests.postgres.databases import Database

START = """
import json, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
import project.settings
project.settings.INSTALLED_APPS[:0] = json.loads(sys.argv[1])
import django
django.setup()
from django.core.management import call_command
from django.contrib.auth.models import User
from django.test import Client
def client():
    return Client(SERVER_NAME="localhost")
def answer(value):
    print(json.dumps(value))
"""


def run(database: Database, script: str, apps: Sequence[str] = (), **environ: str) -> Any:
    """Return what the script passes to answer(); it has client(), User and call_command().

    `apps` come first in INSTALLED_APPS.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", START + script, json.dumps(list(apps))],
        cwd=Path(settings.BASE_DIR),
        env={**os.environ, "DATABASE_URL": database.url, "DEBUG": "on", **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
