"""Load the project's migrations anew after files were written, and compare what they declare."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState, ProjectState

from ..migrate.walk import state_at
from . import is_same_state


class Unloadable(Exception):
    """With the written files the migrations do not load, or declare something else."""


@contextmanager
def loading_as_before(loader: MigrationLoader) -> Iterator[None]:
    """Raise Unloadable after the block, if the migrations, loaded anew, do not declare what they did.

    loader: the migrations as they were loaded before.
    """
    before = _state_or_error(loader)
    yield
    former = _forget_modules()
    try:
        after = _state(MigrationLoader(None, replace_migrations=False))
    except Exception as error:
        raise Unloadable(f"the migrations do not load: {_words(error)}") from error
    finally:
        _forget_modules()
        sys.modules.update(former)
    if not isinstance(before, ProjectState):
        return  # they never did
    changed = [key for key, model in before.models.items() if not _is_same(key, model, after)]
    changed += [key for key in after.models if key not in before.models]
    if changed:
        raise Unloadable(f"the migrations would declare {'.'.join(changed[0])} otherwise")


def _state(loader: MigrationLoader) -> ProjectState:
    """Return the state of all migrations, without writing into the fields of their operations."""
    return state_at(loader, loader.graph.leaf_nodes())


def _state_or_error(loader: MigrationLoader) -> ProjectState | Exception:
    try:
        return _state(loader)
    except Exception as error:  # noqa: BLE001 - an operation of the project runs, and may raise anything
        return error


def _is_same(key: tuple[str, str], model: ModelState, state: ProjectState) -> bool:
    other = state.models.get(key)
    alone: list[Any] = [ProjectState({key: each}) for each in (model, other) if each]
    return len(alone) == 2 and is_same_state(*alone)  # noqa: PLR2004 - one of each


def _forget_modules() -> dict[str, Any]:
    """Take the modules of all migrations out of sys.modules, and return them."""
    packages = (MigrationLoader.migrations_module(each.label)[0] for each in apps.get_app_configs())
    starts = tuple(f"{each}." for each in packages if each)
    names = [name for name in sys.modules if name.startswith(starts)]
    importlib.invalidate_caches()
    return {name: sys.modules.pop(name) for name in names}


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
