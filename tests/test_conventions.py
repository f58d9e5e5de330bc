"""Rules of the code that a reader relies on; each failure says what to do."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from signals import operations

ROOT = Path(__file__).resolve().parents[1]
OPERATIONS = ROOT / "signals/operations"
MODULES = sorted([*OPERATIONS.glob("*.py"), *OPERATIONS.glob("conversion/*.py")])
MIGRATIONS = sorted((ROOT / "signals/migrations").glob("[0-9]*.py"))
MIXINS = ("Convergent", "Removal")
EXECUTORS = {"base.py", "catalog.py", "migrators.py", "session.py"}

each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that the file imports, wherever it does."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            module = ".".join([*parents, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def classes(path: Path) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in tree(path).body if isinstance(node, ast.ClassDef)}


def operation_classes(path: Path) -> list[str]:
    """The operations that a file defines: the subclasses of Convergent or Removal, and of Django's own."""
    return [
        name
        for name, node in classes(path).items()
        if len(node.bases) > 1
        and any(isinstance(base, ast.Name) and base.id in MIXINS for base in node.bases)
    ]


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@each_module
def test_one_operation_one_file(path: Path) -> None:
    found = operation_classes(path)
    assert len(found) <= 1, f"{path.name}: give each of {', '.join(found)} a file of its own"
    if found:
        (name,) = found
        stem = snake_case(re.sub(r"(Concurrently)?(If|In)[A-Z]\w*$", "", name))
        assert path.stem == stem, f"rename {path.name} to {stem}.py, after the class {name}"
        others = [other for other in classes(path) if other != name]
        assert not others, f"{path.name}: move {', '.join(others)} out of the file of {name}"


@each_module
def test_every_operation_is_behind_the_one_door(path: Path) -> None:
    for name in operation_classes(path):
        assert name in operations.__all__, f"export {name} in signals/operations/__init__.py"
        assert getattr(operations, name).__module__ == "signals.operations"


@each_module
def test_every_operation_states_its_promise(path: Path) -> None:
    for name in operation_classes(path):
        text = ast.get_docstring(classes(path)[name]) or ""
        assert "\n\n" in text, (
            f"{path.name}: {name} needs a docstring: a promise, what a failed run leaves, "
            "and its arguments"
        )


@each_module
def test_only_four_files_execute(path: Path) -> None:
    """In the others a schema editor that collects may be called, to learn Django's SQL."""
    lines = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("execute", "executemany", "callproc", "copy")
        and not (isinstance(node.func.value, ast.Name) and node.func.value.id == "editor")
    ]
    assert path.name in EXECUTORS or not lines, (
        f"{path.name}:{lines[0]} executes SQL: return a Statement from plan() and let base.py run "
        "it, or ask through a function of catalog.py"
    )


@each_module
def test_only_the_catalog_the_session_and_the_lock_open_a_cursor(path: Path) -> None:
    lines = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr == "cursor"
    ]
    assert path.name in EXECUTORS - {"base.py"} or not lines, (
        f"{path.name}:{lines[0]} opens a cursor: ask through a function of catalog.py"
    )


# What each layer may import of this repository; the further up, the less.
LAYERS = [
    ("errors", ()),
    ("statements", ()),
    ("guards", ()),
    ("catalog", ("errors",)),
    ("limits", ()),
    ("activity", ("catalog",)),
    ("progress", ("activity",)),
    ("watch", ("activity",)),
    ("policy", ("activity", "limits")),
    ("session", ("activity", "catalog", "errors", "policy", "progress", "statements", "watch")),
    ("migrators", ("activity", "catalog", "errors", "policy", "session")),
]


@pytest.mark.parametrize(("name", "allowed"), LAYERS, ids=[name for name, _ in LAYERS])
def test_the_lower_layers_know_nothing_of_the_upper_ones(
    name: str, allowed: tuple[str, ...]
) -> None:
    packages = [f"signals.operations.{each}" for each in allowed]
    for line, imported in imports(OPERATIONS / f"{name}.py"):
        assert not within(imported, "signals", "project") or within(imported, *packages), (
            f"{name}.py:{line} imports {imported}: pass the value in as an argument, or move what "
            "is shared down into a layer that both may import"
        )


@pytest.mark.parametrize("path", sorted(OPERATIONS.rglob("*.py")), ids=lambda path: path.stem)
def test_the_operations_know_no_application(path: Path) -> None:
    for line, imported in imports(path):
        own = within(imported, "signals.operations")
        assert own or not within(imported, "signals", "project"), (
            f"{path.name}:{line} imports {imported}: signals.operations is an app of its own, which "
            "other projects install; pass what it needs as an argument or a setting"
        )


@each_module
def test_no_operation_imports_the_report_or_a_command(path: Path) -> None:
    if not operation_classes(path) and path.name != "base.py":
        return
    for line, imported in imports(path):
        assert not within(imported, "signals.operations.report", "signals.operations.management"), (
            f"{path.name}:{line} imports {imported}: imports run commands → report → operations; "
            "move what is shared into the operations"
        )


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_migrations_come_in_by_the_one_door(path: Path) -> None:
    for line, imported in imports(path):
        module, _, name = imported.rpartition(".")
        inner = within(imported, "signals.operations") and imported != "signals.operations"
        assert not inner or (module == "signals.operations" and name in operations.__all__), (
            f"{path.name}:{line} imports {imported}: write `from signals import operations`"
        )


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_migrations_do_not_import_the_models(path: Path) -> None:
    for line, imported in imports(path):
        assert not within(imported, "signals.models", "project"), (
            f"{path.name}:{line} imports {imported}: the models go on changing, a migration must "
            "not; write the field or the value out"
        )


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_a_migration_with_a_concurrent_step_is_not_atomic(path: Path) -> None:
    text = path.read_text()
    concurrent = re.search(r"operations\.(CreateIndexConcurrently|AddUnique|BackfillIn)\w+\(", text)
    assert not concurrent or "atomic = False" in text, (
        f"{path.name}: {concurrent[0] if concurrent else ''} cannot run in a transaction; "
        "set atomic = False on the migration"
    )


CATALOG_WORD = re.compile(
    r"(?<![\w.\"'%])(pg_[a-z_]+|to_reg[a-z]+|format_type|json_agg|json_build_object|"
    r"json_build_array|current_schema|current_setting|set_config|generate_series|unnest|regclass|"
    r"clock_timestamp|col_description|obj_description|to_jsonb?)\b(?!_)"
)


def sql_texts(path: Path) -> Iterator[tuple[int, str]]:
    """The string constants that are SQL; docstrings are none."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree(path)):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
            and re.search(r"\b(SELECT|FROM|WHERE|EXISTS)\b|\bpg_\w", node.value)
        ):
            yield node.lineno, node.value


@each_module
def test_the_catalog_is_asked_by_its_full_name(path: Path) -> None:
    """Unqualified, an object of that name on the search_path would answer in its place."""
    for line, text in sql_texts(path):
        if text == "pg_catalog":  # the schema's name as a value
            continue
        bare = CATALOG_WORD.search(
            re.sub(r"pg_catalog\.\w+|\"?pg_temp\"?(?:_\d+|\.\S+)?", "", text)
        )
        assert bare is None, (
            f"{path.name}:{line} says {bare[0] if bare else ''}: write pg_catalog."
            f"{bare[0] if bare else ''}"
        )


@each_module
def test_errors_are_known_by_sqlstate(path: Path) -> None:
    """The server may speak any language."""
    found = re.search(
        r"in str\((error|exception|e)\)|(error|e)\.args\[0\]|\.diag\.message", path.read_text()
    )
    assert found is None, f"{path.name}: {found[0] if found else ''}: compare sqlstate instead"


@each_module
def test_no_exception_decides_whether_something_exists(path: Path) -> None:
    names = {"ProgrammingError", "UndefinedTable", "DuplicateObject", "DuplicateTable"}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            caught = {each.id for each in ast.walk(node.type) if isinstance(each, ast.Name)}
            caught |= {each.attr for each in ast.walk(node.type) if isinstance(each, ast.Attribute)}
            assert not caught & names, (
                f"{path.name}:{node.lineno} catches {', '.join(caught & names)}: read the catalog "
                "before, and send only what is missing"
            )


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests/operations").glob("*.py")), ids=lambda path: path.stem
)
def test_tests_do_not_sleep(path: Path) -> None:
    for node in ast.walk(tree(path)):
        called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        assert not (called and node.func.attr == "sleep"), (  # type: ignore[attr-defined]
            f"{path.name}:{node.lineno} sleeps: wait for an event, or poll with a deadline"  # type: ignore[attr-defined]
        )
