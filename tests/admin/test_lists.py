"""The lists: what they show, find and cost."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from signals import admin
from signals.models import Event, OnchainFeature, Signal, SignalEvent, SignalVerification
from tests.admin.conftest import Staff
from tests.admin.rows import (
    ADDRESS,
    ATTACK,
    RUN,
    make_attack,
    make_bare_signal,
    make_event,
    make_feature,
    make_memory,
    make_signal,
    make_verdict,
)

MODELS = (Signal, Event, OnchainFeature, SignalEvent, SignalVerification)


def listed(client: Client, model: Any, **parameters: Any) -> list[Any]:
    response = client.get(f"/admin/signals/{model._meta.model_name}/", parameters)
    assert response.status_code == 200, response.headers
    return [row.pk for row in response.context["cl"].result_list]


def make_rows(**event: Any) -> None:
    signal = make_signal(event=make_event(**event))
    make_verdict(signal)
    make_memory(signal)
    make_feature(as_of_ts=timezone.now())


@pytest.mark.parametrize("model", MODELS)
def test_a_list_costs_the_same_number_of_queries_for_2_rows_and_for_50(
    viewer: Client, model: Any
) -> None:
    counts = []
    for rows in (2, 48):
        for _ in range(rows):
            make_rows()
        with CaptureQueriesContext(connection) as queries:
            shown = listed(viewer, model)
        counts.append(len(queries))
    assert len(shown) == 50
    assert counts[0] == counts[1] <= 7


@pytest.mark.parametrize("model", MODELS)
def test_a_list_counts_no_more_rows_than_it_has_pages_for(
    viewer: Client, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "COUNTED", 2)
    for _ in range(3):
        make_rows()
    response = viewer.get(f"/admin/signals/{model._meta.model_name}/")
    assert response.context["cl"].result_count == 2
    assert "These are the first 2; there may be more." in response.text


@pytest.mark.parametrize("model", MODELS)
def test_no_query_of_a_list_reads_a_table_without_a_bound(viewer: Client, model: Any) -> None:
    make_rows()
    with CaptureQueriesContext(connection) as queries:
        listed(viewer, model)
    ours = [q["sql"] for q in queries if f'FROM "{model._meta.db_table}"' in q["sql"]]
    unbounded = [sql for sql in ours if " LIMIT " not in sql]
    # The page itself has no LIMIT if the count says that it holds everything.
    assert len(unbounded) == 1
    assert "COUNT" not in unbounded[0]


@pytest.mark.parametrize("model", MODELS)
def test_an_empty_list_renders(viewer: Client, model: Any) -> None:
    assert listed(viewer, model) == []


@pytest.mark.parametrize("model", MODELS)
def test_markup_in_the_rows_of_a_list_is_text(viewer: Client, model: Any) -> None:
    make_attack()
    text = viewer.get(f"/admin/signals/{model._meta.model_name}/").text
    assert "<script>alert" not in text
    assert "<img src=x" not in text


def test_a_signal_with_nothing_but_its_number_is_listed(viewer: Client) -> None:
    signal = make_bare_signal()
    assert listed(viewer, Signal) == [signal.pk]


def test_a_signal_shows_its_token_as_a_link_to_the_event(viewer: Client) -> None:
    make_signal(event=make_event(event_key="a/b", symbol="PEPE"))
    make_signal(event=make_event(event_key="k" * 60, symbol=None))
    text = viewer.get("/admin/signals/signal/").text
    assert '<a href="/admin/signals/event/a_2Fb/change/">PEPE</a>' in text
    assert f">{'k' * 17}…{'k' * 12}</a>" in text


def test_signals_are_filtered_by_state_risk_and_market(viewer: Client) -> None:
    make_signal()
    found = make_signal(state="verified", goplus_risk="red", market_type="cex")
    assert listed(viewer, Signal, state__exact="verified") == [found.pk]
    assert listed(viewer, Signal, goplus_risk__exact="red") == [found.pk]
    assert listed(viewer, Signal, market_type="cex") == [found.pk]


def test_a_market_type_that_no_recent_signal_has_can_still_be_asked_for(viewer: Client) -> None:
    make_signal()
    response = viewer.get("/admin/signals/signal/", {"market_type": "tulips"})
    assert list(response.context["cl"].result_list) == []
    assert "tulips" in response.text


@pytest.mark.parametrize(
    ("age", "days"), [("hour", 0.01), ("day", 0.5), ("week", 3), ("month", 20), ("older", 40)]
)
def test_signals_are_filtered_by_age(viewer: Client, age: str, days: float) -> None:
    signals = {}
    for each in (0.01, 0.5, 3, 20, 40):
        signals[each] = make_signal().pk
        created_at = timezone.now() - timedelta(days=each)
        Signal.objects.filter(pk=signals[each]).update(created_at=created_at)
    wanted = [signals[each] for each in signals if each <= days] if days < 40 else [signals[40]]
    assert listed(viewer, Signal, age=age) == wanted[::-1]


@pytest.mark.parametrize(
    "word",
    ["PEPE", "pepe", "$pepe", "the:key", "t.1234", ADDRESS, ADDRESS.lower(), "  PEPE   the:key "],
)
@pytest.mark.parametrize("model", [Signal, Event, SignalEvent, SignalVerification])
def test_what_is_about_a_token_is_found(viewer: Client, model: Any, word: str) -> None:
    make_rows(event_key="another", symbol="OTHER")
    event = make_event(event_key="the:key", topic_hash="t.1234", token_ca=ADDRESS)
    signal = make_signal(event=event)
    pk = {Event: event.pk, SignalEvent: make_verdict(signal).pk}.get(model, signal.pk)
    make_memory(signal)
    assert listed(viewer, model, q=word) == [pk]


@pytest.mark.parametrize("word", ["{}", "{} PEPE"])
@pytest.mark.parametrize("model", [Signal, SignalEvent, SignalVerification])
def test_what_is_about_a_signal_is_found_by_its_number(
    viewer: Client, model: Any, word: str
) -> None:
    make_rows()
    make_rows()
    signal = Signal.objects.latest("id")
    pk = signal.verdicts.get().pk if model is SignalEvent else signal.pk
    assert listed(viewer, model, q=word.format(signal.pk)) == [pk]


def test_an_address_in_an_event_key_is_found_in_any_case(viewer: Client) -> None:
    event = make_event(event_key=f"bsc:{ADDRESS}:202603011200")
    assert listed(viewer, Event, q=f"bsc:{ADDRESS.upper().replace('X', 'x')}") == [event.pk]


def test_features_are_found_by_address_with_the_chain_or_without(viewer: Client) -> None:
    make_feature(address="0x" + "1" * 40)
    ours = make_feature(address=ADDRESS)
    solana = make_feature(chain="solana", address="So1" + "a" * 40)
    assert listed(viewer, OnchainFeature, q=ADDRESS.lower()) == [ours.pk]
    assert listed(viewer, OnchainFeature, q=f"Ethereum:{ADDRESS.lower()}") == [ours.pk]
    assert listed(viewer, OnchainFeature, q=f"bsc:{ADDRESS}") == []
    assert listed(viewer, OnchainFeature, q=f"solana:{solana.address}") == [solana.pk]
    assert listed(viewer, OnchainFeature, q=solana.address) == [solana.pk]
    assert listed(viewer, OnchainFeature, q=solana.address.lower()) == []


def test_features_are_filtered_by_chain_and_window(viewer: Client) -> None:
    make_feature()
    found = make_feature(chain="solana", window_minutes=30)
    assert listed(viewer, OnchainFeature, chain="solana") == [found.pk]
    assert listed(viewer, OnchainFeature, window="30") == [found.pk]
    assert len(listed(viewer, OnchainFeature, window="31")) == 2


def test_verdicts_are_found_by_their_run(viewer: Client) -> None:
    verdict = make_verdict(make_signal())
    assert listed(viewer, SignalEvent, q=str(RUN)) == [verdict.pk]


def test_the_dead_are_listed_first(viewer: Client) -> None:
    waiting = make_memory(make_signal(), status="waiting", next_check_at=timezone.now())
    dead = make_memory(make_signal())
    settled = make_memory(make_signal(), status="settled")
    assert listed(viewer, SignalVerification) == [dead.pk, settled.pk, waiting.pk]


@pytest.mark.parametrize(
    "query",
    [
        *(
            "q=%00",
            "q=²",
            "q=" + "9" * 5000,
            "q=" + ATTACK.replace("+", ""),
            "q='",
            "q=%25",
            "q=\\",
        ),
        *("age=never", "state__exact=nonsense", "p=99999999", "p=x", "all=", "o=99", "o=-1.2"),
    ],
)
@pytest.mark.parametrize("model", MODELS)
def test_a_strange_address_is_answered(superuser: Client, model: Any, query: str) -> None:
    make_attack()
    response = superuser.get(f"/admin/signals/{model._meta.model_name}/?{query}", follow=True)
    assert response.status_code in (200, 400)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("goplus_risk__exact=nonsense", 400),
        ("goplus_risk__in=red,nonsense", 400),
        ("goplus_risk__icontains=re", 400),
        ("goplus_risk__exact=red", 200),
        ("market_type=%00", 302),
    ],
)
def test_a_value_that_postgresql_would_refuse_is_refused_before(
    viewer: Client, query: str, status: int
) -> None:
    make_signal()
    assert viewer.get(f"/admin/signals/signal/?{query}").status_code == status


def test_a_feature_that_is_not_a_number_is_shown(viewer: Client) -> None:
    feature = make_feature(top10_share=Decimal("0.70"))
    with connection.cursor() as cursor:  # Django's field refuses what the column allows
        cursor.execute("UPDATE onchain_features SET growth_ratio = 'NaN'")
    for path in ("", f"{feature.pk}/change/"):
        text = viewer.get(f"/admin/signals/onchainfeature/{path}").text
        assert "NaN" in text
        assert "0.70" in text


@pytest.mark.parametrize("model", MODELS)
def test_every_search_field_that_is_named_exists(model: Any) -> None:
    """They only show the search box; a search is what find() says."""
    registered: Any = admin.admin.site.get_model_admin(model)
    for name in registered.search_fields:
        assert model.objects.filter(**{f"{name}__isnull": True}).query


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    ("find", "word", "tables"),
    [
        (admin.find_events, "PEPE", {"events"}),
        (admin.find_signals, "PEPE", {"events", "signals"}),
        (admin.find_signals, "17", {"events", "signals"}),
        (admin.find_verdicts, "17", {"events", "signals", "signal_events"}),
        (admin.find_verdicts, str(RUN), {"events", "signals", "signal_events"}),
    ],
)
def test_a_search_reads_no_table_from_end_to_end(
    find: Callable[[str], Any], word: str, tables: set[str]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        plan = find(word).explain()
    assert "Seq Scan" not in plan, plan
    assert all(f" on {table}" in plan for table in tables)


def test_somebody_without_permission_sees_no_list(staff: Staff) -> None:
    client = staff("view_event")
    assert client.get("/admin/signals/event/").status_code == 200
    for model in ("signal", "onchainfeature", "signalevent", "signalverification"):
        assert client.get(f"/admin/signals/{model}/").status_code == 403
