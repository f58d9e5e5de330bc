"""What the pages of single rows say besides their fields."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from signals.admin.pages.belongings import verdict_sections
from signals.admin.pages.viewer import Viewer
from signals.models import Signal, SignalVerification
from tests.admin.pages import page_url, post, shown
from tests.admin.sample_rows import (
    ADDRESS,
    RUN,
    make_bare_signal,
    make_event,
    make_feature,
    make_signal,
    make_verdict,
    make_verification,
)


def facts(response: Any) -> dict[str, str]:
    """Return what the top of the page says, as it is read."""
    return dict(response.context["facts"])


def test_the_top_says_where_a_signal_stands(viewer: Client) -> None:
    signal = make_signal(
        state="downgraded", event=make_event(event_key=f"eth:{ADDRESS}", symbol="PEPE")
    )
    make_verdict(signal, decision="downgrade", new_state="downgraded")
    response = shown(viewer, signal)
    assert "<h1>" in response.text
    assert f"Signal {signal.pk}</h1>" in response.text
    assert '<span aria-hidden="true">▼</span> Downgraded' in response.context["state"]
    top = facts(response)
    assert "PEPE on ethereum" in top["Token"]
    assert "0xabcd0000…00001234</a>" in top["Token"]
    assert top["Last verdict"].startswith("Downgrade<br><time datetime=")
    assert "UTC</time> <span" in top["Arrived"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": "settled"}, "None: the verdict has changed the state"),
        ({"status": "dead", "attempts": 5}, "None: dead after 5 failed checks"),
        (
            {"status": "waiting", "next_check_at": datetime(9999, 1, 1, tzinfo=UTC)},
            "As soon as there is newer evidence",
        ),
    ],
)
def test_the_top_says_whether_a_signal_is_checked_again(
    viewer: Client, fields: Any, said: str
) -> None:
    signal = make_signal()
    values = {"status": "waiting", "outcome": "evaluated", "checks": 2} | fields
    SignalVerification.objects.create(signal=signal, **values)
    said_too = facts(shown(viewer, signal))["Next check"]
    assert said in said_too
    assert "2 checks so far</a>" in said_too


@pytest.mark.parametrize(
    ("minutes", "said"), [(-5, "Due since 5 min"), (5, "UTC</time>"), (None, "A run is at it now")]
)
def test_a_check_is_due_or_will_be_or_is_going_on(
    viewer: Client, minutes: int | None, said: str
) -> None:
    signal, now = make_signal(), timezone.now()
    SignalVerification.objects.create(
        signal=signal,
        status="waiting",
        outcome="skipped",
        next_check_at=now + timedelta(minutes=minutes or 0),
        leased_until=now + timedelta(minutes=2) if minutes is None else None,
    )
    assert said in facts(shown(viewer, signal))["Next check"]


def test_the_margin_of_the_last_verdict_stands_beside_it(viewer: Client) -> None:
    signal = make_signal()
    make_verdict(signal)
    make_verification(signal, margin="0.155")
    assert "Upgrade (+15.5 % to its threshold)" in facts(shown(viewer, signal))["Last verdict"]


def test_a_signal_without_an_event_says_so(viewer: Client) -> None:
    top = facts(shown(viewer, make_bare_signal()))
    assert top["Token"] == "None: the signal has no event"  # noqa: S105 - no secret
    assert top["Last verdict"] == "None yet"
    assert top["Next check"] == "By the next run that it is due for"


def test_a_token_that_cannot_be_told_is_its_event(viewer: Client) -> None:
    signal = make_signal(event=make_event(event_key="no address", symbol="PEPE"))
    assert "PEPE</a>: the address cannot be told" in facts(shown(viewer, signal))["Token"]


def test_siblings_are_of_the_event_or_of_the_token(viewer: Client) -> None:
    event = make_event(event_key=f"eth:{ADDRESS}:1")
    signal = make_signal(event=event)
    of_event = make_signal(event=event)
    of_token = make_signal(event=make_event(event_key="another", token_ca=f"ethereum:{ADDRESS}"))
    make_signal(event=make_event(event_key=f"bsc:{ADDRESS}:1"))
    siblings = shown(viewer, signal).context["siblings"]
    assert {row.pk for row in siblings} == {of_event.pk, of_token.pk}


def test_an_event_shows_its_newest_signals(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signals.admin.pages.belongings.SIGNALS_OF_EVENT", 2)
    event = make_event()
    now = timezone.now()
    signals = [make_signal(event=event, ts=now + timedelta(seconds=n)) for n in range(3)]
    rows = shown(viewer, event).context["signals"]
    assert [row.pk for row in rows] == [row.pk for row in signals[:0:-1]]


def test_verdicts_and_verifications_link_to_what_they_belong_to(superuser: Client) -> None:
    signal = make_signal()
    for row in (make_verdict(signal), make_verification(signal, run=RUN)):
        text = shown(superuser, row).text
        assert f'href="{page_url(Signal, signal.pk)}"' in text
        assert str(RUN) in text


@pytest.mark.django_db
def test_what_a_person_did_says_who_and_why() -> None:
    row: Any = make_verdict(make_signal(), type="override")
    row.person, row.reason = "alice", "a trap " + "x" * 1_000
    sections = verdict_sections(row, Viewer(User(is_superuser=True, is_active=True)))
    assert sections["title"] == f"Override {row.pk}"
    said = dict(sections["belongs"])
    assert (said["By"], said["Why"][:9], len(said["Why"])) == ("alice", "a trap xx", 500)
    assert "Rules" not in said


def test_only_candidates_are_checked(viewer: Client) -> None:
    signal = make_signal(state="verified")
    assert facts(shown(viewer, signal))["Next check"] == "None: only candidates are checked"


def test_a_verdict_on_a_signal_that_was_deleted_says_so(superuser: Client) -> None:
    signal = make_signal()
    verdict = make_verdict(signal)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM signals")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert f"Signal {signal.pk}, which was deleted" in shown(superuser, verdict).text


def test_fields_have_headings_and_units_for_people(superuser: Client) -> None:
    signal = make_signal()
    text = shown(superuser, signal).text + shown(superuser, make_feature()).text
    for heading in ("Signal time:", "Liquidity locked (days):", "End of the window:"):
        assert f"{heading}</label>" in text
    for raw in ("Ts:", "As of ts:", "Lp lock days:", "Onchain asof ts:"):
        assert f"{raw}</label>" not in text


def test_a_refused_form_shows_the_stored_signal_and_comes_first(superuser: Client) -> None:
    signal = make_signal(advice_tag="watch")
    other = make_event(symbol="OTHER")
    response = post(
        superuser, signal, event=other.pk, **{"initial-advice_tag": "old"}, advice_tag="x"
    )
    assert response.status_code == 200
    assert "OTHER" not in facts(response)["Token"]
    assert response.text.index('class="errornote"') < response.text.index('class="summary"')


@pytest.mark.parametrize("kind", ["signal", "event"])
def test_a_page_costs_the_same_number_of_queries_whatever_the_rows(
    superuser: Client, kind: str
) -> None:
    event = make_event(event_key=f"eth:{ADDRESS}:1")
    signal = make_signal(event=event)
    make_verification(signal)
    now = timezone.now()
    counts = []
    for rows in (2, 48):
        for number in range(rows):
            make_verdict(signal)
            make_signal(event=event)
            make_event(event_key=f"eth:{ADDRESS}:{rows}:{number}")
            make_feature(as_of_ts=now - timedelta(minutes=60 * number + rows))
        with CaptureQueriesContext(connection) as queries:
            shown(superuser, signal if kind == "signal" else event)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= {"signal": 22, "event": 6}[kind]
