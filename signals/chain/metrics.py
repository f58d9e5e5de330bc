"""The figures of pull_features for Prometheus, by chain."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta

from django.db import DatabaseError, InterfaceError
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from signals.chain.states import StateOfChain, read_states
from signals.verification.upkeep.metrics import gauge, labelled, reader

logger = logging.getLogger("signals.chain")


class ChainCollector(Collector):
    """Reads the figures at each scrape; if the database does not answer, signals_chain_up alone is there."""

    def __init__(self, read: Callable[[], Sequence[StateOfChain]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        text = "Whether the database of pull_features answered."
        try:
            states = self._read()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("the metrics cannot be read: %s", error)
            yield gauge("chain_up", text, 0)
            return
        yield gauge("chain_up", text, 1)
        for name, text, read in _GAUGES:
            found = {each.chain: read(each) for each in states}
            known = {chain: value for chain, value in found.items() if value is not None}
            yield labelled(f"chain_{name}", text, "chain", known)
        for name, text in _COUNTERS.items():
            counter = CounterMetricFamily(f"signals_chain_{name}", text, labels=["chain"])
            for each in states:
                counter.add_metric([each.chain], getattr(each, name))
            yield counter


def collect_chains(lately: timedelta, *, close: bool) -> ChainCollector:
    """Return the collector; `close` closes the thread's connection after each reading."""
    return ChainCollector(reader(lambda session: read_states(session, lately), close=close))


def _seconds(span: timedelta | None) -> float | None:
    return span.total_seconds() if span is not None else None


_GAUGES: Sequence[tuple[str, str, Callable[[StateOfChain], float | None]]] = (
    ("head_block", "The newest block of the chain.", lambda each: each.head),
    (
        "lag_blocks",
        "Blocks from the token that is furthest behind to the newest block.",
        lambda each: each.lag_blocks,
    ),
    (
        "lag_seconds",
        "Time of the newest block minus that of the token that is furthest behind.",
        lambda each: _seconds(each.lag),
    ),
    ("tokens", "Tokens that signals ask for.", lambda each: each.tokens),
    ("failing_tokens", "Tokens whose last pull failed.", lambda each: each.failing),
    ("failed", "Whether the last pass ended early.", lambda each: float(bool(each.error))),
    (
        "sign_age_seconds",
        "Time since a pass last gave a sign of life.",
        lambda each: _seconds(each.sign_age),
    ),
    (
        "pass_age_seconds",
        "Time since the last complete pass.",
        lambda each: _seconds(each.pass_age),
    ),
)
_COUNTERS: Mapping[str, str] = {
    "logs": "Logs that were read.",
    "requests": "Requests to nodes.",
    "retries": "Requests that were repeated.",
    "reorgs": "Tokens that were rolled back because of a reorg.",
}
