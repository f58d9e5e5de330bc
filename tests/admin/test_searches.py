"""The searches of the lists: what they find, and that they use indexes."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin import site
from django.db import connection
from django.test import Client

from signals.admin.searches import find_events, find_signals, find_verdicts
from signals.models import Event, OnchainFeature, Signal, SignalEvent, SignalVerification
from tests.admin.conftest import Staff
from tests.admin.pages import MODELS, listed
from tests.admin.sample_rows import (
    ADDRESS,
    ATTACK,
    RUN,
    make_event,
    make_feature,
    make_one_of_each,
    make_signal,
    make_verdict,
    make_verification,
)


@pytest.mark.parametrize(
    "word",
    ["PEPE", "pepe", "$pepe", "the:key", "t.1234", ADDRESS, ADDRESS.lower(), "  PEPE   the:key "],
)
@pytest.mark.parametrize("model", [Signal, Event, SignalEvent, SignalVerification])
def test_what_is_about_a_token_is_found(viewer: Client, model: Any, word: str) -> None:
    make_one_of_each(event_key="another", symbol="OTHER")
    event = make_event(event_key="the:key", topic_hash="t.1234", token_ca=ADDRESS)
    signal = make_signal(event=event)
    pk = {Event: event.pk, SignalEvent: make_verdict(signal).pk}.get(model, signal.pk)
    make_verification(signal)
    assert listed(viewer, model, q=word) == [pk]


@pytest.mark.parametrize("word", ["{}", "{} PEPE"])
@pytest.mark.parametrize("model", [Signal, SignalEvent, SignalVerification])
def test_what_is_about_a_signal_is_found_by_its_number(
    viewer: Client, model: Any, word: str
) -> None:
    make_one_of_each()
    make_one_of_each()
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


def test_verdicts_are_found_by_their_run(viewer: Client) -> None:
    verdict = make_verdict(make_signal())
    assert listed(viewer, SignalEvent, q=str(RUN)) == [verdict.pk]


def test_events_are_completed_by_their_symbol(staff: Staff) -> None:
    client = staff("change_signal", "view_event")
    make_event(event_key=ATTACK, symbol="PEPE")
    make_event(symbol="OTHER")
    parameters = {"app_label": "signals", "model_name": "signal", "field_name": "event"}
    answer = client.get("/admin/autocomplete/", parameters | {"term": "pepe"}).json()
    assert answer["results"] == [{"id": ATTACK, "text": ATTACK}]
    assert client.get("/admin/autocomplete/", parameters | {"term": "\0"}).json()["results"] == []


@pytest.mark.parametrize("model", MODELS)
def test_every_search_field_that_is_named_exists(model: Any) -> None:
    """They only show the search box; a search is what the page's find() says."""
    registered: Any = site.get_model_admin(model)
    for name in registered.search_fields:
        assert model.objects.filter(**{f"{name}__isnull": True}).query


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    ("find", "word", "tables"),
    [
        (find_events, "PEPE", {"events"}),
        (find_signals, "PEPE", {"events", "signals"}),
        (find_signals, "17", {"events", "signals"}),
        (find_verdicts, "17", {"events", "signals", "signal_events"}),
        (find_verdicts, str(RUN), {"events", "signals", "signal_events"}),
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
