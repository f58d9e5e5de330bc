"""`python -m benchmarks.drifts.ask PROJECT APP COMMAND …`: the answers of a command of Django's, as JSON.

The process of one tool, with the server of DRIFTS_DATABASE, whose user may create databases: it migrates
one of the PROJECT, asks on it, and asks again for each drift, in a transaction that ends with the command.
APP is the application that the tool brings along, or empty. If COMMAND is results, which is not Django's, it
compares a copy of the database, in which the drift is made, with the database.
"""

import json
import os
import secrets
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import django
import psycopg
from django.core.management import call_command, execute_from_command_line
from django.db import connection, transaction
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from benchmarks.drifts.cases import DRIFTS
from benchmarks.drifts.objects import OBJECT_DRIFTS

CASES = {"shop": DRIFTS, "depot": OBJECT_DRIFTS}


def main(project: str, app: str, *words: str) -> int:
    os.environ |= {"DRIFTS_PROJECT": project, "DRIFTS_APP": app}
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.drifts.settings"
    warnings.simplefilter("ignore")  # those of the applications
    django.setup()
    server = os.environ["DRIFTS_DATABASE"]
    with database(server) as version:
        call_command("migrate", verbosity=0)
        connection.close()
        by_copies = words[0] == "results"
        answer = Copies(server, words).ask if by_copies else partial(ask, words)
        clean = answer()
        cases = [each for each in CASES.get(project, ()) if each.since <= version]
        drifted = {each.what: answer(each.sql) for each in cases}
    json.dump({"clean": clean, "drifted": drifted}, sys.stdout)
    return 0


def ask(words: Sequence[str], drift: str = "") -> dict[str, Any]:
    """The exit code, and what is printed on stdout and stderr; of an error what it says.

    A command closes the connection when it ends; with it goes what was done in its transaction.
    """
    output, code = StringIO(), 0
    with transaction.atomic(), redirect_stdout(output), redirect_stderr(output):
        if drift:
            with connection.cursor() as cursor:
                cursor.execute(drift)
        try:
            execute_from_command_line(["manage.py", *words])
        except SystemExit as ended:
            code = int(ended.code or 0)
        except Exception as error:  # noqa: BLE001 - it is the tool's answer, whatever it is
            code = 1
            output.write(f"{type(error).__name__}: {error}")
    assert connection.connection is None  # noqa: S101 - or the next drift would stand on this one
    return {"code": code, "text": output.getvalue()}


@dataclass(frozen=True, slots=True)
class Copies:
    """Asks a program that compares two databases, of which each drift has a copy."""

    server: str
    words: Sequence[str]

    def ask(self, drift: str = "") -> dict[str, Any]:
        """The exit code, and what is printed on stdout and stderr."""
        origin = connection.settings_dict["NAME"]
        name = f"{origin}_copy"
        with psycopg.connect(self.server, autocommit=True) as session:
            copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            session.execute(copy.format(sql.Identifier(name), sql.Identifier(origin)))
            try:
                with psycopg.connect(self.server, dbname=name) as drifting:
                    drifting.execute(drift.encode())
                program = Path(sys.executable).with_name(self.words[0])
                places = [self._url(name), self._url(origin)]
                done = subprocess.run(  # noqa: S603 - the program of this environment
                    [program, *self.words[1:], *places], capture_output=True, text=True, check=False
                )
            finally:
                session.execute(
                    sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
                )
        return {"code": done.returncode, "text": done.stdout + done.stderr}

    def _url(self, name: str) -> str:
        parts = {each: str(value) for each, value in conninfo_to_dict(self.server).items()}
        parts.pop("dbname", None)
        user = quote(parts.pop("user", ""), safe="")
        if word := parts.pop("password", ""):
            user += f":{quote(word, safe='')}"
        return f"postgresql://{user}@/{name}?{urlencode(parts)}"


@contextmanager
def database(server: str) -> Iterator[int]:
    """Within it, Django's connection is to a new database, which is dropped in the end.

    Gives the major version of the server.
    """
    name = f"drifts_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        connection.settings_dict["NAME"] = name
        try:
            yield session.info.server_version // 10000
        finally:
            connection.close()
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
