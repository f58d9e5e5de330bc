"""Collect the cases of all operations: each module here is named as its operation's and holds its CASES."""

from importlib import import_module
from pkgutil import iter_modules

from tests.operations.contract.case import Case

CASES: tuple[Case, ...] = tuple(
    case
    for module in sorted(found.name for found in iter_modules(__path__))
    for case in import_module(f"{__name__}.{module}").CASES
)


def case_named(name: str) -> Case:
    """Return the one case of that name."""
    (case,) = (each for each in CASES if each.name == name)
    return case
