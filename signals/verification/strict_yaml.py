"""YAML from a hand that is not trusted: plain data only, nothing said twice, nothing expanded."""

from collections.abc import Iterator
from typing import Any

import yaml

from signals.verification.errors import Problem


class Refused(ValueError):
    """The text is no plain YAML; `problems` say where."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)
        self.problems = problems


def read(content: bytes) -> Any:
    """The one document in `content`; Refused on a syntax error, duplicate key, alias or deep nesting."""
    try:
        loader = yaml.SafeLoader(content)
        node = loader.get_single_node()
        if node is None:
            return None
        problems = tuple(_problems(node, "", set()))
        if problems:
            raise Refused(*problems)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise Refused(Problem("", f"{line}not YAML: {str(error.problem)[:200]!r}")) from None
    except yaml.YAMLError as error:
        raise Refused(Problem("", f"not YAML: {str(error)[:200]!r}")) from None
    except RecursionError:
        raise Refused(Problem("", "nested too deeply")) from None
    except Refused:
        raise
    except (ValueError, OverflowError) as error:  # an impossible date, an endless number
        raise Refused(Problem("", f"not YAML: {str(error)[:200]!r}")) from None


def join(path: str, key: str | int) -> str:
    """The path of `key` below `path`, as in `verdict.upgrade_if[0]`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not (key.isascii() and key.isidentifier()):
        return f"{path}[{key[:100]!r}]"
    return f"{path}.{key}" if path else key


def _problems(node: yaml.Node, path: str, seen: set[int]) -> Iterator[Problem]:
    """What safe_load lets pass: keys that come twice or are no text, and aliases."""
    if id(node) in seen:
        yield Problem(path, "is an alias (write the value out)")
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _problems(item, join(path, index), seen)
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                yield Problem(path, f"the key {str(key.value)[:100]!r} is not a text (quote it)")
                continue
            if key.value in keys:
                yield Problem(join(path, key.value), f"is there twice (line {_line(key)})")
            keys.add(key.value)
            yield from _problems(value, join(path, key.value), seen)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
