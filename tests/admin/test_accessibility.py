"""WCAG 2.2 AA on every page of the admin, by the rules of axe-core in a real browser."""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.admin.utils import quote
from django.utils import timezone
from playwright.sync_api import Page

from signals.models import VerificationRules
from tests.admin.pages import MODELS
from tests.admin.sample_rows import make_feature, make_signal, make_verdict, make_verification
from tests.admin.test_front_page import make_run
from tests.browser import browser, complaints, page

__all__ = ["browser", "complaints", "page"]

pytestmark = pytest.mark.django_db(transaction=True)

RULES = [
    *("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"),
]


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
    make_feature(as_of_ts=timezone.now(), growth_ratio=2, top10_share="0.1", addr_active=7)


def addresses() -> Iterator[str]:
    yield "/admin/"
    yield "/admin/password_change/"
    yield "/admin/convergent_migrations/schema/"
    for model in (*MODELS, "verificationrun", "verificationrules"):
        name = model if isinstance(model, str) else model._meta.model_name
        yield f"/admin/signals/{name}/"
        yield f"/admin/signals/{name}/?q=nothing+at+all"
    for model in MODELS:
        row: Any = model.objects.first()
        yield f"/admin/signals/{model._meta.model_name}/{quote(row.pk)}/change/"
        yield f"/admin/signals/{model._meta.model_name}/{quote(row.pk)}/history/"
    yield f"/admin/signals/verificationrules/{VerificationRules.objects.get().pk}/change/"


def violations(page: Page) -> list[str]:
    """Return each rule that the page violates, with the first place."""
    options = {"resultTypes": ["violations"], "runOnly": RULES}
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{page.url}: {each['id']} at {each['nodes'][0]['target']}: "
        f"{each['nodes'][0]['failureSummary']}"
        for each in found
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_violates_a_rule_of_axe(page: Page, width: int, scheme: Any) -> None:
    make_rows()
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 844})
    found = []
    for address in addresses():
        page.goto(address)
        found += violations(page)
    assert found == [], "\n".join(found)
