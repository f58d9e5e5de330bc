"""Errors that keep a run from starting; the text of each says what is wrong and how to fix it."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class ConfigurationError(Exception):
    """A setting, the rules file or the schema is wrong; nothing was written."""


@dataclass(eq=False)
class SettingError(ConfigurationError):
    """The value of an ONCHAIN_* variable is invalid."""

    name: str
    value: str
    fix: str

    def __str__(self) -> str:
        return f"{self.name} is {self.value[:100]!r} ({self.fix})"


class Problem(NamedTuple):
    """A problem of a rules file, and its path in the file; the path of the file as a whole is empty."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text


@dataclass(eq=False)
class RulesError(ConfigurationError):
    """A rules file cannot be read or is invalid; the text has one line for each of its problems."""

    file: Path
    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        return "\n".join(f"rules file {str(self.file)!r}: {problem}" for problem in self.problems)


@dataclass(eq=False)
class NotMigrated(ConfigurationError):
    """The database lacks a table or column that a migration adds."""

    what: str
    fix: str = "run: manage.py migrate signals"

    def __str__(self) -> str:
        return f"{self.what} ({self.fix})"


@dataclass(eq=False)
class TooManyFailures(Exception):
    """So many checks of a run failed that the run stopped; the signals of its last batch were released."""

    failed: int
    checks: int
    first_error: str

    def __str__(self) -> str:
        return (
            f"the run stopped: {self.failed} of {self.checks} checks failed, the first with "
            f"{self.first_error} (none was made dead; correct the cause, or raise ONCHAIN_MAX_FAILURES)"
        )
