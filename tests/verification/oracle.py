"""The contract of the job once more, without any of its code: fractions for numbers, plain loops for SQL.

Times are microseconds from a moment that the caller chooses; infinite ones are floats.
"""

import operator
import re
import string
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

SECOND = 10**6
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE
DELAY, TIMEOUT = 180 * SECOND, 720 * SECOND
WINDOW = 60

ALIASES = {
    "eth": "ethereum",
    "mainnet": "ethereum",
    "bnb": "bsc",
    "matic": "polygon",
    "polygon_pos": "polygon",
    "arb": "arbitrum",
    "arbitrum_one": "arbitrum",
    "sol": "solana",
    "mine": "my_chain",  # by the setting that ADDED is
}
ADDED = "mine=my-chain"
EVM_CHAINS = {"ethereum", "bsc", "polygon", "arbitrum", "base", "optimism"}
BASE58 = set(string.ascii_letters + string.digits) - set("0OIl")
OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
WITHOUT_EVIDENCE = ("feature_stale", "insufficient_evidence", "evidence_delayed")

Time = int | float
Token = tuple[str, str]
Condition = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Measurement:
    """A row of onchain_features; numbers are the texts that were stored."""

    id: int
    chain: str
    address: str
    as_of: Time
    window: int
    active: int | None
    growth: str | None
    top10: str | None
    loops: str | None
    version: int


@dataclass(frozen=True, slots=True)
class Given:
    """A signal with its event, before the first run; `is_orphan`: it has no event."""

    id: int
    event_key: str
    token_ca: str | None
    created: Time
    state: str = "candidate"
    as_of: Time | None = None
    confidence: str | None = None
    is_orphan: bool = False


@dataclass(frozen=True, slots=True)
class Opinion:
    """A verdict; `named` are the bad features.

    `evidence` is the time of the measurement that was found, `features` what it says.
    """

    decision: str
    confidence: str
    note: str = ""
    named: tuple[str, ...] = ()
    evidence: Time | None = None
    features: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Expected:
    """What a signal's row and its verdicts are after some runs."""

    state: str
    as_of: Time | None
    confidence: str | None
    events: list[tuple[str, Opinion]] = field(default_factory=list)
    """Each the new state and the verdict."""
    looked: Opinion | None = None
    """The last look, whether it added a verdict or not."""


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The rules, as conditions `feature OP number`."""

    windows: Sequence[int]
    upgrade_if: Sequence[Condition]
    downgrade_if: Sequence[Condition]


SHIPPED = RuleBook(
    (30, 60, 180),
    [("active_addr_pctl", ">=", "0.95"), ("growth_ratio", ">=", "2.0")],
    [("top10_share", ">=", "0.70"), ("self_loop_ratio", ">=", "0.20")],
)


def is_evm(address: str) -> bool:
    digits = address[2:]
    return (
        address[:2] in ("0x", "0X") and len(digits) == 40 and set(digits) <= set(string.hexdigits)
    )


def form(address: str) -> str:
    if is_evm(address):
        return "evm"
    return "base58" if 32 <= len(address) <= 44 and set(address) <= BASE58 else "other"


def chain_of(name: str) -> str:
    folded = name.lower().replace("-", "_")
    return ALIASES.get(folded, folded)


def address_of(address: str) -> str:
    return address.lower() if is_evm(address) else address


def named_token(text: str) -> Token | None:
    """Return the token of `chain:address[:…]`; an address that the chain cannot have names none."""
    name, *rest = text.strip().split(":")
    if not rest or not re.fullmatch("[A-Za-z][A-Za-z0-9_-]*", name):
        return None
    if not rest[0] or re.search(r"\s", rest[0]):
        return None
    chain = chain_of(name)
    if chain in EVM_CHAINS and not is_evm(rest[0]):
        return None
    return chain, address_of(rest[0])


def token_of(signal: Given) -> Token | None:
    if signal.is_orphan:
        return None
    contract = (signal.token_ca or "").strip()
    if not contract:
        return named_token(signal.event_key)
    if ":" in contract:
        return named_token(contract)
    if re.search(r"\s", contract):
        return None
    key = signal.event_key.split(":")
    if len(key) > 1 and re.fullmatch("[A-Za-z][A-Za-z0-9_-]*", key[0]) and key[1]:
        chain = chain_of(key[0])
        known = "evm" if chain in EVM_CHAINS else "base58" if chain == "solana" else form(key[1])
        is_named = contract == key[1] and chain not in EVM_CHAINS
        if form(contract) == known or is_named:
            return chain, address_of(contract)
    return ("ethereum", contract.lower()) if is_evm(contract) else None


class Oracle:
    """What the measurements say at a moment, by the rules."""

    def __init__(self, rules: RuleBook) -> None:
        self.rules = rules
        self._by_token: dict[Token, list[Measurement]] = defaultdict(list)
        self._by_chain: dict[str, list[Measurement]] = defaultdict(list)
        self._populations: dict[tuple[str, int], list[int]] = {}

    def learn(self, measurements: Iterable[Measurement]) -> None:
        self._populations.clear()
        for each in measurements:
            if each.window == WINDOW:
                chain = chain_of(each.chain)
                self._by_token[chain, address_of(each.address)].append(each)
                self._by_chain[chain].append(each)

    def newest(self, token: Token, now: int) -> Measurement | None:
        found = [each for each in self._by_token.get(token, ()) if is_recent(each, now)]
        return max(found, key=lambda each: (each.as_of, each.id), default=None)

    def percentile(self, chain: str, value: int | None, now: int) -> Fraction | None:
        if (chain, now) not in self._populations:
            self._populations[chain, now] = sorted(
                each.active
                for each in self._by_chain[chain]
                if each.active is not None and is_recent(each, now)
            )
        population = self._populations[chain, now]
        if value is None or len(population) < 200:
            return None
        below, up_to = bisect_left(population, value), bisect_right(population, value)
        return Fraction(below + up_to, 2 * len(population))

    def look(self, signal: Given, now: int) -> Opinion:
        token = token_of(signal)
        if token is None:
            return Opinion("insufficient", "0.000", "unresolvable_token")
        found = self.newest(token, now)
        if found is None:
            late = now - signal.created > TIMEOUT
            note = "evidence_delayed" if late else "insufficient_evidence"
            return Opinion("insufficient", "0.000", note)
        features = self.features(token[0], found, now)
        opinion = self.judge(features)
        if now - found.as_of > 90 * MINUTE:
            opinion = Opinion("insufficient", "0.000", "feature_stale")
        return replace(opinion, evidence=found.as_of, features=features)

    def features(self, chain: str, found: Measurement, now: int) -> Mapping[str, Any]:
        """Return numbers as fractions, None if missing, and a float if not finite."""
        growth = number(found.growth)
        if growth is not None and found.version == 1:
            growth += 1
        return {
            "active_addr_pctl": self.percentile(chain, found.active, now),
            "growth_ratio": growth if found.version in (1, 2) else None,
            "top10_share": number(found.top10),
            "self_loop_ratio": number(found.loops),
        }

    def judge(self, features: Mapping[str, Any]) -> Opinion:
        rules = self.rules
        asked = {feature for feature, _, _ in (*rules.upgrade_if, *rules.downgrade_if)}
        used = [name for name in features if name in asked]
        if WINDOW not in rules.windows:
            return Opinion("insufficient", "0.000", "window_unsupported")
        if missing := tuple(name for name in used if features[name] is None):
            return Opinion("insufficient", "0.000", "feature_missing", missing)
        if outside := tuple(name for name in used if not is_possible(name, features[name])):
            return Opinion("insufficient", "0.000", "feature_out_of_range", outside)
        for decision, conditions in (
            ("downgrade", rules.downgrade_if),
            ("upgrade", rules.upgrade_if),
        ):
            if all(OPERATORS[op](features[name], Fraction(x)) for name, op, x in conditions):
                return Opinion(decision, "1.000")
        return Opinion("hold", "0.500")


def is_recent(measurement: Measurement, now: int) -> bool:
    """Return whether the measurement counts: neither after 2 minutes from now nor before 7 days ago."""
    return now - 7 * DAY <= measurement.as_of <= now + 2 * MINUTE


def number(text: str | None) -> Any:
    if text is None:
        return None
    return float(text) if text.lstrip("-") in ("NaN", "Infinity") else Fraction(text)


def is_possible(feature: str, value: Any) -> bool:
    if isinstance(value, float):
        return False
    return value >= 0 and (feature == "growth_ratio" or value <= 1)


def expect(oracle: Oracle, signal: Given, before: Expected, now: int, *, is_on: bool) -> None:
    """Change `before` to what it is after runs at that moment, until nothing is due any more."""
    if before.state != "candidate" or now - signal.created < DELAY:
        return
    opinion, last = oracle.look(signal, now), before.looked
    if last and last.evidence is not None and opinion.evidence is None:
        return  # what has become stale before is gone now, which is nothing new
    before.looked = opinion
    moves = {"upgrade": "verified", "downgrade": "downgraded"} if is_on else {}
    state = moves.get(opinion.decision, "candidate")
    if opinion.decision != "insufficient":
        assert opinion.evidence is not None
        if before.as_of is not None and opinion.evidence < before.as_of:
            return
        before.as_of, before.confidence = opinion.evidence, opinion.confidence
    before.state = state
    if before.events and state == "candidate":
        _, said = before.events[-1]
        if opinion.note in WITHOUT_EVIDENCE and said.evidence is not None:
            return
        if verdict(opinion) == verdict(said):
            return
    before.events.append((state, opinion))


def verdict(opinion: Opinion) -> tuple[Any, ...]:
    return opinion.decision, opinion.confidence, opinion.note, opinion.named
