"""The lists in a real browser, on a desk and on a telephone."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin import site
from django.utils import timezone
from playwright.sync_api import Page, expect

from signals.models import Signal
from tests.admin.pages import MODELS
from tests.admin.sample_rows import (
    make_event,
    make_feature,
    make_signal,
    make_verdict,
    make_verification,
)
from tests.browser import browser, complaints, keep, page

__all__ = ["browser", "complaints", "page"]

pytestmark = pytest.mark.django_db(transaction=True)

DESK, TELEPHONE = (1280, 800), (390, 844)
KINDS = (
    ("verified", "settled", "upgrade", "", "0.155", "green"),
    ("downgraded", "settled", "downgrade", "", "0.021", "red"),
    ("candidate", "waiting", "hold", "", "-0.42", "yellow"),
    ("candidate", "waiting", "insufficient", "feature_stale", None, "unknown"),
    ("candidate", "dead", "", "", None, "gray"),
    ("candidate", "waiting", "hold", "", "-7.3", None),
)


def fill(rows: int) -> None:
    """Create so many rows of each model, of all kinds."""
    now = timezone.now()
    for number in range(rows):
        state, status, decision, note, margin, risk = KINDS[number % len(KINDS)]
        chain = ("ethereum", "bsc", "solana", "elsewhere")[number % 4]
        address = "0x" + f"{number + 10:x}" * 20 if chain != "solana" else "So1" + "a" * 40
        address = address[:42] if chain != "solana" else address
        event = make_event(
            event_key=f"{chain}:{address}:{number}",
            symbol=("PEPE", None, "A symbol that is rather long")[number % 3],
            summary="PEPE is up 40% since its listing, and everybody speaks about it " * 2,
            refine_ok=(True, False, None)[number % 3],
            score=number / 3,
        )
        signal = make_signal(
            id=4_999_000 + number,
            event=event,
            state=state,
            goplus_risk=risk,
            onchain_confidence=Decimal("0.5"),
        )
        make_verdict(signal, event_key=event.pk, decision=decision or "hold", note=note)
        waits = now + timedelta(minutes=number * 7 - 20)
        make_verification(
            signal,
            status=status,
            decision=decision,
            note=note,
            margin=margin,
            next_check_at=waits if status == "waiting" else None,
            outcome="failed" if status == "dead" else "evaluated",
            attempts=5 if status == "dead" else 0,
            error="ConnectionError: the source did not answer in time" if status == "dead" else "",
            chain=chain,
            address=address,
            as_of=now - timedelta(minutes=number * 13) if decision else None,
        )
        make_feature(
            chain=chain,
            address=address,
            as_of_ts=now - timedelta(minutes=number),
            addr_active=123_456,
            tx_count=7_654_321,
            growth_ratio=Decimal("1.53"),
            top10_share=Decimal("0.705"),
            self_loop_ratio=Decimal("0.01"),
        )


def do_nothing(*_: Any) -> None:
    """Stand for an action."""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [DESK, TELEPHONE])
def test_the_lists_fit_their_window(  # noqa: PLR0913, PLR0917 - fixtures and parameters
    page: Page,
    complaints: list[str],
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    height: int,
    theme: str,
) -> None:
    """Also with the boxes of a list that has actions."""
    for model in MODELS:
        monkeypatch.setattr(site.get_model_admin(model), "actions", [do_nothing])
    fill(12)
    page.set_viewport_size({"width": width, "height": height})
    page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    for model in MODELS:
        name = model._meta.model_name
        page.goto(f"/admin/signals/{name}/")
        keep(page, f"{name}-{width}-{theme}")
        assert page.locator("#result_list tbody tr").count() == 12
        for place in ("document.documentElement", "document.querySelector('.results')"):
            hidden = page.evaluate(f"{place}.scrollWidth - {place}.clientWidth")
            assert hidden <= 0, f"{name}: {hidden} px of {place} are out of sight"
    assert complaints == []


@pytest.mark.parametrize(("width", "height"), [DESK, TELEPHONE])
def test_filters_are_behind_a_toggle_and_chips_remove_them(
    page: Page, complaints: list[str], width: int, height: int
) -> None:
    fill(6)
    page.set_viewport_size({"width": width, "height": height})
    page.goto("/admin/signals/signal/")
    state = page.get_by_label("State", exact=True)
    expect(state).to_be_hidden()
    toggle = page.locator("#changelist-filter > summary")
    rows = page.locator("#result_list tbody tr")
    assert toggle.bounding_box()["y"] < rows.first.bounding_box()["y"]
    toggle.focus()
    page.keyboard.press("Enter")
    expect(state).to_be_visible()
    keep(page, f"filters-{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    state.select_option("candidate")
    page.get_by_label("GoPlus risk").select_option("yellow")
    page.get_by_label("Margin % from").fill("-50")
    page.get_by_role("button", name="Show").click()
    assert "?state=candidate&goplus_risk=yellow&margin_from=-50&" in page.url
    expect(rows).to_have_count(1)
    expect(toggle).to_contain_text("3 active")
    keep(page, f"filtered-{width}")
    page.get_by_role("link", name="Remove the filter GoPlus risk: Yellow").click()
    assert page.url.partition("?")[2] == "state=candidate&margin_from=-50"
    page.get_by_role("link", name="Remove the filter State: Candidate").click()
    page.get_by_role("link", name="Remove the filter Margin: from -50 %").click()
    expect(rows).to_have_count(6)
    assert complaints == []


def test_the_first_filter_is_reached_in_three_keys(page: Page) -> None:
    fill(1)
    page.goto("/admin/signals/signal/")
    for key in ("Tab", "Enter", "Tab"):  # the link that skips to the content
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.textContent").startswith("Filters")


def test_the_address_of_a_token_is_copied_by_key(page: Page, complaints: list[str]) -> None:
    signal = make_signal(event=make_event(event_key=f"ethereum:0x{'aB' * 20}:1"))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/admin/signals/signal/")
    button = page.get_by_role("button", name="Copy the address 0xabab…abab")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Copied")).to_be_attached()
    assert page.evaluate("navigator.clipboard.readText()") == "0x" + "ab" * 20
    link = page.get_by_role("link", name="on an explorer")
    assert link.get_attribute("href") == f"https://etherscan.io/token/0x{'ab' * 20}"
    assert link.get_attribute("rel") == "noopener noreferrer"
    assert page.get_by_role("link", name=str(signal.pk), exact=True).count() == 1
    assert complaints == []


@pytest.mark.parametrize(("width", "height"), [DESK, TELEPHONE])
def test_the_pages_lead_to_the_end_and_back(
    page: Page, complaints: list[str], width: int, height: int
) -> None:
    now = timezone.now()
    signals = Signal.objects.bulk_create(Signal() for _ in range(230))
    for number, signal in enumerate(signals):
        signal.created_at = now - timedelta(minutes=number)
    Signal.objects.bulk_update(signals, ["created_at"])
    page.set_viewport_size({"width": width, "height": height})
    page.goto("/admin/signals/signal/")
    pages = page.get_by_role("navigation", name="Pages")
    for shown in ("1 to 100 of 230", "101 to 200 of 230", "201 to 230 of 230"):
        expect(pages).to_contain_text(f"{shown} signals")
        keep(page, f"page-{width}-{shown[:3].strip()}")
        following = pages.get_by_role("link", name="Next")
        if following.count():
            following.click()
    expect(pages.get_by_role("link", name="Last")).to_have_count(0)
    pages.get_by_role("link", name="Previous").click()
    expect(pages).to_contain_text("101 to 200 of 230 signals")
    pages.get_by_role("link", name="First").click()
    pages.get_by_role("link", name="Last").click()
    expect(pages).to_contain_text("131 to 230 of 230 signals")
    page.get_by_label("Jump to").fill("-225m")
    page.keyboard.press("Enter")
    expect(page.locator("#result_list tbody tr")).to_have_count(5)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == []


@pytest.mark.parametrize(("width", "height"), [DESK, TELEPHONE])
def test_a_view_is_saved_used_and_deleted(
    page: Page, complaints: list[str], width: int, height: int
) -> None:
    fill(6)
    page.set_viewport_size({"width": width, "height": height})
    page.goto("/admin/signals/signal/?state=verified&margin_from=10")
    page.get_by_text("Own views").click()
    page.get_by_label("Save what is shown as").fill("Clear ones")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("The view “Clear ones” was saved.")).to_be_visible()
    page.goto("/admin/signals/signal/")
    page.get_by_role("link", name="Clear ones").click()
    expect(page.get_by_role("link", name="Clear ones")).to_have_attribute("aria-current", "page")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.get_by_text("Own views").click()
    keep(page, f"views-{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Delete the view Clear ones").click()
    expect(page.get_by_role("link", name="Clear ones")).to_have_count(0)
    assert complaints == []
