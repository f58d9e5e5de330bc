"""The headings of the fields on pages, with their units, where the column's name does not say it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from django.db.models import Model

from signals.chain_models import ChainCursor, ChainState
from signals.models import OnchainFeature, SignalEvent

_HEADINGS: Final = MappingProxyType(
    {
        "ts": "Signal time",
        "id": "Number",
        "created_at": "Arrived",
        "updated_at": "Last written",
        "start_ts": "First post",
        "last_ts": "Last post",
        "time_bucket_start": "Start of its time bucket",
        "refine_ts": "Refined",
        "as_of_ts": "End of the window",
        "as_of": "Evidence of",
        "onchain_asof_ts": "Evidence of",
        "onchain_confidence": "Confidence of the verdict (0 to 1)",
        "confidence": "Confidence",
        "goplus_risk": "GoPlus risk",
        "goplus_tax": "GoPlus tax",
        "lp_lock_days": "Liquidity locked (days)",
        "dex_liquidity": "DEX liquidity (USD)",
        "dex_volume_1h": "DEX volume of an hour (USD)",
        "topic_id": "Topic",
        "topic_slope_10m": "Topic slope of 10 min",
        "topic_slope_30m": "Topic slope of 30 min",
        "topic_mention_count": "Topic mentions",
        "heat_10m": "Heat of 10 min",
        "heat_30m": "Heat of 30 min",
        "event_key": "Event key",
        "token_ca": "Token address",
        "topic_hash": "Topic",
        "keywords_norm": "Keywords",
        "evidence_count": "Posts as evidence",
        "refine_ok": "Refined well",
        "refine_latency_ms": "Time to refine (ms)",
        "refine_backend": "Refined by",
        "window_minutes": "Window (minutes)",
        "addr_active": "Active addresses",
        "tx_count": "Transactions",
        "growth_ratio": "Growth, as stored",
        "top10_share": "Top-10 share (0 to 1)",
        "self_loop_ratio": "Self-loop ratio (0 to 1)",
        "calc_version": "Version of the collector",
        "from_block": "First block",
        "to_block": "Last block",
        "block_hash": "Hash of the last block",
        "next_check_at": "Next check",
        "leased_until": "Claimed until",
        "rules_sha256": "Rules (SHA-256)",
        "margin": "Margin to the threshold (1: as much again)",
        "withheld": "Withheld while rules are off",
        "checks": "Checks so far",
        "attempts": "Failed checks in a row",
    }
)
_OF_MODELS: Final[Mapping[type[Model], Mapping[str, str]]] = MappingProxyType(
    {
        SignalEvent: {"created_at": "When", "confidence": "Confidence (0 to 1)"},
        OnchainFeature: {"created_at": "Stored"},
        ChainCursor: {
            "first_block": "History begins at block",
            "block": "Read up to block",
            "block_at": "Time of that block",
            "kept_from": "Transfers kept from block",
            "wanted_at": "Wanted by a signal",
            "pulled_at": "Read to the end",
            "attempts": "Failed pulls in a row",
            "retry_at": "Tried again",
        },
        ChainState: {
            "head": "Newest block",
            "head_at": "Time of the newest block",
            "confirmed": "Newest confirmed block",
            "confirmed_at": "Time of that block",
            "heartbeat_at": "Last sign of life",
            "passed_at": "Last whole pass",
        },
    }
)


def headings(model: type[Model]) -> dict[str, str]:
    """Return the headings of the model's fields that are not named after their column."""
    return {**_HEADINGS, **_OF_MODELS.get(model, {})}
