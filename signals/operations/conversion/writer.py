"""The text of a migration of convergent operations, as a person would write it."""

import re
from typing import Any

from django.db.migrations.operations.base import Operation
from django.db.migrations.writer import MigrationWriter, OperationWriter

DOOR = "from signals import operations"

_IMPORT = "import signals.operations"
# At the beginning of a line there is no text of a literal: these are written without line breaks.
_CALL = re.compile(r"^(\s*)signals\.operations\.(?=\w+\($)", re.MULTILINE)


class ConvergentWriter(MigrationWriter):
    """Django's, which writes `atomic = False` too, and takes the operations from their one door."""

    def as_string(self) -> str:
        text = super().as_string()
        if _IMPORT in text.splitlines():
            head, *rest = text.split("\n\n\nclass ", 1)
            lines = head.splitlines()
            start = next(place for place, line in enumerate(lines) if _is_import(line))
            end = next(
                (place for place in range(start, len(lines)) if not _is_import(lines[place])),
                len(lines),
            )
            imports = [DOOR if line == _IMPORT else line for line in lines[start:end]]
            head = "\n".join([*lines[:start], *sorted(imports, key=_rank), *lines[end:]])
            text = _CALL.sub(r"\1operations.", "\n\n\nclass ".join([head, *rest]))
        if not self.migration.atomic and "\n    atomic = False\n" not in text:  # Django 6 writes it
            text = text.replace(
                "    dependencies = [", "    atomic = False\n\n    dependencies = [", 1
            )
        return text


def written(operation: Operation, door: str) -> tuple[list[str], set[str]]:
    """The lines of the operation in a list, without indentation, and the imports that it needs.

    door: the name of `signals.operations` where they are to stand.
    """
    writer: Any = OperationWriter(operation, indentation=0)
    text, imports = writer.serialize()
    needed = {DOOR if each == _IMPORT else each for each in imports}
    return _CALL.sub(rf"\1{door}.", text).splitlines(), needed


def _is_import(line: str) -> bool:
    return line.startswith(("import ", "from "))


def _rank(line: str) -> tuple[bool, str]:
    return line.split(maxsplit=1)[0] == "from", line.split()[1]
