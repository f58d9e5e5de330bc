"""Print a report: for people, as JSON, and as what GitHub and GitLab show beside the lines of a change."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from .rules import Level
from .running import LintFinding, LintReport
from .sarif import sarif

_SEVERITIES = {Level.ERROR: "critical", Level.WARNING: "minor"}


def shown_path(path: Path, root: Path) -> str:
    """Return the path relative to the root, with slashes; the whole path if it lies elsewhere."""
    absolute = path.resolve()
    return (absolute.relative_to(root) if absolute.is_relative_to(root) else absolute).as_posix()


def repository_root(folder: Path) -> Path:
    """Return the folder of the repository around the folder, to which paths are relative; else itself."""
    own = folder.resolve()
    return next((each for each in (own, *own.parents) if (each / ".git").exists()), own)


def text(report: LintReport, root: Path) -> str:
    """Return the report for people."""
    lines = [line for each in report.findings for line in _for_people(each, root)]
    return "\n".join([*lines, _summary(report)])


def _for_people(finding: LintFinding, root: Path) -> Iterator[str]:
    rule = finding.rule
    where = f"{shown_path(finding.path, root)}:{finding.line}"
    yield f"{where}: {finding.level} {rule.id} {rule.name}: {finding.what}"
    yield f"    {rule.reason}"
    yield f"    fix: {_fix(finding)}"


def _fix(finding: LintFinding) -> str:
    app, _, name = finding.migration.partition(".")
    written = (
        f" (manage.py convergent_migration {app} {name} writes it)" if finding.is_written else ""
    )
    return f"{finding.rule.fix}{written}"


def _summary(report: LintReport) -> str:
    levels = [each.level for each in report.findings]
    counts = [_counted(levels.count(each), str(each)) for each in (Level.ERROR, Level.WARNING)]
    counts += [f"{len(report.accepted)} accepted"] if report.accepted else []
    return f"{', '.join(counts)} in {_counted(report.migrations, 'migration')}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _json(report: LintReport, root: Path) -> str:
    """Return the report as one object, whose keys stay as they are within a version."""
    return json.dumps(
        {
            "version": 1,
            "migrations": report.migrations,
            "unjudged_sql": report.unjudged,
            "findings": [_object(each, root) for each in report.findings],
            "accepted": [_object(each, root) for each in report.accepted],
        },
        indent=2,
        ensure_ascii=False,
    )


def _object(finding: LintFinding, root: Path) -> dict[str, Any]:
    rule = finding.rule
    return {
        "rule": rule.id,
        "name": rule.name,
        "level": str(finding.level),
        "migration": finding.migration,
        "operation": list(finding.place),
        "path": shown_path(finding.path, root),
        "line": finding.line,
        "end_line": finding.end_line,
        "what": finding.what,
        "reason": rule.reason,
        "fix": rule.fix,
        "written_by_convergent_migration": finding.is_written,
        "accepted": finding.accepted or None,
    }


def _github(report: LintReport, root: Path) -> str:
    """Return a workflow command for each finding, which GitHub Actions shows at its line."""
    return "\n".join(
        f"::{each.level} file={_property(shown_path(each.path, root))},line={each.line},"
        f"endLine={each.end_line},title={_property(f'{each.rule.id} {each.rule.name}')}::"
        f"{_data(_message(each))}"
        for each in report.findings
    )


def _message(finding: LintFinding) -> str:
    return f"{finding.what}: {finding.rule.reason}\nFix: {_fix(finding)}"


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")


def _gitlab(report: LintReport, root: Path) -> str:
    """Return a report of GitLab's Code Quality."""
    return json.dumps(
        [
            {
                "description": f"{each.rule.id}: {_message(each)}",
                "check_name": each.rule.name,
                "fingerprint": identity_of(each),
                "severity": _SEVERITIES[each.level],
                "location": {
                    "path": shown_path(each.path, root),
                    "lines": {"begin": each.line, "end": each.end_line},
                },
            }
            for each in report.findings
        ],
        indent=2,
        ensure_ascii=False,
    )


def identity_of(finding: LintFinding) -> str:
    """Return a text by which the finding is known when its line has moved."""
    return sha256("\0".join([*finding.key, str(finding.place)]).encode()).hexdigest()


def _sarif(report: LintReport, root: Path) -> str:
    made = sarif(report, partial(shown_path, root=root), _message, identity_of)
    return json.dumps(made, indent=2, ensure_ascii=False)


FORMATS: dict[str, Callable[[LintReport, Path], str]] = {
    "text": text,
    "json": _json,
    "github": _github,
    "gitlab": _gitlab,
    "sarif": _sarif,
}
"""The formats by the words of `--format`."""
