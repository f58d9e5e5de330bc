"""Send statements to a database all the while, and time how long each waits."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from tests.deadline import DEADLINE

STATEMENTS = {
    "read": "SELECT count(*) FROM signals WHERE id <= 10",
    "insert": "INSERT INTO signals (market_type) VALUES ('dex')",
    "update": "UPDATE signals SET confidence = 1 WHERE id = (SELECT min(id) FROM signals)",
}


@dataclass
class Traffic:
    """Threads that read, insert and update signals, each on a session of its own, until they are ended.

    longest: the longest wait for one statement, in seconds, by what it does.
    """

    url: str
    done: threading.Event = field(default_factory=threading.Event)
    longest: dict[str, float] = field(default_factory=dict)
    count: int = 0
    failures: list[Exception] = field(default_factory=list)

    @contextmanager
    def flowing(self) -> Iterator["Traffic"]:
        threads = [threading.Thread(target=self._go, args=each) for each in STATEMENTS.items()]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.done.set()
            for thread in threads:
                thread.join()
        assert self.failures == []

    def _go(self, what: str, sql: str) -> None:
        try:
            with psycopg.connect(self.url, autocommit=True) as session:
                session.execute("SET synchronous_commit = off")  # what is timed is locks, no disk
                while not self.done.wait(0.002):
                    start = time.monotonic()
                    session.execute(sql)  # type: ignore[arg-type]
                    waited = time.monotonic() - start
                    self.longest[what] = max(self.longest.get(what, 0), waited)
                    self.count += 1
        except psycopg.Error as error:
            self.failures.append(error)

    def goes_on(self) -> None:
        """Returns when a hundred more statements are done."""
        seen, deadline = self.count, time.monotonic() + DEADLINE
        while self.count < seen + 100:
            assert time.monotonic() < deadline, f"stopped: {self.failures}"
