"""One change by one tool, while a reader's transaction holds the table and others read and write it."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from benchmarks.peers.cases import CLEAN, Case, Component
from benchmarks.peers.facts import Outcome, Run, judge, read
from benchmarks.peers.run import DJANGO, IN_ALEMBIC, OURS, Process, Tool, declared
from benchmarks.peers.server import Database

CHANGE = Case("0012", (Component.STATE, Component.STATE_CHECK, Component.STATE_INDEX))
ROWS = (
    "INSERT INTO part (label, amount, made_at) "
    "SELECT 'pin', n, now() - n * interval '1 min' FROM generate_series(1, 20000) n"
)
READ = "SELECT amount FROM part WHERE id = 7"
WRITE = "INSERT INTO part (label, amount, made_at) VALUES ('pin', 13, now())"
BETWEEN_SECONDS = 0.005

TOOLS = (
    Tool("hand-written SQL", ("hand_written",), recorded=""),
    Tool("hand-written, 100 ms and retries", ("hand_written", "retrying"), recorded=""),
    DJANGO,
    Tool("pg-migration-tools", ("pg_migration_tools",)),
    Tool("zero-downtime", ("zero_downtime",)),
    Tool("Alembic", ("alembic_own",), IN_ALEMBIC),
    OURS,
)


@dataclass(frozen=True, slots=True)
class Sample:
    """The longest wait of the writer and of the reader for one statement, and the tool's time, in seconds."""

    writer: float
    reader: float
    took: float
    outcome: Outcome
    error: str


class Client(threading.Thread):
    """Sends the statement again and again until it is ended, or until its table or column is gone.

    `longest` is the longest wait for it.
    """

    def __init__(self, conninfo: str, sql: str) -> None:
        super().__init__()
        self.conninfo, self.sql = conninfo, sql
        self.longest, self.done = 0.0, threading.Event()

    def run(self) -> None:
        with psycopg.connect(self.conninfo, autocommit=True) as session:
            while not self.done.wait(BETWEEN_SECONDS):
                start = time.monotonic()
                try:
                    session.execute(self.sql.encode())
                except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
                    return
                finally:
                    self.longest = max(self.longest, time.monotonic() - start)


@contextmanager
def running(*clients: Client) -> Iterator[None]:
    for client in clients:
        client.start()
    try:
        yield
    finally:
        for client in clients:
            client.done.set()
        for client in clients:
            client.join()


def measure(database: Database, process: Process, hold: float) -> Sample:
    """The tool begins together with the reader that holds ACCESS SHARE for that many seconds."""
    database.clear()
    database.connection.execute(CLEAN.format(table="part").encode())
    database.connection.execute(ROWS)
    wanted = declared(database, CHANGE, "part")
    declares = " ".join(component.name for component in CHANGE.declares)
    process.ask("begin", conninfo=database.conninfo, table="part", declares=declares)
    before = read(database.connection)
    writer, reader = Client(database.conninfo, WRITE), Client(database.conninfo, READ)
    with (
        psycopg.connect(database.conninfo) as holder,
        ThreadPoolExecutor(1) as pool,
        running(writer, reader),
    ):
        holder.execute("SELECT count(*) FROM part")
        answer = pool.submit(migrate, process)
        time.sleep(hold)
        holder.rollback()
        error, took = answer.result()
    recorded = process.tool.recorded.encode()
    done = database.connection.execute(recorded).fetchone() is not None if recorded else not error
    outcome = judge(Run(before, read(database.connection), wanted, done, error))
    return Sample(writer.longest, reader.longest, took, outcome, error)


def migrate(process: Process) -> tuple[str, float]:
    """The tool's error, and the seconds that it took."""
    start = time.monotonic()
    error = process.ask("migrate")
    return error, time.monotonic() - start
