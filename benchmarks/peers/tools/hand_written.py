"""SQL by hand, as psql would send it; started with the argument `retrying`, each lock is tried for 100 ms,
again and again."""

import sys
import time

import psycopg
from psycopg import errors

from benchmarks.peers.tools.serving import Cell, serve

PAUSE_SECONDS = 0.2
TRIES = 100


class HandWritten:
    """The column, the check, and then the index, concurrently."""

    packages: tuple[str, ...] = ("psycopg",)

    def __init__(self, *, retrying: bool) -> None:
        self.retrying = retrying

    def begin(self, cell: Cell) -> None:
        self.cell = cell

    def migrate(self) -> None:
        with psycopg.connect(self.cell.conninfo, autocommit=True) as session:
            for component in self.cell.declares:
                sql = component.value.format(table=self.cell.table)
                if sql.startswith("CREATE INDEX"):
                    session.execute(
                        "RESET lock_timeout"
                    )  # a build that is cut off leaves an invalid index
                    session.execute(sql.replace("INDEX", "INDEX CONCURRENTLY", 1).encode())
                elif self.retrying:
                    session.execute("SET lock_timeout = '100ms'")
                    _retry(session, sql)
                else:
                    session.execute(sql.encode())

    def forget(self) -> None:
        """Nothing is recorded."""

    def script(self) -> str:
        return "; ".join(each.value.format(table=self.cell.table) for each in self.cell.declares)


def _retry(session: "psycopg.Connection[tuple[object, ...]]", sql: str) -> None:
    for attempt in range(TRIES):
        try:
            session.execute(sql.encode())
        except errors.LockNotAvailable:
            if attempt == TRIES - 1:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return


if __name__ == "__main__":
    serve(HandWritten(retrying="retrying" in sys.argv))
