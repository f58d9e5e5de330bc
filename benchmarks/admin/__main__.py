"""`python -m benchmarks.admin [--rows 1000000] [--rounds 3] [--json]`: our pages beside stock ones."""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from benchmarks import markdown
from benchmarks.admin import list_data, search_data
from benchmarks.peers.server import ROOT, Server
from benchmarks.verification.data import environment

DATA: dict[str, Any] = {"searches": search_data, "lists": list_data}
# Of millions of rows, an index is built much faster after they are there.
_INDEXES = """
SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
FROM pg_index i
WHERE i.indrelid = ANY (%s::regclass[])
    AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.admin", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of each table")
    parser.add_argument("--rounds", type=int, default=3, help="the numbers are medians of them")
    parser.add_argument("--json", action="store_true", help="the milliseconds of each page")
    options = parser.parse_args(arguments)
    server = Server.find()
    measured = {part: measure(server, part, options.rows, options.rounds) for part in DATA}
    text = json.dumps({"version": 2, "milliseconds": measured}, indent=1) + "\n"
    tables = "\n".join(map(as_table, measured.values()))
    table = f"{tables}\n{options.rows:,} rows, PostgreSQL {server.version()}\n"
    sys.stdout.write(text if options.json else table)
    return 0


def measure(server: Server, part: str, rows: int, rounds: int) -> list[dict[str, Any]]:
    """Measure the pages of a part in a database of its own."""
    name = f"admin_{part}_{uuid4().hex[:8]}"
    address = make_conninfo(server.conninfo, dbname=name)
    with psycopg.connect(server.conninfo, autocommit=True) as session:
        create = "CREATE DATABASE {} TEMPLATE template0"
        session.execute(sql.SQL(create).format(sql.Identifier(name)))
        try:
            fill(address, DATA[part].TABLES, DATA[part].FILL, rows)
            return visit(address, part, rounds)
        finally:
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def fill(address: str, tables: Sequence[str], statements: Sequence[str], rows: int) -> None:
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, cwd=ROOT, env=environment(address), check=True)  # noqa: S603 - our own
    with psycopg.connect(address, autocommit=True) as session:
        session.execute("SET session_replication_role = replica")  # no look-ups of foreign keys
        session.execute("SET maintenance_work_mem = '1GB'")
        indexes = session.execute(_INDEXES, [list(tables)]).fetchall()
        for name, _ in indexes:
            session.execute(f"DROP INDEX {name}".encode())
        for statement in statements:
            values = {"rows": rows} if "%(rows)s" in statement else None
            session.execute(statement.encode(), values)
        for _, definition in indexes:
            session.execute(definition.encode())
        session.execute("VACUUM ANALYZE")


def visit(address: str, part: str, rounds: int) -> list[dict[str, Any]]:
    """Visit the pages in a process of its own, which has the database from its environment."""
    code = (
        f"import project.setup; from benchmarks.admin import pages; pages.main({part!r}, {rounds})"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(  # noqa: S603 - our own
        command, cwd=ROOT, env=environment(address), check=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def as_table(measured: list[dict[str, Any]]) -> str:
    """Return the medians in milliseconds; a statement that was stopped has no time."""
    rows = [["list", "asked for", "ours", "stock"]]
    for each in measured:
        stock = _told(each["stock"]) if each["has_stock"] else ""
        rows.append([each["list"], each["asked"], _told(each["ours"]), stock])
    return markdown.as_table(rows)


def _told(milliseconds: float | None) -> str:
    return "stopped" if milliseconds is None else f"{milliseconds:,.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
