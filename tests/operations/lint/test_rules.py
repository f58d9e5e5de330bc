"""Which rules a migration breaks: more than sixty bad ones and as many good ones, without a database."""

import pytest

from signals.operations.lint.rules import RULES, Level, Topic
from tests.operations.lint.cases.bad import BAD
from tests.operations.lint.cases.case import LintCase, tables
from tests.operations.lint.cases.good import GOOD
from tests.operations.lint.graph import faults


def broken(case: LintCase) -> list[str]:
    earlier = [(case.earlier(), True)] if case.earlier else []
    return [
        each.fault.rule.id
        for each in faults((tables(), True), *earlier, (case.make(), case.atomic))
    ]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_a_bad_migration_breaks_these_rules_and_no_others(case: LintCase) -> None:
    assert sorted(set(broken(case))) == case.rules.split()
    assert case.rules


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_a_good_migration_breaks_none_that_is_on(case: LintCase) -> None:
    found = broken(case)
    assert found == case.rules.split()
    assert {rule.level for rule in RULES if rule.id in found} <= {Level.OFF}


def test_every_rule_has_a_bad_migration() -> None:
    told = {rule for case in BAD for rule in case.rules.split()}
    assert {rule.id for rule in RULES if rule.topic is not Topic.LINT} == told


def test_names_of_cases_differ() -> None:
    for cases in (BAD, GOOD):
        assert len({case.name for case in cases}) == len(cases) >= 60


def test_ids_and_names_of_rules_differ() -> None:
    keys = [key for rule in RULES for key in (rule.id, rule.name)]
    assert len(set(keys)) == len(keys)
    assert [rule.id for rule in RULES] == sorted(rule.id for rule in RULES)
