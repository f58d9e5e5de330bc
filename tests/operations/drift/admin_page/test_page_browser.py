"""The admin's page of the schema in a real browser, under a strict Content-Security-Policy."""

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from playwright.sync_api import Page, expect

from tests.browser import WIDTHS, browser, complaints, page
from tests.operations.drift.admin_page.conftest import EVIL, PAGE
from tests.postgres.databases import Database

__all__ = ["browser", "complaints", "page"]

pytestmark = pytest.mark.django_db(transaction=True)


def strict(get_response: Callable[[HttpRequest], HttpResponse]) -> Any:
    """Middleware: nothing but files of the site runs or paints; a violation is an error of the console."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers["Content-Security-Policy"] = "default-src 'self'; img-src 'self' data:"
        return response

    return answer


@pytest.fixture(autouse=True)
def _strict(settings: Any) -> None:
    settings.MIDDLEWARE = [f"{__name__}.strict", *settings.MIDDLEWARE]


def test_it_is_read_opened_and_filtered_by_keyboard(
    page: Page, complaints: list[str], drifted: Database
) -> None:
    page.goto(f"{PAGE}?database={drifted.alias}")
    expect(page).to_have_title(f"Schema of the database {drifted.alias} | Django site admin")
    page.get_by_role("button", name="Read now").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#result_list tbody tr")).to_have_count(3)
    expect(page.locator(".schema-verdict")).to_contain_text("3 of ")
    summary = page.locator("#result_list summary", has_text="signals_state_check")
    summary.focus()
    page.keyboard.press("Enter")
    facts = page.locator("#result_list details[open] dd")
    expect(facts.first).to_contain_text("CHECK ((state <> '<b>'::text))")
    for width in (1400, 1301, 1200, 1024, 981, 900, 768):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{PAGE}?database={drifted.alias}&status=all")
        rows = page.locator(".schema-rows")  # the status stands last, and is seen without scrolling
        assert rows.evaluate("each => each.scrollWidth <= each.clientWidth"), width
    page.goto(f"{PAGE}?database={drifted.alias}")
    page.get_by_role("link", name="✗ Missing (2)").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Read again").click()
    expect(page.locator(".messagelist .success")).to_be_visible()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    expect(page.locator(".sidebar-quick-search, #nav-sidebar .current-model")).not_to_have_count(0)
    assert complaints == []


def test_what_awaits_contract_is_a_link_away_and_quiet_beside_what_is_missing(
    page: Page, complaints: list[str], expanded: Database
) -> None:
    page.goto(f"{PAGE}?database={expanded.alias}")
    page.get_by_role("button", name="Read now").click()
    colour = "each => getComputedStyle(each).color"
    missing = page.locator(".status-missing .status").first.evaluate(colour)
    page.get_by_role("link", name="1 awaits contract").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    status = page.locator(".status-awaiting .status")
    expect(status).to_have_text("… Awaiting contract")
    assert status.evaluate(colour) != missing
    assert complaints == []


def test_what_stands_in_the_catalog_is_text_and_fits_a_window_of_any_width(
    page: Page, complaints: list[str], drifted: Database
) -> None:
    page.goto(f"{PAGE}?database={drifted.alias}")
    page.get_by_role("button", name="Read now").click()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{PAGE}?database={drifted.alias}&status=all")
        for summary in page.locator("#result_list summary").all():
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert EVIL in page.inner_text("#result_list")
    assert page.locator("img[src=x]").count() == 0
    assert complaints == []


def test_names_are_broken_between_their_words_alone(page: Page, drifted: Database) -> None:
    page.goto(f"{PAGE}?database={drifted.alias}")
    page.get_by_role("button", name="Read now").click()
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{PAGE}?database={drifted.alias}&status=all")
    inside = """() => {
      const broken = [], range = document.createRange();
      const cells = document.querySelectorAll("#result_list tbody > tr > *");
      for (const cell of cells) {
        const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
          const word = walker.currentNode;
          if (!/^[\\w.]+$/.test(word.data)) continue;
          range.selectNodeContents(word);
          if (range.getClientRects().length > 1) broken.push(word.data);
        }
      }
      return broken;
    }"""
    assert page.evaluate(inside) == []
    assert page.locator("#result_list wbr").count() > 0


def test_it_is_dark_where_the_admin_is(
    page: Page, complaints: list[str], drifted: Database
) -> None:
    page.goto(f"{PAGE}?database={drifted.alias}")
    page.get_by_role("button", name="Read now").click()
    colour = "getComputedStyle(document.querySelector('.status-missing .status')).color"
    found = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # a literal for mypy
        found.add(page.evaluate(colour))
    assert len(found) == 2
    assert complaints == []
