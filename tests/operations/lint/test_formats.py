"""What lint_migrations prints for other programs."""

import json
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from signals.operations.lint.formats import _github, _gitlab, _sarif
from signals.operations.lint.rules import COLUMN_REMOVED, RULES, Level
from signals.operations.lint.running import LintFinding, LintReport
from tests.operations.lint.lint_project import INDEX, REMOVAL, LintProject

# The schema of OASIS as schemastore has it (Apache-2.0), without its descriptions.
SARIF = Path(__file__).with_name("sarif-2.1.0.json")

ODD = LintFinding(
    COLUMN_REMOVED,
    Level.WARNING,
    "depot.0002_a",
    (0,),
    "50% of\nthem: a, b",
    Path("/repo/a, b: 100%.py"),
    3,
    4,
)
REPORT = LintReport((ODD,), (), 1, 0)


def test_json_has_one_object_of_a_version(project: LintProject) -> None:
    project.write("0002_more", f"# lint: accept L101 small\n{INDEX}", REMOVAL, after="0001_initial")
    report = project.report()
    (found,), (accepted,) = report.pop("findings"), report.pop("accepted")
    assert report == {"version": 1, "migrations": 3, "unjudged_sql": 0}
    assert found == {
        "rule": "L201",
        "name": "column-removed",
        "level": "error",
        "migration": "depot.0002_more",
        "operation": [1],
        "path": "depot/migrations/0002_more.py",
        "line": 11,
        "end_line": 11,
        "what": "Remove field note from item",
        "reason": COLUMN_REMOVED.reason,
        "fix": COLUMN_REMOVED.fix,
        "written_by_convergent_migration": False,
        "accepted": None,
    }
    assert (accepted["accepted"], accepted["written_by_convergent_migration"]) == ("small", True)


def test_github_gets_a_command_for_each_finding_with_nothing_left_to_interpret() -> None:
    assert _github(REPORT, Path("/repo")) == (
        "::warning file=a%2C b%3A 100%25.py,line=3,endLine=4,title=L201 column-removed::50%25 of%0A"
        f"them: a, b: {COLUMN_REMOVED.reason}%0AFix: {COLUMN_REMOVED.fix}"
    )


def test_github_gets_nothing_where_nothing_is_found(project: LintProject) -> None:
    assert project.run("--format", "github") == ("", "")


def test_gitlab_gets_what_code_quality_needs(project: LintProject) -> None:
    (found,) = json.loads(_gitlab(REPORT, Path("/elsewhere")))
    assert found["location"] == {"path": "/repo/a, b: 100%.py", "lines": {"begin": 3, "end": 4}}
    assert (found["check_name"], found["severity"]) == ("column-removed", "minor")
    project.write("0002_more", INDEX, REMOVAL, after="0001_initial")
    out, _ = project.run("--format", "gitlab", code=1)
    both = json.loads(out)
    assert len({each["fingerprint"] for each in both}) == 2
    assert [each["severity"] for each in both] == ["critical", "critical"]


@pytest.fixture(scope="module")
def valid() -> Any:
    return fastjsonschema.compile(json.loads(SARIF.read_text()), use_default=False)


def test_sarif_is_valid_and_has_the_rules_and_what_is_accepted(
    project: LintProject, valid: Any
) -> None:
    project.write("0002_more", f"# lint: accept L101 small\n{INDEX}", REMOVAL, after="0001_initial")
    out, _ = project.run("--format", "sarif", code=1)
    log = json.loads(out)
    valid(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [each["id"] for each in rules] == [each.id for each in RULES]
    found, accepted = run["results"]
    assert (found["ruleId"], found["level"], "suppressions" in found) == ("L201", "error", False)
    assert rules[found["ruleIndex"]]["id"] == "L201"
    assert accepted["suppressions"] == [{"kind": "inSource", "justification": "small"}]
    project.run("--baseline", "known.json", "--write-baseline")
    out, _ = project.run("--format", "sarif", "--baseline", "known.json")
    again = json.loads(out)
    valid(again)
    kinds = [each["suppressions"][0]["kind"] for each in again["runs"][0]["results"]]
    assert kinds == ["inSource", "external"]
    place = found["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "depot/migrations/0002_more.py"
    assert place["region"] == {"startLine": 11, "endLine": 11}


def test_sarif_is_valid_for_odd_paths_and_for_nothing(valid: Any) -> None:
    log = json.loads(_sarif(REPORT, Path("/repo")))
    valid(log)
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a%2C%20b%3A%20100%25.py"
    outside = json.loads(_sarif(REPORT, Path("/elsewhere")))
    valid(outside)
    assert "uriBaseId" not in json.dumps(outside)
    valid(json.loads(_sarif(LintReport((), (), 0, 0), Path("/repo"))))


def test_the_schema_refuses_what_is_no_sarif(valid: Any) -> None:
    log = json.loads(_sarif(REPORT, Path("/repo")))
    log["runs"][0]["results"][0]["level"] = "off"
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        valid(log)
