"""Start processes of `manage.py migrate`, watch their database, and hold the lock that they wait for."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from signals.operations.execution import migrators_lock
from tests.deadline import DEADLINE
from tests.postgres.databases import ROOT
from tests.postgres.manage_process import ManageProcess
from tests.postgres.polling import wait_until

PUBLIC = migrators_lock.lock_key("public")
HOLDERS = """
SELECT a.pid, a.application_name, a.state, a.backend_xmin, a.backend_xid
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()
AND a.application_name LIKE '%migrate (lock)' AND a.pid <> pg_backend_pid()
"""


class MigrateProcess:
    """A process of manage.py; its lines are read as it writes them."""

    def __init__(self, url: str, *arguments: str, **environment: str) -> None:
        self.process = ManageProcess(
            *arguments,
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": url, "PGAPPNAME": "release 7", **environment},
            is_strict=True,
        )
        self.out, self.err = [""], [""]
        self.threads = [
            threading.Thread(target=self._read, args=each, daemon=True)
            for each in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def _read(stream: Any, text: list[str]) -> None:
        for line in stream:
            text[0] += line

    def says(self, words: str) -> bool:
        return words in self.err[0]

    def waits(self) -> None:
        wait_until(lambda: self.says("waiting for the migrator of "), f"it waits: {self.err}")

    def code(self) -> int:
        code = self.process.wait(timeout=DEADLINE)
        for thread in self.threads:
            thread.join(DEADLINE)
        return code

    def succeeds(self) -> str:
        assert self.code() == 0, self.err[0]
        assert "Traceback" not in self.err[0]
        return self.out[0]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.code()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


class WatchedDatabase:
    """An empty database, a session that watches it, and processes that migrate it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.watcher = psycopg.connect(url, autocommit=True)
        self.runs: list[MigrateProcess] = []

    def start(self, *arguments: str, **environment: str) -> MigrateProcess:
        self.runs.append(MigrateProcess(self.url, *arguments, **environment))
        return self.runs[-1]

    def rows(self, question: str) -> list[Any]:
        return self.watcher.execute(question).fetchall()  # type: ignore[arg-type]

    def until(self, question: str) -> list[Any]:
        return wait_until(lambda: self.rows(question), question)  # type: ignore[no-any-return]

    @contextmanager
    def held(self, number: int = PUBLIC) -> Iterator[psycopg.Connection[Any]]:
        """A session that holds the migrators' lock, as another run of `migrate` would."""
        with psycopg.connect(self.url, application_name="release 6 migrate (lock)") as holder:
            holder.execute("SELECT pg_advisory_xact_lock(%s)", [number])
            yield holder

    def close(self) -> None:
        for run in self.runs:
            run.close()
        self.watcher.close()


def terminate_holder(watcher: psycopg.Connection[Any]) -> None:
    ((pid, *_),) = watcher.execute(HOLDERS).fetchall()
    assert watcher.execute("SELECT pg_terminate_backend(%s, 10000)", [pid]).fetchone() == (True,)
