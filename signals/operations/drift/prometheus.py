"""The findings of `verify_schema` as a file for the textfile collector of Prometheus' node_exporter."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import connections

from ..findings import Status
from ..names import NAME
from .rows import Survey
from .schemas import Schemas

_HELP = {
    "components": "Components that the applied migrations declare, by their status in the database.",
    "findings": "Components that are not as declared.",
    "findings_of_kind": "Components that are not as declared, by their kind, as table or trigger.",
    "clean": "Whether there is no finding.",
    "accepted": "Findings that the file of accepted findings takes out until a day.",
    "stale_accepted": "Entries of that file that are over, or that no finding meets.",
    "schemas": "Schemas that were surveyed together, by the pattern of their names.",
    "applied_migrations": "Migrations that the database has recorded as applied.",
    "run_success": "Whether the last run could read and judge the database.",
    "run_timestamp_seconds": "When the last run ended, in seconds since 1970.",
    "run_duration_seconds": "How long the last run took, with its repair if there was one.",
}

Sample = tuple[str, Mapping[str, str], float]


@dataclass(frozen=True, slots=True)
class ReadAttempt:
    """Whether the command could read a database, when and for how long.

    ended: when the run ended, in seconds since 1970.
    seconds: its duration.
    """

    success: bool
    ended: float
    seconds: float


@dataclass(slots=True)
class Textfile:
    """Collects the findings of a run of the command, and returns them in the text format of Prometheus.

    A database that the run never reached counts as not read.
    """

    strict: bool = False
    surveys: list[Survey | Schemas] = field(default_factory=list)
    runs: dict[str, ReadAttempt] = field(default_factory=dict)

    def expecting(self, aliases: Sequence[str]) -> Sequence[str]:
        """Return the aliases, and count their PostgreSQL databases as not read until they are."""
        servers = [each for each in aliases if connections[each].vendor == "postgresql"]
        self.runs = {
            alias: ReadAttempt(success=False, ended=time.time(), seconds=0.0) for alias in servers
        }
        return aliases

    @contextmanager
    def reading(self, alias: str) -> Iterator[None]:
        """Record whether, and for how long, the block read the database.

        A database without a survey and without an error was left out, and gets no samples.
        """
        began = time.monotonic()
        is_read = False
        try:
            yield
            is_read = True
        finally:
            self.runs[alias] = ReadAttempt(is_read, time.time(), time.monotonic() - began)
            if is_read and all(each.database != alias for each in self.surveys):
                del self.runs[alias]

    def __str__(self) -> str:
        """Return the text format of Prometheus: HELP and TYPE of each metric, then its samples."""
        samples = [*self._of_runs(), *self._of_surveys()]
        lines = []
        for name, text in _HELP.items():
            full = f"{NAME}_{name}"
            lines += [f"# HELP {full} {text}", f"# TYPE {full} gauge"]
            lines += [
                f"{full}{{{_labels(labels)}}} {value:.15g}"
                for each, labels, value in samples
                if each == name
            ]
        return "\n".join([*lines, ""])

    def _surveys(self) -> Iterator[Survey]:
        for each in self.surveys:
            yield from each.surveys if isinstance(each, Schemas) else (each,)

    def _of_runs(self) -> Iterator[Sample]:
        groups = [each for each in self.surveys if isinstance(each, Schemas)]
        partly = {each.database for each in groups if each.unreadable}
        partly |= {each.database for each in self._surveys() if each.unjudged}
        for alias, run in self.runs.items():
            labels = {"database": alias}
            yield "run_success", labels, run.success and alias not in partly
            yield "run_timestamp_seconds", labels, round(run.ended, 3)
            yield "run_duration_seconds", labels, round(run.seconds, 3)

    def _of_surveys(self) -> Iterator[Sample]:
        for survey in self.surveys:
            if isinstance(survey, Schemas):
                yield from self._of_schemas(survey)
                continue
            counts = Counter(row.finding.status for row in survey.rows)
            labels = {"database": survey.database, "schema": survey.schema}
            yield from _of_components(labels, counts)
            yield from self._of_findings(labels, [survey])
            yield from self._of_kinds(labels, [survey])
            yield "stale_accepted", labels, len(survey.stale)
            yield "applied_migrations", labels, survey.migrations

    def _of_schemas(self, schemas: Schemas) -> Iterator[Sample]:
        """Yield the samples of all schemas under their pattern, then those of each schema with findings."""
        labels = {"database": schemas.database, "schema": schemas.pattern}
        yield from _of_components(labels, schemas.counts)
        yield from self._of_findings(labels, schemas.surveys)
        yield from self._of_kinds(labels, schemas.surveys)
        yield "stale_accepted", labels, len(schemas.stale)
        yield "schemas", labels, len(schemas.names)
        for survey in schemas.surveys:
            # A series that occurs twice makes node_exporter reject the file.
            is_duplicate = survey.schema == schemas.pattern
            if not is_duplicate and not survey.is_clean(strict=self.strict):
                yield from self._of_findings({**labels, "schema": survey.schema}, [survey])

    def _of_findings(
        self, labels: Mapping[str, str], surveys: Sequence[Survey]
    ) -> Iterator[Sample]:
        findings = sum(row.is_wrong(strict=self.strict) for each in surveys for row in each.rows)
        yield "findings", labels, findings
        yield "clean", labels, all(each.is_clean(strict=self.strict) for each in surveys)
        yield "accepted", labels, sum(bool(row.accepted) for each in surveys for row in each.rows)

    def _of_kinds(self, labels: Mapping[str, str], surveys: Sequence[Survey]) -> Iterator[Sample]:
        """Yield the number of findings of each kind of which there is a component."""
        rows = [row for each in surveys for row in each.rows]
        counts = Counter({row.finding.component: 0 for row in rows})
        counts.update(row.finding.component for row in rows if row.is_wrong(strict=self.strict))
        for kind, number in sorted(counts.items()):
            yield "findings_of_kind", {**labels, "kind": kind}, number


def _of_components(labels: Mapping[str, str], counts: Counter[Status]) -> Iterator[Sample]:
    for status in Status:
        yield "components", {**labels, "status": status.name.lower()}, counts[status]


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
