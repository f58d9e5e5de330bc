"""The life cycle: processes join a cluster's server, which runs from its first user to its last."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from project.embedded import watcher
from project.embedded.folders import homes, named_refusal, settle
from project.embedded.locks import exclusive, share_for_life
from project.embedded.programs import Programs
from project.embedded.server import Server


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs."""

    home: Path
    postmaster: int


def join(data_dir: Path, settings: Mapping[str, str] | None = None) -> Path:
    """Use the server of `data_dir` for the life of this process; the result is its host for libpq.

    Makes the cluster and starts the server where needed. The watcher comes before the server, so
    a run killed at any point leaves no server that nobody would stop. The settings are those of a
    server that is started here; one that runs keeps its own.
    """
    programs = Programs.find()
    home = settle(data_dir, programs.major())
    server = Server(home)
    share_for_life(home / "users")
    with exclusive(home / "start"):
        watcher.ensure(home)
        server.start(programs, settings or {})
    return server.socket


def running(data_dir: Path) -> list[Running]:
    """The servers of `data_dir` that run, one for each major version at most."""
    with named_refusal(data_dir):
        found = [(home, Server(home).postmaster()) for home in homes(data_dir)]
    return [Running(home, postmaster) for home, postmaster in found if postmaster is not None]


def stop(data_dir: Path) -> list[Path]:
    """Stop the servers of `data_dir` and their watchers, whoever uses them; the stopped ones."""
    return [home for home in homes(data_dir) if _stop(home)]


def _stop(home: Path) -> bool:
    with named_refusal(home), exclusive(home / "start"):
        watcher.dismiss(home)
        return Server(home).stop()
