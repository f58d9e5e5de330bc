"""The pages of single rows and of tokens in a real browser."""

import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from signals.admin.token import token_url
from signals.models import Event, OnchainFeature, Signal, SignalEvent
from signals.verification.job import verify_signals
from tests.admin.pages import page_url
from tests.admin.sample_rows import (
    ADDRESS,
    ATTACK,
    make_attack,
    make_event,
    make_feature,
    make_signal,
    make_verdict,
    make_verification,
)
from tests.browser import browser, complaints, page

__all__ = ["browser", "complaints", "page"]

pytestmark = pytest.mark.django_db(transaction=True)

SIZES = ((1280, 800), (390, 844))
LONG = "x" * 100_000
HIDDEN = "\u202e\u2066\u200b\x07"


def verified_signal(monkeypatch: pytest.MonkeyPatch) -> Signal:
    """A signal that the job has downgraded, whose token was measured for a day."""
    monkeypatch.setenv("ONCHAIN_RULES", "on")
    now = timezone.now()
    OnchainFeature.objects.bulk_create(
        OnchainFeature(
            chain="ethereum",
            address=f"0x{number:040x}",
            as_of_ts=now - timedelta(hours=1),
            window_minutes=60,
            addr_active=number,
        )
        for number in range(200)
    )
    for minutes in range(0, 1440, 15):
        make_feature(
            as_of_ts=now - timedelta(minutes=minutes),
            addr_active=minutes,
            growth_ratio=Decimal("1.5"),
            top10_share=Decimal("0.9"),
            self_loop_ratio=Decimal("0.5"),
            calc_version=2,
        )
    signal = make_signal(event=make_event(event_key=f"eth:{ADDRESS}:1", symbol="PEPE"))
    Signal.objects.update(created_at=now - timedelta(minutes=10))
    make_signal(event=signal.event)
    verify_signals()
    return signal


def hostile_signal(text: str) -> Signal:
    """A signal with that text in all that its page and its token's show."""
    texts = dict.fromkeys(("summary", "type", "symbol"), text)
    event = make_event(event_key=f"eth:{ADDRESS}:1", topic_hash=text[:2000], **texts)
    signal = make_signal(event=event, market_type=text, advice_tag=text, topic_keywords=[text])
    make_signal(event=event, market_type=text, advice_tag=text)
    make_verdict(
        signal,
        decision="insufficient",
        note="feature_missing",
        features={"growth_ratio": text},
        metadata={"named": [text, text], "chain": text, "address": text},
    )
    make_verdict(signal, features={"growth_ratio": text}, event_key=text, metadata={text: text})
    make_verification(signal, error=text, chain=text, address=text)
    make_feature(as_of_ts=timezone.now())
    return signal


def addresses_of(signal: Signal) -> Iterator[str]:
    event = signal.event
    assert event is not None
    for row in (signal, event, *SignalEvent.objects.all(), OnchainFeature.objects.latest("pk")):
        yield page_url(type(row), row.pk)
    yield page_url(Signal, signal.pk).replace("change", "history")
    yield f"/admin/signals/signalverification/{signal.pk}/change/"
    yield token_url("eth", ADDRESS)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_where_a_signal_stands_and_why_is_seen_without_scrolling(
    page: Page, complaints: list[str], monkeypatch: pytest.MonkeyPatch, size: Any, scheme: Any
) -> None:
    signal = verified_signal(monkeypatch)
    width, height = size
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": height})
    page.goto(page_url(Signal, signal.pk))
    reason = page.locator(".summary .reason")
    expect(reason).to_contain_text("Downgraded for top10_share >= 0.70 (is 0.9)")
    for each in (page.locator(".summary h2"), reason, page.locator(".summary .facts")):
        box = each.bounding_box()
        assert box is not None
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= height
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    said = page.locator(".summary").inner_text()
    for fact in ("Downgraded", "PEPE on ethereum", "10 min", "None: the verdict has changed"):
        assert fact in said
    assert complaints == []


@pytest.mark.parametrize("size", SIZES)
def test_pages_are_no_wider_than_the_window(
    page: Page, complaints: list[str], monkeypatch: pytest.MonkeyPatch, size: Any
) -> None:
    signal = verified_signal(monkeypatch)
    Event.objects.update(summary="long" * 100, symbol="SYMBOL" * 20)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for address in addresses_of(signal):
        page.goto(address)
        widest = page.evaluate("document.documentElement.scrollWidth")
        assert widest <= size[0], f"{address} is {widest} px wide"
        overlap = page.evaluate(
            "[...document.querySelectorAll('.sparkline')]"
            ".some(each => each.getBoundingClientRect().right > innerWidth)"
        )
        assert not overlap
    assert complaints == []


def test_an_analyst_goes_from_a_signal_to_its_token_and_back(
    page: Page, complaints: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    signal = verified_signal(monkeypatch)
    page.goto(page_url(Signal, signal.pk))
    page.get_by_role("link", name="0xabcd0000…00001234").click()
    expect(page.locator("h1")).to_contain_text("on ethereum")
    expect(page.locator("svg.sparkline")).to_have_count(8)
    page.get_by_role("link", name="Verdict: downgrade").click()
    expect(page.locator("h1")).to_contain_text("Verdict")
    page.get_by_role("link", name=f"Signal {signal.pk}", exact=True).click()
    page.locator("#event").get_by_role("link").click()
    expect(page.locator("h1")).to_have_text("Event")
    page.get_by_role("link", name=f"Signal {signal.pk}", exact=True).click()
    expect(page.locator("h1")).to_have_text(f"Signal {signal.pk}")
    page.get_by_role("link", name="History").click()
    expect(page.locator(".timeline tbody tr")).to_have_count(1)
    assert complaints == []


def test_markup_stays_text_on_all_pages_of_a_token(page: Page, complaints: list[str]) -> None:
    make_attack()
    signal = hostile_signal(ATTACK)
    for address in addresses_of(signal):
        page.goto(address)
        assert page.locator("img[src=x]").count() == 0, address
        assert page.locator("script", has_text="alert(").count() == 0, address
        assert page.locator("a[href^=javascript]").count() == 0, address
    assert complaints == []


@pytest.mark.parametrize(
    "text",
    [LONG, HIDDEN * 20, "\u0301" * 50_000, "(" * 100_000],
    ids=["unbroken", "hidden", "combining", "parentheses"],
)
def test_no_text_stalls_a_page(page: Page, complaints: list[str], text: str) -> None:
    signal = hostile_signal(text)
    page.set_viewport_size({"width": 390, "height": 844})
    for address in addresses_of(signal):
        before = time.monotonic()
        page.goto(address)
        height = page.evaluate("document.documentElement.scrollHeight")
        seconds = time.monotonic() - before
        assert seconds < 5, f"{address} took {seconds:.1f} s and is {height} px high"
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
        shown = page.locator("#content").inner_text()
        assert not set(HIDDEN) & set(shown), address
    assert complaints == []
