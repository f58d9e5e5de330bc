"""The admin in a real browser."""

from collections.abc import Iterator

import pytest
from django.contrib.admin.utils import quote
from playwright.sync_api import Page, expect

from signals.models import Event, Signal
from tests.admin.pages import MODELS
from tests.admin.sample_rows import ATTACK, make_attack, make_event, make_signal, make_verdict
from tests.browser import WIDTHS, browser, complaints, find_browser, page

__all__ = ["browser", "complaints", "page"]

pytestmark = pytest.mark.django_db(transaction=True)


def addresses() -> Iterator[str]:
    """Every list, and the page of the one row in it."""
    for model in MODELS:
        yield f"/admin/signals/{model._meta.model_name}/"
        pk = quote(model.objects.get().pk)
        yield f"/admin/signals/{model._meta.model_name}/{pk}/change/"


def test_markup_in_posts_stays_text(page: Page, complaints: list[str]) -> None:
    make_attack()
    silent = []
    for address in addresses():
        page.goto(address)
        if ATTACK[:15] not in page.inner_text("body"):
            silent.append(address)
        assert page.locator("img[src=x]").count() == 0, address
        assert page.locator("script", has_text="alert(").count() == 0, address
        assert page.locator("a[href^=javascript]").count() == 0, address
    assert silent == ["/admin/signals/signalevent/"]  # which shows twelve characters of the key
    assert complaints == []


def test_markup_in_an_event_key_stays_text_when_it_is_picked(
    page: Page, complaints: list[str]
) -> None:
    make_event(event_key=ATTACK, symbol="PEPE")
    signal = make_signal(event=None)
    page.goto(f"/admin/signals/signal/{signal.pk}/change/")
    page.locator(".field-event .select2-selection").click()
    page.locator(".select2-search__field").fill("pepe")
    page.locator(".select2-results__option", has_text=ATTACK).click()
    expect(page.locator(".field-event .select2-selection__rendered")).to_contain_text(ATTACK)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist .success")).to_be_visible()
    assert Signal.objects.get().event_id == ATTACK
    assert page.locator("img[src=x]").count() == 0
    assert complaints == []


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_the_window(page: Page, complaints: list[str], width: int) -> None:
    make_attack()
    Event.objects.update(summary="long" * 200, refine_error="long" * 200)
    page.set_viewport_size({"width": width, "height": 800})
    for address in addresses():
        page.goto(address)
        widest = page.evaluate("document.documentElement.scrollWidth")
        assert widest <= width, f"{address} is {widest} px wide"
    assert complaints == []


def test_an_analyst_goes_from_a_token_to_the_verdict_on_its_signal(
    page: Page, complaints: list[str]
) -> None:
    make_signal(event=make_event(symbol="OTHER"), state="verified")
    make_signal(state="candidate")
    signal = make_signal(state="verified")
    make_verdict(signal, features={"growth_ratio": 2.5})
    page.goto("/admin/signals/signal/")
    page.locator("#searchbar").fill("pepe")
    page.keyboard.press("Enter")
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    page.locator("#changelist-filter > summary").click()
    page.get_by_label("State", exact=True).select_option("verified")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.get_by_role("link", name=str(signal.pk), exact=True).click()
    page.locator("#timeline").get_by_role("link", name="Verdict: upgrade").click()
    expect(page.locator(".field-features pre")).to_have_text('{\n  "growth_ratio": 2.5\n}')
    assert complaints == []


def test_a_missing_browser_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    remedy = "(install one: apt-get install chromium; or say where one is: CHROMIUM=/path/to/it)"
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CHROMIUM", raising=False)
    with pytest.raises(pytest.fail.Exception) as failure:
        find_browser()
    assert str(failure.value) == f"No browser was found {remedy}"
    monkeypatch.setenv("CHROMIUM", "/no/chromium")
    with pytest.raises(pytest.fail.Exception) as failure:
        find_browser()
    assert str(failure.value) == f"CHROMIUM is '/no/chromium', which is no program {remedy}"
