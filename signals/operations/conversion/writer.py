"""Write the text of a migration of convergent operations, as a person would."""

import re
from typing import Any

from django.db.migrations.operations.base import Operation
from django.db.migrations.writer import MigrationWriter, OperationWriter

from ..names import PACKAGE

MODULE_NAME = "operations"  # the package's name in a migration

_IMPORT = f"import {PACKAGE}"  # as Django writes it
# Only calls begin a line: a string literal, which might contain the same text, is written on one line.
_CALL = re.compile(rf"^(\s*){re.escape(PACKAGE)}\.(?=\w+\($)", re.MULTILINE)


class ConvergentWriter(MigrationWriter):
    """Django's writer, with one import for all convergent operations.

    It also writes `atomic = False`, which Django's does from version 6 on.
    """

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
            own = import_as(MODULE_NAME)
            imports = [own if line == _IMPORT else line for line in lines[start:end]]
            head = "\n".join([*lines[:start], *sorted(imports, key=_rank), *lines[end:]])
            text = _CALL.sub(rf"\1{MODULE_NAME}.", "\n\n\nclass ".join([head, *rest]))
        if not self.migration.atomic and "\n    atomic = False\n" not in text:  # Django 6 writes it
            text = text.replace(
                "    dependencies = [", "    atomic = False\n\n    dependencies = [", 1
            )
        return text


def import_as(module_name: str) -> str:
    """Return the statement that imports the package of the operations under the name."""
    parent, _, own = PACKAGE.rpartition(".")
    if not parent:
        return f"import {PACKAGE} as {module_name}"
    return f"from {parent} import {own}{'' if own == module_name else f' as {module_name}'}"


def written(operation: Operation, module_name: str) -> tuple[list[str], set[str]]:
    """Return the lines of the operation in a list, without indentation, and the imports that it needs.

    module_name: the name that the package of the operations has in the file.
    """
    writer: Any = OperationWriter(operation, indentation=0)
    text, imports = writer.serialize()
    needed = {import_as(module_name) if each == _IMPORT else each for each in imports}
    return _CALL.sub(rf"\1{module_name}.", text).splitlines(), needed


def _is_import(line: str) -> bool:
    return line.startswith(("import ", "from "))


def _rank(line: str) -> tuple[bool, str]:
    return line.split(maxsplit=1)[0] == "from", line.split()[1]
