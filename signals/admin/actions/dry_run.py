"""The dry run: what the rules would decide now on chosen signals, without writing anything."""

from typing import Any, Final

from django.db.models import QuerySet
from django.http import HttpRequest

from signals.choices import Decision, SignalState
from signals.models import Signal
from signals.texts import shortened
from signals.verification.errors import ConfigurationError
from signals.verification.evaluation import Failure
from signals.verification.review.trial import Trial, try_rules
from signals.verification.run import start_run
from signals.verification.settings import Mode
from signals.verification.verdict import Feature

MAX_TRIED: Final = 200
"""Signals that a dry run shows."""
_SHORT: Final = 16  # characters of an address that is shown as a whole

_MOVES: Final = {
    Decision.UPGRADE: SignalState.VERIFIED,
    Decision.DOWNGRADE: SignalState.DOWNGRADED,
}


def dry_run(request: HttpRequest, rows: QuerySet[Signal]) -> dict[str, Any]:
    """Return what the page of a dry run shows of the first MAX_TRIED of the signals."""
    chosen = list(rows.order_by("-pk").values_list("pk", flat=True)[: MAX_TRIED + 1])
    context = {"has_more": len(chosen) > MAX_TRIED, "most": MAX_TRIED}
    try:
        run = start_run(is_recorded=False)
    except ConfigurationError as error:
        return context | {"problem": str(error)}
    sees_token = request.user.has_perm("signals.view_event")
    sees_features = request.user.has_perm("signals.view_onchainfeature")
    trials = try_rules(run, chosen[:MAX_TRIED])
    return context | {
        "mode": run.settings.mode.value,
        "rules_sha256": run.rules.sha256,
        "sees_token": sees_token,
        "sees_features": sees_features,
        "trials": [
            _shown(trial, run.settings.mode, sees_token=sees_token, sees_features=sees_features)
            for trial in trials
        ],
    }


def _shown(trial: Trial, mode: Mode, *, sees_token: bool, sees_features: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"signal": trial.signal, "state": trial.state}
    if isinstance(trial.made, Failure):
        return shown | {
            "decision": "failed",
            "note": trial.made.error,
            "result": "is checked again",
        }
    verdict, evidence = trial.made.verdict, trial.made.evidence
    shown |= {
        "decision": verdict.decision,
        "note": ", ".join([verdict.note, *verdict.named] if verdict.note else []),
        "as_of": evidence.as_of if evidence and sees_features else None,
        "result": _result(trial.state, verdict.decision, mode),
    }
    if sees_token and trial.made.token:
        token = trial.made.token
        shown["token"] = shortened(f"{token.chain}:{token.address}", 300)
        shown["short_token"] = shortened(f"{token.chain}:{_short(token.address)}", 80)
    if sees_features:
        values = evidence.features if evidence else {}
        shown["values"] = [(feature.value, _number(values.get(feature))) for feature in Feature]
    return shown


def _result(state: SignalState, decision: Decision, mode: Mode) -> str:
    """Return what the job would make of the signal."""
    if state is not SignalState.CANDIDATE:
        return f"stays {state}: the job leaves it alone"
    if decision not in _MOVES:
        return "stays candidate"
    if mode is Mode.OFF:
        return f"stays candidate while the rules are off, else {_MOVES[decision]}"
    return f"becomes {_MOVES[decision]}"


def _short(address: str) -> str:
    return address if len(address) <= _SHORT else f"{address[:6]}…{address[-4:]}"


def _number(value: Any) -> str:
    return "missing" if value is None else format(value, "f")[:10]
