"""The limits of waiting, which every operation takes beyond its own arguments."""

import inspect
import math
from collections.abc import Callable
from functools import wraps
from typing import Any

LIMITS = ("lock_timeout", "lock_wait")

MAX_SECONDS = 2_147_483  # seconds, which PostgreSQL counts in milliseconds


def seconds(value: object) -> float | None:
    """The value as seconds that PostgreSQL can wait; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 < value <= MAX_SECONDS else None


def accept_limits(cls: type[Any]) -> None:
    """Gives the operation's `__init__` and `deconstruct` the keyword arguments of LIMITS.

    They hold for this operation in the place of the settings of that name. The signature has them, so
    that the migration writer writes them.
    """
    if len(cls.__bases__) == 1 and "__init__" not in cls.__dict__:
        return  # a mixin, or a subclass of an operation that accepts them already
    cls.__init__ = _initializing(cls.__init__)
    cls.deconstruct = _deconstructing(cls.deconstruct)


def _initializing(initialize: Callable[..., None]) -> Callable[..., None]:
    @wraps(initialize)
    def accepting(self: Any, *args: Any, **kwargs: Any) -> None:
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
    further = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation="float | None"
        )
        for name in LIMITS
    ]
    accepting.__signature__ = signature.replace(parameters=[*own, *further, *rest])  # type: ignore[attr-defined]
    return accepting


def _deconstructing(deconstruct: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(deconstruct)
    def telling(self: Any) -> Any:
        name, args, kwargs = deconstruct(self)
        return name, args, {**kwargs, **self.limits}

    return telling
