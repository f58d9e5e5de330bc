"""Print a report as SARIF 2.1.0, the format of OASIS for what tools find in sources."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .rules import RULES, Level, Rule
from .running import LintFinding, LintReport

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_NONE = {Level.OFF: "none"}  # SARIF's word
_ROOT = "%SRCROOT%"


def sarif(
    report: LintReport,
    shown_path: Callable[[Path], str],
    message: Callable[[LintFinding], str],
    identify: Callable[[LintFinding], str],
) -> dict[str, Any]:
    """Return the log of the one run; what is accepted is in it as suppressed."""
    places = {each.id: number for number, each in enumerate(RULES)}

    def result(finding: LintFinding) -> dict[str, Any]:
        path = shown_path(finding.path)
        is_inside = not path.startswith("/")
        artifact = {"uri": quote(path) if is_inside else Path(path).as_uri()}
        region = {"startLine": finding.line, "endLine": finding.end_line}
        made: dict[str, Any] = {
            "ruleId": finding.rule.id,
            "ruleIndex": places[finding.rule.id],
            "level": str(finding.level),
            "message": {"text": message(finding)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": artifact | ({"uriBaseId": _ROOT} if is_inside else {}),
                        "region": region,
                    },
                    "logicalLocations": [
                        {"fullyQualifiedName": finding.migration, "kind": "module"}
                    ],
                }
            ],
            "partialFingerprints": {"lintMigrations/v1": identify(finding)},
        }
        if finding.accepted:
            kind = "external" if finding.is_listed else "inSource"
            made["suppressions"] = [{"kind": kind, "justification": finding.accepted}]
        return made

    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {"name": "lint_migrations", "rules": [_descriptor(r) for r in RULES]}
                },
                "columnKind": "unicodeCodePoints",
                "results": [result(each) for each in (*report.findings, *report.accepted)],
            }
        ],
    }


def _descriptor(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": rule.name,
        "shortDescription": {"text": rule.reason},
        "help": {"text": rule.fix},
        "defaultConfiguration": {
            "enabled": rule.level is not Level.OFF,
            "level": _NONE.get(rule.level, str(rule.level)),
        },
        "properties": {
            "tags": [str(rule.topic)],
            "writtenByConvergentMigration": rule.is_written,
        },
    }
