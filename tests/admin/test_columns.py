"""The columns of lists and pages."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from signals.models import Event, Signal, SignalEvent
from tests.admin.pages import MODELS, listed, shown
from tests.admin.sample_rows import (
    make_attack,
    make_bare_signal,
    make_event,
    make_feature,
    make_signal,
    make_verdict,
)


def test_a_signal_shows_its_token_as_a_link_to_the_event(viewer: Client) -> None:
    make_signal(event=make_event(event_key="a/b", symbol="PEPE"))
    make_signal(event=make_event(event_key="k" * 60, symbol=None))
    text = viewer.get("/admin/signals/signal/").text
    assert '<a href="/admin/signals/event/a_2Fb/change/">PEPE</a>' in text
    assert f">{'k' * 12}…{'k' * 8}</a>" in text


def test_a_signal_with_nothing_but_its_number_is_listed(viewer: Client) -> None:
    signal = make_bare_signal()
    assert listed(viewer, Signal) == [signal.pk]


def test_a_signal_with_nothing_but_its_number_has_a_page(superuser: Client) -> None:
    shown(superuser, make_bare_signal())


def test_a_feature_that_is_not_a_number_is_shown(viewer: Client) -> None:
    feature = make_feature(top10_share=Decimal("0.70"))
    with connection.cursor() as cursor:  # Django's field refuses what the column allows
        cursor.execute("UPDATE onchain_features SET growth_ratio = 'NaN'")
    for path, share in (("", "70.0 %"), (f"{feature.pk}/change/", "0.70")):
        text = viewer.get(f"/admin/signals/onchainfeature/{path}").text
        assert "NaN" in text
        assert share in text


def test_the_features_of_a_verdict_are_json_over_several_lines(viewer: Client) -> None:
    verdict = make_verdict(make_signal(), features={"growth_ratio": 2.5, "note": "зачем </pre>"})
    assert (
        "{\n  &quot;note&quot;: &quot;зачем &lt;/pre&gt;&quot;,\n  &quot;growth_ratio&quot;: 2.5\n}"
        in shown(viewer, SignalEvent.objects.get(pk=verdict.pk)).text
    )


@pytest.mark.parametrize("model", MODELS)
def test_markup_in_the_rows_of_a_list_is_text(viewer: Client, model: Any) -> None:
    make_attack()
    text = viewer.get(f"/admin/signals/{model._meta.model_name}/").text
    assert "<script>alert" not in text
    assert "<img src=x" not in text


@pytest.mark.parametrize("model", MODELS)
def test_markup_on_a_page_is_text(superuser: Client, model: Any) -> None:
    make_attack()
    text = shown(superuser, model.objects.get()).text
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert 'href="javascript:' not in text


LONG = "x" * 100_000


def test_a_long_text_begins_on_the_page_and_is_whole_behind_a_link(superuser: Client) -> None:
    event = make_event(summary=LONG, symbol="s" * 300, evidence={"posts": [LONG]})
    signal = make_signal(event=event, topic_keywords=[LONG], market_type="m" * 1_000)
    for page in (shown(superuser, event), shown(superuser, signal)):
        assert len(page.content) < 60_000
        assert "x" * 4_000 in page.text
        assert "All 100,0" in page.text
    url = f"/admin/signals/event/{quote(event.pk)}/text/summary/"
    assert f'href="{url}"' in shown(superuser, event).text
    whole = superuser.get(url)
    assert (whole.text, whole.headers["Content-Type"]) == (LONG, "text/plain; charset=utf-8")
    for model in (Signal, Event):
        assert "m" * 100 not in superuser.get(f"/admin/signals/{model._meta.model_name}/").text


def test_a_whole_text_is_for_those_who_may_view_its_page(viewer: Client) -> None:
    event = make_event(summary="about a token")
    url = f"/admin/signals/event/{quote(event.pk)}/text/"
    assert viewer.get(f"{url}summary/").text == "about a token"
    for missing in (f"{url}pk/", f"{url}delete/", "/admin/signals/event/none/text/summary/"):
        assert viewer.get(missing).status_code == 404
    User.objects.get().user_permissions.clear()
    assert viewer.get(f"{url}summary/").status_code == 403


@pytest.mark.parametrize("hidden", ["\u202e", "\u2066", "\x07", "\u200b", "\x9b", "\U000e0041"])
def test_characters_that_are_not_seen_are_shown_as_code_points(
    superuser: Client, hidden: str
) -> None:
    event = make_event(event_key=f"a{hidden}b", symbol=f"up{hidden}nwod", type=f"t{hidden}")
    signal = make_signal(event=event, advice_tag=f"x{hidden}y", features_snapshot={"a": hidden})
    pages = [shown(superuser, event).text, shown(superuser, signal).text]
    pages += [superuser.get(f"/admin/signals/{name}/").text for name in ("event", "signal")]
    for text in pages:
        assert f"⟨U+{ord(hidden):04X}⟩" in text
    texts = re.sub(r'(value|href)="[^"]*"', "", "".join(pages))
    assert hidden not in texts
