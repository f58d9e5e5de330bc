"""Judge a RunPython: whether it can go back, and which models it uses."""

import dis
import inspect
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

from django.db import migrations
from django.db.models import Model

from . import rules as rule
from .steps import Fault, Step

_DJANGO = "django.db.models"


def run_python_faults(step: Step) -> Iterator[Fault]:
    """Yield that the operation cannot go back, and the models that its functions take from the code."""
    operation = step.operation
    if not operation.reversible:
        yield step.fault(rule.IRREVERSIBLE)
    functions = (operation.code, operation.reverse_code)
    imported = sorted({name for each in functions for name in _imported_models(each)})
    if imported:
        what = f"{_name(operation.code)} uses {', '.join(imported)} as imported"
        yield step.fault(rule.MODEL_IMPORTED, what)


def changes_rows(operation: Any) -> bool:
    """Return whether the operation runs code in the transaction of its migration."""
    if not isinstance(operation, migrations.RunPython) or operation.atomic is False:
        return False
    return operation.code is not migrations.RunPython.noop


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", None) or type(function).__name__)


def _imported_models(function: Callable[..., Any] | None) -> Iterator[str]:
    """Yield the names of the models that the function, or one that it calls in its module, imports."""
    found = inspect.unwrap(function) if function else None
    waiting = [found] if isinstance(found, FunctionType) else []
    seen: set[FunctionType] = set()
    while waiting:
        each = waiting.pop()
        seen.add(each)
        for inner in _codes(each.__code__):
            yield from _imported_inside(inner)
            for name in inner.co_names:
                value = each.__globals__.get(name)
                if isinstance(value, type) and issubclass(value, Model) and value is not Model:
                    yield name
                is_own = isinstance(value, FunctionType) and value.__module__ == each.__module__
                if is_own and value not in seen:
                    waiting.append(value)  # type: ignore[arg-type]


def _codes(own: CodeType) -> Iterator[CodeType]:
    yield own
    for each in own.co_consts:
        if isinstance(each, CodeType):
            yield from _codes(each)


def _imported_inside(own: CodeType) -> Iterator[str]:
    """Yield what the code imports itself from a module of models, other than Django's own."""
    module = ""
    for each in dis.get_instructions(own):
        if each.opname == "IMPORT_NAME":
            module = str(each.argval)
        is_of_models = module != _DJANGO and module.rpartition(".")[2] == "models"
        if each.opname == "IMPORT_FROM" and is_of_models:
            yield str(each.argval)
