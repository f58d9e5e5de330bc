"""Cases by tools: each tool in a process of its own, each case on a database of its own."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, cast

from psycopg import sql

from benchmarks.peers.cases import CASES, CLEAN, Again, Case
from benchmarks.peers.facts import Fact, Outcome, Run, judge, read
from benchmarks.peers.server import ROOT, Database, Server

IN_DJANGO = "SELECT FROM django_migrations WHERE app = 'parts' AND name = '0002_declared'"
IN_ALEMBIC = "SELECT FROM alembic_version WHERE version_num = '0002'"


@dataclass(frozen=True, slots=True)
class Tool:
    """A column of the table.

    command: the module of its process, and arguments.
    recorded: the question whether it has recorded the migration.
    """

    name: str
    command: tuple[str, ...]
    recorded: str = IN_DJANGO


OURS = Tool("ours", ("ours",))
DJANGO = Tool("Django", ("django_own",))
TOOLS = (
    OURS,
    Tool("pg-migration-tools", ("pg_migration_tools",)),
    Tool("zero-downtime", ("zero_downtime",)),
    Tool("zero-downtime, idempotent", ("zero_downtime", "idempotent")),
    DJANGO,
    Tool("Alembic", ("alembic_own",), IN_ALEMBIC),
)


@dataclass(frozen=True, slots=True)
class Result:
    """A cell of the table, with the tool's error."""

    outcome: Outcome
    error: str


@dataclass(frozen=True, slots=True)
class Column:
    """What a tool makes of the cases, in their order."""

    tool: Tool
    packages: str
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Process:
    """The running process of a tool: its stdin, stdout and stderr."""

    tool: Tool
    requests: IO[str]
    replies: IO[str]
    log: IO[str]

    def ask(self, step: str, **arguments: str) -> str:
        """The answer to one request; RuntimeError if the process ends instead."""
        self.requests.write(json.dumps({"step": step, **arguments}) + "\n")
        self.requests.flush()
        reply = self.replies.readline()
        if not reply:
            self.log.seek(0)
            raise RuntimeError(f"{self.tool.name} ended at {step}:\n{self.log.read()}")
        return str(json.loads(reply))


@contextmanager
def started(tool: Tool, python: Path) -> Iterator[Process]:
    """The tool in that Python; the process ends with the block."""
    module, *arguments = tool.command
    command = [str(python), "-m", f"benchmarks.peers.tools.{module}", *arguments]
    with (
        TemporaryFile("w+") as log,
        subprocess.Popen(  # noqa: S603 - a module of this package
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as pipe,
    ):
        yield Process(tool, cast("IO[str]", pipe.stdin), cast("IO[str]", pipe.stdout), log)


def column(server: Server, tool: Tool, python: Path, cases: Sequence[Case] = CASES) -> Column:
    """Run the cases one after the other."""
    with started(tool, python) as process, server.database() as database:
        packages = process.ask("versions")
        return Column(tool, packages, tuple(run(database, process, case) for case in cases))


def run(database: Database, process: Process, case: Case) -> Result:
    """Bring the database into the case's state, let the tool migrate it, and judge."""
    table = sql.Identifier(case.table).as_string()
    database.clear()
    database.connection.execute(CLEAN.format(table=table))
    wanted = declared(database, case, table)
    declares = " ".join(component.name for component in case.declares)
    process.ask("begin", conninfo=database.conninfo, table=case.table, declares=declares)
    prepare(database, process, case, wanted)

    before = read(database.connection)
    if case.again is Again.SCRIPT:
        error = database.psql(process.ask("script"))
        done = not error
    else:
        error = process.ask("migrate")
        done = database.connection.execute(process.tool.recorded).fetchone() is not None
    after = read(database.connection)
    return Result(judge(Run(before, after, wanted, done, error, case.found)), error)


def declared(database: Database, case: Case, table: str) -> frozenset[Fact]:
    """The facts of the case's components, built here by plain SQL and rolled back."""
    clean = read(database.connection)
    with database.connection.transaction(force_rollback=True):
        for component in case.declares:
            database.connection.execute(component.value.format(table=table))
        return read(database.connection) - clean


def prepare(database: Database, process: Process, case: Case, wanted: frozenset[Fact]) -> None:
    """The case's state; RuntimeError if a first run, which should succeed, did not."""
    if case.state:
        database.connection.execute(case.state)
    if case.failed_build:
        database.fail_to_build(case.failed_build)
    if case.again is Again.NOTHING:
        return
    if case.again is Again.MIGRATION:
        error = process.ask("migrate")
        process.ask("forget")
    else:
        error = database.psql(process.ask("script"))
    if error or not wanted <= read(database.connection):
        raise RuntimeError(f"{process.tool.name}: the first run was no success: {error}")
