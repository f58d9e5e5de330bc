"""The token of an event."""

import pytest

from signals.verification.tokens import CHAIN_ALIASES, EVM_CHAINS, Token, fold_chain, resolve

EVM = "0x" + "aB" * 20
SOL = "So11111111111111111111111111111111111111112"


@pytest.mark.parametrize(
    ("event_key", "token_ca", "token"),
    [
        # token_ca, on ethereum unless something names its chain
        (None, EVM, Token("ethereum", EVM.lower())),
        ("k", f"  {EVM}\n", Token("ethereum", EVM.lower())),
        ("k", EVM.upper(), Token("ethereum", EVM.lower())),
        ("k", f"BSC:{EVM}", Token("bsc", EVM.lower())),
        ("k", f"solana:{SOL}", Token("solana", SOL)),
        (f"bsc:{EVM.lower()}:17", EVM, Token("bsc", EVM.lower())),
        (f"bsc:0x{'cd' * 20}:17", EVM, Token("bsc", EVM.lower())),
        ("bnb:MARKET_UPDATE:17", EVM, Token("bsc", EVM.lower())),
        (f"newchain:0x{'cd' * 20}", EVM, Token("newchain", EVM.lower())),
        ("pump:17", EVM, Token("ethereum", EVM.lower())),
        (f"solana:{SOL}", EVM, Token("ethereum", EVM.lower())),
        ("solana:4k3Dyjzvzp8eMZWUXbBCjEvwSkkk59S5iCNLY3QrkX6R", SOL, Token("solana", SOL)),
        (f"newchain:{EVM}", f"newchain:{EVM}", Token("newchain", EVM.lower())),
        (f"solana:{SOL}", SOL, Token("solana", SOL)),
        # the event_key
        (f"ethereum:{EVM}", None, Token("ethereum", EVM.lower())),
        (f"solana:{SOL}:pump:17", None, Token("solana", SOL)),
        (f"Solana:{SOL}", "", Token("solana", SOL)),
        (f"solana:{SOL}", "   ", Token("solana", SOL)),
        # neither
        (None, None, None),
        ("", "", None),
        ("no-colon", None, None),
        (":0xab", None, None),
        ("ethereum:", None, None),
        ("ethereum::0xab", None, None),
        ("ETH:MARKET_UPDATE:17", None, None),
        ("two words:abc", None, None),
        ("k", "garbage", None),
        # never on another address than token_ca
        (f"base:{EVM}", "not an address", None),
        (f"base:{EVM}", SOL, None),
        (f"base:{EVM}", f"ethereum:{SOL}", None),
        ("pump:17", SOL, None),
        ("ethereum:0xab", None, None),
        ("k", "0x ab", None),
        ("k", "a" * 300, None),
    ],
)
def test_the_token_of_an_event(
    event_key: str | None, token_ca: str | None, token: Token | None
) -> None:
    assert resolve(event_key, token_ca) == token


def test_the_case_of_an_address_means_nothing_on_evm_chains_only() -> None:
    assert resolve(f"polygon:{EVM}", None) == resolve(f"polygon:{EVM.lower()}", None)
    assert resolve("solana:AbC", None) != resolve("solana:abc", None)


@pytest.mark.parametrize(
    ("name", "chain"),
    [
        ("ETH", "ethereum"),
        ("Mainnet", "ethereum"),
        ("bnb", "bsc"),
        ("Binance-Smart-Chain", "bsc"),
        ("matic", "polygon"),
        ("polygon-pos", "polygon"),
        ("arb", "arbitrum"),
        ("arbitrum-one", "arbitrum"),
        ("My-Chain", "my_chain"),
    ],
)
def test_a_chain_has_one_name(name: str, chain: str) -> None:
    assert fold_chain(name) == chain
    assert fold_chain(chain) == chain


def test_an_alias_stands_for_a_name_and_not_for_another_alias() -> None:
    assert not set(CHAIN_ALIASES) & set(CHAIN_ALIASES.values())
    assert not set(CHAIN_ALIASES) & EVM_CHAINS
    assert {alias for alias in CHAIN_ALIASES if alias != alias.lower().replace("-", "_")} == set()
