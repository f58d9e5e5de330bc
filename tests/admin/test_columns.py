"""The columns of lists and pages."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from signals.models import Signal, SignalEvent
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
    assert f">{'k' * 17}…{'k' * 12}</a>" in text


def test_a_signal_with_nothing_but_its_number_is_listed(viewer: Client) -> None:
    signal = make_bare_signal()
    assert listed(viewer, Signal) == [signal.pk]


def test_a_signal_with_nothing_but_its_number_has_a_page(superuser: Client) -> None:
    shown(superuser, make_bare_signal())


def test_a_feature_that_is_not_a_number_is_shown(viewer: Client) -> None:
    feature = make_feature(top10_share=Decimal("0.70"))
    with connection.cursor() as cursor:  # Django's field refuses what the column allows
        cursor.execute("UPDATE onchain_features SET growth_ratio = 'NaN'")
    for path in ("", f"{feature.pk}/change/"):
        text = viewer.get(f"/admin/signals/onchainfeature/{path}").text
        assert "NaN" in text
        assert "0.70" in text


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
