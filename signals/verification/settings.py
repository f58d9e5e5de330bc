"""The settings of the job, which each run reads from the environment."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from functools import cache
from pathlib import Path

from signals.verification.errors import SettingError
from signals.verification.rules_file import SHIPPED_RULES
from signals.verification.tokens import CHAIN_ALIASES, CHAIN_NAME, fold_chain

logger = logging.getLogger("signals.verification")

MAX_SECONDS = 366 * 24 * 3600
"""The longest time that a setting accepts."""

MAX_DAYS = 36_600
"""The longest retention that a setting accepts."""


class Mode(Enum):
    """Whether a verdict changes the signal's state."""

    OFF = "off"
    ON = "on"


_MODES = {
    **dict.fromkeys(("on", "true", "1", "yes"), Mode.ON),
    **dict.fromkeys(("off", "false", "0", "no"), Mode.OFF),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The values of the ONCHAIN_* variables.

    * `delay`: the age at which a candidate is checked first.
    * `timeout`: the age after which missing evidence is noted as delayed.
    * `ttl`: the time from a verdict `hold` or `insufficient` to the next check.
    * `lease`: the time for which a claimed signal is nobody else's.
    * `max_failures`: the share of failed checks, of at least `min_checks`, above which a run stops.
    * `retention`: the age after which `signals_prune` removes verdicts, runs and actions; None to keep all.
    * `chain_aliases`: other names of chains, and the name that each stands for.
    """

    mode: Mode
    delay: timedelta
    timeout: timedelta
    ttl: timedelta
    rules_file: Path
    lease: timedelta
    max_failures: Decimal
    min_checks: int
    chain_aliases: Mapping[str, str]
    retention: timedelta | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """Return the settings in `environ`; raise SettingError if a value is invalid."""
        _warn_of_unknown(environ)
        return cls(
            mode=_mode(environ, "ONCHAIN_RULES", Mode.OFF),
            delay=whole_seconds(environ, "ONCHAIN_VERIFICATION_DELAY_SEC", 180),
            timeout=whole_seconds(environ, "ONCHAIN_VERIFICATION_TIMEOUT_SEC", 720),
            ttl=whole_seconds(environ, "ONCHAIN_VERDICT_TTL_SEC", 900),
            rules_file=_path(environ, "ONCHAIN_RULES_FILE", SHIPPED_RULES),
            lease=whole_seconds(environ, "ONCHAIN_LEASE_SEC", 300, least=10),
            max_failures=_share(environ, "ONCHAIN_MAX_FAILURES", "0.1"),
            min_checks=_whole_number(environ, "ONCHAIN_MIN_CHECKS", 20),
            chain_aliases=_aliases(environ, "ONCHAIN_CHAIN_ALIASES"),
            retention=_days(environ, "ONCHAIN_RETENTION_DAYS"),
        )


NAMES = (
    *("ONCHAIN_RULES", "ONCHAIN_VERIFICATION_DELAY_SEC", "ONCHAIN_VERIFICATION_TIMEOUT_SEC"),
    *("ONCHAIN_VERDICT_TTL_SEC", "ONCHAIN_RULES_FILE", "ONCHAIN_LEASE_SEC", "ONCHAIN_MAX_FAILURES"),
    *("ONCHAIN_MIN_CHECKS", "ONCHAIN_CHAIN_ALIASES", "ONCHAIN_RETENTION_DAYS"),
)
"""The variables that are settings of the job."""

PULL_NAMES = (
    *("ONCHAIN_RPC_URL", "ONCHAIN_CONFIRMATIONS", "ONCHAIN_POOLS"),
    "ONCHAIN_PULL_LATELY_SEC",
)
"""The variables that are settings of pull_features, which the job leaves alone."""


def _warn_of_unknown(environ: Mapping[str, str]) -> None:
    """Log each ONCHAIN_ variable that is no setting, because it may be a misspelled one."""
    for name in sorted(environ):
        if name.startswith("ONCHAIN_") and name not in NAMES + PULL_NAMES:
            _warn_once(name)


@cache
def _warn_once(name: str) -> None:
    """Log the variable once in the life of the process, which may read the settings each minute."""
    alike = get_close_matches(name, NAMES + PULL_NAMES, n=1, cutoff=0.9)
    fix = f"did you mean {alike[0]}?" if alike else "it is ignored"
    logger.warning("%s is no setting (%s)", name, fix)


def _mode(environ: Mapping[str, str], name: str, default: Mode) -> Mode:
    text = environ.get(name, default.value)
    if text.lower() not in _MODES:
        raise SettingError(name, text, "set it to on or off")
    return _MODES[text.lower()]


def whole_seconds(environ: Mapping[str, str], name: str, default: int, least: int = 0) -> timedelta:
    """Return a variable as a time; raise SettingError if it is no number of whole seconds."""
    text = environ.get(name, str(default))
    if not (re.fullmatch(r"[0-9]{1,9}", text) and least <= int(text) <= MAX_SECONDS):
        raise SettingError(name, text, f"set it to whole seconds, {least} to {MAX_SECONDS}")
    return timedelta(seconds=int(text))


def _days(environ: Mapping[str, str], name: str) -> timedelta | None:
    text = environ.get(name, "")
    if text and not (re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= MAX_DAYS):
        raise SettingError(name, text, f"set it to whole days, 1 to {MAX_DAYS}, or unset it")
    return timedelta(days=int(text)) if text else None


def _whole_number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, str(default))
    if not (re.fullmatch(r"[0-9]{1,9}", text) and int(text) >= 1):
        raise SettingError(name, text, "set it to a whole number of at least 1")
    return int(text)


def _share(environ: Mapping[str, str], name: str, default: str) -> Decimal:
    text = environ.get(name, default)
    if not (re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,9})?", text) and Decimal(text) <= 1):
        raise SettingError(name, text, "set it to a share from 0 to 1, such as 0.1")
    return Decimal(text)


def _aliases(environ: Mapping[str, str], name: str) -> Mapping[str, str]:
    """Return the built-in aliases and those of the setting, which is `alias=chain, alias=chain`."""
    text = environ.get(name, "")
    aliases = dict(CHAIN_ALIASES)
    for pair in filter(None, map(str.strip, text.split(","))):
        alias, equals, chain = map(str.strip, pair.partition("="))
        if not (equals and CHAIN_NAME.fullmatch(alias) and CHAIN_NAME.fullmatch(chain)):
            raise SettingError(name, text, "write it as alias=chain, alias=chain")
        aliases[fold_chain(alias, {})] = fold_chain(chain, CHAIN_ALIASES)
    return aliases


def _path(environ: Mapping[str, str], name: str, default: Path) -> Path:
    text = environ.get(name, str(default))
    if not text or "\0" in text:
        raise SettingError(name, text, "set it to the path of a rules file, or unset it")
    return Path(text)
