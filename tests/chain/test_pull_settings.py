"""The settings of pull_features, and what is taken out of texts that others made."""

import logging

import pytest

from signals.chain.settings import CHAIN_IDS, NodeUrl, PullSettings
from signals.verification.errors import SettingError
from signals.verification.settings import Settings
from signals.verification.tokens import EVM_CHAINS
from tests.chain.local_chain import KEY, account

URL = f"https://user:{KEY}x@mainnet.example.org:8545/v3/{KEY}?token={KEY}y"


def test_every_chain_of_evm_addresses_has_its_number() -> None:
    assert CHAIN_IDS.keys() == EVM_CHAINS
    assert len(set(CHAIN_IDS.values())) == len(CHAIN_IDS)


def test_nodes_are_read_by_chain_in_their_order() -> None:
    text = f"eth={URL} matic=http://one/a,polygon=http://two/b  http://three/c"
    chains = PullSettings.read({"ONCHAIN_RPC_URL": text}).chains
    assert [(each.chain, each.chain_id, len(each.urls)) for each in chains] == [
        ("ethereum", 1, 2),
        ("polygon", 137, 2),
    ]
    assert [url.text for url in chains[1].urls] == ["http://one/a", "http://two/b"]
    (local,) = PullSettings.read({"ONCHAIN_RPC_URL": text}, ["my-chain=http://four/d"]).chains
    assert (local.chain, local.chain_id, local.confirmations) == ("my_chain", None, 12)


@pytest.mark.parametrize(
    ("text", "confirmations"),
    [
        ("", {"ethereum": 12, "polygon": 64}),
        ("polygon=3", {"ethereum": 12, "polygon": 3}),
        ("5", {"ethereum": 5, "polygon": 5}),
        ("5, matic=0", {"ethereum": 5, "polygon": 0}),
    ],
)
def test_confirmations_are_those_of_the_chain(text: str, confirmations: dict[str, int]) -> None:
    environ = {
        "ONCHAIN_RPC_URL": "eth=http://one polygon=http://two",
        "ONCHAIN_CONFIRMATIONS": text,
    }
    chains = PullSettings.read(environ).chains
    assert {each.chain: each.confirmations for each in chains} == confirmations


@pytest.mark.parametrize(
    ("name", "text", "fix"),
    [
        ("ONCHAIN_RPC_URL", f"eth=ws://host/{KEY}", "write it as chain=https://host/path"),
        ("ONCHAIN_RPC_URL", f"e:th=https://host/{KEY}", "write it as chain=https://host/path"),
        ("ONCHAIN_CONFIRMATIONS", "many", "write it as 12 or as 12, polygon=64"),
        ("ONCHAIN_CONFIRMATIONS", "-1", "write it as 12 or as 12, polygon=64"),
        ("ONCHAIN_CONFIRMATIONS", "=3", "write it as 12 or as 12, polygon=64"),
        ("ONCHAIN_CONFIRMATIONS", "100001", "at most 100000 blocks"),
        ("ONCHAIN_POOLS", "0x12", "write it as chain:0x…, with 40 hexadecimal digits"),
        ("ONCHAIN_POOLS", f"e=h:{account(1)}", "write it as chain:0x…"),
        ("ONCHAIN_PULL_LATELY_SEC", "1d", "set it to whole seconds"),
    ],
)
def test_a_wrong_setting_is_named_with_its_fix(name: str, text: str, fix: str) -> None:
    with pytest.raises(SettingError) as caught:
        PullSettings.read({name: text})
    assert str(caught.value).startswith(f"{name} is ")
    assert fix in str(caught.value)
    assert KEY not in str(caught.value)


def test_pools_are_those_of_the_chain() -> None:
    environ = {
        "ONCHAIN_RPC_URL": "http://one bsc=http://two",
        "ONCHAIN_POOLS": f"{account(1).upper().replace('0X', '0x')}, bnb:{account(2)}",
    }
    assert {each.chain: set(each.pools) for each in PullSettings.read(environ).chains} == {
        "ethereum": {account(1)},
        "bsc": {account(2)},
    }


@pytest.mark.parametrize(
    "said",
    [
        f"invalid project id {KEY}",
        f"cannot reach {URL} now",
        f"POST /v3/{KEY.upper()}?token={KEY}y 404",
        f"user:{KEY}x@mainnet.example.org",
    ],
)
def test_no_part_of_an_address_is_left_in_a_text(said: str) -> None:
    url = NodeUrl(URL)
    assert KEY not in url.redact(said).lower()
    assert "example.org" not in url.redact(said)
    assert KEY not in repr(url) + repr(PullSettings.read({"ONCHAIN_RPC_URL": URL}))


def test_the_job_knows_the_settings_of_pull_features(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    Settings.read({"ONCHAIN_RPC_URL": URL, "ONCHAIN_POOLS": "", "ONCHAIN_POOL": ""})
    assert caplog.messages == ["ONCHAIN_POOL is no setting (did you mean ONCHAIN_POOLS?)"]
