"""The searches of the lists: what they find, and what the page says of it."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import User
from django.test import Client

from signals.admin import searches
from signals.models import Event, OnchainFeature, Signal, SignalEvent, SignalVerification
from tests.admin.conftest import Staff
from tests.admin.pages import MODELS, listed
from tests.admin.sample_rows import (
    ADDRESS,
    ATTACK,
    NOW,
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
    assert listed(viewer, OnchainFeature, q=solana.address.lower()) == [solana.pk]
    assert listed(viewer, OnchainFeature, q=f"eth:{ADDRESS}") == [ours.pk]


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
    """They only show the search box; a search is what KINDS says."""
    registered: Any = site.get_model_admin(model)
    for name in registered.search_fields:
        assert model.objects.filter(**{f"{name}__isnull": True}).query


HOSTILE = (
    *(
        "%",
        "_",
        "\\",
        "%%",
        "the_key",
        "the%",
        "the\\",
        "\\%",
        "'",
        '"',
        "' OR 1=1 --",
        "{}",
        "%s",
        "%(x)s",
    ),
    *(
        ".*",
        "[",
        "(((",
        "^t",
        "$",
        "$$",
        "$1",
        "a|b",
        "\u202e",
        "\u202ethe:key",
        "\ufeff",
        "\ud7ff",
    ),
    *("²", "١٢", "0x", "0x" + "g" * 40, "-1", "9" * 18, "9" * 19, "1e5", ":", "::", "a:" * 300),
    *("8d9b8f2e", "urn:uuid:x", "\x01", "\x7f", "💥" * 200, "İ" * 60, "ß" * 60),
)


def said(client: Client, model: Any, **parameters: str) -> str:
    """Return what the page of the list says of its search, as text on one line."""
    text = client.get(f"/admin/signals/{model._meta.model_name}/", parameters).text
    found = re.search(r'<div id="search-summary".*?</div>', text, re.DOTALL)
    assert found, "the list says nothing of its search"
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", found[0])).split())


@pytest.mark.parametrize("text", ["the:key", "the:", "pepe", "a" * 40, "the-topic"])
@pytest.mark.parametrize("model", [Signal, SignalEvent, SignalVerification])
def test_a_search_does_not_tell_which_events_there_are_to_those_who_may_not_view_them(
    staff: Staff, viewer: Client, model: Any, text: str
) -> None:
    event = make_event(
        event_key="the:key", token_ca="a" * 40, symbol="PEPE", topic_hash="the-topic"
    )
    signal = make_signal(event=event)
    rows: dict[Any, Any] = {Signal: signal, SignalEvent: make_verdict(signal)}
    rows[SignalVerification] = make_verification(signal)
    assert listed(viewer, model, q=text) == [rows[model].pk]
    User.objects.all().delete()
    client = staff("view_signal", "view_signalevent", "view_signalverification")
    assert listed(client, model, q=text) == []
    assert listed(client, model, q=str(signal.pk)) == [rows[model].pk]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("model", MODELS)
def test_a_hostile_text_finds_nothing_and_breaks_nothing(
    viewer: Client, model: Any, text: str
) -> None:
    make_one_of_each(event_key="the:key", token_ca=None)
    assert listed(viewer, model, q=text) == []


@pytest.mark.parametrize("text", ["the:k%y", "the:ke_", "%:key", "the:key\\"])
def test_wildcards_in_a_search_are_characters(viewer: Client, text: str) -> None:
    make_event(event_key="the:key")
    found = make_event(event_key=f"{text}:1")
    assert listed(viewer, Event, q=text) == [found.pk]


@pytest.mark.parametrize("model", MODELS)
def test_a_text_that_no_column_can_hold_is_refused_in_words(viewer: Client, model: Any) -> None:
    make_one_of_each()
    nul = viewer.get(f"/admin/signals/{model._meta.model_name}/", {"q": "PE\0PE"})
    assert "Null characters are not allowed" in nul.text
    assert "at most 1000 characters" in said(viewer, model, q="x" * 100_000)
    assert "at most 6 words" in said(viewer, model, q="a b c d e f g")


def test_the_first_kind_that_finds_a_row_wins(viewer: Client) -> None:
    exact = make_event(event_key="17", symbol="A")
    begins = make_event(event_key="17:1", symbol="B")
    symbol = make_event(event_key="another", symbol="17")
    topic = make_event(event_key="and:another", symbol="C", topic_hash="17")
    number = make_signal(pk=17)
    for event in (exact, begins, symbol, topic):
        assert listed(viewer, Event, q="17") == [event.pk]
        signal = make_signal(event=event)
        assert listed(viewer, Signal, q="17") == [signal.pk]
        event.delete()
    by_topic = make_signal(topic_id="17")
    assert listed(viewer, Signal, q="17") == [by_topic.pk]
    by_topic.delete()
    assert listed(viewer, Signal, q="17") == [number.pk]


@pytest.mark.parametrize("text", ["$pepe", "PEPE", "pepe", "Pepe", "$PePe"])
@pytest.mark.parametrize("stored", ["PEPE", "pepe", "$pepe", "Pepe"])
def test_a_symbol_is_found_in_any_case_with_or_without_dollar(
    viewer: Client, text: str, stored: str
) -> None:
    found = make_event(symbol=stored)
    make_event(symbol="PEPE2")
    assert listed(viewer, Event, q=text) == [found.pk]


@pytest.mark.parametrize(
    ("key", "contract"),
    [
        ("another", ADDRESS),
        ("another", f"bsc:{ADDRESS}"),
        ("another", f"  {ADDRESS} "),
        (f"ethereum:{ADDRESS}", None),
        (f"ethereum:{ADDRESS}:202603011200", ""),
        (f"ethereum:{ADDRESS}:a:b", " "),
    ],
)
@pytest.mark.parametrize("text", [ADDRESS.lower(), ADDRESS.upper(), f"eth:{ADDRESS.lower()}:x"])
def test_an_address_is_found_wherever_it_stands(
    viewer: Client, key: str, contract: str | None, text: str
) -> None:
    event = make_event(event_key=key, token_ca=contract)
    make_event(token_ca="0x" + "1" * 40)
    signal = make_signal(event=event)
    assert listed(viewer, Event, q=text) == [event.pk]
    assert listed(viewer, Signal, q=text) == [signal.pk]


def test_a_text_of_several_words_is_tried_as_a_whole_first(viewer: Client) -> None:
    whole = make_event(symbol="SHIBA INU")
    words = make_event(symbol="SHIBA", topic_hash="INU")
    assert listed(viewer, Event, q="shiba inu") == [whole.pk]
    whole.delete()
    assert listed(viewer, Event, q="shiba INU") == [words.pk]
    assert said(viewer, Event, q="shiba INU") == (
        "1 event whose symbol is shiba and whose event has the topic INU."
    )
    assert "Nothing was found for DOGE. Tried: event key," in said(viewer, Event, q="shiba DOGE")


@pytest.mark.parametrize(
    ("model", "text", "wanted"),
    [
        (Event, "the:key:1", "1 event whose event key is the:key:1."),
        (Event, "the:key", "2 events whose event key begins with the:key."),
        (Signal, "the:key", "2 signals whose event key begins with the:key."),
        (Signal, ADDRESS, f"2 signals whose token has the address {ADDRESS}."),
        (Signal, "pepe", "2 signals whose symbol is pepe."),
        (Signal, "t.1", "2 signals whose event has the topic t.1."),
        (SignalEvent, str(RUN), f"2 signal events of the run {RUN}."),
        (OnchainFeature, ADDRESS, f"2 onchain features whose token has the address {ADDRESS}."),
    ],
)
def test_the_page_says_what_kind_of_match_it_shows(
    viewer: Client, model: Any, text: str, wanted: str
) -> None:
    for number in (1, 2):
        make_one_of_each(event_key=f"the:key:{number}", token_ca=ADDRESS, topic_hash="t.1")
    assert said(viewer, model, q=text) == wanted


def test_what_the_page_says_is_escaped(viewer: Client) -> None:
    make_event(event_key=ATTACK)
    make_event(event_key="\u202etxt.exe:1")
    text = viewer.get("/admin/signals/event/", {"q": ATTACK[:30]}).text
    assert "<script>alert" not in text
    assert said(viewer, Event, q="\u202etxt") == ("1 event whose event key begins with \\u202etxt.")
    assert "<script>alert" not in viewer.get("/admin/signals/event/", {"q": ATTACK + "x"}).text


def test_a_search_that_finds_nothing_says_what_was_tried(viewer: Client) -> None:
    make_one_of_each()
    assert said(viewer, Signal, q="DOGE").startswith(
        "Nothing was found. Tried: event key, beginning of an event key, symbol, topic, "
        "topic of the event. All but the beginning"
    )


def test_rows_that_a_filter_hides_are_told(viewer: Client) -> None:
    make_signal()
    page = viewer.get("/admin/signals/signal/", {"q": "pepe", "state": "verified"})
    assert "are hidden by a filter" in page.text
    assert '<a href="?q=pepe">Search without filters</a>' in page.text


def test_the_symbol_is_offered_if_keys_begin_like_it(viewer: Client) -> None:
    make_event(event_key="eth:1", symbol="PEPE")
    assert "instead" not in said(viewer, Event, q="eth")
    found = make_event(event_key="another", symbol="ETH")
    page = viewer.get("/admin/signals/event/", {"q": "eth"})
    assert '<a href="?q=%24eth">Search for the symbol instead</a>' in page.text
    assert listed(viewer, Event, q="$eth") == [found.pk]


@pytest.mark.parametrize("text", ["pepe", "the:k"])
@pytest.mark.parametrize("model", [Signal, SignalEvent, SignalVerification])
def test_of_many_events_the_newest_ones_have_their_rows_shown(
    viewer: Client, model: Any, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pks = []
    for age in (2, 0, 1):
        event = make_event(event_key=f"the:key:{age}", last_ts=NOW - timedelta(days=age))
        signal = make_signal(event=event)
        make_verification(signal)
        pks.append(make_verdict(signal).pk if model is SignalEvent else signal.pk)
    in_its_own_order = listed(viewer, model, q=text)
    assert sorted(in_its_own_order) == pks
    assert "only of the newest" not in said(viewer, model, q=text)
    if model is not SignalVerification:
        assert in_its_own_order == pks[::-1]
    monkeypatch.setattr(searches, "NEWEST", 2)
    assert sorted(listed(viewer, model, q=text)) == pks[1:]
    assert "only of the newest, as many match" in said(viewer, model, q=text)


def test_many_events_whose_keys_begin_alike_are_the_newest_first(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for age in (2, 0, 1):
        make_event(event_key=f"the:key:{age}", last_ts=NOW - timedelta(days=age))
    for limit in (2, 3):
        monkeypatch.setattr(searches, "SORTED_ROWS", limit)
        assert listed(viewer, Event, q="the:k") == ["the:key:0", "the:key:1", "the:key:2"]


@pytest.mark.parametrize("term", ["$pepe", "the:k", "the:key", ADDRESS.lower(), "t.1"])
def test_events_are_completed_by_every_kind(staff: Staff, term: str) -> None:
    client = staff("change_signal", "view_event")
    make_event(event_key="another", symbol="OTHER")
    event = make_event(event_key="the:key", token_ca=ADDRESS, topic_hash="t.1")
    parameters = {"app_label": "signals", "model_name": "signal", "field_name": "event"}
    answer = client.get("/admin/autocomplete/", parameters | {"term": term}).json()
    assert answer["results"] == [{"id": event.pk, "text": event.pk}]


@pytest.mark.parametrize("model", [Event, Signal])
def test_of_a_hot_token_the_newest_keys_are_found_by_its_address(
    viewer: Client, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searches, "SORTED_ROWS", 2)
    monkeypatch.setattr(searches, "NEWEST", 2)
    found = []
    for age in (2, 0, 1):
        event = make_event(event_key=f"bsc:{ADDRESS}:{age}", last_ts=NOW - timedelta(days=age))
        signal = make_signal(event=event)
        found.append(event.pk if model is Event else signal.pk)
    wanted = [found[1], found[2], found[0]] if model is Event else [found[2], found[1]]
    assert listed(viewer, model, q=f"bsc:{ADDRESS}") == wanted
    in_its_own_order = wanted if model is Event else found[::-1]
    assert listed(viewer, model, q=f"bsc:{ADDRESS[:-1]}") == in_its_own_order
