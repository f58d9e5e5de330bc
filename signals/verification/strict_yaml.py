"""Reading untrusted YAML: plain data only, without duplicate keys, aliases and tags."""

from collections.abc import Iterator
from typing import Any

import yaml

from signals.verification.errors import Problem


class NotPlainYaml(ValueError):
    """The content is not plain YAML; `problems` say where and why."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)
        self.problems = problems


def parse_yaml(content: bytes) -> Any:
    """Return the one document in `content`.

    Raise NotPlainYaml for a syntax error, a duplicate key, an alias, a tag or deep nesting.
    """
    try:
        loader = yaml.SafeLoader(content)
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
    """Yield the problems that safe_load does not see: duplicate keys, keys that are no text, and aliases."""
    if id(node) in seen:
        yield Problem(path, "is an alias (write the value out)")
        return
    seen.add(id(node))
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
