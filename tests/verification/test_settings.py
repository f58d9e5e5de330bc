"""The settings of the job."""

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from signals.verification.errors import SettingError
from signals.verification.rules_file import SHIPPED_RULES
from signals.verification.settings import NAMES, Mode, Settings
from signals.verification.tokens import CHAIN_ALIASES


def test_unset_variables_have_their_defaults() -> None:
    assert Settings.read({}) == Settings(
        mode=Mode.OFF,
        delay=timedelta(seconds=180),
        timeout=timedelta(seconds=720),
        ttl=timedelta(seconds=900),
        rules_file=SHIPPED_RULES,
        lease=timedelta(seconds=300),
        max_failures=Decimal("0.1"),
        min_checks=20,
        chain_aliases=CHAIN_ALIASES,
    )


def test_every_variable_is_read() -> None:
    environ = {
        "ONCHAIN_RULES": "on",
        "ONCHAIN_VERIFICATION_DELAY_SEC": "0",
        "ONCHAIN_VERIFICATION_TIMEOUT_SEC": "1",
        "ONCHAIN_VERDICT_TTL_SEC": "31622400",
        "ONCHAIN_RULES_FILE": "/etc/rules.yml",
        "ONCHAIN_LEASE_SEC": "10",
        "ONCHAIN_MAX_FAILURES": "0.25",
        "ONCHAIN_MIN_CHECKS": "1",
        "ONCHAIN_CHAIN_ALIASES": " Poly=MATIC, my-chain = other-chain,",
        "ONCHAIN_RETENTION_DAYS": "400",
    }
    assert set(environ) == set(NAMES)
    assert Settings.read(environ) == Settings(
        mode=Mode.ON,
        delay=timedelta(0),
        timeout=timedelta(seconds=1),
        ttl=timedelta(days=366),
        rules_file=Path("/etc/rules.yml"),
        lease=timedelta(seconds=10),
        max_failures=Decimal("0.25"),
        min_checks=1,
        chain_aliases={**CHAIN_ALIASES, "poly": "polygon", "my_chain": "other_chain"},
        retention=timedelta(days=400),
    )


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("ONCHAIN_LEASE_SEC", "9", "set it to whole seconds, 10 to 31622400"),
        ("ONCHAIN_MAX_FAILURES", "1.1", "set it to a share from 0 to 1, such as 0.1"),
        ("ONCHAIN_MAX_FAILURES", "10%", "set it to a share from 0 to 1, such as 0.1"),
        ("ONCHAIN_MIN_CHECKS", "0", "set it to a whole number of at least 1"),
        ("ONCHAIN_RETENTION_DAYS", "0", "set it to whole days, 1 to 36600, or unset it"),
        ("ONCHAIN_RETENTION_DAYS", "1.5", "set it to whole days, 1 to 36600, or unset it"),
        ("ONCHAIN_CHAIN_ALIASES", "eth", "write it as alias=chain, alias=chain"),
        ("ONCHAIN_CHAIN_ALIASES", "e th=eth", "write it as alias=chain, alias=chain"),
    ],
)
def test_a_wrong_value_is_told_with_the_fix(name: str, value: str, fix: str) -> None:
    with pytest.raises(SettingError, match=f"^{re.escape(f'{name} is {value!r} ({fix})')}$"):
        Settings.read({name: value})


def test_a_variable_that_is_no_setting_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        Settings.read({"ONCHAIN_RULE": "on", "ONCHAIN_COLOUR": "x", "OTHER": "y"})
    assert [record.getMessage() for record in caplog.records] == [
        "ONCHAIN_COLOUR is no setting (it is ignored)",
        "ONCHAIN_RULE is no setting (did you mean ONCHAIN_RULES?)",
    ]


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        *((text, Mode.ON) for text in ("on", "ON", "On", "true", "True", "1", "yes", "YES")),
        *((text, Mode.OFF) for text in ("off", "OFF", "false", "False", "0", "no", "No")),
    ],
)
def test_the_rules_are_switched_in_any_case(text: str, mode: Mode) -> None:
    assert Settings.read({"ONCHAIN_RULES": text}).mode is mode


@pytest.mark.parametrize("text", ["", " on", "on ", "maybe", "2", "enabled", "none", "On!", "\0"])
def test_any_other_switch_is_refused(text: str) -> None:
    message = f"ONCHAIN_RULES is {text!r} (set it to on or off)"
    with pytest.raises(SettingError, match=f"^{re.escape(message)}$"):
        Settings.read({"ONCHAIN_RULES": text})


@pytest.mark.parametrize(
    "text", ["", "-1", "1.5", "1e3", " 5", "5 ", "1_000", "٣", "31622401", "x"]
)
@pytest.mark.parametrize(
    "name",
    [
        "ONCHAIN_VERIFICATION_DELAY_SEC",
        "ONCHAIN_VERIFICATION_TIMEOUT_SEC",
        "ONCHAIN_VERDICT_TTL_SEC",
    ],
)
def test_a_time_that_is_not_whole_seconds_is_refused(name: str, text: str) -> None:
    message = f"{name} is {text!r} (set it to whole seconds, 0 to 31622400)"
    with pytest.raises(SettingError, match=f"^{re.escape(message)}$"):
        Settings.read({name: text})


@pytest.mark.parametrize("text", ["", "a\0b"])
def test_a_path_that_is_none_is_refused(text: str) -> None:
    message = f"ONCHAIN_RULES_FILE is {text!r} (set it to the path of a rules file, or unset it)"
    with pytest.raises(SettingError, match=f"^{re.escape(message)}$"):
        Settings.read({"ONCHAIN_RULES_FILE": text})
