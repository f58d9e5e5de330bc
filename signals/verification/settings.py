"""The settings of the job, which each run reads from the environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path

from signals.verification.errors import SettingError
from signals.verification.rules_file import SHIPPED_RULES

MAX_SECONDS = 366 * 24 * 3600
"""The longest time that a setting accepts."""


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
    """

    mode: Mode
    delay: timedelta
    timeout: timedelta
    ttl: timedelta
    rules_file: Path

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """Return the settings in `environ`; raise SettingError if a value is invalid."""
        return cls(
            mode=_mode(environ, "ONCHAIN_RULES", Mode.OFF),
            delay=_seconds(environ, "ONCHAIN_VERIFICATION_DELAY_SEC", 180),
            timeout=_seconds(environ, "ONCHAIN_VERIFICATION_TIMEOUT_SEC", 720),
            ttl=_seconds(environ, "ONCHAIN_VERDICT_TTL_SEC", 900),
            rules_file=_path(environ, "ONCHAIN_RULES_FILE", SHIPPED_RULES),
        )


def _mode(environ: Mapping[str, str], name: str, default: Mode) -> Mode:
    text = environ.get(name, default.value)
    if text.lower() not in _MODES:
        raise SettingError(name, text, "set it to on or off")
    return _MODES[text.lower()]


def _seconds(environ: Mapping[str, str], name: str, default: int) -> timedelta:
    text = environ.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > MAX_SECONDS:
        raise SettingError(name, text, f"set it to whole seconds, 0 to {MAX_SECONDS}")
    return timedelta(seconds=int(text))


def _path(environ: Mapping[str, str], name: str, default: Path) -> Path:
    text = environ.get(name, str(default))
    if not text or "\0" in text:
        raise SettingError(name, text, "set it to the path of a rules file, or unset it")
    return Path(text)
