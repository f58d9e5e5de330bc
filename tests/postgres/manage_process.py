"""Start manage.py in processes that are forked from one which has imported Django and psycopg already.

What a test gets is a process like any other, with its own environment, settings and connections, to be
watched, interrupted and killed. It starts in a quarter of the time: a new interpreter imports 600 modules
of others before the first one of this repository, which each process here still imports by itself.
"""

import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import IO, Self

ROOT = str(Path(__file__).resolve().parents[2])

# What needs no settings to be imported, and imports most of the rest.
PRELOADED = (
    "django.contrib.admin.options",
    "django.contrib.auth.hashers",
    "django.contrib.postgres.constraints",
    "django.contrib.postgres.indexes",
    "django.contrib.postgres.operations",
    "django.contrib.postgres.search",
    "django.contrib.sessions.backends.db",
    "django.contrib.staticfiles.finders",
    "django.core.cache.backends.filebased",
    "django.core.management.commands.migrate",
    "django.db.backends.postgresql.base",
    "django.template.loader",
    "django.views.debug",
    "django.views.generic",
    "importlib.metadata",
    "psycopg",
    "pydantic",
    "web3",
    "yaml",
)
_RECURSION_LIMIT = 1000  # of a new interpreter, which web3 raises where it is imported
# Of the variables that Python reads when it starts, those that a forked process can still heed.
_HEEDED = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONUTF8"}

_context = get_context("forkserver")
_context.set_forkserver_preload(list(PRELOADED))
get_temp_dir()  # now, and not by the first process: its test may have a temporary folder of its own


class ManageProcess:
    """A process of manage.py; its methods are those of subprocess.Popen.

    stderr: None where it goes to stdout.
    is_strict: as `python -W error manage.py`.
    """

    def __init__(
        self,
        *words: str,
        cwd: Path,
        env: Mapping[str, str],
        joins_stderr: bool = False,
        is_strict: bool = False,
    ) -> None:
        new = {name for name, value in env.items() if os.environ.get(name) != value}
        unheeded = {name for name in new - _HEEDED if name.startswith("PYTHON")}
        assert not unheeded, f"only a new interpreter heeds {', '.join(unheeded)} (start one)"
        pipes = [_context.Pipe(duplex=False) for _ in range(1 if joins_stderr else 2)]
        start = _Start(words, cwd, dict(env), tuple(sys.path), is_strict)
        self._process = _context.Process(
            target=_run, args=(start, [written for _, written in pipes]), daemon=True
        )
        self._process.start()
        for _, written in pipes:
            written.close()
        streams = [_text(read) for read, _ in pipes]
        self.stdout: IO[str] = streams[0]
        self.stderr: IO[str] | None = None if joins_stderr else streams[1]
        self._streams = streams

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self.returncode
        if code is None:
            raise subprocess.TimeoutExpired("manage.py", timeout or 0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Return what the process writes until it ends; of joined streams the second text is empty."""
        texts = dict.fromkeys(self._streams, "")

        def read(stream: IO[str]) -> None:
            texts[stream] = stream.read()

        threads = [threading.Thread(target=read, args=[each], daemon=True) for each in texts]
        for thread in threads:
            thread.start()
        until = None if timeout is None else time.monotonic() + timeout
        for thread in threads:
            thread.join(None if until is None else max(0, until - time.monotonic()))
        self.wait(None if until is None else max(0, until - time.monotonic()))
        self._close()
        output, *complaint = texts.values()
        return output, "".join(complaint)

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _close(self) -> None:
        for stream in self._streams:
            stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        self.wait()


def _text(read: Connection) -> IO[str]:
    stream = open(os.dup(read.fileno()), encoding="utf-8")  # noqa: PTH123, SIM115 - a descriptor
    read.close()
    return stream


@dataclass(frozen=True, slots=True)
class _Start:
    """What a new interpreter is told, and the sys.path of the one that tells it."""

    words: tuple[str, ...]
    cwd: Path
    env: dict[str, str]
    path: tuple[str, ...]
    is_strict: bool


def _run(start: _Start, streams: list[Connection]) -> None:
    """Run manage.py as a new interpreter does."""
    env = start.env
    null = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in enumerate([null, streams[0].fileno(), streams[-1].fileno()]):
        os.dup2(descriptor, number)
    os.close(null)
    for stream in streams:
        stream.close()
    is_unbuffered = bool(env.get("PYTHONUNBUFFERED"))
    sys.stdin = sys.__stdin__ = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stdout.reconfigure(write_through=is_unbuffered)
    sys.stderr = sys.__stderr__ = os.fdopen(
        2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )
    os.environ.clear()
    os.environ.update(env)
    sys.setrecursionlimit(_RECURSION_LIMIT)
    tempfile.tempdir = None  # TMPDIR may be another
    os.chdir(start.cwd)
    added = [each for each in env.get("PYTHONPATH", "").split(os.pathsep) if each]
    installed = [each for each in start.path if each not in ("", ROOT)]
    sys.path[:] = [str(start.cwd), *added, *installed]
    sys.dont_write_bytecode = bool(env.get("PYTHONDONTWRITEBYTECODE"))
    sys.argv = ["manage.py", *start.words]
    if start.is_strict:
        warnings.simplefilter("error")
    try:
        runpy.run_path("manage.py", run_name="__main__")
    except KeyboardInterrupt:
        traceback.print_exc()
        sys.stdout.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except Exception:  # noqa: BLE001 - as an interpreter ends
        traceback.print_exc()
        sys.exit(1)
