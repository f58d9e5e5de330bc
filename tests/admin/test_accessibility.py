"""WCAG 2.2 AA on every page of the admin, by the rules of axe-core in a real browser."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.admin.utils import quote
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from signals.admin.token import token_url
from signals.chain_models import ChainCursor, ChainState
from signals.models import OnchainFeature, Signal, VerificationRules, VerificationRun
from tests.admin.pages import MODELS
from tests.admin.sample_rows import make_feature, make_signal, make_verdict, make_verification
from tests.admin.test_front_page import make_run
from tests.browser import browser, complaints, keep, page

__all__ = ["browser", "complaints", "page"]

pytestmark = pytest.mark.django_db(transaction=True)

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LIST = "/admin/signals/signal/"


def make_rows() -> None:
    """Make rows of all models, so that each page has something to show."""
    rules = VerificationRules.objects.create(sha256="e" * 64, text="windows: [60]")
    run = make_run()
    for state, decision in (("verified", "upgrade"), ("candidate", "hold")):
        signal = make_signal(state=state)
        make_verdict(signal, decision=decision, run=run.pk, new_state=state)
        make_verification(
            signal,
            status="settled" if state == "verified" else "dead",
            run=run.pk,
            rules=rules,
            chain="ethereum",
            address="0x1",
        )
    ChainState.objects.create(chain="ethereum", chain_id=1, head=7, confirmed=5, error="HTTP 429")
    ChainCursor.objects.create(
        chain="ethereum", address="0x1", first_block=0, block=5, attempts=2, error="too large"
    )
    make_feature(as_of_ts=timezone.now(), growth_ratio=2, top10_share="0.1", addr_active=7)


def addresses() -> Iterator[str]:
    yield "/admin/"
    yield "/admin/password_change/"
    yield "/admin/convergent_migrations/schema/"
    for model in (*MODELS, VerificationRun, VerificationRules, ChainCursor, ChainState):
        yield f"/admin/signals/{model._meta.model_name}/"
        yield f"/admin/signals/{model._meta.model_name}/?q=nothing+at+all"
        row: Any = model._default_manager.first()
        yield f"/admin/signals/{model._meta.model_name}/{quote(row.pk)}/change/"
        if model in MODELS:
            yield f"/admin/signals/{model._meta.model_name}/{quote(row.pk)}/history/"
    feature = OnchainFeature.objects.get()
    yield token_url(feature.chain, feature.address)
    yield f"{LIST}?state=verified&time=verdict&from=-7d&margin_from=x"


def opened(page: Page) -> Iterator[str]:
    """Open each page, also those behind forms, and yield a name for it."""
    for address in addresses():
        page.goto(address)
        yield address
    page.goto(f"{LIST}?state=verified")
    page.locator("summary", has_text="Own views").click()
    page.get_by_label("Save what is shown as").fill("Just verified")
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator("summary", has_text="Own views").click()
    yield "a saved view"
    dead = Signal.objects.get(state="candidate")
    for action, title in (("dry_run", "Dry run"), ("recheck", "again"), ("revive", "Revive")):
        page.goto(LIST)
        page.locator(f'input[name="_selected_action"][value="{dead.pk}"]').check()
        page.get_by_label("Action:").select_option(action)
        page.locator("button[name=index]").click()
        expect(page.get_by_role("heading", name=title)).to_be_visible()
        yield action
    page.goto(LIST)
    page.locator("#action-toggle").check()
    page.get_by_label("Action:").select_option("override")
    page.locator("button[name=index]").click()
    page.get_by_role("button", name="Override the state").click()
    yield "an override"
    page.get_by_label("downgraded: changes").check()
    page.get_by_label("Reason").fill("seen on the chain")
    page.get_by_role("button", name="Override the state").click()
    expect(page.get_by_role("status")).to_contain_text("set by hand")
    yield "an action's result"


def violations(page: Page, rules: list[str], place: str) -> list[str]:
    """Return each rule that the page violates, with the first place."""
    options = {"resultTypes": ["violations"], "runOnly": rules}
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{place}: {each['id']} at {each['nodes'][0]['target']}: "
        f"{each['nodes'][0]['failureSummary']}"
        for each in found
    ]


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_violates_a_rule_of_axe(page: Page, width: int) -> None:
    """A dark page differs from a light one by its colours alone."""
    make_rows()
    page.emulate_media(reduced_motion="reduce")  # a colour is reached at once
    page.set_viewport_size({"width": width, "height": 844})
    found = []
    for number, place in enumerate(opened(page)):
        name = re.sub(r"[^a-z0-9]+", "-", place.removeprefix("/admin/").lower())[:60].strip("-")
        for scheme, rules in (("light", RULES), ("dark", ["color-contrast"])):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # a literal
            keep(page, f"{width}-{scheme}-{number:02}-{name}")
            found += violations(page, rules, f"{place}, {scheme}")
    assert found == [], "\n".join(found)


def test_the_pages_of_somebody_who_is_not_logged_in_violate_none(
    browser: Browser, live_server: Any
) -> None:
    found = []
    with browser.new_context(base_url=live_server.url) as context:
        page = context.new_page()
        for address in ("/admin/", "/admin/logout/"):
            page.goto(address)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # a literal
                found += violations(page, RULES, f"{address}, {scheme}")
    assert found == [], "\n".join(found)
