"""The file of the findings that are accepted as they are, so that only new ones are told."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FindingKey = tuple[
    str, str, str
]  # of a finding: its migration as app.name, its rule, and what breaks that

LISTED = "in the baseline"  # the reason of what it accepts
_FIRST = '{"version": 1, "accepted": ['


class UnusableBaseline(Exception):
    """The file of the baseline cannot be read or written, or is none."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The accepted findings by their lines in the file; none without a file."""

    path: Path = field(default_factory=Path)
    lines: Mapping[int, FindingKey] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Baseline":
        """Return the baseline in the file; raise UnusableBaseline if the file is missing or another."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise UnusableBaseline(
                f"the baseline {path} cannot be read: {error.strerror} (make it by --write-baseline)"
            ) from error
        first, *rest = text.splitlines() or [""]
        try:
            json.loads(text)
            entries = [
                (line, json.loads(each.rstrip(","))) for line, each in enumerate(rest[:-1], 2)
            ]
            lines = {
                line: (each["migration"], each["rule"], each["what"]) for line, each in entries
            }
        except (ValueError, KeyError, TypeError):
            lines = {}
            first = ""
        if first != _FIRST:
            raise UnusableBaseline(
                f"{path} is no baseline of version 1 (make it anew by --write-baseline)"
            )
        return cls(path, lines)

    def write(self, found: Iterable[FindingKey], selected: Collection[str]) -> int:
        """Write the keys of findings, beside what the file has of migrations that are not selected.

        Return the number of entries; raise UnusableBaseline if the file cannot be written.

        selected: the selected migrations, as app.name.
        """
        kept = {key for key in self.lines.values() if key[0] not in selected}
        keys = sorted(kept | set(found))
        entries = [
            json.dumps({"migration": migration, "rule": rule, "what": what}, ensure_ascii=False)
            for migration, rule, what in keys
        ]
        try:
            self.path.write_text(
                "\n".join(
                    [_FIRST, *[f"{each}," for each in entries[:-1]], *entries[-1:], "]}", ""]
                ),
                encoding="utf-8",
            )
        except OSError as error:
            raise UnusableBaseline(
                f"the baseline {self.path} cannot be written: {error.strerror}"
            ) from error
        return len(entries)
