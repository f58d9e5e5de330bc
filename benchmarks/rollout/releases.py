"""Run the code of a release in a process of its own, and ask what it has met."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, cast

from benchmarks.peers.server import ROOT

DEADLINE = 180.0  # seconds; only what is broken takes so long
MORE = 2  # times that each action is done before the work is said to go on


@dataclass(frozen=True, slots=True)
class Report:
    """What a release has done: the number of each action and of its errors, and the first texts of these."""

    done: dict[str, int]
    failed: dict[str, int]
    texts: list[str]


@dataclass(frozen=True, slots=True)
class Release:
    """The running code of a release."""

    name: str
    _pipe: "subprocess.Popen[str]"
    _log: IO[str]

    def report(self) -> Report:
        """Return what it has done so far; raise RuntimeError if its process has ended."""
        try:
            stdin, stdout = cast("IO[str]", self._pipe.stdin), cast("IO[str]", self._pipe.stdout)
            stdin.write("report\n")
            stdin.flush()
            reply: Any = json.loads(stdout.readline())
        except (BrokenPipeError, ValueError) as error:
            self._log.seek(0)
            raise RuntimeError(f"the {self.name} release ended:\n{self._log.read()}") from error
        return Report(reply["done"], reply["failed"], reply["texts"])

    def goes_on(self, more: int = MORE) -> Report:
        """Return the report once each action was done so many times more, be it in vain."""
        before, deadline = self.report().done, time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            now = self.report()
            if now.done and all(
                count >= before.get(name, 0) + more for name, count in now.done.items()
            ):
                return now
            time.sleep(0.02)
        raise RuntimeError(f"the {self.name} release stands still: {self.report()}")

    def stop(self) -> None:
        """End it, once each thread has ended what it does."""
        if self._pipe.stdin:
            self._pipe.stdin.close()
        try:
            self._pipe.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._pipe.kill()


@contextmanager
def running(folder: Path, name: str, url: str) -> Iterator[Release]:
    """Run the code of the release of that name within the block; the old one fills the tables first.

    folder: that of `write_releases`.
    """
    env = {
        **os.environ,
        "DATABASE_URL": url,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "ROLLOUT_APPS": "",
    }
    command = [sys.executable, "-m", "benchmarks.rollout.loops", str(folder / name), name]
    with (
        TemporaryFile("w+") as log,
        subprocess.Popen(  # noqa: S603 - a module of this package
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as pipe,
    ):
        release = Release(name, pipe, log)
        try:
            release.goes_on()
            yield release
        finally:
            release.stop()
