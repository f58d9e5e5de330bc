"""Rows of a legacy database as the platform's collectors would have written them, from a seed."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

Row = dict[str, Any]

# Which revision brought which column; ids come from the sequences.
COLUMNS: dict[str, dict[str, tuple[str, ...]]] = {
    "raw_posts": {
        "001": (
            *("source", "author", "text", "ts", "urls", "token_ca", "symbol", "is_candidate"),
            *("sentiment_label", "sentiment_score", "keywords"),
        ),
    },
    "events": {
        "001": (
            *("event_key", "type", "summary", "evidence", "impacted_assets"),
            *("start_ts", "last_ts", "heat_10m", "heat_30m"),
        ),
        "002": ("score",),
        "003": (
            *("symbol", "token_ca", "topic_hash", "time_bucket_start", "evidence_count"),
            *("candidate_score", "keywords_norm", "version"),
            *("last_sentiment", "last_sentiment_score"),
        ),
        "004": (
            *("refined_type", "refined_summary", "refined_impacted_assets", "refined_reasons"),
            *("refined_confidence", "refine_backend", "refine_latency_ms"),
            *("refine_ok", "refine_error", "refine_ts"),
        ),
        "007": ("topic_entities", "evidence_refs"),
    },
    "goplus_cache": {
        "005": (
            *("endpoint", "chain_id", "key", "payload_hash", "resp_json", "status"),
            *("fetched_at", "expires_at", "created_at", "updated_at"),
        ),
    },
    "signals": {
        "001": (
            *("event_key", "market_type", "advice_tag", "confidence", "goplus_risk"),
            *("goplus_tax", "lp_lock_days", "dex_liquidity", "dex_volume_1h", "ts"),
        ),
        "006": ("buy_tax", "sell_tax", "honeypot"),
        "007": (
            *("topic_id", "topic_entities", "topic_keywords", "topic_slope_10m"),
            *("topic_slope_30m", "topic_mention_count", "topic_confidence", "topic_merge_mode"),
            *("topic_sources", "topic_evidence_links"),
        ),
        "008": ("source_level", "features_snapshot"),
        "009": ("heat_slope",),
        "010": ("onchain_asof_ts", "onchain_confidence"),
        "012": ("state",),
    },
    "onchain_features": {
        "010": (
            *("chain", "address", "as_of_ts", "window_minutes", "addr_active", "tx_count"),
            *("growth_ratio", "top10_share", "self_loop_ratio", "calc_version", "created_at"),
        ),
    },
}

EVM_CHAINS = ("ethereum", "bsc", "base", "arbitrum")
CHAINS = (*EVM_CHAINS, "ethereum", "ethereum", "solana", "tron")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_SYLLABLES = ("pe", "do", "ki", "shi", "mo", "on", "gro", "ka", "bo", "ra", "fi", "zu")
_TYPES = ("listing", "airdrop", "exploit", "partnership", "burn", "whale_move", "rumour")
_MARKETS = ("dex", "cex", "onchain", "macro")
_ADVICE = ("watch", "consider", "caution", "opportunity")
_RISKS = ("red", "yellow", "green", "unknown", "gray", None)
_STATES = ("candidate", "verified", "downgraded")
_SOURCES = ("x", "telegram", "discord", "rss")
_WORDS = (
    "liquidity",
    "rug?",
    "100%",
    "moon",
    "“stealth”",
    "鲸鱼",
    "сжигание",
    "dev's",
    "🚀",
    "LP",
    "unlock",
)
_SENTENCES = (
    "{symbol} is up 40% since listing; liquidity doubled",
    "Holders of {symbol} can't sell: 'transfer failed', tax 99%",
    "传闻 {symbol} 将上线交易所 🚀",
    'A wallet moved 3.1% of {symbol} ("treasury?")\nno statement yet',
    "{symbol}: LP locked until 2027, контракт проверен",
    "Path C:\\temp\\{symbol}.csv\tleaked, 50%+ of addresses are new",
)


class Dice(Random):
    """A generator whose draws follow from its seed."""

    def chance(self, share: float) -> bool:
        return self.random() < share


@dataclass(frozen=True, slots=True)
class Token:
    """What posts talk about; an EVM address may be written in any case."""

    symbol: str
    chain: str
    address: str


def fill(target: Any, revision: str, rows: int, seed: int, *, now: datetime | None = None) -> None:
    """Write `rows` signals with events, posts and cache entries, for a database at `revision`.

    The same seed and `now` give the same rows at every revision, as far as it has their columns and
    types. Ages reach from 30 days before `now` (default: the clock) to `now`. On-chain features are
    not written here.
    `target` is a connection or a cursor, psycopg's or Django's; its transaction stays the caller's.
    """
    cursor = target if hasattr(target, "fetchone") else target.cursor()
    now = now or datetime.now(UTC)
    tokens = list(make_tokens(Dice(f"tokens {seed}"), max(12, rows // 50)))
    dice = Dice(f"events {seed}")
    events = [_event(dice, number, tokens, now) for number in range(max(4, rows // 4))]
    makers: dict[str, tuple[int, Callable[[Dice], Row]]] = {
        "raw_posts": (rows // 4, lambda dice: _post(dice, tokens, now)),
        "goplus_cache": (rows // 20, lambda dice: _cached(dice, tokens, now)),
        "signals": (rows, lambda dice: _signal(dice, events, revision, now)),
    }
    write(cursor, "events", revision, events)
    for table, (count, make) in makers.items():
        if min(COLUMNS[table]) <= revision:
            dice = Dice(f"{table} {seed}")
            write(cursor, table, revision, (make(dice) for _ in range(count)))


def write(cursor: Any, table: str, revision: str, rows: Any) -> None:
    """Copy the rows into the table, each with the columns that the table has at `revision`."""
    names = [name for since, new in COLUMNS[table].items() if since <= revision for name in new]
    with cursor.copy(f"COPY {table} ({', '.join(names)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([row[name] for name in names])


def make_tokens(dice: Dice, count: int) -> Iterator[Token]:
    """Tokens on several chains; every chain of CHAINS has some when there are enough."""
    for n in range(count):
        chain = CHAINS[n % len(CHAINS)]
        symbol = "".join(dice.choices(_SYLLABLES, k=dice.randint(2, 3))).upper()
        yield Token(symbol, chain, _address(dice, chain))


def _address(dice: Dice, chain: str) -> str:
    if chain == "solana":
        return "".join(dice.choices(_BASE58, k=44))
    if chain == "tron":
        return "T" + "".join(dice.choices(_BASE58, k=33))
    digits = f"{dice.getrandbits(160):040x}"
    if dice.chance(0.5):
        digits = "".join(dice.choice((c, c.upper())) for c in digits)
    return f"0x{digits}"


def _event(dice: Dice, number: int, tokens: list[Token], now: datetime) -> Row:
    # The tokens take turns, so that each has events however few rows there are.
    token = tokens[number % len(tokens)]
    last = _ago(dice, now, days=30)
    start = last - timedelta(minutes=dice.randint(1, 600))
    bucket = start.replace(minute=start.minute // 10 * 10, second=0, microsecond=0)
    topic = f"t.{dice.getrandbits(48):012x}"
    # Early collectors named an event after its topic, and knew Ethereum only; some found no token.
    resolvable = dice.chance(0.95)
    key = f"{token.chain}:{token.address}:{bucket:%Y%m%d%H%M}.{number}"
    named = token.address if dice.chance(0.8) else None
    if not resolvable:
        key, named = f"{topic}-{number}", None
    elif token.chain == "ethereum" and dice.chance(0.2):
        key, named = f"{topic}-{number}", token.address
    summary = dice.choice(_SENTENCES).format(symbol=token.symbol)
    refined = dice.chance(0.6)
    failed = refined and dice.chance(0.1)
    return {
        "event_key": key,
        "type": dice.choice(_TYPES),
        "summary": summary,
        "evidence": json.dumps(
            [{"source": dice.choice(_SOURCES), "id": dice.getrandbits(40), "quote": summary}]
        ),
        "impacted_assets": [token.symbol, "ETH"] if dice.chance(0.7) else None,
        "start_ts": start,
        "last_ts": last,
        "heat_10m": dice.randint(0, 60),
        "heat_30m": dice.randint(0, 150),
        "score": round(dice.random(), 4),
        "symbol": token.symbol,
        "token_ca": named,
        "topic_hash": topic,
        "time_bucket_start": bucket,
        "evidence_count": dice.randint(1, 9),
        "candidate_score": round(dice.random(), 4),
        "keywords_norm": json.dumps(dice.sample(_WORDS, 3), ensure_ascii=False),
        "version": "v1",
        "last_sentiment": dice.choice(("positive", "negative", "neutral", None)),
        "last_sentiment_score": round(dice.uniform(-1, 1), 3),
        "refined_type": dice.choice(_TYPES) if refined else None,
        "refined_summary": summary.upper() if refined else None,
        "refined_impacted_assets": [token.symbol] if refined else [],
        "refined_reasons": dice.sample(_WORDS, 2) if refined else [],
        "refined_confidence": round(dice.random(), 3) if refined else None,
        "refine_backend": dice.choice(("rules", "llm")) if refined else None,
        "refine_latency_ms": dice.randint(3, 2500) if refined else None,
        "refine_ok": (not failed) if refined else None,
        "refine_error": "timeout after 2500 ms" if failed else None,
        "refine_ts": last if refined else None,
        "topic_entities": [token.symbol.lower(), dice.choice(_WORDS)],
        "evidence_refs": json.dumps({"posts": [dice.randint(1, 999), dice.randint(1, 999)]}),
    }


def _signal(dice: Dice, events: list[Row], revision: str, now: datetime) -> Row:
    event = dice.choice(events)
    entities = event["topic_entities"]
    topical = dice.chance(0.5)
    checked = dice.chance(0.2)
    risk = dice.choice(_RISKS)
    if risk == "gray" and revision < "008":
        risk = "unknown"
    ts = _ago(dice, now, days=30)
    return {
        "event_key": event["event_key"] if dice.chance(0.98) else None,
        "market_type": dice.choice(_MARKETS),
        "advice_tag": dice.choice(_ADVICE),
        "confidence": dice.randint(0, 100),
        "goplus_risk": risk,
        "goplus_tax": round(dice.uniform(0, 12), 2) if dice.chance(0.7) else None,
        "lp_lock_days": dice.choice((None, 0, 30, 180, 365)),
        "dex_liquidity": round(dice.lognormvariate(11, 2), 2),
        "dex_volume_1h": round(dice.lognormvariate(9, 2), 2),
        "ts": ts if dice.chance(0.97) else None,
        "buy_tax": round(dice.uniform(0, 10), 2) if dice.chance(0.6) else None,
        "sell_tax": round(dice.uniform(0, 99), 2) if dice.chance(0.6) else None,
        "honeypot": dice.choice((True, False, False, False, None)),
        "topic_id": event["topic_hash"] if topical else None,
        "topic_entities": entities if topical else None,
        "topic_keywords": dice.sample(_WORDS, 3) if topical else None,
        "topic_slope_10m": round(dice.gauss(0, 2), 4) if topical else None,
        "topic_slope_30m": round(dice.gauss(0, 1), 4) if topical else None,
        "topic_mention_count": dice.randint(1, 400) if topical else None,
        "topic_confidence": round(dice.random(), 3) if topical else None,
        "topic_merge_mode": dice.choice(("normal", "fallback")) if topical else None,
        "topic_sources": dice.sample(_SOURCES, 2) if topical else None,
        "topic_evidence_links": ["https://example.org/p?q=50%25&n='1'"] if topical else None,
        "source_level": dice.choice(("official", "kol", "community", None)),
        "features_snapshot": json.dumps({"score": event["score"], "note": event["summary"]})
        if dice.chance(0.5)
        else None,
        "heat_slope": round(dice.gauss(0, 3), 4) if dice.chance(0.8) else None,
        "onchain_asof_ts": ts if checked else None,
        "onchain_confidence": _confidence(dice, revision) if checked else None,
        "state": dice.choices(_STATES, weights=(8, 1, 1))[0],
    }


def _confidence(dice: Dice, revision: str) -> Decimal | int:
    value = dice.random()
    return round(value) if revision < "011" else Decimal(f"{value:.3f}")


def _post(dice: Dice, tokens: list[Token], now: datetime) -> Row:
    token = dice.choice(tokens)
    return {
        "source": dice.choice(_SOURCES),
        "author": dice.choice(("@degen_o'hara", "whale%watch", "аналитик", None)),
        "text": dice.choice(_SENTENCES).format(symbol=token.symbol),
        "ts": _ago(dice, now, days=30),
        "urls": json.dumps(["https://example.org/?a=%20b"] if dice.chance(0.3) else []),
        "token_ca": token.address if dice.chance(0.4) else None,
        "symbol": token.symbol,
        "is_candidate": dice.chance(0.5),
        "sentiment_label": dice.choice(("positive", "negative", "neutral", None)),
        "sentiment_score": round(dice.uniform(-1, 1), 3),
        "keywords": dice.sample(_WORDS, 2),
    }


def _cached(dice: Dice, tokens: list[Token], now: datetime) -> Row:
    token = dice.choice(tokens)
    fetched = _ago(dice, now, days=2)
    return {
        "endpoint": "token_security",
        "chain_id": token.chain,
        "key": token.address,
        "payload_hash": f"{dice.getrandbits(256):064x}",
        "resp_json": json.dumps({"buy_tax": "0.03", "is_honeypot": dice.choice("01")}),
        "status": dice.choice(("success", "success", "error")),
        "fetched_at": fetched,
        "expires_at": fetched + timedelta(days=1),
        "created_at": fetched,
        "updated_at": fetched,
    }


def _ago(dice: Dice, now: datetime, *, days: int) -> datetime:
    """A moment before `now`; recent ones are the more likely, as in a database that lives."""
    return now - timedelta(seconds=round(days * 86400 * dice.random() ** 3, 3))
