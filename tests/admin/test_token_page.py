"""The page of a token: its address, what it shows, and to whom."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from signals.admin.token import token_url
from signals.models import Signal
from tests.admin.conftest import Staff
from tests.admin.pages import page_url, shown
from tests.admin.sample_rows import (
    ADDRESS,
    ATTACK,
    make_attack,
    make_event,
    make_feature,
    make_signal,
    make_verdict,
    make_verification,
)

pytestmark = pytest.mark.django_db

SOLANA = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"


def of_token() -> Signal:
    """A signal of a token with one row of each kind."""
    signal = make_signal(event=make_event(event_key=f"eth:{ADDRESS}:7", summary="up by half"))
    make_verdict(signal)
    make_feature(as_of_ts=timezone.now(), addr_active=4321)
    return signal


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        ("ethereum", ADDRESS.lower()),
        ("ETH", ADDRESS.upper()),
        ("mainnet", ADDRESS),
        ("eth-mainnet", ADDRESS.lower()),
    ],
)
def test_a_token_has_one_page_by_any_of_its_names(viewer: Client, chain: str, address: str) -> None:
    signal = of_token()
    wanted = f"/admin/signals/signal/token/ethereum/{ADDRESS.lower()}/"
    assert token_url(chain, address) == wanted
    for url in (wanted, f"/admin/signals/signal/token/{chain}/{address}/"):
        text = viewer.get(url).text
        assert "up by half" in text
        assert "4,321" in text
        assert f'href="{page_url(Signal, signal.pk)}"' in text
        assert "Verdict: upgrade" in text


def test_an_alias_of_the_settings_is_a_name_of_the_chain(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONCHAIN_CHAIN_ALIASES", "homestead=ethereum")
    of_token()
    assert "4,321" in viewer.get(f"/admin/signals/signal/token/homestead/{ADDRESS}/").text


def test_tokens_of_other_chains_and_other_case_are_others(viewer: Client) -> None:
    make_signal(event=make_event(event_key=f"bsc:{ADDRESS}:7", summary="of another chain"))
    make_signal(event=make_event(event_key=f"solana:{SOLANA}:7", summary="of this case"))
    assert "of another chain" not in viewer.get(token_url("eth", ADDRESS)).text
    assert "of this case" in viewer.get(token_url("sol", SOLANA)).text
    assert "of this case" not in viewer.get(token_url("sol", SOLANA.lower())).text


@pytest.mark.parametrize(
    "address",
    [
        *("..", ".", "a/../b", "/", "//", "a/b", "a?b#c", "a%2Fb", "%2e%2e", "_2E", "a_2Fb"),
        *(
            "ключ",
            "👩‍🚀",
            "a\u202eb",
            "x" * 200,
            '"><script>',
            "&amp;",
            "a;b",
            "a\\b",
            "+",
            "a\x01",
        ),
    ],
)
def test_any_address_has_a_url_that_leads_to_its_page(viewer: Client, address: str) -> None:
    make_feature(chain="Near-Protocol", address=address, as_of_ts=timezone.now(), addr_active=4321)
    url = token_url("Near-Protocol", address)
    path, *rest = url.split("/admin/signals/signal/token/near_5Fprotocol/")
    assert (path, len(rest), rest[0].count("/")) == ("", 1, 1)
    assert not {"..", "."} & set(url.replace("%2E", ".").replace("%2e", ".").split("/"))
    response = viewer.get(url)
    assert response.status_code == 200
    assert "4,321" in response.text


@pytest.mark.parametrize(
    ("chain", "address"),
    [("", "a"), ("eth", ""), ("eth", "x" * 201), ("c" * 51, "a"), ("eth", "a\0b")],
)
def test_what_can_be_no_token_has_no_url(viewer: Client, chain: str, address: str) -> None:
    assert token_url(chain, address) == ""
    if chain and address:
        page = f"/admin/signals/signal/token/{chain}/{address}/".replace("\0", "%00")
        assert viewer.get(page).status_code == 404


def test_a_token_that_nobody_knows_has_an_empty_page(viewer: Client) -> None:
    text = viewer.get(token_url("eth", "0x" + "12" * 20)).text
    assert text.count("Not measured") == 8
    assert text.count(">None</p>") == 3


def test_the_newest_of_each_kind_are_shown(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signals.admin.token.SHOWN", 2)
    now = timezone.now()
    for hours in range(3):
        event = make_event(event_key=f"eth:{ADDRESS}:{hours}", last_ts=now - timedelta(hours=hours))
        make_signal(event=event, ts=now - timedelta(hours=hours), market_type=f"market{hours}")
    make_signal(event=event, ts=None, market_type="market9")
    Signal.objects.filter(market_type="market9").update(ts=None)
    text = viewer.get(token_url("eth", ADDRESS)).text
    assert text.index(f":{0}</a>") < text.index(f":{1}</a>")
    assert f"eth:{ADDRESS}:2<" not in text
    assert text.index("market0") < text.index("market1")
    assert "market2" not in text
    assert "market9" not in text


def test_verdicts_older_than_a_week_are_left_out(viewer: Client) -> None:
    signal, now = of_token(), timezone.now()
    make_verdict(signal, decision="hold", created_at=now - timedelta(days=6))
    make_verdict(signal, decision="downgrade", created_at=now - timedelta(days=8))
    text = viewer.get(token_url("eth", ADDRESS)).text
    assert "Verdict: hold" in text
    assert "Verdict: downgrade" not in text


SECTIONS = {
    "view_onchainfeature": ("4,321",),
    "view_event": ("up by half",),
    "view_signal": (),  # of which token it is, its event says
    "view_signalevent": (),
    "view_signal view_event": ("up by half", "Signal time"),
    "view_signalevent view_event": ("up by half", "Verdict: upgrade"),
}


@pytest.mark.parametrize("permissions", SECTIONS)
def test_each_section_is_for_those_who_may_view_its_rows(staff: Staff, permissions: str) -> None:
    of_token()
    text = staff(*permissions.split()).get(token_url("eth", ADDRESS)).text
    every = {word for words in SECTIONS.values() for word in words}
    assert {word for word in every if word in text} == set(SECTIONS[permissions])


@pytest.mark.parametrize("permissions", [(), ("view_signalverification",)])
def test_the_page_is_for_those_who_may_view_some_section(staff: Staff, permissions: Any) -> None:
    assert staff(*permissions).get(token_url("eth", ADDRESS)).status_code == 403


def test_strangers_are_sent_to_the_login(client: Client) -> None:
    response = client.get(token_url("eth", ADDRESS))
    assert response.headers["Location"].startswith("/admin/login/")


def test_markup_on_the_page_of_a_token_is_text(viewer: Client) -> None:
    make_attack()
    make_feature(chain="near", address=ATTACK[:60], as_of_ts=timezone.now())
    for url in (token_url("near", ATTACK[:60]), token_url(ATTACK[:50], ATTACK)):
        text = viewer.get(url).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text


def test_every_page_links_to_the_token(viewer: Client) -> None:
    signal = of_token()
    url = f'href="{token_url("eth", ADDRESS)}"'
    verdict = make_verdict(signal, metadata={"chain": "ethereum", "address": ADDRESS.lower()})
    check = make_verification(signal, chain="ethereum", address=ADDRESS.lower())
    for row in (signal, signal.event, verdict, check, make_feature()):
        assert row is not None
        assert url in shown(viewer, row).text, row


def test_a_token_links_to_an_explorer_of_its_chain(viewer: Client, settings: Any) -> None:
    settings.ADMIN_EXPLORERS = {"near": "https://explorer.example/{address}"}
    text = viewer.get(token_url("near", '"><script>')).text
    assert 'rel="noopener noreferrer">On an explorer' in text
    assert "<script>" not in text.split('class="facts"')[1].split("</dl>")[0]
    assert "On an explorer" not in viewer.get(token_url("nowhere", "a")).text
