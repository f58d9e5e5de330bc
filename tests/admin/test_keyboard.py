"""The shortcuts of the admin in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.admin.sample_rows import make_signal
from tests.browser import browser, complaints, page

__all__ = ["browser", "complaints", "page"]

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_row_is_found_and_opened_by_keys_alone(page: Page, complaints: list[str]) -> None:
    older, newer = make_signal(), make_signal()
    page.goto("/admin/signals/signal/")
    page.keyboard.press("/")
    expect(page.locator("#searchbar")).to_be_focused()
    page.keyboard.type("jok/")
    expect(page.locator("#searchbar")).to_have_value("jok/")
    page.locator("#searchbar").blur()
    for keys, signal in (("j", newer), ("j", older), ("j", older), ("k", newer), ("j", older)):
        page.keyboard.press(keys)
        row = page.locator("#result_list tbody tr", has=page.locator(":focus"))
        expect(row.locator(f'a[href*="/{signal.pk}/"]').first).to_be_visible()
    page.keyboard.press("o")
    expect(page).to_have_url(re.compile(rf"/admin/signals/signal/{older.pk}/change/"))
    assert complaints == []


def test_one_key_opens_the_filters_and_goes_to_the_first(page: Page, complaints: list[str]) -> None:
    verified = make_signal(state="verified")
    make_signal(state="candidate")
    page.goto("/admin/signals/signal/")
    page.keyboard.press("f")
    expect(page.get_by_label("State", exact=True)).to_be_focused()
    page.keyboard.type("Verified")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Show", exact=True).press("Enter")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.locator(f'#result_list a[href*="/{verified.pk}/"]').first).to_be_visible()
    assert complaints == []


def test_the_shortcuts_are_listed_and_can_be_turned_off(page: Page, complaints: list[str]) -> None:
    make_signal()
    page.goto("/admin/signals/signal/")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_contain_text("next row")
    page.get_by_label("Shortcuts are on in this browser").uncheck()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("/")
    expect(page.locator("#searchbar")).not_to_be_focused()
    page.reload()
    page.keyboard.press("/")
    expect(page.locator("#searchbar")).not_to_be_focused()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    page.get_by_label("Shortcuts are on in this browser").check()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("/")
    expect(page.locator("#searchbar")).to_be_focused()
    assert complaints == []
