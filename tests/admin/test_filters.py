"""The filters of the lists."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from signals.models import (
    Event,
    OnchainFeature,
    Signal,
    SignalEvent,
    SignalVerification,
    VerificationRules,
)
from tests.admin.conftest import Staff
from tests.admin.pages import listed
from tests.admin.sample_rows import (
    make_event,
    make_feature,
    make_signal,
    make_verdict,
    make_verification,
)

URL = "/admin/signals/signal/"
WAITING = {"status": "waiting", "outcome": "evaluated", "attempts": 0, "error": ""}


def ago(**age: float) -> Any:
    return timezone.now() - timedelta(**age)


def make_checked(signal: dict[str, Any] | None = None, **record: Any) -> Signal:
    """Create a signal with the job's record of it."""
    made = make_signal(**signal or {})
    values = {"next_check_at": ago(minutes=-5), "updated_at": timezone.now()}
    make_verification(made, **WAITING | values | record)
    return made


@pytest.mark.parametrize(
    ("filters", "signal", "record"),
    [
        ({"state": "verified"}, {"state": "verified"}, {}),
        ({"goplus_risk": "red"}, {"goplus_risk": "red"}, {}),
        ({"market_type": "cex"}, {"market_type": "cex"}, {}),
        ({"source_level": "high"}, {"source_level": "high"}, {}),
        ({"confidence_from": "0.9"}, {"onchain_confidence": "0.95"}, {}),
        ({"confidence_to": "0.9", "confidence_from": "0"}, {"onchain_confidence": "0.9"}, {}),
        ({"decision": "hold"}, {}, {"decision": "hold"}),
        (
            {"note": "feature_stale"},
            {},
            {"decision": "insufficient", "note": "feature_stale"},
        ),
        ({"margin_from": "15 %", "margin_to": "16"}, {}, {"margin": "0.155"}),
        ({"margin_to": "-40"}, {}, {"margin": "-0.5"}),
        ({"evidence_age": "max-15 minutes"}, {}, {"as_of": ago(minutes=3)}),
        ({"evidence_age": "min-a day"}, {}, {"as_of": ago(days=3)}),
        ({"time": "evidence", "from": "-2h", "to": "-30m"}, {}, {"as_of": ago(hours=1)}),
        ({"time": "verdict", "from": "-2h", "to": "-30m"}, {}, {"updated_at": ago(hours=1)}),
        ({"overdue": "1"}, {}, {"next_check_at": ago(hours=1)}),
        ({"dead": "1"}, {}, {"status": "dead", "next_check_at": None}),
        (
            {"state": "verified", "goplus_risk": "red", "decision": "upgrade"},
            {"state": "verified", "goplus_risk": "red"},
            {"decision": "upgrade"},
        ),
    ],
)
def test_signals_are_filtered(
    viewer: Client, filters: dict[str, str], signal: dict[str, Any], record: dict[str, Any]
) -> None:
    make_checked()
    make_checked({"state": "verified"}, as_of=ago(hours=20), margin="-0.2")
    make_signal(onchain_confidence="0.95" if filters.get("confidence_to") else None)
    found = make_checked(signal, **record)
    if set(filters) == {"state"}:
        Signal.objects.exclude(pk=found.pk).update(state="candidate")
    assert listed(viewer, Signal, **filters) == [found.pk]


def test_signals_are_filtered_by_the_version_of_their_rules(viewer: Client) -> None:
    rules = [VerificationRules.objects.create(sha256=each * 64, text="") for each in "ab"]
    make_checked(rules=rules[0], checks=1)
    waiting = make_checked(rules=rules[1], checks=1)
    settled = make_checked(rules=rules[1], checks=1, status="settled", next_check_at=None)
    assert listed(viewer, Signal, rules=str(rules[1].pk)) == [settled.pk, waiting.pk]
    text = viewer.get(URL).text
    assert f'<option value="{rules[1].pk}">bbbbbbbb, ' in text


@pytest.mark.parametrize(("text", "days"), [("-1h", 0.02), ("-7d", 3), ("2000-01-01", 40)])
def test_signals_are_filtered_by_arrival(viewer: Client, text: str, days: float) -> None:
    signals = {}
    for each in (0.02, 3, 40):
        signals[each] = make_signal().pk
        Signal.objects.filter(pk=signals[each]).update(created_at=ago(days=each))
    wanted = [pk for age, pk in signals.items() if age <= days]
    assert listed(viewer, Signal, **{"from": text}) == wanted
    others = [pk for pk in signals.values() if pk not in wanted]
    assert listed(viewer, Signal, to=text) == others


def test_a_market_type_that_no_signal_has_can_be_asked_for(viewer: Client) -> None:
    make_signal(market_type="dex")
    response = viewer.get(URL, {"market_type": "tulips"})
    assert list(response.context["cl"].result_list) == []
    assert "Market: tulips" in response.text
    assert '<option value="dex">' in response.text


def test_a_long_text_is_filtered_by_as_a_whole(viewer: Client) -> None:
    found = make_signal(market_type="m" * 200)
    make_signal(market_type="m" * 201)
    assert listed(viewer, Signal, market_type="m" * 200) == [found.pk]


@pytest.mark.parametrize("column", ["market_type", "source_level"])
def test_a_text_of_any_length_can_be_stored(column: str, db: None) -> None:
    """An index refuses rows with more than about 2,700 bytes, which no pipeline expects."""
    text = "".join(chr(0x4E00 + number * 7 % 20_000) for number in range(20_000))
    make_signal(**{column: text})
    make_event(type=text)


def test_features_are_filtered_by_chain_window_and_time(viewer: Client) -> None:
    make_feature()
    found = make_feature(chain="solana", window_minutes=30, as_of_ts=ago(minutes=5))
    assert listed(viewer, OnchainFeature, chain="solana") == [found.pk]
    assert listed(viewer, OnchainFeature, window="30") == [found.pk]
    assert listed(viewer, OnchainFeature, **{"from": "-1h"}) == [found.pk]


def test_events_are_filtered_by_type_refinement_and_time(viewer: Client) -> None:
    make_event(refine_ok=True)
    found = make_event(type="hack", refine_ok=False, last_ts=timezone.now())
    for filters in ({"type": "hack"}, {"refine_ok": "0"}, {"from": "-1h"}):
        assert listed(viewer, Event, **filters) == [found.pk]


def test_verdicts_are_filtered(viewer: Client) -> None:
    signal = make_signal()
    make_verdict(signal, decision="hold", new_state="candidate")
    found = make_verdict(signal, decision="downgrade", note="feature_stale", new_state="downgraded")
    for filters in (
        {"decision": "downgrade"},
        {"note": "feature_stale"},
        {"new_state": "downgraded"},
    ):
        assert listed(viewer, SignalEvent, **filters) == [found.pk]
    assert len(listed(viewer, SignalEvent, type="onchain_verify")) == 2
    assert len(listed(viewer, SignalEvent, **{"from": "-1h"})) == 2


def test_verifications_are_filtered(viewer: Client) -> None:
    make_checked()
    found = make_checked(status="dead", next_check_at=None)
    assert listed(viewer, SignalVerification, status="dead") == [found.pk]


@pytest.mark.parametrize(
    "query",
    [
        *("state=unheard-of", "goplus_risk=nonsense", "margin_from=much", "margin_to=nan"),
        *("from=soon", "time=never&from=today", "to=-999999d", "overdue=2", "rules=x"),
        *(f"market_type={'m' * 201}", "confidence_from=1e99", "from=9999-99-99"),
    ],
)
def test_a_value_that_a_filter_cannot_have_shows_no_rows_and_says_so(
    viewer: Client, query: str
) -> None:
    """Rows that nobody asked for would be there to be acted on."""
    make_checked()
    response = viewer.get(f"{URL}?{query}")
    assert list(response.context["cl"].result_list) == []
    assert list(response.context["cl"].queryset) == []
    assert "No rows are shown until this is mended." in response.text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        *(("goplus_risk__exact=red", 302), ("goplus_risk__in=red,nonsense", 302)),
        *(("topic_keywords__contains=x", 302), ("advice_tag__regex=(((", 302)),
        *(("event__token_ca__regex=(((", 302), ("state=%00", 302), ("market_type=%00", 302)),
        *(("id__gt=99999999999999999999", 302), ("order=nonsense", 302), ("after=x", 302)),
        *(("after=W1siIiwxXSwxLDAsMSx0cnVlXQ", 302), ("before=AAAA", 302)),
        *(("goplus_risk=red", 200), ("state=", 200), ("at=nonsense", 200)),
    ],
)
def test_an_address_that_no_link_has_leads_back_to_the_list(
    viewer: Client, query: str, status: int
) -> None:
    make_signal()
    assert viewer.get(f"{URL}?{query}").status_code == status


def test_active_filters_are_links_that_remove_them(viewer: Client) -> None:
    make_signal()
    filters = {"state": "verified", "margin_from": "1", "margin_to": "2", "time": "verdict"}
    response = viewer.get(URL, filters | {"from": "-1h", "order": "margin", "after": ""})
    chips = {chip.text: chip.url for chip in response.context["cl"].chips()}
    assert chips == {
        "State: Verified": "?order=margin&margin_from=1&margin_to=2&time=verdict&from=-1h",
        "Margin: from 1 % to 2 %": "?order=margin&state=verified&time=verdict&from=-1h",
        "Last check: from -1h": "?order=margin&state=verified&margin_from=1&margin_to=2",
    }


def test_who_may_not_view_verifications_has_no_filter_order_or_column_by_them(
    staff: Staff,
) -> None:
    client = staff("view_signal")
    make_checked(decision="hold", margin="0.5")
    response = client.get(URL)
    names = {column.__name__ for column in response.context["cl"].list_display}
    assert names == {"number", "state", "goplus_risk", "created_at"}
    assert list(response.context["cl"].orders) == ["arrival", "confidence"]
    for query in ("decision=hold", "dead=1", "margin_from=1", "order=margin"):
        assert client.get(f"{URL}?{query}").status_code == 302
    assert list(client.get(f"{URL}?time=verdict&from=-1h").context["cl"].result_list) == []
    assert "PEPE" not in response.text
    assert "Hold" not in response.text
