"""Tests of pull_features start without any ONCHAIN_* variable, on a chain in memory."""

import os
from collections.abc import Iterator

import pytest

from signals.chain import reading
from signals.verification import settings
from tests.chain.local_chain import LocalChain, LocalNode, serving


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ONCHAIN_")]:
        monkeypatch.delenv(name)
    settings._warn_once.cache_clear()


@pytest.fixture
def chain() -> LocalChain:
    return LocalChain()


@pytest.fixture
def node(chain: LocalChain) -> Iterator[LocalNode]:
    with serving(chain) as server:
        yield server


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a pass read a few blocks at a time."""
    monkeypatch.setattr(reading, "FIRST_SPAN", 10)
    monkeypatch.setattr(reading, "WANTED_LOGS", 20)
