"""Kill a run between two of its statements."""

from collections.abc import Callable
from typing import Any

import pytest

from signals.operations import backfill, convergence


class Killed(BaseException):
    """End a process between two statements, as far as Python can show it."""


def kill_after(monkeypatch: pytest.MonkeyPatch, limit: int) -> Callable[[], int]:
    """Raise Killed in place of the statement after so many; return a function that counts them."""
    done = 0
    run, find, write = convergence.send, backfill.next_range, backfill.retry_on_conflict

    def count() -> None:
        nonlocal done
        done += 1
        if done > limit:
            raise Killed

    def counted_run(*args: Any) -> Any:
        count()
        return run(*args)

    def counted_find(*args: Any, **options: Any) -> Any:
        count()
        return find(*args, **options)

    def counted_write(*args: Any) -> int:
        count()
        return write(*args)

    monkeypatch.setattr(convergence, "send", counted_run)
    monkeypatch.setattr(backfill, "next_range", counted_find)
    monkeypatch.setattr(backfill, "retry_on_conflict", counted_write)
    return lambda: done
