"""What the command pull_features prints: reports and the state of chains, as text or JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from signals.chain.passing import PassReport, report_line
from signals.chain.states import StateOfChain


def pass_as_text(report: PassReport) -> str:
    """Return one line a chain."""
    return "\n".join(map(report_line, report.chains)) or "no chain has a node"


def pass_as_json(report: PassReport) -> str:
    """Return one JSON object with always the same keys."""
    return json.dumps({"run": str(report.run), "chains": [asdict(each) for each in report.chains]})


def states_as_text(states: Sequence[StateOfChain]) -> str:
    """Return what --check prints: one line a chain."""
    return "\n".join(map(_state_line, states)) or "no pass yet"


def states_as_json(states: Sequence[StateOfChain]) -> str:
    """Return what --check --json prints."""
    return json.dumps({"chains": [_state_object(state) for state in states]})


def _state_line(state: StateOfChain) -> str:
    lag = f"{state.lag_blocks} blocks behind" if state.lag_blocks is not None else "nothing read"
    if state.lag is not None:
        lag += f" ({state.lag.total_seconds():.0f} s)"
    parts = [
        f"last sign of life {state.sign_age.total_seconds():.0f} s ago",
        f"{state.tokens} tokens, {lag}",
        *([f"{state.failing} failing"] if state.failing else []),
        *([state.error] if state.error else []),
    ]
    return f"{state.chain}: {'; '.join(parts)}"


def _state_object(state: StateOfChain) -> dict[str, Any]:
    spans = {"sign_age": state.sign_age, "pass_age": state.pass_age, "lag": state.lag}
    return {
        **{name: value for name, value in asdict(state).items() if name not in spans},
        "head_at": state.head_at.isoformat() if state.head_at else None,
        "lag_blocks": state.lag_blocks,
        **{f"{name}_seconds": _seconds(value) for name, value in spans.items()},
    }


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
