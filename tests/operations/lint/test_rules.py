"""Which rules a migration breaks: more than sixty bad ones and as many good ones, without a database."""

import re

import pytest
import yaml
from django.db.migrations.state import ProjectState

from benchmarks.lint.cases.bad import BAD
from benchmarks.lint.cases.case import APP, LintCase, tables
from benchmarks.lint.cases.good import GOOD
from signals.operations.conversion import convert
from signals.operations.lint.rules import RULES, Topic
from signals.operations.lint.steps import types_connection
from tests.operations.lint.graph import faults
from tests.postgres.databases import ROOT


def broken(case: LintCase) -> list[str]:
    earlier = [(case.earlier(), True)] if case.earlier else []
    own = (case.make(), case.atomic)
    found = faults((tables(), True), *earlier, own, is_limited=case.is_limited)
    return [each.fault.rule.id for each in found]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_a_bad_migration_breaks_these_rules_and_no_others(case: LintCase) -> None:
    assert sorted(set(broken(case))) == case.rules.split()
    assert case.rules


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_a_good_migration_breaks_none(case: LintCase) -> None:
    assert broken(case) == []
    assert not case.rules


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


def test_the_page_has_a_row_for_every_rule() -> None:
    page = (ROOT / "docs/lint.md").read_text()
    rows = [
        f"| {each.id} | `{each.name}` | {each.reason} | {each.fix} | "
        f"{'yes' if each.is_written else ''} | {each.level} |"
        for each in RULES
    ]
    assert re.findall(r"^\| L\d.*\|$", page, re.MULTILINE) == rows
    assert re.findall(r"^### (.*)$", page, re.MULTILINE) == list(Topic)


def test_what_is_said_to_be_written_is_written() -> None:
    """By convert(), as convergent_migration does, for an operation of Django's that breaks the rule."""
    written = set()
    for case in BAD:
        own = (case.make(), case.atomic)
        found = faults((tables(), True), own, is_limited=case.is_limited)
        state = ProjectState()
        for operation in tables():
            operation.state_forwards(APP, state)
        changes = convert(case.make(), APP, state, types_connection())
        for each in found:
            change = changes[each.place[0]]
            if change.operations and not change.is_kept:
                written.add(each.fault.rule.id)
    said = {rule.id for rule in RULES if rule.is_written}
    assert said <= written
    # What the operations refuse on a table with rows, or what they do as well.
    assert written - said <= {
        "L108",
        "L109",
        "L201",
        "L203",
        "L204",
        "L205",
        "L206",
        "L207",
        "L208",
    }


def test_the_hook_gets_the_files_of_migrations() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["entry"].split()[-1] == "lint_migrations"
    wanted = [
        "shop/migrations/0001_initial.py",
        "migrations/0002.py",
        "shop/migrations/__init__.py",
    ]
    others = ["shop/models.py", "shop/migrations/data/0001.py", "shop/migrations/0001.sql"]
    assert [each for each in wanted + others if re.search(hook["files"], each)] == wanted
