"""Lint the selected migrations: what their operations break, without what is accepted."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.db import migrations
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader

from .. import OPERATIONS
from ..conversion.source import source_of
from ..migrate.walk import in_plan_order
from . import rules as rule
from .acceptance import Acceptance, Acceptances, OperationPlace, acceptances_of, lines_of
from .baseline import LISTED, Baseline
from .options import LintOptions
from .rules import Level, Rule
from .selection import Selection
from .sql import is_unjudged
from .steps import Fault, types_connection
from .walking import PlacedFault, walk

# The classes of Django's operations that convergent_migration looks at.
_CONVERTED = (*(kind for each in OPERATIONS for kind in each.stands_for), migrations.AlterField)


@dataclass(frozen=True, slots=True)
class LintFinding:
    """What is wrong in a file, where, and how it counts.

    migration: as app.name. place: of the operation in the list; empty for a finding about an acceptance.
    line, end_line: 0 for a migration whose faults have not been located.
    is_written: whether `convergent_migration` writes the fix.
    accepted: the reason with which it is accepted; empty if it is not.
    """

    rule: Rule
    level: Level
    migration: str
    place: OperationPlace
    what: str
    path: Path
    line: int = 0
    end_line: int = 0
    is_written: bool = False
    accepted: str = ""

    @property
    def is_listed(self) -> bool:
        """Return whether the baseline accepts it."""
        return self.accepted == LISTED

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what stays the same when lines move: the migration, the rule and what breaks it."""
        return self.migration, self.rule.id, self.what


@dataclass(frozen=True, slots=True)
class LintReport:
    """The findings by file and line, those that are accepted, and what was looked at.

    unjudged: the number of RunSQL operations that nobody could read, because the parser is not installed.
    """

    findings: tuple[LintFinding, ...]
    accepted: tuple[LintFinding, ...]
    migrations: int
    unjudged: int

    @property
    def has_errors(self) -> bool:
        return any(each.level is Level.ERROR for each in self.findings)


def lint(
    loader: MigrationLoader, selection: Selection, options: LintOptions, baseline: Baseline
) -> LintReport:
    """Return what is found in the selected migrations; raise Unplayable if they do not fit together.

    loader: with squashed migrations in the place of those that they replace. No database is asked.
    """
    nodes = loader.graph.nodes
    chosen = [nodes[key] for key in in_plan_order(loader) if key in selection.keys]
    found = walk(
        loader, selection.keys, types_connection(), is_one_release=selection.is_one_release
    )
    by_migration: dict[str, list[PlacedFault]] = {}
    for each in found:
        by_migration.setdefault(_label(each.migration), []).append(each)
    unjudged = sum(_count_unjudged(each.operations) for each in chosen)
    findings = [
        finding
        for migration in chosen
        for finding in _of_file(migration, by_migration.get(_label(migration), []), options)
    ]
    keys = set(baseline.lines.values())
    listed = [
        replace(each, accepted=LISTED) if each.key in keys and not each.accepted else each
        for each in findings
    ]
    listed += _stale(baseline, findings, {_label(each) for each in chosen}, unjudged, options)
    shown = sorted(
        (each for each in listed if each.level is not Level.OFF),
        key=lambda each: (each.path, each.line, each.rule.id, each.what),
    )
    return LintReport(
        tuple(each for each in shown if not each.accepted),
        tuple(each for each in shown if each.accepted),
        len(chosen),
        unjudged,
    )


def _label(migration: Migration) -> str:
    return f"{migration.app_label}.{migration.name}"


def _count_unjudged(operations: Iterable[Any]) -> int:
    inner = (
        each.database_operations
        for each in operations
        if isinstance(each, migrations.SeparateDatabaseAndState)
    )
    return sum(map(is_unjudged, operations)) + sum(map(_count_unjudged, inner))


def _of_file(
    migration: Migration, faults: list[PlacedFault], options: LintOptions
) -> Iterator[LintFinding]:
    """Yield the findings of a migration once each, and those about the comments that accept them."""
    acceptances = acceptances_of(migration)
    if not faults and not acceptances.comments:
        return
    lines, path = lines_of(migration), source_of(migration)
    accepts_blocking = getattr(migration, "accept_blocking", False)
    seen: set[tuple[OperationPlace, str, str]] = set()
    for each in faults:
        fault = each.fault
        key = (each.place, fault.rule.id, fault.what)
        if key in seen:
            continue
        seen.add(key)
        reason = acceptances.reason(fault.rule, each.place)
        if accepts_blocking and fault.rule.blocks:
            reason = reason or "accept_blocking = True"
        yield LintFinding(
            fault.rule,
            options.level(fault.rule),
            _label(migration),
            each.place,
            fault.what,
            path,
            *lines.of(each.place),
            is_written=_is_written(fault),
            accepted=reason,
        )
    template = LintFinding(rule.NOTHING_ACCEPTED, Level.OFF, _label(migration), (), "", path)
    is_judged = not _count_unjudged(migration.operations)
    for finding in _of_acceptances(acceptances, faults, template, is_judged=is_judged):
        yield replace(finding, level=options.level(finding.rule))


def _is_written(fault: Fault) -> bool:
    return fault.rule.is_written and type(fault.operation) in _CONVERTED


def _of_acceptances(
    acceptances: Acceptances,
    faults: list[PlacedFault],
    template: LintFinding,
    *,
    is_judged: bool,
) -> Iterator[LintFinding]:
    """Yield a finding for each comment that says too little, or that accepts nothing.

    is_judged: whether all of the migration is judged, so that a rule that is not broken is known not to be.
    """
    for comment in acceptances.comments:
        lack = _lack(comment)
        at = replace(template, line=comment.line, end_line=comment.line)
        if lack:
            yield replace(at, rule=rule.ACCEPTED_WITHOUT_REASON, what=lack)
            continue
        for each in comment.rules:
            used = any(
                each is fault.fault.rule and comment.covers(fault.fault.rule, fault.place)
                for fault in faults
            )
            if isinstance(each, Rule) and not used and is_judged:
                yield replace(
                    at, what=f"The comment accepts {each.id} {each.name}, which is not broken"
                )


def _lack(comment: Acceptance) -> str:
    """Return what the comment lacks, or an empty string."""
    unknown = [each for each in comment.rules if not isinstance(each, Rule)]
    if unknown:
        return f"The comment accepts {unknown[0]}, which is no rule"
    if not comment.rules:
        return "The comment accepts no rule"
    return "" if comment.reason else "The comment gives no reason"


def _stale(
    baseline: Baseline,
    findings: Iterable[LintFinding],
    chosen: Collection[str],
    unjudged: int,
    options: LintOptions,
) -> Iterator[LintFinding]:
    """Yield a finding for each line of the baseline that no finding of the selected migrations is like."""
    keys = {each.key for each in findings}
    for line, key in baseline.lines.items():
        migration, rule_id, what = key
        if migration in chosen and key not in keys and not unjudged:
            yield LintFinding(
                rule.NOTHING_ACCEPTED,
                options.level(rule.NOTHING_ACCEPTED),
                migration,
                (),
                f"The baseline accepts {rule_id} of {migration} ({what}), which is not broken",
                baseline.path,
                line,
                line,
            )
