"""The limit on the time of each statement of the admin's pages, and the page that tells of it."""

import logging
from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.contrib import admin
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.template.response import SimpleTemplateResponse, TemplateResponse
from django.urls import NoReverseMatch, reverse
from psycopg import sql
from psycopg.errors import QueryCanceled
from psycopg.pq import TransactionStatus

DEFAULT_MILLISECONDS: Final = 5_000

logger = logging.getLogger(__name__)


class StatementTimeoutMiddleware:
    """Limit the time of each statement of the admin, and answer one that is stopped with words.

    ADMIN_STATEMENT_TIMEOUT_MS is the limit in milliseconds, 0 for none. The page of the schema is exempt:
    it is read in the time that it takes, by one reader at a time.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        limit = _Limit()
        request.statement_limit = limit  # type: ignore[attr-defined] # for process_view()
        try:
            with connection.execute_wrapper(limit):
                return self.get_response(request)
        finally:
            if limit.is_set:
                _reset_timeout()

    def process_view(self, request: HttpRequest, *_: Any) -> None:
        match = request.resolver_match
        if match is None or "admin" not in match.app_names:
            return
        if not (match.url_name or "").startswith("convergent_migrations_"):
            request.statement_limit.milliseconds = _milliseconds()  # type: ignore[attr-defined]

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        match = request.resolver_match
        if match is None or "admin" not in match.app_names or not is_stopped(exception):
            return None
        logger.warning("a statement of %s was stopped", request.path)
        if match.url_name == "autocomplete":
            said = {"id": "", "text": "This took too long: type more of the key", "disabled": True}
            return JsonResponse({"results": [said], "pagination": {"more": False}})
        return _stopped_page(request)


class _Limit:
    """Limits the time of the statements of one request, from the first one on.

    A page that asks the database nothing, as that of the login, needs no database.
    """

    def __init__(self) -> None:
        self.milliseconds = 0
        self.is_set = False

    def __call__(
        self, execute: Callable[..., Any], query: str, parameters: Any, many: bool, context: Any
    ) -> Any:
        if self.milliseconds and not self.is_set:
            _set_timeout(self.milliseconds)
            self.is_set = True
        return execute(query, parameters, many, context)


def is_stopped(exception: BaseException) -> bool:
    """Return whether the database stopped a statement because of its time, or because somebody asked."""
    return isinstance(exception, OperationalError) and isinstance(
        exception.__cause__, QueryCanceled
    )


def _stopped_page(request: HttpRequest) -> SimpleTemplateResponse:
    context = {
        **admin.site.each_context(request),
        "title": "This took too long",
        "seconds": _milliseconds() / 1000,
        "is_save": request.method != "GET",
        "text": request.GET.get("q", "")[:1000],
        "has_filters": bool(set(request.GET) - _NO_FILTERS),
        "list_url": _list_url(request),
    }
    return TemplateResponse(request, "admin/signals/stopped.html", context, status=503).render()


def _list_url(request: HttpRequest) -> str:
    """Return the address of the list that the page belongs to, or nothing."""
    name = getattr(request.resolver_match, "url_name", None) or ""
    try:
        return reverse(f"admin:{name.rpartition('_')[0]}_changelist")
    except NoReverseMatch:
        return ""


def _milliseconds() -> int:
    return int(getattr(settings, "ADMIN_STATEMENT_TIMEOUT_MS", DEFAULT_MILLISECONDS))


def _set_timeout(milliseconds: int) -> None:
    statement = sql.SQL("SET statement_timeout = {}").format(sql.Literal(milliseconds))
    connection.connection.execute(statement)


def _reset_timeout() -> None:
    """Give the statements after the request, of a connection that is kept, the time that they had before."""
    kept = connection.connection
    if kept is not None and not kept.closed and kept.info.transaction_status in _USABLE:
        kept.execute("RESET statement_timeout")


_NO_FILTERS: Final = {"q", "p", "order", "after", "before", "last", "at"}
_USABLE: Final = (TransactionStatus.IDLE, TransactionStatus.INTRANS)
