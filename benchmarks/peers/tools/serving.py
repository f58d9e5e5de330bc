"""The process of a tool: a request per line on stdin, a reply per line on stdout."""

import json
import sys
from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol

from benchmarks.peers.cases import Component


@dataclass(frozen=True, slots=True)
class Cell:
    """The database, its table, and the components that the migration declares, in this order."""

    conninfo: str
    table: str
    declares: tuple[Component, ...]


class Tool(Protocol):
    """What a user does with a migration tool."""

    packages: tuple[str, ...]

    def begin(self, cell: Cell) -> None:
        """Go to the cell's database, and record that the table was made by an earlier migration."""

    def migrate(self) -> None:
        """Run the migration."""

    def forget(self) -> None:
        """Lose the record that the migration was run."""

    def script(self) -> str:
        """The SQL of the migration, printed and not run."""


def serve(tool: Tool) -> None:
    """Answer until stdin ends. What `migrate` raises is its result; any other error ends the process."""
    replies, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        replies.write(json.dumps(_answer(tool, request)) + "\n")
        replies.flush()


def _answer(tool: Tool, request: dict[str, str]) -> str:
    match request["step"]:
        case "versions":
            return ", ".join(f"{name} {version(name)}" for name in tool.packages)
        case "begin":
            declares = tuple(Component[name] for name in request["declares"].split())
            tool.begin(Cell(request["conninfo"], request["table"], declares))
        case "migrate":
            try:
                tool.migrate()
            except Exception as error:  # noqa: BLE001 - whatever it raises is the tool's answer
                return f"{type(error).__name__}: {error}"
        case "forget":
            tool.forget()
        case "script":
            return tool.script()
    return ""
