"""Why a signal has its verdict: the conditions with their margins, and what would lead to another verdict.

A verdict is explained by the rules that gave it, whose text is kept by its SHA-256, and by the features
that it stored, whatever the rules file and the measurements are by now.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from signals.choices import Decision, Note, SignalState
from signals.verification.errors import RulesError
from signals.verification.features import (
    ADDRESS_KEY,
    DECIDING_WINDOW,
    MAX_EVIDENCE_AGE,
    MIN_PERCENTILE_ROWS,
    EvidenceReader,
)
from signals.verification.readable import readable
from signals.verification.review.intervals import possible_decisions
from signals.verification.rules import FEATURE_RANGES, Condition, Operator, Rules
from signals.verification.rules_file import parse_rules
from signals.verification.tokens import Token, TokenSource, resolve_with_source
from signals.verification.verdict import Feature, Features

_SIGNAL: Final = f"""
SELECT pg_catalog.statement_timestamp(), s.id IS NOT NULL, s.state, {readable("s.event_key")},
    {readable("e.token_ca")},
    v.status, v.next_check_at, v.updated_at, v.checks, v.decision, v.note, v.error
FROM (SELECT %(signal)s::bigint AS id) wanted
LEFT JOIN signals s ON s.id = wanted.id
LEFT JOIN events e ON e.event_key = s.event_key
LEFT JOIN signal_verifications v ON v.signal_id = wanted.id
"""  # noqa: S608 - names of columns
_VERDICT: Final = """
SELECT e.id, e.created_at, e.previous_state, e.new_state, e.decision, e.confidence, e.note,
    e.features::text, e.metadata::text, e.rules_sha256, e.run::text, r.text
FROM signal_events e
LEFT JOIN verification_rules r ON r.sha256 = e.rules_sha256
WHERE e.signal_id = %(signal)s AND e.type = 'onchain_verify'
ORDER BY e.id DESC
LIMIT 1
"""

# The measurement is found by its key, under any name of the chain; what pull_features withdrew is gone.
_BLOCKS: Final = f"""
SELECT f.from_block, f.to_block, {readable("f.block_hash")}
FROM onchain_features f
WHERE f.chain = ANY (%(chains)s::text[]) AND {ADDRESS_KEY} = %(address)s
    AND f.window_minutes = %(window)s AND f.as_of_ts = %(as_of)s AND f.to_block IS NOT NULL
LIMIT 1
"""  # noqa: S608 - constants of modules

_OPPOSITE: Final[Mapping[Operator, Operator]] = {
    Operator.AT_LEAST: Operator.BELOW,
    Operator.BELOW: Operator.AT_LEAST,
    Operator.ABOVE: Operator.AT_MOST,
    Operator.AT_MOST: Operator.ABOVE,
}


@dataclass(frozen=True, slots=True)
class StoredVerdict:
    """A verdict as signal_events has it.

    `as_of` is the time of the evidence, None if there was none. `rules` are those that gave the verdict,
    None if their text is not kept, as for verdicts from before the text was stored.
    """

    event: int
    created_at: datetime
    previous_state: SignalState
    new_state: SignalState
    decision: Decision
    confidence: Decimal
    note: Note | None
    named: tuple[str, ...]
    features: Features
    token: Token | None
    window_minutes: int
    as_of: datetime | None
    calc_version: int | None
    mode: str
    rules_sha256: str
    run: str
    rules: Rules | None


@dataclass(frozen=True, slots=True)
class BlockSpan:
    """The blocks that a measurement rests on, of which `block_hash` is that of the last."""

    first: int
    last: int
    block_hash: str


@dataclass(frozen=True, slots=True)
class LastCheck:
    """The job's record of the signal: whether and when it is checked again, and how the last check ended."""

    status: str
    next_check_at: datetime | None
    checked_at: datetime | None
    decision: str
    note: str
    error: str


@dataclass(frozen=True, slots=True)
class CheckedCondition:
    """A condition and the value that it was checked with, None if the feature was missing."""

    condition: Condition
    value: Decimal | None

    @property
    def holds(self) -> bool:
        """Whether the condition holds; it does not for a missing value or NaN."""
        return (
            self.value is not None and not self.value.is_nan() and self.condition.holds(self.value)
        )

    @property
    def margin(self) -> Decimal | None:
        """How far the value is from the threshold, negative where the condition does not hold."""
        if self.value is None or not self.value.is_finite():
            return None
        distance = self.value - self.condition.threshold
        is_lower = self.condition.operator in (Operator.AT_LEAST, Operator.ABOVE)
        return distance if is_lower else -distance


@dataclass(frozen=True, slots=True)
class Way:
    """A way to another decision.

    All conditions of `all_of` must come to hold, and of each list in `one_of` at least one must. `texts` are
    what must change besides features.
    """

    decision: Decision | None
    all_of: tuple[CheckedCondition, ...] = ()
    one_of: tuple[tuple[CheckedCondition, ...], ...] = ()
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of a signal at the time `now`; `state` is None if the signal was deleted.

    `token` and `source` are what its event says now, which may differ from the token of the verdict.
    `blocks` are those of the evidence, None if it was not measured by pull_features, or is gone.
    """

    signal: int
    now: datetime
    state: SignalState | None
    event_key: str | None
    token_ca: str | None
    token: Token | None
    source: TokenSource
    check: LastCheck | None
    verdict: StoredVerdict | None
    upgrade_if: tuple[CheckedCondition, ...]
    downgrade_if: tuple[CheckedCondition, ...]
    ways: tuple[Way, ...]
    blocks: BlockSpan | None = None


def explain(
    connection: BaseDatabaseWrapper, signal: int, aliases: Mapping[str, str]
) -> Explanation | None:
    """Return the explanation of the signal's last verdict; None if there is neither signal nor verdict."""
    with connection.cursor() as cursor:
        cursor.execute(_SIGNAL, {"signal": signal})
        now, exists, state, event_key, token_ca, status, *check = cursor.fetchone()
        cursor.execute(_VERDICT, {"signal": signal})
        row = cursor.fetchone()
    if not exists and not row:
        return None
    verdict = _stored_verdict(row) if row else None
    rules = verdict.rules if verdict else None
    token, source = resolve_with_source(event_key, token_ca, aliases)
    return Explanation(
        signal=signal,
        now=now,
        state=SignalState(state) if exists else None,
        event_key=event_key,
        token_ca=token_ca,
        token=token,
        source=source,
        check=_last_check(status, check) if status else None,
        verdict=verdict,
        upgrade_if=_checked(rules.upgrade_if, verdict.features) if verdict and rules else (),
        downgrade_if=_checked(rules.downgrade_if, verdict.features) if verdict and rules else (),
        ways=_ways(verdict) if verdict else (),
        blocks=_blocks(connection, verdict, aliases) if verdict else None,
    )


def read_features(text: str) -> Features:
    """Return stored features with all their digits; NaN and infinity are texts there."""
    stored = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    return {
        feature: None if stored.get(feature.value) is None else Decimal(stored[feature.value])
        for feature in Feature
    }


def other_decisions(rules: Rules, features: Mapping[Feature, Decimal]) -> tuple[Way, ...]:
    """Return the ways from valid features to each other decision that the rules can give."""
    up, down = (_checked(each, features) for each in (rules.upgrade_if, rules.downgrade_if))
    goes_up, goes_down = (all(each.holds for each in checked) for checked in (up, down))
    is_not_down = (_opposites(down),) if goes_down else ()
    is_not_up = (_opposites(up),) if goes_up else ()
    missing_down = tuple(each for each in down if not each.holds)
    missing_up = tuple(each for each in up if not each.holds)
    ways = (
        *((Way(Decision.DOWNGRADE, missing_down),) if not goes_down else ()),
        *((Way(Decision.UPGRADE, missing_up, is_not_down),) if goes_down or not goes_up else ()),
        *((Way(Decision.HOLD, (), is_not_down + is_not_up),) if goes_down or goes_up else ()),
    )
    possible = possible_decisions(rules)
    return tuple(way for way in ways if way.decision in possible)


def _stored_verdict(row: Any) -> StoredVerdict:
    event, created_at, before, after, decision, confidence, note, features, metadata, *rest = row
    sha256, run, text = rest
    known = json.loads(metadata)
    as_of = known.get("as_of")
    chain, address = known.get("chain"), known.get("address")
    return StoredVerdict(
        event=event,
        created_at=created_at,
        previous_state=SignalState(before),
        new_state=SignalState(after),
        decision=Decision(decision),
        confidence=confidence,
        note=Note(note) if note else None,
        named=tuple(known.get("named") or ()),
        features=read_features(features),
        token=Token(chain, address) if chain and address else None,
        window_minutes=known.get("window_minutes") or DECIDING_WINDOW,
        as_of=datetime.fromisoformat(as_of) if as_of else None,
        calc_version=known.get("calc_version"),
        mode=known.get("mode") or "",
        rules_sha256=sha256,
        run=run,
        rules=parse_kept_rules(sha256, text) if text is not None else None,
    )


def parse_kept_rules(sha256: str, text: str) -> Rules | None:
    """Return the rules of a kept text, None if this version of the job does not understand them."""
    try:
        return parse_rules(Path(sha256), text.encode())
    except RulesError:
        return None


def _blocks(
    connection: BaseDatabaseWrapper, verdict: StoredVerdict, aliases: Mapping[str, str]
) -> BlockSpan | None:
    """Return the blocks that the evidence of the verdict rests on, if its measurement is still there."""
    if verdict.token is None or verdict.as_of is None:
        return None
    parameters: dict[str, Any] = {
        "chains": EvidenceReader(aliases).spellings(connection).get(verdict.token.chain, []),
        "address": verdict.token.address,
        "window": verdict.window_minutes,
        "as_of": verdict.as_of,
    }
    with connection.cursor() as cursor:
        cursor.execute(_BLOCKS, parameters)
        row = cursor.fetchone()
    return BlockSpan(*row) if row else None


def _last_check(status: str, row: list[Any]) -> LastCheck:
    next_check_at, updated_at, checks, decision, note, error = row
    return LastCheck(status, next_check_at, updated_at if checks else None, decision, note, error)


def _checked(conditions: Iterable[Condition], features: Features) -> tuple[CheckedCondition, ...]:
    return tuple(CheckedCondition(each, features.get(each.feature)) for each in conditions)


def _opposites(checked: Iterable[CheckedCondition]) -> tuple[CheckedCondition, ...]:
    return tuple(
        CheckedCondition(
            Condition(
                each.condition.feature,
                _OPPOSITE[each.condition.operator],
                each.condition.threshold,
            ),
            each.value,
        )
        for each in checked
    )


def _ways(verdict: StoredVerdict) -> tuple[Way, ...]:
    """Return what would have led to another verdict than the stored one."""
    if verdict.note:
        return (Way(None, texts=tuple(_cures(verdict.note, verdict))),)
    if verdict.rules is None:
        return ()
    features = {name: value for name, value in verdict.features.items() if value is not None}
    return other_decisions(verdict.rules, features)


def _cures(note: Note, verdict: StoredVerdict) -> Iterable[str]:
    minutes = int(MAX_EVIDENCE_AGE.total_seconds() // 60)
    token = f"{verdict.token.chain}:{verdict.token.address}" if verdict.token else "the token"
    if note is Note.UNRESOLVABLE_TOKEN:
        yield "events.token_ca names the token as chain:address"
    elif note is Note.WINDOW_UNSUPPORTED:
        yield f"windows of the rules lists {verdict.window_minutes}"
    elif note in (Note.INSUFFICIENT_EVIDENCE, Note.EVIDENCE_DELAYED, Note.FEATURE_STALE):
        yield (
            f"onchain_features has a row of {token} over {DECIDING_WINDOW} minutes, at most "
            f"{minutes} minutes old"
        )
    for name in verdict.named:
        if note is Note.FEATURE_MISSING and name == Feature.ACTIVE_ADDR_PCTL:
            yield (
                f"{name} is there: the row has addr_active, and the chain has {MIN_PERCENTILE_ROWS} rows "
                "in 7 days"
            )
        elif note is Note.FEATURE_MISSING:
            yield f"{name} is measured"
        elif note is Note.FEATURE_OUT_OF_RANGE:
            low, high = FEATURE_RANGES[Feature(name)]
            yield f"{name} is at least {low}" + (f" and at most {high}" * high.is_finite())
