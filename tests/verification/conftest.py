"""The job's tests start without any ONCHAIN_* variable, and without a warning of one."""

import os

import pytest

from signals.verification import settings


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ONCHAIN_")]:
        monkeypatch.delenv(name)
    settings._warn_once.cache_clear()


@pytest.fixture
def rules_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCHAIN_RULES", "on")
