"""The spellings of chains that pages take for one chain."""

import os
from collections.abc import Mapping
from functools import lru_cache

from signals.verification.errors import ConfigurationError
from signals.verification.settings import Settings
from signals.verification.tokens import CHAIN_ALIASES

_VARIABLE = "ONCHAIN_CHAIN_ALIASES"


def chain_aliases() -> Mapping[str, str]:
    """Return the aliases of the settings, or those of the package if the settings are wrong."""
    return _read(os.environ.get(_VARIABLE, ""))


@lru_cache(maxsize=8)
def _read(text: str) -> Mapping[str, str]:
    try:
        return Settings.read({_VARIABLE: text}).chain_aliases
    except ConfigurationError:
        return CHAIN_ALIASES
