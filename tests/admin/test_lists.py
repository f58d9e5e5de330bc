"""The lists as a whole: their order, who sees them, and addresses that somebody made up."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from signals.models import Signal, SignalEvent, SignalVerification
from tests.admin.conftest import Staff
from tests.admin.pages import MODELS, listed
from tests.admin.sample_rows import (
    ATTACK,
    make_attack,
    make_one_of_each,
    make_signal,
    make_verdict,
    make_verification,
)


@pytest.mark.parametrize("model", MODELS)
def test_an_empty_list_renders(viewer: Client, model: Any) -> None:
    assert listed(viewer, model) == []


@pytest.mark.parametrize("model", MODELS)
def test_a_list_is_called_by_its_rows(viewer: Client, model: Any) -> None:
    make_one_of_each()
    response = viewer.get(f"/admin/signals/{model._meta.model_name}/")
    title = model._meta.verbose_name_plural.capitalize()
    assert f"<title>{title} | " in response.text
    assert f"<h1>{title}</h1>" in response.text
    for heading in response.context["cl"].headings:
        assert heading.text[0].isupper(), heading
        assert "_" not in heading.text
        assert heading.text.lower() not in ("ts", "as of ts")


def test_the_newest_checks_are_listed_first(viewer: Client) -> None:
    found = [make_verification(make_signal(), status=each) for each in ("settled", "dead")]
    waiting = make_verification(make_signal(), status="waiting", next_check_at=timezone.now())
    SignalVerification.objects.filter(pk=found[0].pk).update(updated_at=timezone.now())
    assert listed(viewer, SignalVerification) == [found[0].pk, waiting.pk, found[1].pk]


@pytest.mark.parametrize(
    "query",
    [
        *("q=%00", "q=²", "q=" + "9" * 5000, "q=" + ATTACK.replace("+", ""), "q='", "q=%25"),
        *("q=\\", "age=never", "state__exact=nonsense", "p=99999999", "p=x", "all=", "o=99"),
        *("o=-1.2", "after=%00", "last=x", "at=-9999999d", "at=0001-01-01", "order=-"),
    ],
)
@pytest.mark.parametrize("model", MODELS)
def test_a_strange_address_is_answered(superuser: Client, model: Any, query: str) -> None:
    make_attack()
    response = superuser.get(f"/admin/signals/{model._meta.model_name}/?{query}", follow=True)
    assert response.status_code in (200, 400)


def test_somebody_without_permission_sees_no_list(staff: Staff) -> None:
    client = staff("view_event")
    assert client.get("/admin/signals/event/").status_code == 200
    for model in ("signal", "onchainfeature", "signalevent", "signalverification"):
        assert client.get(f"/admin/signals/{model}/").status_code == 403


def test_a_list_is_sorted_only_by_columns_with_an_index(viewer: Client) -> None:
    first, second = make_signal(confidence=1), make_signal(confidence=2)
    headings = viewer.get("/admin/signals/signal/").context["cl"].headings
    orders = {heading.text: heading.url for heading in headings if heading.url}
    assert orders == {
        "Margin": "?order=margin",
        "Last decision": "?order=verdict",
        "Evidence": "?order=evidence",
        "Next check": "?order=next_check",
        "Arrived": "?order=-arrival",
    }
    newest_first = [second.pk, first.pk]
    for order in range(12):
        assert listed(viewer, Signal, o=order) == newest_first
    assert listed(viewer, Signal, order="-arrival") == newest_first[::-1]


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("order", ["verdict", "evidence", "margin", "next_check", "confidence"])
def test_signals_are_listed_in_each_order(viewer: Client, order: str, descending: bool) -> None:
    now = timezone.now()
    made = []
    for number in range(3):
        signal = make_signal(onchain_confidence=number / 4)
        at = now + timedelta(minutes=number)
        values = {"margin": number - 1, "as_of": at, "next_check_at": at, "updated_at": at}
        make_verification(signal, status="waiting", **values)
        made.append(signal.pk)
    make_signal()
    greatest_first = descending is (order != "next_check")
    wanted = made[::-1] if greatest_first else made
    sent = order if descending else f"-{order}"
    assert listed(viewer, Signal, order=sent) == wanted
    response = viewer.get("/admin/signals/signal/", {"order": sent})
    sort = {heading.sort for heading in response.context["cl"].headings if heading.sort}
    if order != "confidence":  # which has no column
        assert sort == {"descending" if greatest_first else "ascending"}


def test_a_filter_brings_the_order_of_its_index(viewer: Client) -> None:
    cl = viewer.get("/admin/signals/signal/", {"decision": "hold"}).context["cl"]
    assert cl.order.name == "verdict"
    cl = viewer.get("/admin/signals/signal/", {"decision": "hold", "order": "arrival"}).context[
        "cl"
    ]
    assert cl.order.name == "arrival"


def test_the_given_views_are_links_and_the_current_one_says_so(viewer: Client) -> None:
    signal = make_signal(state="verified")
    make_verification(signal, status="settled", updated_at=timezone.now())
    make_verification(make_signal(state="verified"), status="settled", updated_at="2020-01-01T00Z")
    views = viewer.get("/admin/signals/signal/").context["views"]
    names = ["Verified in the last hour", "Stuck", "Dead", "Downgraded today"]
    assert [view["name"] for view in views] == names
    response = viewer.get(f"/admin/signals/signal/{views[0]['url']}")
    assert [row.pk for row in response.context["cl"].result_list] == [signal.pk]
    assert 'aria-current="page">Verified in the last hour</a>' in response.text


def test_actions_are_offered_the_rows_of_all_pages(superuser: Client) -> None:
    made = {make_signal(state="verified").pk for _ in range(120)}
    make_signal()
    cl = superuser.get("/admin/signals/signal/", {"state": "verified"}).context["cl"]
    assert len(cl.result_list) == 100
    assert set(cl.queryset.values_list("pk", flat=True)) == made


def test_a_verdict_shows_no_key_or_signal_to_those_who_may_not_view_them(staff: Staff) -> None:
    client = staff("view_signalevent")
    make_verdict(make_signal(), event_key="a-secret-key")
    assert listed(client, SignalEvent)
    text = client.get("/admin/signals/signalevent/").text
    assert "a-secret-key" not in text
    assert "/admin/signals/signal/" not in text


def test_what_people_did_is_listed_with_their_name(viewer: Client) -> None:
    signal = make_signal()
    make_verdict(signal)
    done = make_verdict(
        signal,
        type="override",
        person="Ada",
        reason="a test",
        decision="",
        confidence=None,
        rules_sha256="",
    )
    assert listed(viewer, SignalEvent, type="override") == [done.pk]
    text = viewer.get("/admin/signals/signalevent/").text
    assert 'Override<span class="more">by Ada</span>' in text
    assert ">Verdict</td>" in text


def test_the_address_of_a_token_leads_to_its_page(viewer: Client) -> None:
    make_one_of_each()
    for name in ("signal", "event", "onchainfeature"):
        text = viewer.get(f"/admin/signals/{name}/").text
        (address,) = set(re.findall(r'href="(/admin/[^"]*token[^"]*)"', text))
        assert viewer.get(address).status_code == 200
