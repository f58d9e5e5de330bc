"""The settings of waiting: which are refused, and which goes before which."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from signals.operations.execution.policy import LockPolicy
from tests.operations.execution.part_operations import add_column
from tests.operations.scratch_schema import (
    PART_TABLE,
    catalog_versions,
    forwards,
    part_model,
    project_state,
    recreate,
)

pytestmark = pytest.mark.usefixtures("committing_connection")

STATE = project_state(part_model())


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"LOCK_TIME": 1}, r"CONVERGENT_MIGRATIONS\['LOCK_TIME'\] is not a setting"),
        ({"LOCK_WAIT": 0}, r"CONVERGENT_MIGRATIONS\['LOCK_WAIT'\] is 0 \(use a number"),
        ({"LOCK_WAIT": "9"}, r"CONVERGENT_MIGRATIONS\['LOCK_WAIT'\] is '9' \(use a number"),
        ({"LOCK_WAIT": True}, r"CONVERGENT_MIGRATIONS\['LOCK_WAIT'\] is True \(use a number"),
    ],
    ids=["unknown", "zero", "text", "bool"],
)
def test_a_wrong_setting_names_its_key_and_the_fix(given: Any, text: str, settings: Any) -> None:
    settings.CONVERGENT_MIGRATIONS = given
    recreate(PART_TABLE)
    before = catalog_versions()
    with pytest.raises(ImproperlyConfigured, match=text):
        forwards(add_column(), STATE)
    assert catalog_versions() == before


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("LOCK_TIMEOUT", "0", r"CONVERGENT_MIGRATIONS_LOCK_TIMEOUT is 0\.0 \(use a number"),
        ("LOCK_WAIT", "long", r"CONVERGENT_MIGRATIONS_LOCK_WAIT is 'long' \(use a number"),
        ("LOCK_WAIT", "inf", r"CONVERGENT_MIGRATIONS_LOCK_WAIT is inf \(use a number"),
        ("LOCK_WAIT", "true", r"CONVERGENT_MIGRATIONS_LOCK_WAIT is True \(use a number"),
        (
            "SHOW_QUERIES",
            "maybe",
            r"CONVERGENT_MIGRATIONS_SHOW_QUERIES is 'maybe' \(use True or False",
        ),
        (
            "LOCK_TIME",
            "1",
            r"CONVERGENT_MIGRATIONS_LOCK_TIME is not a setting \(use LOCK_TIMEOUT, ",
        ),
    ],
)
def test_a_wrong_environment_variable_is_named_with_the_fix(
    name: str, text: str, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"CONVERGENT_MIGRATIONS_{name}", text)
    with pytest.raises(ImproperlyConfigured, match=error):
        LockPolicy.from_settings()


def test_the_environment_goes_before_the_settings_and_the_operation_before_both(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.CONVERGENT_MIGRATIONS = {"LOCK_TIMEOUT": 3, "LOCK_WAIT": 5}
    monkeypatch.setenv("CONVERGENT_MIGRATIONS_LOCK_TIMEOUT", "0.5")
    monkeypatch.setenv("CONVERGENT_MIGRATIONS_SHOW_QUERIES", "false")
    policy = LockPolicy.from_settings()
    assert (policy.lock_timeout, policy.lock_wait, policy.show_queries) == (0.5, 5, False)
    own = policy.limited({"lock_timeout": 0.01, "lock_wait": 7})
    assert (own.lock_timeout, own.lock_timeout_in_transaction, own.lock_wait) == (0.01, 0.01, 7)
    assert policy.limited({}) == policy


def test_the_time_to_wait_is_validated_with_the_other_settings(settings: Any) -> None:
    assert LockPolicy().migrators_wait == 3600
    settings.CONVERGENT_MIGRATIONS = {"MIGRATORS_WAIT": 0}
    with pytest.raises(ImproperlyConfigured, match=r"\['MIGRATORS_WAIT'\] is 0 \(use a number"):
        LockPolicy.from_settings()
