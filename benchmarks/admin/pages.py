"""The time of each search and each list on our pages, and on pages of a stock ModelAdmin.

project.setup must have been imported before.
"""

import json
import sys
import time
from collections.abc import Iterator
from http import HTTPStatus
from statistics import median
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client, RequestFactory

from benchmarks.admin import list_queries
from benchmarks.admin import search_data as data
from signals.models import Event, OnchainFeature, Signal, SignalEvent, SignalVerification

Asked = tuple[Any, str, str, str | None]

STOCK_LIMIT: Final = 30_000
"""Milliseconds after which a statement of a stock page is stopped."""

OF_TOKENS = {
    "hot symbol": data.HOT,
    "symbol of the past": data.OLD,
    "rare symbol": data.RARE,
    "absent symbol": data.ABSENT,
    "hot address": data.HOT_ADDRESS,
    "address of the past": data.OLD_ADDRESS,
    "rare address": data.RARE_ADDRESS.upper(),
    "absent address": data.ABSENT_ADDRESS,
    "hot topic": data.HOT_TOPIC,
    "topic of the past": data.OLD_TOPIC,
    "rare topic": data.RARE_TOPIC,
    "all keys": "ethereum:",
    "keys of a hot token": f"ethereum:{data.HOT_ADDRESS}",
    "keys of a token of the past": f"ethereum:{data.OLD_ADDRESS}:",
    "keys of a rare token": f"solana:{data.RARE_ADDRESS}",
    "one key": f"solana:{data.RARE_ADDRESS}:10",
    "two words": f"{data.HOT} {data.HOT_TOPIC}",
    "number": "150000",
}
RUNS = {"run of the past": data.OLD_RUN, "new run": data.NEW_RUN}
OF_ADDRESSES = {name: text for name, text in OF_TOKENS.items() if "address" in name}
SEARCHES: Final[dict[Any, dict[str, str]]] = {
    Event: OF_TOKENS,
    Signal: OF_TOKENS,
    SignalEvent: OF_TOKENS | RUNS,
    SignalVerification: OF_TOKENS,
    OnchainFeature: OF_ADDRESSES,
}


OTHERS: Final = {
    "searches": ("/admin/", "/admin/signals/signal/150000/change/"),
    "lists": ("/admin/", "/admin/signals/signal/150000/change/"),
}
"""Other pages that are tried on the same rows."""
STOCK_FILTERS: Final[dict[Any, tuple[str, ...]]] = {
    Signal: ("state", "goplus_risk", "market_type", "source_level"),
    Event: ("type", "refine_ok"),
    SignalEvent: ("decision", "note", "new_state", "type"),
    SignalVerification: ("status", "decision", "note"),
    OnchainFeature: ("chain", "window_minutes"),
}
"""The fields that the stock pages filter by, as far as ours do."""
STOCK_COLUMNS: Final[dict[Any, tuple[str, ...]]] = {
    Signal: ("id", "event", "state", "goplus_risk", "market_type", "confidence", "created_at"),
    Event: ("event_key", "symbol", "type", "summary", "last_ts"),
    SignalEvent: ("id", "signal", "decision", "note", "new_state", "created_at"),
    SignalVerification: ("signal", "status", "decision", "note", "next_check_at", "updated_at"),
    OnchainFeature: ("id", "chain", "address", "window_minutes", "as_of_ts"),
}
PER_PAGE: Final = 100


def main(part: str, rounds: int) -> None:
    user, _ = User.objects.get_or_create(username="benchmark", is_staff=True, is_superuser=True)
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    measured = []
    for model, name, query, stock_query in {"searches": searches, "lists": lists}[part]():
        url = f"/admin/signals/{model._meta.model_name}/"
        measured.append(
            {
                "list": str(model._meta.verbose_name_plural),
                "asked": name,
                "ours": ours(client, f"{url}?{query}", rounds),
                "stock": None if stock_query is None else stock(model, user, stock_query),
                "has_stock": stock_query is not None,
            }
        )
        sys.stderr.write(f"{measured[-1]}\n")
    for address in OTHERS[part]:
        found = {"list": address, "asked": "", "ours": ours(client, address, rounds)}
        measured.append({**found, "stock": None, "has_stock": False})
    user.delete()
    json.dump(measured, sys.stdout)


def searches() -> Iterator[Asked]:
    """Yield each search: the list, its name, the query of ours and that of the stock page."""
    for model, texts in SEARCHES.items():
        for name, text in texts.items():
            query = urlencode({"q": text})
            yield model, name, query, query


def lists() -> Iterator[Asked]:
    """Yield each list with its filters and order; a stock page has only some of the filters."""
    for model, queries in list_queries.ASKED.items():
        for query in queries:
            yield model, query or "first page", query, _stock_query(model, query)


def _stock_query(model: Any, query: str) -> str | None:
    names = {"window": "window_minutes"}
    pairs = [pair.split("=") for pair in query.split("&")] if query else []
    if pairs == [["last", "1"]]:
        return f"p={model._default_manager.count() // PER_PAGE}"
    if not all(names.get(name, name) in STOCK_FILTERS[model] for name, _ in pairs):
        return None
    return urlencode({f"{names.get(name, name)}__exact": value for name, value in pairs})


def ours(client: Client, address: str, rounds: int) -> float | None:
    """Return the median in milliseconds; None if a statement was stopped."""
    taken = []
    for _ in range(rounds + 1):  # the first one warms the caches
        start = time.perf_counter()
        if client.get(address).status_code != HTTPStatus.OK:
            return None
        taken.append((time.perf_counter() - start) * 1000)
    return median(taken[1:])


def stock(model: Any, user: User, query: str) -> float | None:
    """Return the milliseconds of a list of a stock ModelAdmin; None if a statement was stopped."""
    registered = admin.site.get_model_admin(model)
    options = {
        "list_display": STOCK_COLUMNS[model],
        "list_filter": STOCK_FILTERS[model],
        "list_max_show_all": 0,
        "search_fields": registered.search_fields,
        "ordering": registered.ordering,
    }
    page = type("StockAdmin", (admin.ModelAdmin,), options)(model, admin.site)
    request = RequestFactory(SERVER_NAME="localhost").get(f"/?{query}")
    request.user = user
    with connection.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = {STOCK_LIMIT}")
    start = time.perf_counter()
    try:
        page.changelist_view(request).render()
    except OperationalError:
        return None
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout")
    return (time.perf_counter() - start) * 1000
