"""Reading untrusted YAML: plain data only, without duplicate keys, aliases and tags."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import yaml

from signals.verification.errors import Problem

_INT: Final = re.compile(r"[+-]?(0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(
    r"[+-]?([0-9]+\.[0-9]*|\.[0-9]+)(e[+-]?[0-9]{1,4})?|[+-]?\.inf|\.nan", re.IGNORECASE
)


class NotPlainYaml(ValueError):
    """The content is not plain YAML; `problems` say where and why."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)
        self.problems = problems


class _Loader(yaml.SafeLoader):
    """Load a float as the decimal that is written, because a float would round it."""


def _decimal(_: yaml.SafeLoader, node: yaml.ScalarNode) -> Decimal:
    return Decimal(node.value.lower().replace(".inf", "inf").replace(".nan", "nan"))


_Loader.add_constructor("tag:yaml.org,2002:float", _decimal)


def parse_yaml(content: bytes) -> Any:
    """Return the one document in `content`.

    A number with a point is a Decimal. Raise NotPlainYaml for a syntax error, a duplicate key, an alias,
    a tag, deep nesting, or a number that YAML 1.1 reads as another one: 1:30 as 90, 074 as 60.
    """
    try:
        loader = _Loader(content)
        node = loader.get_single_node()
        if node is None:
            return None
        problems = tuple(_problems(node, "", set()))
        if problems:
            raise NotPlainYaml(*problems)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise NotPlainYaml(Problem("", f"{line}not YAML: {str(error.problem)[:200]!r}")) from None
    except yaml.YAMLError as error:
        raise NotPlainYaml(Problem("", f"not YAML: {str(error)[:200]!r}")) from None
    except RecursionError:
        raise NotPlainYaml(Problem("", "nested too deeply")) from None
    except NotPlainYaml:
        raise
    except (
        ValueError,
        OverflowError,
    ) as error:  # such as an impossible date or a number of 5000 digits
        raise NotPlainYaml(Problem("", f"not YAML: {str(error)[:200]!r}")) from None


def join_path(path: str, key: str | int) -> str:
    """Return the path of `key` below `path`, such as `verdict.upgrade_if[0]`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not (key.isascii() and key.isidentifier()):
        return f"{path}[{key[:100]!r}]"
    return f"{path}.{key}" if path else key


def _problems(node: yaml.Node, path: str, seen: set[int]) -> Iterator[Problem]:
    """Yield what safe_load does not see: duplicate keys, keys that are no text, aliases and odd numbers."""
    if id(node) in seen:
        yield Problem(path, "is an alias (write the value out)")
        return
    seen.add(id(node))
    plain = {"tag:yaml.org,2002:int": _INT, "tag:yaml.org,2002:float": _FLOAT}.get(node.tag)
    if plain and not plain.fullmatch(str(node.value)):
        yield Problem(
            path, f"{str(node.value)[:100]!r} is not a plain number (write it in decimal)"
        )
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _problems(item, join_path(path, index), seen)
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                yield Problem(path, f"the key {str(key.value)[:100]!r} is not a text (quote it)")
                continue
            if key.value in keys:
                yield Problem(join_path(path, key.value), f"is there twice (line {_line(key)})")
            keys.add(key.value)
            yield from _problems(value, join_path(path, key.value), seen)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
