"""Links to the pages of tokens on explorers."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from signals.explorers import EXPLORERS, explorer_url, read_explorers
from tests.admin.sample_rows import make_event, make_signal, make_verification

ADDRESS = "0x" + "ab" * 20


def test_known_chains_have_an_explorer_and_others_none() -> None:
    assert explorer_url("ethereum", ADDRESS) == f"https://etherscan.io/token/{ADDRESS}"
    assert explorer_url("BNB-chain", ADDRESS) == f"https://bscscan.com/token/{ADDRESS}"
    assert explorer_url("nowhere", ADDRESS) == ""
    assert explorer_url("ethereum", "") == ""


def test_what_is_built_in_is_what_the_setting_accepts() -> None:
    text = ",".join(f"{chain}={template}" for chain, template in EXPLORERS.items())
    assert read_explorers(text) == dict(EXPLORERS)


def test_an_address_cannot_leave_its_place() -> None:
    url = explorer_url("solana", 'a"/../?x=<b>#javascript:')
    assert url == "https://solscan.io/token/a%22%2F..%2F%3Fx%3D%3Cb%3E%23javascript%3A"


def test_the_setting_adds_replaces_and_removes(settings: Any) -> None:
    text = "eth=https://example.com/t/{address}?tab=1, Nowhere=https://n.example/{address}, base="
    settings.ADMIN_EXPLORERS = read_explorers(text)
    assert explorer_url("ethereum", ADDRESS) == f"https://example.com/t/{ADDRESS}?tab=1"
    assert explorer_url("nowhere", "x") == "https://n.example/x"
    assert explorer_url("base", ADDRESS) == ""
    assert explorer_url("polygon", ADDRESS).startswith("https://polygonscan.com/")


@pytest.mark.parametrize(
    "text",
    [
        *("ethereum", "=https://example.com/{address}", "eth=http://example.com/{address}"),
        *(
            "eth=javascript:alert({address})",
            "eth=https://example.com/",
            "eth=//example.com/{address}",
        ),
        *("eth=https://{address}.example.com/", "eth=https://user@example.com/{address}"),
        *(
            "eth=https:///{address}",
            'eth=https://example.com/"{address}',
            "eth=https://e.x:y/{address}",
        ),
        *("eth=https://example.com/{address}{address}", "eth=https://example.com/ {address}"),
    ],
)
def test_another_address_is_refused_when_the_settings_are_read(text: str) -> None:
    with pytest.raises(ImproperlyConfigured) as error:
        read_explorers(text)
    fix = "write it as chain=https://host/path/{address}, separated by commas"
    assert str(error.value) == f"ADMIN_EXPLORERS has {text!r} ({fix})"


def test_lists_link_tokens_to_their_explorer(viewer: Client) -> None:
    make_verification(make_signal(), chain="base", address=ADDRESS)
    make_signal(event=make_event(event_key="nowhere:1:2", token_ca=""))
    href = f'href="https://basescan.org/token/{ADDRESS}" target="_blank" rel="noopener noreferrer"'
    assert href in viewer.get("/admin/signals/signalverification/").text
    text = viewer.get("/admin/signals/signal/").text
    assert 'href="https://etherscan.io/token/0xabcd' in text
    assert text.count("rel=") == text.count('rel="noopener noreferrer"') + text.count(
        'rel="stylesheet"'
    )
