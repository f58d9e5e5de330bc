"""Tools by drifts: each tool in a process of its own, and what its answers amount to."""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from benchmarks.drifts.cases import DRIFTS, Drift
from benchmarks.peers.server import ROOT, Server


class Outcome(Enum):
    """What an answer amounts to; the value is the word of the table."""

    SEEN = "seen"
    UNNAMED = "unnamed"
    MISSED = "missed"
    QUIET = "quiet"
    ALARM = "alarm"
    NONE = "not asked"


@dataclass(frozen=True, slots=True)
class Tool:
    """A column of the table: a command, the application that it comes with, and its package.

    complaint: matches once in its output for each thing that it complains of.
    """

    name: str
    app: str
    command: tuple[str, ...]
    complaint: str
    package: str = "django"

    def complaints(self, answer: "Answer") -> int:
        """How many things the answer complains of."""
        return len(re.findall(self.complaint, answer.text, re.MULTILINE))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said of one database."""

    code: int
    text: str

    def lines(self) -> set[str]:
        return {line.strip() for line in self.text.splitlines()}

    def failure(self) -> str:
        """The kind of error that ended the command, if one did."""
        last = (self.text.splitlines() or [""])[-1]
        found = re.match(r"(\w+(?:Error|Exception|DoesNotExist)): ", last)
        return found[1] if found and found[1] != "CommandError" else ""


OURS = Tool(
    "verify_schema",
    "signals.operations",
    ("verify_schema", "--strict"),
    r" (✗ Missing|! Unfinished|≠ Different|\? Leftover|\+ Undeclared|▲ Health)$",
)
SHADOW = Tool(
    "verify_schema --shadow",
    OURS.app,
    (*OURS.command, "--shadow", "--with-grants"),
    OURS.complaint,
)
MIGRATE = Tool("migrate --plan --check", "", ("migrate", "--plan", "--check"), r"^\w+\.\w+$")
MAKE = Tool(
    "makemigrations --check", "", ("makemigrations", "--check", "--dry-run"), r"^    [-+~] "
)
SQLDIFF = Tool(
    "sqldiff",
    "django_extensions",
    ("sqldiff", "--all-applications"),
    r"^(?!BEGIN|COMMIT).*;$|^-- (?:Table|Model) missing",
    "django-extensions",
)
TOOLS = (
    OURS,
    SQLDIFF,
    Tool(
        "audit_migrations",
        "django_migration_audit",
        ("audit_migrations",),
        r"^  \[(?:ERROR|WARNING)\]",
        "django-migration-audit",
    ),
    Tool(
        "guardrail",
        "migration_guardrail",
        ("migrate", "--dry-run"),
        r"^\S+ +\| \S+ +\| (?!ERROR TYPE|IN CODE|yes)",
        "django-migrations-guardrail",
    ),
    MIGRATE,
    MAKE,
)

# A comparison with the database as it was migrated, which is not one of Django's commands: see ask.py.
RESULTS = Tool("results", "", ("results", "dbdiff", "--with-privileges"), r";$", "results")
OBJECT_TOOLS = (OURS, SHADOW, RESULTS)


@dataclass(frozen=True, slots=True)
class Column:
    """What a tool answers on the database of a project as it was migrated, and on each drift."""

    tool: Tool
    clean: Answer
    drifted: dict[str, Answer]

    def outcome(self, drift: Drift) -> Outcome:
        answer = self.drifted.get(drift.what)
        return Outcome.NONE if answer is None else judge(drift, self.clean, answer)

    def news(self, drift: Drift) -> list[str]:
        """The lines that the drift brought."""
        answer = self.drifted.get(drift.what)
        return sorted(answer.lines() - self.clean.lines()) if answer else []

    def on_clean(self) -> str:
        """What it says of a database on which nothing is wrong."""
        if failure := self.clean.failure():
            return f"fails: {failure}"
        return str(self.tool.complaints(self.clean))

    def seen(self, drifts: Sequence[Drift] = DRIFTS) -> int:
        return sum(self.outcome(each) is Outcome.SEEN for each in drifts)


def judge(drift: Drift, clean: Answer, drifted: Answer) -> Outcome:
    """What the answer amounts to, beside that on the clean database: a new line of it names what drifted.

    A summary that only counts is no difference where the exit code is the same.
    """
    changed = clean.lines() ^ drifted.lines()
    is_other = clean.code != drifted.code or any(map(_tells, changed))
    if not drift.is_drift:
        return Outcome.ALARM if is_other else Outcome.QUIET
    words = "|".join(map(re.escape, drift.names))
    named = re.compile(f"(?<![a-z0-9])(?:{words})(?![a-z0-9])")
    if any(map(named.search, drifted.lines() - clean.lines())):
        return Outcome.SEEN
    return Outcome.UNNAMED if is_other else Outcome.MISSED


def _tells(line: str) -> bool:
    """Whether the line is more than a sum."""
    return bool(line) and " components of " not in line


def column(server: Server, project: str, tool: Tool, python: Path) -> Column:
    """Ask the tool, in a process of its own."""
    module = ("-m", "benchmarks.drifts.ask", project, tool.app, *tool.command)
    done = subprocess.run(  # noqa: S603 - a module of this package
        [str(python), *module],
        cwd=ROOT,
        env={**os.environ, "DRIFTS_DATABASE": server.conninfo},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{tool.name} ended with {done.returncode}:\n{done.stderr}")
    told = json.loads(done.stdout)
    drifted = {what: Answer(**answer) for what, answer in told["drifted"].items()}
    return Column(tool, Answer(**told["clean"]), drifted)


def rows(columns: list[Column], drifts: Sequence[Drift] = DRIFTS) -> Iterator[dict[str, Any]]:
    """Each drift with the outcomes, and the lines that it brought."""
    for drift in drifts:
        yield {
            "drift": drift.what,
            "sql": drift.sql,
            "outcomes": {each.tool.name: each.outcome(drift).value for each in columns},
            "lines": {each.tool.name: each.news(drift) for each in columns},
        }
