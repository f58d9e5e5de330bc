"""The crash between two statements."""

from collections.abc import Callable
from typing import Any

import pytest

from signals.operations import backfill, session


class Killed(BaseException):
    """What ends a process between two statements, as far as Python can show it."""


def dies_after(monkeypatch: pytest.MonkeyPatch, limit: int) -> Callable[[], int]:
    """From now on the process dies after that many statements; returns how many there were."""
    done = 0
    run, keys = session.run, backfill._keys

    def count() -> None:
        nonlocal done
        done += 1
        if done > limit:
            raise Killed

    def counted_run(*args: Any) -> None:
        count()
        run(*args)

    def counted_keys(*args: Any) -> Any:
        count()
        return keys(*args)

    monkeypatch.setattr(session, "run", counted_run)
    monkeypatch.setattr(backfill, "_keys", counted_keys)
    return lambda: done
