"""The figures of the job for Prometheus: as a text file, or at an address that it scrapes."""

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final
from wsgiref.simple_server import WSGIServer

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from prometheus_client import CollectorRegistry, start_http_server, write_to_textfile
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from signals.choices import RunOutcome
from signals.verification.upkeep.backlog import MAX_COUNTED, Backlog
from signals.verification.upkeep.statistics import Statistics, read_statistics

logger = logging.getLogger("signals.verification")

PERIOD: Final = timedelta(hours=1)
"""The time over which runs and checks are counted."""


class JobCollector(Collector):
    """Reads the figures at each scrape; if the database does not answer, signals_up alone is there, as 0."""

    def __init__(self, read: Callable[[], Statistics]) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics."""
        try:
            figures = self._read()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("the metrics cannot be read: %s", error)
            yield _gauge("up", "Whether the database of the job answered.", 0)
            return
        yield _gauge("up", "Whether the database of the job answered.", 1)
        yield from _backlog(figures.backlog)
        yield _gauge(
            "oldest_wait_seconds",
            "How long the signal waits that is due the longest.",
            figures.health.wait.total_seconds(),
        )
        yield _gauge(
            "dead", "Signals that failed too often and are left alone.", figures.health.dead
        )
        if sign := figures.health.last_sign:
            text = "When a run last gave a sign of life, in seconds since 1970."
            yield _gauge("last_run_timestamp_seconds", text, sign.timestamp())
        yield _labelled(
            "checks_last_hour", "Checks of the last hour by result.", "result", figures.checks
        )
        yield _labelled(
            "runs_last_hour",
            "Runs of the last hour by outcome.",
            "outcome",
            {outcome.value: figures.runs.get(outcome, 0) for outcome in RunOutcome},
        )
        yield _labelled(
            "feature_lag_seconds",
            "Age of the newest measurement of a chain.",
            "chain",
            {chain: age.total_seconds() for chain, age in figures.lags.items()},
        )


def _backlog(backlog: Backlog) -> Iterator[GaugeMetricFamily]:
    most = f"{MAX_COUNTED:,}"
    yield _gauge("due", f"Signals whose check is due, above {most} estimated.", backlog.due)
    text = f"Signals that will be checked again, above {most} estimated."
    yield _gauge("waiting", text, backlog.waiting)
    text = f"Signals that a worker has claimed, of the {most} that are due the longest."
    yield _gauge("claimed", text, backlog.claimed)


def write_metrics(file: Path, aliases: Mapping[str, str]) -> None:
    """Write the file for node_exporter's textfile collector; replace it at once, so that no half is read.

    A file that cannot be written is logged, and the job goes on.
    """
    try:
        write_to_textfile(str(file), _registry(aliases, close=False))
    except OSError as error:
        logger.warning("the metrics cannot be written to %s: %s", file, error.strerror)


def serve_metrics(host: str, port: int, aliases: Mapping[str, str]) -> WSGIServer:
    """Serve the metrics in a thread of its own, and return the server; raise OSError if it cannot listen."""
    server, _ = start_http_server(port, host, _registry(aliases, close=True))
    return server


def _registry(aliases: Mapping[str, str], *, close: bool) -> CollectorRegistry:
    """Return a registry of the job alone; `close` closes the connection of the thread after each reading."""

    def read() -> Statistics:
        try:
            return read_statistics(connections[DEFAULT_DB_ALIAS], aliases, PERIOD)
        finally:
            if close:
                connections[DEFAULT_DB_ALIAS].close()

    registry = CollectorRegistry()
    registry.register(JobCollector(read))
    return registry


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"signals_{name}", text, value)


def _labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"signals_{name}", text, labels=[label])
    for each, value in sorted(values.items()):
        family.add_metric([each], value)
    return family
