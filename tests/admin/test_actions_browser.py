"""The actions on signals in a real browser, with and without JavaScript."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, ViewportSize, expect

from signals.admin.actions import batches
from signals.models import Signal, SignalEvent, SignalVerification
from tests.admin.actions import LIST
from tests.admin.sample_rows import ATTACK, make_attack, make_signal, make_verification
from tests.browser import WIDTHS, browser, complaints, page

__all__ = ["browser", "complaints", "page"]

pytestmark = pytest.mark.django_db(transaction=True)

PLAIN: ViewportSize = {"width": 1024, "height": 768}
"""The window of pages without JavaScript, by which they are known."""


@pytest.fixture
def plain_page(browser: Browser, live_server: Any) -> Iterator[Page]:
    """A page without JavaScript that a superuser is logged in to."""
    client = Client()
    client.force_login(User.objects.create_superuser("chief"))
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    with browser.new_context(
        base_url=live_server.url, java_script_enabled=False, viewport=PLAIN
    ) as context:
        context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])
        yield context.new_page()


@pytest.fixture(params=["scripted", "plain"])
def any_page(request: pytest.FixtureRequest, live_server: Any) -> Page:
    """Return a page with JavaScript, or one without it."""
    found: Page = request.getfixturevalue("page" if request.param == "scripted" else "plain_page")
    return found


def select(page: Page, action: str, *signals: Signal) -> None:
    """Choose an action for the signals on the list, as a person does."""
    page.goto(LIST)
    for signal in signals:
        page.locator(f'input[name="_selected_action"][value="{signal.pk}"]').check()
    page.get_by_label("Action:").select_option(action)
    page.locator("button[name=index]").click()


def press_continue(page: Page) -> None:
    """Press Continue until the action is finished, which a script does by itself."""
    if (page.viewport_size or {}) == PLAIN:
        button = page.get_by_role("button", name="Continue")
        while button.count():
            button.click()


def test_a_state_is_overridden_with_a_reason(any_page: Page, complaints: list[str]) -> None:
    signals = [make_signal(), make_signal(state="verified")]
    other = make_signal()
    select(any_page, "override", *signals)
    expect(any_page.locator("h1", has_text="Override the state")).to_be_visible()
    any_page.get_by_label("verified: changes 1 signal, 1 already is").check()
    any_page.get_by_label("Reason").fill("seen on the chain")
    any_page.get_by_role("button", name="Override the state").click()
    press_continue(any_page)
    expect(any_page.get_by_role("status")).to_contain_text("1 signal was set by hand to verified.")
    states = list(Signal.objects.order_by("pk").values_list("state", flat=True))
    assert states == ["verified", "verified", other.state]
    any_page.get_by_role("link", name="What was recorded of this action").click()
    expect(any_page.locator("#result_list tbody tr")).to_have_count(1)
    assert complaints == []


def test_a_missing_reason_is_told_beside_its_field(any_page: Page) -> None:
    select(any_page, "override", make_signal())
    any_page.get_by_label("verified: changes 1 signal").check()
    field = any_page.get_by_label("Reason")
    field.fill("x\u200by")
    any_page.get_by_role("button", name="Override the state").click()
    expect(any_page.get_by_role("alert")).to_contain_text("Nothing was changed")
    expect(field).to_have_attribute("aria-invalid", "true")
    described = (field.get_attribute("aria-describedby") or "").split()
    texts = [any_page.locator(f"#{name}").inner_text() for name in described]
    assert any("without control characters" in text for text in texts)


def test_signals_are_verified_again_and_revived(any_page: Page, complaints: list[str]) -> None:
    dead, settled = make_signal(), make_signal(state="downgraded")
    make_verification(dead)
    select(any_page, "recheck", dead, settled)
    any_page.get_by_role("button", name="Verify again now: 2 signals").click()
    press_continue(any_page)
    expect(any_page.get_by_role("status")).to_contain_text("2 signals were verified again.")
    assert {each.state for each in Signal.objects.all()} == {"candidate"}
    SignalVerification.objects.filter(signal=dead).update(status="dead", next_check_at=None)
    select(any_page, "revive", dead, settled)
    any_page.get_by_role("button", name="Revive dead ones: 1 signal").click()
    press_continue(any_page)
    expect(any_page.get_by_role("status")).to_contain_text("1 signal was revived.")
    assert complaints == []


def test_signals_are_downloaded(any_page: Page) -> None:
    signals = [make_signal(), make_signal()]
    with any_page.expect_download() as download:
        select(any_page, "export_jsonl", *signals)
    lines = Path(download.value.path()).read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [signals[1].pk, signals[0].pk]
    assert download.value.suggested_filename.endswith(".jsonl")


def test_a_signals_own_page_has_buttons_for_it(any_page: Page, complaints: list[str]) -> None:
    signal = make_attack()
    any_page.goto(f"{LIST}{signal.pk}/change/")
    any_page.get_by_role("button", name="Dry run").click()
    link = any_page.get_by_role("link", name=str(signal.pk), exact=True)
    expect(any_page.locator("tbody tr", has=link)).to_contain_text("insufficient")
    link.click()
    any_page.get_by_role("button", name="Override the state").click()
    any_page.get_by_label("downgraded: changes 1 signal").check()
    any_page.get_by_label("Reason").fill(ATTACK)
    any_page.get_by_role("button", name="Override the state").click()
    press_continue(any_page)
    expect(any_page.get_by_role("status")).to_contain_text("1 signal was set by hand")
    expect(any_page.locator("q")).to_contain_text(ATTACK)
    assert any_page.locator("img[src=x]").count() == 0
    assert SignalEvent.objects.get(type="override").reason == ATTACK
    assert complaints == []


def test_many_signals_are_changed_batch_by_batch_and_all_pages_can_be_selected(
    page: Page, complaints: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 20)
    monkeypatch.setattr(batches, "SECONDS", 0)
    Signal.objects.bulk_create(Signal() for _ in range(230))
    page.goto(LIST)
    page.locator("#action-toggle").check()
    page.get_by_role("button", name="Select all that match, on all pages").click()
    page.get_by_label("Action:").select_option("override")
    page.locator("button[name=index]").click()
    expect(page.locator(".chosen")).to_contain_text("230 signals, all signals")
    page.get_by_label("verified: changes 230 signals").check()
    page.get_by_label("Reason").fill("a test")
    page.get_by_role("button", name="Override the state").click()
    result = "230 signals were set by hand to verified."
    expect(page.get_by_role("status")).to_contain_text(result, timeout=60_000)
    expect(page.get_by_role("status")).to_be_focused()
    assert SignalEvent.objects.count() == 230
    assert complaints == []


def test_a_closed_tab_is_continued_from_the_list(
    plain_page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 2)
    monkeypatch.setattr(batches, "SECONDS", 0)
    signals = [make_signal() for _ in range(5)]
    select(plain_page, "override", *signals)
    plain_page.get_by_label("verified: changes 5 signals").check()
    plain_page.get_by_label("Reason").fill("a test")
    plain_page.get_by_role("button", name="Override the state").click()
    plain_page.get_by_role("button", name="Continue").click()
    expect(plain_page.get_by_role("status")).to_contain_text("2 of 5 signals are done.")
    assert plain_page.get_by_role("progressbar").get_attribute("value") == "2"
    plain_page.goto(LIST)
    plain_page.get_by_role("link", name="Continue or drop it").click()
    press_continue(plain_page)
    expect(plain_page.get_by_role("status")).to_contain_text("5 signals were set by hand")


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_of_an_action_is_wider_than_the_window(
    page: Page, complaints: list[str], width: int
) -> None:
    signal = make_attack()
    page.set_viewport_size({"width": width, "height": 800})
    for step, heading in (("dry_run", "Dry run"), ("override", "Override the state")):
        select(page, step, signal)
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
        page.wait_for_load_state()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, step
    page.get_by_label("verified: changes 1 signal").check()
    page.get_by_label("Reason").fill("long" * 120)
    page.get_by_role("button", name="Override the state").click()
    expect(page.get_by_role("status")).to_contain_text("was set by hand")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == []
