"""What the command verify_signal prints: reports and the job's health, as text or JSON."""

import json
from typing import Any

from signals.choices import SignalState
from signals.verification.changes import Change
from signals.verification.health import Health
from signals.verification.job import RunReport


def report_as_text(report: RunReport) -> str:
    """Return the counts, one a line, and after a dry run what each check would have written."""
    lines = [f"{name:<13}{count:>7}" for name, count in report.counts.items()]
    if report.dead:
        lines.append(f"{'dead':<13}{report.dead:>7}")
    if report.dry_run:
        lines += map(_change_as_line, report.changes)
        lines.append("dry run: nothing was written")
    return "\n".join(lines)


def report_as_line(report: RunReport) -> str:
    """Return one line with the counts that are not 0."""
    counts = ", ".join(f"{name} {count}" for name, count in report.counts.items() if count)
    return f"run {report.run} {report.outcome}: {counts or 'nothing was due'}"


def report_as_json(report: RunReport) -> str:
    """Return one JSON object with always the same keys; `would_write` is empty except after a dry run."""
    return json.dumps(
        {
            "run": str(report.run),
            "outcome": report.outcome.value,
            "error": report.error,
            "dry_run": report.dry_run,
            "rules": report.mode.value,
            "rules_sha256": report.rules_sha256,
            **report.counts,
            "dead": report.dead,
            "would_write": [_change_as_object(change) for change in report.changes],
        }
    )


def health_as_text(health: Health) -> str:
    """Return what --check prints."""
    if health.age is None:
        last = "no run yet"
    else:
        last = (
            f"last sign of life {health.age.total_seconds():.0f} s ago, of a run {health.outcome}"
        )
    wait = f"longest wait {health.wait.total_seconds():.0f} s"
    return f"{last}; {wait}; {health.dead} dead" + (f"; {health.error}" if health.error else "")


def health_as_json(health: Health) -> str:
    """Return what --check --json prints."""
    return json.dumps(
        {
            "last_sign": health.last_sign.isoformat() if health.last_sign else None,
            "age_seconds": health.age.total_seconds() if health.age is not None else None,
            "outcome": health.outcome.value if health.outcome else None,
            "error": health.error,
            "dead": health.dead,
            "longest_wait_seconds": health.wait.total_seconds(),
        }
    )


def _change_as_line(change: Change) -> str:
    verdict = change.evaluation.verdict
    reason = " ".join((verdict.note or "", *verdict.named)).strip()
    writes = [
        *([f"state candidate -> {change.state}"] if change.state != SignalState.CANDIDATE else []),
        *(["onchain_asof_ts, onchain_confidence"] if change.updates_signal else []),
        *(["one row of signal_events"] if change.adds_event else []),
    ]
    return (
        f"signal {change.evaluation.candidate.signal_id}: {verdict.decision} {verdict.confidence}"
        f"{f' ({reason})' if reason else ''}; would write {', '.join(writes) or 'no verdict'}"
    )


def _change_as_object(change: Change) -> dict[str, Any]:
    verdict = change.evaluation.verdict
    return {
        "signal": change.evaluation.candidate.signal_id,
        "decision": verdict.decision,
        "confidence": float(verdict.confidence),
        "note": verdict.note,
        "named": list(verdict.named),
        "previous_state": SignalState.CANDIDATE,
        "new_state": change.state,
        "updates_signal": change.updates_signal,
        "adds_event": change.adds_event,
    }
