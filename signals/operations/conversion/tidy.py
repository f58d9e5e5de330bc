"""Remove functions, constants and imports that an edit of the source has left unused."""

import ast
import io
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Any

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)


def tidied(text: str, former: str) -> str:
    """Return the text without the functions, constants and imports that only the former text used.

    What was not used before stays, and so does an import with a comment.
    """
    gone = _reached(former) - _reached(text)
    lines = _split(text)
    for node in reversed(ast.parse(text).body):
        first, last = _lines(node)
        if (
            isinstance(node, _DEFINITIONS)
            and set(assigned_names(node))
            and gone.issuperset(assigned_names(node))
        ):
            while first and lines[first - 1].startswith("#"):
                first -= 1
            above, below = _blank(lines[:first][::-1]), _blank(lines[last:])
            lines[first - len(above) : last + len(below)] = (
                above if len(above) > len(below) else below
            )
    return _without_imports("".join(lines), former)


def _without_imports(text: str, former: str) -> str:
    gone = _used([ast.parse(former)]) - _used([ast.parse(text)])
    lines = _split(text)
    for node in reversed(ast.parse(text).body):
        first, last = _lines(node)
        if not isinstance(node, ast.Import | ast.ImportFrom) or "#" in "".join(lines[first:last]):
            continue
        used = [alias for alias in node.names if _bound(alias) not in gone]
        if len(used) < len(node.names):
            node.names = used
            lines[first:last] = [ast.unparse(node) + "\n"] if used else []
    return "".join(lines)


def comments(text: str) -> Counter[str]:
    """Return how often each comment occurs in the text."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return Counter(token.string for token in tokens if token.type == tokenize.COMMENT)


def assigned_names(node: ast.stmt) -> list[str]:
    """Return the plain names that the statement binds, as a definition or an assignment."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets: list[Any] = getattr(node, "targets", None) or [getattr(node, "target", None)]
    return [each.id for each in targets if isinstance(each, ast.Name)]


def _reached(text: str) -> set[str]:
    """Return the names that the class Migration uses, and those that these use in turn.

    Other code that runs when the module is imported counts as the class does.
    """
    body = ast.parse(text).body
    definitions = {
        name: node
        for node in body
        if isinstance(node, _DEFINITIONS)
        for name in assigned_names(node)
    }
    reached: set[str] = set()
    waiting = {"Migration"} | _used(each for each in body if not isinstance(each, _DEFINITIONS))
    while waiting:
        reached |= waiting
        nodes = [definitions[name] for name in waiting if name in definitions]
        waiting = _used(nodes) - reached
    return reached


def _used(nodes: Iterable[ast.AST]) -> set[str]:
    names: Iterator[ast.AST] = (each for node in nodes for each in ast.walk(node))
    return {
        each.id for each in names if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)
    }


def _blank(lines: Iterable[str]) -> list[str]:
    """Return the empty lines at the beginning."""
    return list(takewhile(lambda line: not line.strip(), lines))


def _split(text: str) -> list[str]:
    """Return the lines as `ast` counts them, with their line ends."""
    return io.StringIO(text, newline="").readlines()


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _lines(node: ast.stmt) -> tuple[int, int]:
    """Return the index of the statement's first line, with decorators, and the one after its last."""
    starts = [each.lineno for each in getattr(node, "decorator_list", [])]
    return min([node.lineno, *starts]) - 1, node.end_lineno or node.lineno
