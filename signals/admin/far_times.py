"""Times that PostgreSQL holds and Python does not: infinity, years after 9999 and years before Christ."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connection
from django.db.backends.postgresql.psycopg_any import BaseTzLoader
from django.http import HttpRequest, HttpResponseBase
from psycopg import DataError
from psycopg.types.datetime import DatetimeDumper


class FarTime(datetime):
    """A time outside the years 1 to 9999, by the end of them that it lies beyond."""

    @property
    def text(self) -> str:
        """What a page shows of the time."""
        return "after the year 9999" if self.year > 1 else "before the year 1"

    @property
    def postgresql(self) -> str:
        """The spelling of the end of all times that lies on this side."""
        return "infinity" if self.year > 1 else "-infinity"


FAR_FUTURE: Final = FarTime.combine(FarTime.max.date(), FarTime.max.time(), UTC)
FAR_PAST: Final = FarTime.combine(FarTime.min.date(), FarTime.min.time(), UTC)


class _Loader(BaseTzLoader):  # type: ignore[misc] # Django has no types for it
    timezone = UTC

    def load(self, data: Any) -> datetime:
        try:
            return super().load(data)  # type: ignore[no-any-return]
        except (DataError, OverflowError):
            is_past = bytes(data).startswith(b"-") or bytes(data).endswith(b"BC")
            return FAR_PAST if is_past else FAR_FUTURE


class _Dumper(DatetimeDumper):
    def dump(self, obj: Any) -> bytes:
        return str(obj.postgresql).encode()


def reading_far_times() -> AbstractContextManager[Any]:
    """Return a context in which the default connection reads far times as FAR_PAST and FAR_FUTURE.

    Pages and exports are in it, because they show every row. The job is not: a row that Python cannot hold is
    a failure of that row's signal there.
    """
    return connection.execute_wrapper(_with_far_times)


def _with_far_times(
    execute: Callable[..., Any], query: str, parameters: Any, many: bool, context: Any
) -> Any:
    adapters = context["cursor"].adapters
    adapters.register_loader("timestamptz", _Loader)
    adapters.register_dumper(FarTime, _Dumper)
    return execute(query, parameters, many, context)


class FarTimesMiddleware:
    """Answer each request in the context of reading_far_times()."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with reading_far_times():
            return self.get_response(request)
