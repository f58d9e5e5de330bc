"""Roll out one change by one tool, with the code of both releases at work."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.server import Server
from benchmarks.rollout.changes import Change
from benchmarks.rollout.project import write_releases
from benchmarks.rollout.releases import Report, running
from benchmarks.rollout.tools import Tool


@dataclass(frozen=True, slots=True)
class Result:
    """What the code of both releases has met.

    old, new: the report of each; that of new is None if the tool refused to go on before the rollout.
    error: what the tool printed if it failed.
    """

    old: Report
    new: Report | None
    error: str

    @property
    def outcome(self) -> str:
        """Return the cell of the table."""
        failing = [
            f"{name}: {len(each.failed)} of {len(each.done)}"
            for name, each in (("old", self.old), ("new", self.new))
            if each and each.failed
        ]
        if failing:
            return ", ".join(failing)
        if self.new is None:
            return "refused"
        return "not ended" if self.error else "no error"


def roll_out(server: Server, tool: Tool, change: Change) -> Result:
    """Return what the two releases meet; raise RuntimeError if the old one's migrations fail."""
    with server.database() as database, tempfile.TemporaryDirectory() as name:
        folder, url = Path(name), database.url
        database.clear()
        write_releases(folder, [change], {})
        if error := tool.run(folder / "old", tool.first, url):
            raise RuntimeError(error)
        with running(folder, "old", url) as old:
            error = tool.write(folder, change, url) or tool.run(folder / "new", tool.before, url)
            if error:
                return Result(old.goes_on(), None, error)
            old.goes_on()
            with running(folder, "new", url) as new:
                new.goes_on()
                last = old.goes_on()
                old.stop()
                error = tool.run(folder / "new", tool.after, url)
                return Result(last, new.goes_on(), error)
