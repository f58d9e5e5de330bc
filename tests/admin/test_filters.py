"""The filters of the lists."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from signals.models import OnchainFeature, Signal
from tests.admin.pages import listed
from tests.admin.sample_rows import make_feature, make_signal


def test_signals_are_filtered_by_state_risk_and_market(viewer: Client) -> None:
    make_signal()
    found = make_signal(state="verified", goplus_risk="red", market_type="cex")
    assert listed(viewer, Signal, state__exact="verified") == [found.pk]
    assert listed(viewer, Signal, goplus_risk__exact="red") == [found.pk]
    assert listed(viewer, Signal, market_type="cex") == [found.pk]


def test_a_market_type_that_no_recent_signal_has_can_still_be_asked_for(viewer: Client) -> None:
    make_signal()
    response = viewer.get("/admin/signals/signal/", {"market_type": "tulips"})
    assert list(response.context["cl"].result_list) == []
    assert "tulips" in response.text


@pytest.mark.parametrize(
    ("age", "days"), [("hour", 0.01), ("day", 0.5), ("week", 3), ("month", 20), ("older", 40)]
)
def test_signals_are_filtered_by_age(viewer: Client, age: str, days: float) -> None:
    signals = {}
    for each in (0.01, 0.5, 3, 20, 40):
        signals[each] = make_signal().pk
        created_at = timezone.now() - timedelta(days=each)
        Signal.objects.filter(pk=signals[each]).update(created_at=created_at)
    wanted = [signals[each] for each in signals if each <= days] if days < 40 else [signals[40]]
    assert listed(viewer, Signal, age=age) == wanted[::-1]


def test_features_are_filtered_by_chain_and_window(viewer: Client) -> None:
    make_feature()
    found = make_feature(chain="solana", window_minutes=30)
    assert listed(viewer, OnchainFeature, chain="solana") == [found.pk]
    assert listed(viewer, OnchainFeature, window="30") == [found.pk]
    assert len(listed(viewer, OnchainFeature, window="31")) == 2


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("goplus_risk__exact=nonsense", 302),
        ("goplus_risk__in=red,nonsense", 302),
        ("goplus_risk__icontains=re", 302),
        ("topic_keywords__contains=x", 302),
        ("advice_tag__regex=(((", 302),
        ("event__token_ca__regex=(((", 302),
        ("state__exact=%00", 302),
        ("state__exact=unheard-of", 200),
        ("id__gt=99999999999999999999", 302),
        ("goplus_risk__exact=red", 200),
        ("market_type=%00", 302),
    ],
)
def test_an_address_that_no_filter_offers_leads_back_to_the_list(
    viewer: Client, query: str, status: int
) -> None:
    make_signal()
    assert viewer.get(f"/admin/signals/signal/?{query}").status_code == status
