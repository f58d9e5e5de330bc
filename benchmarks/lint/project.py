"""Write the migrations of the cases into one project, an application for each case."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.db.migrations import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.writer import MigrationWriter

from benchmarks.lint.cases.bad import BAD
from benchmarks.lint.cases.case import APP, LintCase, tables
from benchmarks.lint.cases.good import GOOD
from benchmarks.lint.settings_file import write_settings

# What names of the cases become, so that each application has tables and indexes of its own.
_OWN_NAMES = ("item_name", "name_kind")


@dataclass(frozen=True, slots=True)
class Judged:
    """A case and its application; name is that of the migration that is judged."""

    label: str
    name: str
    case: LintCase
    is_bad: bool
    is_of_library: bool


def write_project(folder: Path) -> list[Judged]:
    """Write the project into the folder; return the migrations to judge."""
    judged = []
    for number, case in enumerate([*BAD, *GOOD]):
        label = f"case{number:03}"
        steps: list[tuple[Sequence[Operation], bool]] = [(tables(), True)]
        steps += [(list(case.earlier()), True)] if case.earlier else []
        steps.append((list(case.make()), case.atomic))
        migrations = folder / label / "migrations"
        migrations.mkdir(parents=True)
        for each in (migrations, migrations.parent):
            (each / "__init__.py").touch()
        for place, (operations, atomic) in enumerate(steps, 1):
            text = _own(_source(operations, atomic=atomic, place=place), label)
            if place == len(steps) and not case.is_limited:
                text = text.replace(
                    "    atomic", "    limit_every_statement = False\n    atomic", 1
                )
            (migrations / f"{place:04}_step.py").write_text(text)
        name = f"{len(steps):04}_step"
        judged.append(Judged(label, name, case, number < len(BAD), _has_own(steps[-1][0])))
    write_settings(folder, [each.label for each in judged])
    return judged


def _source(operations: Sequence[Operation], *, atomic: bool, place: int) -> str:
    declared = {
        "operations": list(operations),
        "dependencies": [(APP, f"{place - 1:04}_step")] if place > 1 else [],
    }
    migration = type("Migration", (Migration,), declared)(f"{place:04}_step", APP)
    text: str = MigrationWriter(migration, include_header=False).as_string()
    flags = f"    initial = {place == 1}\n    atomic = {atomic}\n\n    dependencies = ["
    return text.replace("    initial = True\n\n", "").replace("    dependencies = [", flags, 1)


def _own(text: str, label: str) -> str:
    for name in _OWN_NAMES:
        text = text.replace(name, f"{label}_{name}")
    return text.replace("'named'", f"'{label}_named'").replace(APP, label)


def _has_own(operations: Sequence[Operation]) -> bool:
    """Return whether one of them is an operation of this library."""
    return any(type(each).__module__ == "signals.operations" for each in operations)
