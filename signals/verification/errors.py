"""What keeps a run from starting: each error says what is, what was wanted and what to do."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class ConfigurationError(Exception):
    """A setting, the rules file or the schema is not what the job needs; nothing was read or written."""


@dataclass(eq=False)
class SettingError(ConfigurationError):
    """An ONCHAIN_* variable holds what it cannot mean."""

    name: str
    value: str
    fix: str

    def __str__(self) -> str:
        return f"{self.name} is {self.value[:100]!r} ({self.fix})"


class Problem(NamedTuple):
    """One fault of a rules file; `path` is where in the file, empty for the file as a whole."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text


@dataclass(eq=False)
class RulesError(ConfigurationError):
    """A rules file cannot be used; it carries every fault, one a line."""

    file: Path
    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        return "\n".join(f"rules file {str(self.file)!r}: {problem}" for problem in self.problems)


@dataclass(eq=False)
class NotMigrated(ConfigurationError):
    """The database lacks what a migration brings."""

    what: str
    fix: str = "run: manage.py migrate signals"

    def __str__(self) -> str:
        return f"{self.what} ({self.fix})"
