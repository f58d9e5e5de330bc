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
MODULES = sorted(OPERATIONS.rglob("*.py"))
COMMANDS = sorted((OPERATIONS / "management/commands").glob("[a-z]*.py"))
MIGRATIONS = sorted((ROOT / "signals/migrations").glob("[0-9]*.py"))
SOURCES = sorted([*(ROOT / "signals").rglob("*.py"), *(ROOT / "project").rglob("*.py")])
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MIXINS = ("Convergent", "Removal", "AlterTogether")

# The rooms whose modules send SQL, each a question of the catalog or a statement under the lock policy.
EXECUTORS = {OPERATIONS / "catalog", OPERATIONS / "execution"}

# What each floor may import: those above it in this list, and its own modules.
FLOORS = (
    ("names", "errors", "statements"),
    ("catalog",),
    ("execution",),
    ("findings", "site"),
    ("refusals", "alteration", "contract"),
    ("components",),
    ("convergence",),
    ("base",),
    (
        "operations",
    ),  # one a file, with what they share: removal, together, implied; and the door to them
    ("migrate",),
    ("conversion",),
    ("lint",),
    ("drift",),
    ("shadow",),
    ("checks", "models", "admin", "apps", "management"),
)

# The order of what operations answer; behind it their other public members, and last the private ones.
MEMBERS = (
    *(
        "__init_subclass__",
        "__init__",
        "from_stock",
        "from_alteration",
        "deconstruct",
        "describe",
        "migration_name_fragment",
    ),
    *("state_forwards", "reduce", "database_forwards", "database_backwards", "locate"),
    *(
        "model_key",
        "former_key",
        "hints",
        "addition",
        "targets",
        "names",
        "declared",
        "accepts",
        "probe",
    ),
    *("read", "with_row_facts", "is_present", "is_removable", "inspect", "compare"),
    *("plan", "plan_backwards", "converge", "script", "script_backwards", "plain_script"),
)

LONGEST_MODULE = 450  # lines
LONGEST_TEST = 500


def label(path: Path) -> str:
    return str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")


each_module = pytest.mark.parametrize("path", MODULES, ids=label)


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
        assert getattr(operations, name) in operations.OPERATIONS, f"add {name} to OPERATIONS"


@each_module
def test_every_operation_states_its_promise(path: Path) -> None:
    for name in operation_classes(path):
        text = ast.get_docstring(classes(path)[name]) or ""
        assert "\n\n" in text, (
            f"{path.name}: {name} needs a docstring: a promise, what a failed run leaves, "
            "and its arguments"
        )


@each_module
def test_docstrings_of_functions_begin_with_an_imperative(path: Path) -> None:
    """No article, question word or third person: it would name no subject, or be read twice."""
    no_verbs = (
        "A|An|The|No|What|Who|How|Where|When|Whether|If|As|Each|Every|It|This|That|For|Receiver"
    )
    for node in ast.walk(tree(path)):
        text = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
        first = text.split()[0].rstrip(",:;.") if text else "Return"
        assert re.fullmatch(rf"(?!(?:{no_verbs})$)[A-Z][a-z]*(?:[^s]|ss)", first), (
            f"{path.name}: begin the docstring of {node.name} with an imperative, "
            f'such as "Return …" or "Raise … if …", not with "{first}"'
        )


@each_module
def test_only_the_catalog_and_the_execution_send_sql(path: Path) -> None:
    """In the others a schema editor that collects may be called, to learn Django's SQL."""
    lines = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("execute", "executemany", "callproc", "copy")
        and not (isinstance(node.func.value, ast.Name) and node.func.value.id == "editor")
        and not (isinstance(node.func.value, ast.Call) and "super" in ast.dump(node.func.value))
    ]
    assert path.parent in EXECUTORS or not lines, (
        f"{path.name}:{lines[0]} executes SQL: return a Statement from plan() and let the loop send "
        "it, or ask through a function of catalog/"
    )


@each_module
def test_only_the_catalog_and_the_execution_open_a_cursor(path: Path) -> None:
    lines = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr == "cursor"
    ]
    assert path.parent in EXECUTORS or not lines, (
        f"{path.name}:{lines[0]} opens a cursor: ask through a function of catalog/"
    )


def floor(path: Path) -> str:
    """The floor on which a module of the library lies."""
    room, *inner = path.relative_to(OPERATIONS).with_suffix("").parts
    known = {name for names in FLOORS for name in names}
    return room if inner or room in known else "operations"


def arrows(path: Path) -> Iterator[tuple[int, Path]]:
    """The line of each import from the library, wherever it stands, and the module that it leads to."""
    for line, name in imports(path):
        if not within(name, "signals.operations"):
            continue
        found = ROOT / name.replace(".", "/")
        candidates = (
            *(found.with_suffix(".py"), found / "__init__.py"),
            *(found.parent.with_suffix(".py"), found.parent / "__init__.py"),
        )
        yield line, next(each for each in candidates if each.exists())


@each_module
def test_imports_run_down_the_floors(path: Path) -> None:
    floors = {name: place for place, names in enumerate(FLOORS) for name in names}
    own = floor(path)
    for line, imported in arrows(path):
        other = floor(imported)
        assert other == own or floors[other] <= floors[own], (
            f"{path.name}:{line} of {own} imports {label(imported)} of {other}, a floor above it: pass the "
            "value in as an argument, or move what is shared down to a floor that both may import"
        )


def test_imports_make_no_circle() -> None:
    """Those under TYPE_CHECKING and inside functions included."""
    graph = {path: {other for _, other in arrows(path)} - {path} for path in MODULES}
    while leaves := [path for path, others in graph.items() if not others & graph.keys()]:
        for path in leaves:
            del graph[path]
    assert not graph, (
        f"{', '.join(map(label, graph))} import each other in a circle, or what does: move what is "
        "shared into a module below both"
    )


@each_module
def test_the_library_imports_itself_by_relative_names(path: Path) -> None:
    """The wheel ships the folder under another name than it has here."""
    for node in ast.walk(tree(path)):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            assert not within(name, "signals", "project", "convergent_migrations"), (
                f"{path.name}:{node.lineno} imports {name}: write a relative import, as from .site"
            )


@pytest.mark.parametrize("path", COMMANDS, ids=label)
def test_no_command_imports_another(path: Path) -> None:
    for line, imported in arrows(path):
        assert imported.parent != path.parent, (
            f"{path.name}:{line} imports {label(imported)}: move what both use into management/"
        )


@each_module
def test_exit_codes_are_those_of_the_enum(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            codes = [each.value for each in node.keywords if each.arg == "returncode"]
            codes += node.args if getattr(node.func, "id", "") == "SystemExit" else []
            for code in codes:
                assert not isinstance(code, ast.Constant), (
                    f"{path.name}:{node.lineno}: write ExitCode.… of management/arguments.py"
                )


@each_module
def test_operations_have_one_order_of_members(path: Path) -> None:
    def rank(name: str) -> int:
        if name in MEMBERS:
            return MEMBERS.index(name)
        return len(MEMBERS) + name.startswith("_")

    bases = {"Contract", *MIXINS}
    for name, node in classes(path).items():
        mixins = {base.id for base in node.bases if isinstance(base, ast.Name)} & bases
        if not (mixins or name in bases):
            continue
        members = [each.name for each in node.body if isinstance(each, ast.FunctionDef)]
        wanted = sorted(members, key=rank)
        assert members == wanted, f"{path.name}: order the members of {name}: {', '.join(wanted)}"


CLASSES = {each.__name__ for each in operations.OPERATIONS}


@each_module
def test_only_operations_and_their_door_name_an_operation(path: Path) -> None:
    """Whoever else needs to know something of an operation asks it, or what the door lists of all."""
    if floor(path) == "operations":
        return
    for node in ast.walk(tree(path)):
        name = node.id if isinstance(node, ast.Name) else ""
        name = node.attr if isinstance(node, ast.Attribute) else name
        name = node.name if isinstance(node, ast.alias) else name
        assert name not in CLASSES, (
            f"{path.name}:{node.lineno} names {name}: ask the operation through a member of "  # type: ignore[attr-defined]
            "contract.py that has a default, or take it from OPERATIONS or BUILDERS"
        )


# What a function may be given by these names is an operation, or was one.
OPERATION_NAMES = {"operation", "addition", "absorbed", "merged", "fill", "strict", "ours"}


@each_module
def test_no_function_writes_onto_an_operation(path: Path) -> None:
    """What a run, a plan or a site knows is passed; a changed operation is another one, by altered()."""
    own = {
        name
        for name, node in classes(path).items()
        if floor(path) in ("operations", "base", "contract")
    }
    for owner in ast.walk(tree(path)):
        if not isinstance(owner, ast.ClassDef | ast.Module):
            continue
        is_operation = isinstance(owner, ast.ClassDef) and owner.name in own
        for function in owner.body:
            if not isinstance(function, ast.FunctionDef) or function.name == "__init__":
                continue
            names = OPERATION_NAMES | ({"self"} if is_operation else set())
            for node in ast.walk(function):
                written = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
                target = getattr(getattr(node, "value", None), "id", "") if written else ""
                assert target not in names, (
                    f"{path.name}:{node.lineno} writes {target}.{node.attr}: pass it by the Site or "  # type: ignore[attr-defined]
                    "the Run, or return operation.altered(...)"
                )


def test_a_public_name_has_one_meaning() -> None:
    """Command is Django's name for what a module of commands holds, logger the logger of each module."""
    found: dict[str, list[str]] = {}
    for path in MODULES:
        for node in tree(path).body:
            names = [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
            targets = node.targets if isinstance(node, ast.Assign) else []
            targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
            names += [
                each.id
                for target in targets
                for each in ast.walk(target)
                if isinstance(each, ast.Name)
            ]
            for name in names:
                if not name.startswith("_") and name not in ("Command", "logger"):
                    found.setdefault(name, []).append(label(path))
    twice = {name: places for name, places in found.items() if len(places) > 1}
    assert not twice, f"give each of these a name of its own: {twice}"


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_no_module_is_too_long(path: Path) -> None:
    count = len(path.read_text().splitlines())
    assert count <= LONGEST_MODULE, (
        f"{path.name} has {count} lines: give its second job a module of its own"
    )


@pytest.mark.parametrize("path", TESTS, ids=label)
def test_no_file_of_tests_is_too_long(path: Path) -> None:
    count = len(path.read_text().splitlines())
    assert count <= LONGEST_TEST, f"{path.name} has {count} lines: divide it by subject"


@pytest.mark.parametrize(
    "name", [name for name in operations.__all__ if hasattr(getattr(operations, name), "reduce")]
)
def test_every_operation_is_documented(name: str) -> None:
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    assert name in headings, f"docs/operations.md: give {name} a heading of its own"
    row = rf"^\|.*\|[^|]*`{name}`[^|]*\|.*\|$"
    assert re.search(row, (ROOT / "README.md").read_text(), re.MULTILINE), (
        f"README.md: give {name} a row in the table of operations"
    )


@pytest.mark.parametrize("path", sorted(OPERATIONS.rglob("*.py")), ids=label)
def test_the_operations_know_no_application(path: Path) -> None:
    for line, imported in imports(path):
        own = within(imported, "signals.operations")
        assert own or not within(imported, "signals", "project"), (
            f"{path.name}:{line} imports {imported}: signals.operations is an app of its own, which "
            "other projects install; pass what it needs as an argument or a setting"
        )


@pytest.mark.parametrize("path", MIGRATIONS, ids=label)
def test_migrations_come_in_by_the_one_door(path: Path) -> None:
    for line, imported in imports(path):
        module, _, name = imported.rpartition(".")
        inner = within(imported, "signals.operations") and imported != "signals.operations"
        assert not inner or (module == "signals.operations" and name in operations.__all__), (
            f"{path.name}:{line} imports {imported}: write `from signals import operations`"
        )


@pytest.mark.parametrize("path", MIGRATIONS, ids=label)
def test_migrations_do_not_import_the_models(path: Path) -> None:
    for line, imported in imports(path):
        assert not within(imported, "signals.models", "project"), (
            f"{path.name}:{line} imports {imported}: the models go on changing, a migration must "
            "not; write the field or the value out"
        )


@pytest.mark.parametrize("path", MIGRATIONS, ids=label)
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


@pytest.mark.parametrize("path", sorted((ROOT / "tests/operations").rglob("*.py")), ids=label)
def test_tests_do_not_sleep(path: Path) -> None:
    for node in ast.walk(tree(path)):
        called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        assert not (called and node.func.attr == "sleep"), (  # type: ignore[attr-defined]
            f"{path.name}:{node.lineno} sleeps: wait for an event, or poll with a deadline"  # type: ignore[attr-defined]
        )
