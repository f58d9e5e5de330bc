"""The time of each search on our pages, and on pages of a stock ModelAdmin with the same fields.

project.setup must have been imported before.
"""

import json
import sys
import time
from http import HTTPStatus
from statistics import median
from typing import Any, Final

from django.contrib import admin
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client, RequestFactory

from benchmarks.admin_search import data
from signals.models import Event, OnchainFeature, Signal, SignalEvent, SignalVerification

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


def main(rounds: int) -> None:
    user, _ = User.objects.get_or_create(username="benchmark", is_staff=True, is_superuser=True)
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    measured = []
    for model, texts in SEARCHES.items():
        url = f"/admin/signals/{model._meta.model_name}/"
        for name, text in texts.items():
            measured.append(
                {
                    "list": str(model._meta.verbose_name_plural),
                    "text": name,
                    "ours": ours(client, url, text, rounds),
                    "stock": stock(model, user, text),
                }
            )
            sys.stderr.write(f"{measured[-1]}\n")
    user.delete()
    json.dump(measured, sys.stdout)


def ours(client: Client, url: str, text: str, rounds: int) -> float | None:
    taken = []
    for _ in range(rounds + 1):  # the first one warms the caches
        start = time.perf_counter()
        if client.get(url, {"q": text}).status_code != HTTPStatus.OK:
            return None
        taken.append((time.perf_counter() - start) * 1000)
    return median(taken[1:])


def stock(model: Any, user: User, text: str) -> float | None:
    """Return the milliseconds of a list that differs in nothing but what PipelineAdmin adds."""
    registered = admin.site.get_model_admin(model)
    page = type(
        "StockAdmin",
        (admin.ModelAdmin,),
        {name: getattr(registered, name) for name in ("list_display", "search_fields", "ordering")},
    )(model, admin.site)
    request = RequestFactory(SERVER_NAME="localhost").get("/", {"q": text})
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
