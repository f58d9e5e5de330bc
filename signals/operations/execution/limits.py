"""The arguments lock_timeout and lock_wait, which every operation takes in addition to its own."""

import inspect
import math
from collections.abc import Callable
from functools import wraps
from typing import Any

LIMITS = ("lock_timeout", "lock_wait")

MAX_SECONDS = 2_147_483  # PostgreSQL keeps a timeout as milliseconds in an integer of 32 bits


def seconds(value: object) -> float | None:
    """Return the value as a number of seconds that PostgreSQL can wait; None if it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 < value <= MAX_SECONDS else None


def milliseconds(timeout: float) -> int:
    """Return the timeout of so many seconds as PostgreSQL takes it: not 0, which is none."""
    return max(1, round(timeout * 1000))


def accept_limits(cls: type[Any]) -> None:
    """Add the keyword arguments of LIMITS to the `__init__` and the `deconstruct` of an operation class.

    Both are in seconds and, for this operation, take the place of the settings of the same name. They are
    part of the signature, because the migration writer writes only what it finds there. Creating an
    operation raises ValueError if one of them is not a number of seconds above 0.
    """
    if len(cls.__bases__) == 1 and "__init__" not in cls.__dict__:
        return  # a mixin, or a subclass that inherits the __init__ of an operation that accepts them
    cls.__init__ = _init_with_limits(cls.__init__)
    cls.deconstruct = _deconstruct_with_limits(cls.deconstruct)


def _init_with_limits(initialize: Callable[..., None]) -> Callable[..., None]:
    @wraps(initialize)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        given = {name: kwargs.pop(name, None) for name in LIMITS}
        limits = {name: value for name, value in given.items() if value is not None}
        for name, value in limits.items():
            if seconds(value) is None:
                raise ValueError(f"{name} is {value!r} (use a number of seconds above 0)")
        initialize(self, *args, **kwargs)
        if limits:
            self.limits = limits

    signature = inspect.signature(initialize)
    own = [each for each in signature.parameters.values() if each.name not in LIMITS]
    rest = [own.pop()] if own and own[-1].kind is inspect.Parameter.VAR_KEYWORD else []
    added = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation="float | None"
        )
        for name in LIMITS
    ]
    wrapper.__signature__ = signature.replace(parameters=[*own, *added, *rest])  # type: ignore[attr-defined]
    return wrapper


def _deconstruct_with_limits(deconstruct: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(deconstruct)
    def wrapper(self: Any) -> Any:
        name, args, kwargs = deconstruct(self)
        return name, args, {**kwargs, **self.limits}

    return wrapper
