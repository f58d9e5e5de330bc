"""Which operations may be run again after the transaction of their migration was rolled back."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from django.db.migrations import RunPython
from django.db.migrations.operations.base import Operation

Function = TypeVar("Function", bound=Callable[..., Any])

_MARK: Final = "is_repeatable"


def repeatable(function: Function) -> Function:
    """Mark a function of RunPython as one that may be called again after its transaction was rolled back.

    `migrate` then tries an atomic migration with it again and again, where it would have one longer try. Do
    not mark a function that does more than write to the database, as sending mails.
    """
    setattr(function, _MARK, True)
    return function


def is_repeatable(operation: Operation) -> bool:
    """Return whether a rollback undoes all that the operation does.

    True for Django's operations besides RunPython. Another one, and each function of RunPython, has to say
    so: by the attribute `is_repeatable`, which `repeatable` sets.
    """
    if isinstance(operation, RunPython):
        functions = (operation.code, operation.reverse_code)
        return all(
            each in (None, RunPython.noop) or getattr(each, _MARK, False) for each in functions
        )
    is_djangos = type(operation).__module__.startswith("django.")
    return is_djangos or bool(getattr(operation, _MARK, False))
