"""The figures of the job for Prometheus: as a text file, or at an address that it scrapes."""

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar
from wsgiref.simple_server import WSGIServer

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from prometheus_client import CollectorRegistry, start_http_server, write_to_textfile
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from signals.choices import RunOutcome
from signals.verification.upkeep.backlog import MAX_COUNTED, Backlog
from signals.verification.upkeep.statistics import Statistics, read_statistics

logger = logging.getLogger("signals.verification")

PERIOD: Final = timedelta(hours=1)
"""The time over which runs and checks are counted."""

Figures = TypeVar("Figures")


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
            yield gauge("up", "Whether the database of the job answered.", 0)
            return
        yield gauge("up", "Whether the database of the job answered.", 1)
        yield from _backlog(figures.backlog)
        yield gauge(
            "oldest_wait_seconds",
            "How long the signal waits that is due the longest.",
            figures.health.wait.total_seconds(),
        )
        yield gauge(
            "dead", "Signals that failed too often and are left alone.", figures.health.dead
        )
        if sign := figures.health.last_sign:
            text = "When a run last gave a sign of life, in seconds since 1970."
            yield gauge("last_run_timestamp_seconds", text, sign.timestamp())
        yield labelled(
            "checks_last_hour", "Checks of the last hour by result.", "result", figures.checks
        )
        yield labelled(
            "runs_last_hour",
            "Runs of the last hour by outcome.",
            "outcome",
            {outcome.value: figures.runs.get(outcome, 0) for outcome in RunOutcome},
        )
        yield labelled(
            "feature_lag_seconds",
            "Age of the newest measurement of a chain.",
            "chain",
            {chain: age.total_seconds() for chain, age in figures.lags.items()},
        )


def _backlog(backlog: Backlog) -> Iterator[GaugeMetricFamily]:
    most = f"{MAX_COUNTED:,}"
    yield gauge("due", f"Signals whose check is due, above {most} estimated.", backlog.due)
    text = f"Signals that will be checked again, above {most} estimated."
    yield gauge("waiting", text, backlog.waiting)
    text = f"Signals that a worker has claimed, of the {most} that are due the longest."
    yield gauge("claimed", text, backlog.claimed)


def write_metrics(file: Path, aliases: Mapping[str, str]) -> None:
    """Write the figures of the job to the file; see write_collector()."""
    write_collector(file, JobCollector(_reader(aliases, close=False)))


def serve_metrics(host: str, port: int, aliases: Mapping[str, str]) -> WSGIServer:
    """Serve the figures of the job; see serve_collector()."""
    return serve_collector(host, port, JobCollector(_reader(aliases, close=True)))


def write_collector(file: Path, collector: Collector) -> None:
    """Write the file for node_exporter's textfile collector; replace it at once, so that no half is read.

    A file that cannot be written is logged, and the job goes on.
    """
    try:
        write_to_textfile(str(file), _registry(collector))
    except OSError as error:
        logger.warning("the metrics cannot be written to %s: %s", file, error.strerror)


def serve_collector(host: str, port: int, collector: Collector) -> WSGIServer:
    """Serve the metrics in a thread of its own, and return the server; raise OSError if it cannot listen."""
    server, _ = start_http_server(port, host, _registry(collector))
    return server


def _registry(collector: Collector) -> CollectorRegistry:
    """Return a registry of this collector alone."""
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


def _reader(aliases: Mapping[str, str], *, close: bool) -> Callable[[], Statistics]:
    return reader(lambda session: read_statistics(session, aliases, PERIOD), close=close)


def reader(read: Callable[[BaseDatabaseWrapper], Figures], *, close: bool) -> Callable[[], Figures]:
    """Return a function that reads figures; `close` closes the thread's connection after each reading."""

    def read_once() -> Figures:
        try:
            return read(connections[DEFAULT_DB_ALIAS])
        finally:
            if close:
                connections[DEFAULT_DB_ALIAS].close()

    return read_once


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    """Return a metric of one value."""
    return GaugeMetricFamily(f"signals_{name}", text, value)


def labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    """Return a metric of a value for each label."""
    family = GaugeMetricFamily(f"signals_{name}", text, labels=[label])
    for each, value in sorted(values.items()):
        family.add_metric([each], value)
    return family
