"""Rewrite the operations in the file of a migration, and leave every other character as it is."""

import ast
import re
import sys
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

from django.db import models
from django.db.migrations import Migration
from django.db.migrations.state import ProjectState

from ..migrate.walk import advance
from ..names import PACKAGE
from . import Change, flat, is_same_state
from .parts import Batch
from .tidy import assigned_names, comments, tidied
from .writer import MODULE_NAME, import_as, written

_BYTE_ORDER_MARK = BOM_UTF8.decode()
_MODELS = "from django.db import models"
# What follows an element: its comma, and a comment on the same line.
_COMMA = re.compile(rb"(?:\s|#[^\n]*)*,(?:[ \t]*#[^\r\n]*)?")
# The rest of a line, and the empty ones below it.
_LINE = re.compile(rb"[^\n]*\n(?:[ \t\r]*\n)*")


class Unwritable(Exception):
    """The operations in the source cannot be replaced one by one."""


@dataclass(frozen=True, slots=True)
class _Edit:
    """The replacement of the bytes from start to end by the text."""

    start: int
    end: int
    text: str = ""


def rewritten(
    migration: Migration, parts: Sequence[Batch], names: Sequence[str], before: ProjectState
) -> dict[str, str]:
    """Return the text of each part's file, by its name.

    Imports and functions that the parts share are in each of the texts that use them.

    names: one for each part; the last is the migration's own.

    Raise Unwritable, with the reason, if a text would differ from the plan in its operations or its place in
    the graph, or if a comment would be lost.
    """
    file = _File.of(migration)
    mark = _BYTE_ORDER_MARK if source_of(migration).read_bytes().startswith(BOM_UTF8) else ""
    source, former, made = file.data.decode(), "", {}
    is_crlf = source.count("\n") == source.count("\r\n") > 0
    for part, name in zip(parts, names, strict=True):
        edits = [
            *file.operations(parts, part),
            *file.attributes(part, former, is_last=part is parts[-1]),
        ]
        try:
            text = tidied(file.applied(edits), source)
        except SyntaxError as error:
            raise Unwritable(f"its text, edited, would be no Python: {error}") from error
        made[name] = re.sub(r"\r?\n", "\r\n", text) if is_crlf else text
        former = name
    lost = comments(source) - sum(map(comments, made.values()), Counter())
    if lost:
        raise Unwritable(f"the comment {min(lost)!r} would be lost")
    _require_unused_elsewhere(file, set(vars(file.module)) - _bound_names(text))
    state, former = before.clone(), ""
    for part, (name, text) in zip(parts, made.items(), strict=True):
        edited = _edited(file, text)
        _require_as_planned(edited, part, state)
        _require_same_place(edited, migration, former, is_last=part is parts[-1])
        former = name
    return {name: mark + text for name, text in made.items()}


def source_of(migration: Migration) -> Path:
    """Return the path of the migration's file."""
    return Path(str(sys.modules[type(migration).__module__].__file__))


def is_installed(migration: Migration) -> bool:
    """Return whether the migration came with a package rather than with the project."""
    return not {"site-packages", "dist-packages"}.isdisjoint(source_of(migration).parts)


@dataclass(slots=True)
class _File:
    """The source of a migration and the parts found in it; offsets are in bytes, as in `ast`."""

    data: bytes
    tree: ast.Module
    module: ModuleType
    migration: Migration
    body: list[ast.stmt]  # of the class Migration
    module_name: str  # of the package of the operations in the file
    imports: set[str]  # statements that the edits need

    @classmethod
    def of(cls, migration: Migration) -> "_File":
        data = source_of(migration).read_bytes().removeprefix(BOM_UTF8)
        try:
            tree = ast.parse(data.decode())
        except (UnicodeDecodeError, SyntaxError):
            raise Unwritable("the file is no Python in UTF-8") from None
        classes = [each for each in tree.body if getattr(each, "name", "") == "Migration"]
        if len(classes) != 1 or not isinstance(classes[0], ast.ClassDef):
            raise Unwritable("the file has no class Migration of its own")
        module = sys.modules[type(migration).__module__]
        free = (
            name
            for name in (MODULE_NAME, "convergent")
            if vars(module).get(name, _operations()) is _operations()
        )
        module_name = next(free, "")
        if not module_name:
            raise Unwritable("operations and convergent are both names of something else in it")
        return cls(data, tree, module, migration, classes[0].body, module_name, set())

    def operations(self, parts: Sequence[Batch], part: Batch) -> Iterator[_Edit]:
        """Yield the edits that convert the operations of the part and take out those of the others."""
        changes = [change for each in parts for change in each.changes]
        own = set(map(id, part.changes))
        value = getattr(self._assigned("operations"), "value", None)
        for element, change, slot in self._elements(value, changes, "operations"):
            if id(change) in own:
                yield from self._converted(element, change, slot)
            else:
                yield _Edit(*slot)

    def attributes(self, part: Batch, former: str, *, is_last: bool) -> Iterator[_Edit]:
        """Yield the edits of the class: atomic, and for a part its dependencies.

        Only the first part may have `initial`, and only the last one `run_before`.
        """
        if not part.atomic:
            yield self._set("atomic", "False")
        if former:
            yield self._set("dependencies", f"[({self.migration.app_label!r}, {former!r})]")
        for name, goes in {"initial": bool(former), "run_before": not is_last}.items():
            statement = self._assigned(name)
            if statement is not None and goes:
                start, end = self._span(statement)
                line = _LINE.match(self.data, end)
                yield _Edit(self.data.rindex(b"\n", 0, start) + 1, line.end() if line else end)

    def applied(self, edits: Iterable[_Edit]) -> str:
        """Return the source with the edits, and with the imports that these need."""
        data = self.data
        everything = sorted([*edits, *self._imported()], key=lambda edit: (edit.start, edit.end))
        for edit in reversed(everything):
            data = data[: edit.start] + edit.text.encode() + data[edit.end :]
        self.imports.clear()
        return data.decode()

    def _elements(
        self, value: Any, changes: Sequence[Change], name: str
    ) -> Iterator[tuple[Any, Change, tuple[int, int]]]:
        """Yield each element of the list, its change, and its bytes, with its comma and its comments."""
        elements = value.elts if isinstance(value, ast.List | ast.Tuple) else []
        if len(elements) != len(changes) or any(isinstance(e, ast.Starred) for e in elements):
            raise Unwritable(f"{name} is not a list that is written out")
        if not elements:
            return
        start = self._span(value)[0]
        start += self.data[start : start + 1] in (b"[", b"(") and self._span(elements[0])[0] > start
        for element, change in zip(elements, changes, strict=True):
            end = self._span(element)[1]
            comma = _COMMA.match(self.data, end)
            end = comma.end() if comma else end
            yield element, change, (start, end)
            start = end

    def _converted(self, element: Any, change: Change, slot: tuple[int, int]) -> Iterator[_Edit]:
        """Yield the edits that turn the element into the operations of the change.

        The last operation takes the arguments of the element.
        """
        original = change.original
        if change.is_kept:
            return
        if not change.operations:
            yield _Edit(*slot)
            return
        if not isinstance(element, ast.Call) or self._resolved(element.func) is not type(original):
            raise Unwritable(f"{type(original).__name__} is not written as a call of its class")
        if change.parts:
            named: dict[Any, Any] = {each.arg: each.value for each in element.keywords}
            value = named.get("database_operations", next(iter(element.args), None))
            for each in self._elements(value, change.parts, "database_operations"):
                yield from self._converted(*each)
            return
        *first, last = change.operations
        start = self._span(element)[0]
        for operation in first:
            lines, imports = written(operation, self.module_name)
            self.imports |= imports
            yield _Edit(start, start, f"\n{self._indentation(element)}".join([*lines, ""]))
        if type(last) is not type(original):
            self.imports.add(import_as(self.module_name))
            yield _Edit(*self._span(element.func), f"{self.module_name}.{type(last).__name__}")
        yield from self._with_flag(element, original, last)

    def _with_flag(self, element: ast.Call, original: Any, last: Any) -> Iterator[_Edit]:
        """Yield the edit for altered_later, the one argument that the original may lack."""
        flag = getattr(last, "altered_later", None)
        if not flag or flag == getattr(original, "altered_later", None):
            return
        for keyword in element.keywords:
            if keyword.arg == "altered_later":
                yield _Edit(*self._span(keyword.value), repr(flag))
                return
        end = max(self._span(each)[1] for each in [*element.args, *element.keywords])
        yield _Edit(end, end, f", altered_later={flag!r}")

    def _resolved(self, node: ast.expr) -> Any:
        """Return the object that the dotted name means in the module."""
        path = ast.unparse(node).split(".")
        return reduce(
            lambda found, name: getattr(found, name, None), path[1:], vars(self.module).get(path[0])
        )

    def _assigned(self, name: str) -> Any:
        """Return the one statement of the class that assigns the name, or None."""
        found = [each for each in self.body if name in assigned_names(each)]
        if len(found) > 1:
            raise Unwritable(f"the class assigns {name} more than once")
        return found[0] if found else None

    def _set(self, name: str, text: str) -> _Edit:
        """Return the edit that assigns the value.

        Without an assignment to edit, a new one goes in front of the dependencies, or else of the
        operations.
        """
        statement = self._assigned(name)
        if statement is not None:
            return _Edit(*self._span(statement.value), text)
        behind = self._assigned("dependencies") or self._assigned("operations")
        start = self._span(behind)[0]
        is_loose = re.search(rb"\n\s*\n[ \t]*$", self.data[:start]) is not None
        gap = "\n\n" if is_loose else "\n"
        return _Edit(start, start, f"{name} = {text}{gap}{self._indentation(behind)}")

    def _imported(self) -> Iterator[_Edit]:
        """Yield the edits that add the imports, below those of Django.

        `models` goes into the line that imports from django.db, if there is one.
        """
        nodes = [each for each in self.tree.body if isinstance(each, ast.Import | ast.ImportFrom)]
        present = {ast.unparse(node) for node in nodes}
        names = vars(self.module)
        needed = {each for each in self.imports if each not in present}
        needed -= {_MODELS} if names.get("models") is models else set()
        if names.get(self.module_name) is _operations():
            needed -= {import_as(self.module_name)}
        for node in nodes:
            if (
                _MODELS in needed
                and isinstance(node, ast.ImportFrom)
                and node.module == "django.db"
            ):
                needed.remove(_MODELS)
                end = self._span(node.names[-1])[1]
                yield _Edit(end, end, ", models")
        if not needed:
            return
        of_django = [
            each for each in nodes if re.match(r"(from|import) django\b", ast.unparse(each))
        ]
        last = (of_django or nodes or self.tree.body[:1])[-1]
        end = self._span(last)[1]
        end = (self.data + b"\n").index(b"\n", end)
        lines = sorted(needed, key=lambda line: (line.startswith("from"), line))
        yield _Edit(end, end, "".join(f"\n{line}" for line in lines))

    def _indentation(self, node: Any) -> str:
        """Return white space as wide as the text in front of the node on its line, tabs included."""
        start = self._span(node)[0]
        line = self.data[start - node.col_offset : start].decode()
        return re.sub(r"[^\t]", " ", line)

    def _span(self, node: Any) -> tuple[int, int]:
        lines = self.data.splitlines(keepends=True)

        def place(line: int, column: int) -> int:
            return sum(map(len, lines[: line - 1])) + column

        return place(node.lineno, node.col_offset), place(node.end_lineno, node.end_col_offset)


def _operations() -> ModuleType:
    """Return the package of the operations, as a migration imports it."""
    return sys.modules[PACKAGE]


def _edited(file: _File, text: str) -> Migration:
    """Return the migration that the text defines, which is executed as a module."""
    module = ModuleType(file.module.__name__)
    module.__file__, module.__package__ = file.module.__file__, file.module.__package__
    try:
        exec(compile(text, str(module.__file__), "exec"), vars(module))  # noqa: S102 - the project's file
    except Exception as error:
        raise Unwritable(f"its text, edited, would fail: {error!r}") from error
    made: Migration = module.Migration(file.migration.name, file.migration.app_label)
    return made


def _require_as_planned(made: Migration, part: Batch, state: ProjectState) -> None:
    """Raise Unwritable unless the migration has the planned operations; advance the state."""
    planned = flat(part.changes)
    own = state.clone()
    for operation in made.operations:
        advance(operation, made.app_label, own)
    for operation in planned:
        advance(operation, made.app_label, state)
    is_planned = (
        list(map(type, made.operations)) == list(map(type, planned))
        and made.atomic == part.atomic
        and is_same_state(own, state)
    )
    if not is_planned:
        raise Unwritable("its text, edited, would not make the operations that were planned")


def _require_same_place(made: Any, original: Any, former: str, *, is_last: bool) -> None:
    """Raise Unwritable unless the part has its planned place in the graph of migrations."""
    found = (made.dependencies, made.initial, made.run_before, made.replaces)
    dependencies = [(original.app_label, former)] if former else original.dependencies
    initial, run_before = (
        None if former else original.initial,
        original.run_before if is_last else [],
    )
    if found != (dependencies, initial, run_before, original.replaces):
        raise Unwritable("its text, edited, would have other dependencies than it is to have")


def _bound_names(text: str) -> set[str]:
    return {name for node in ast.parse(text).body for name in assigned_names(node)}


def _require_unused_elsewhere(file: _File, gone: Iterable[str]) -> None:
    """Raise Unwritable if another migration uses a function or class that the file loses."""
    name = file.module.__name__
    own = {each: vars(file.module)[each] for each in gone}
    own = {each: found for each, found in own.items() if getattr(found, "__module__", "") == name}
    for other in list(sys.modules.values()):
        values: dict[str, Any] = getattr(other, "__dict__", {})
        made: Any = values.get("Migration")
        if other is file.module or not isinstance(made, type) or not issubclass(made, Migration):
            continue
        steps = [getattr(step, "__dict__", {}) for step in made.operations]
        used = [value for each in (values, *steps) for value in each.values()]
        for each, found in own.items():
            if any(value is found or value is file.module for value in used):
                raise Unwritable(
                    f"{other.__name__} uses its {each}, which would stand in another part"
                )
