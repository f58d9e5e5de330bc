"""System checks that report the findings of `verify_schema` in the databases that `check` is given."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's
from django.db import connections

from ..findings import Status
from ..names import NAME

if TYPE_CHECKING:
    from ..drift.rows import Problem, Row, Survey


TAG = NAME

_KINDS: dict[Status, tuple[type[Error | Warning], str, str]] = {
    Status.MISSING: (Error, "E010", "is missing"),
    Status.DIFFERENT: (Error, "E011", "is different"),
    Status.UNFINISHED: (Warning, "W012", "is unfinished"),
    Status.BUILDING: (Warning, "W013", "is being built by another session"),
    Status.LEFTOVER: (Warning, "W014", "was removed by a migration, and still exists"),
    Status.UNDECLARED: (Error, "E019", "is declared by no migration, and refuses rows"),
}
_UNREADABLE, _MISCONFIGURED, _UNSEEN, _STALE, _WITHOUT_SHADOW = (
    f"{TAG}.{number}" for number in ("E015", "E016", "E017", "W018", "W020")
)


@register(TAG, Tags.database, deploy=True)
def check_findings(
    *,
    app_configs: Sequence[AppConfig] | None = None,
    databases: Sequence[str] | None = None,
    **_unused: Any,
) -> list[CheckMessage]:
    """Return E010 to W014 and E019 for the findings, and W018 for stale entries of the accepted ones.

    Return W020 if the setting SHADOW asks for what the shadow shows, and its replay is not kept.
    Return E015 to E017 for what cannot be judged: E015 is an unreadable server, or what cannot be compared
    there, E016 unusable migrations or settings, E017 a database that records no migration.

    The check is a deployment check, because it judges what `migrate` is about to change: `migrate` and the
    test runners never run deployment checks. `check` runs them with `--deploy`, or if it is given this tag.
    Databases that are not PostgreSQL are left out.
    """
    return [
        message
        for alias in databases or ()
        if connections[alias].vendor == "postgresql"
        for message in _of_database(alias, app_configs)
    ]


def _of_database(alias: str, app_configs: Sequence[AppConfig] | None) -> Iterator[CheckMessage]:
    from ..drift.reading import command
    from ..drift.records import NothingRecorded, Unreadable
    from .reading import is_asked_for, read_survey_and_shadow

    labels = [None] if app_configs is None else [each.label for each in app_configs]
    try:
        for label in labels:
            found = read_survey_and_shadow(connections[alias], label)
            yield from (_message(found, row) for row in found.rows if row.is_wrong())
            for line in found.stale:
                text, hint = f"stale accepted finding: {line}", "Correct the file."
                yield Warning(text, hint=hint, obj=alias, id=_STALE)
            yield from map(_of_problem, found.unjudged)
        if labels and is_asked_for() and not found.has_shadow:
            text = "what the migrations' own SQL makes was not judged: no replay of them is kept"
            hint = f"Run {command(alias)} --shadow as the user of this process."
            yield Warning(text, hint=hint, obj=alias, id=_WITHOUT_SHADOW)
    except NothingRecorded as error:
        hint = (
            f"Run migrate --database {alias}, or silence {_UNSEEN} where that is as it should be."
        )
        yield Error(str(error), hint=hint, obj=alias, id=_UNSEEN)
    except Unreadable as error:
        yield _of_problem(error.problem(alias))


def _of_problem(problem: "Problem") -> CheckMessage:
    number = _MISCONFIGURED if problem.is_misconfigured else _UNREADABLE
    fix = problem.fix or "do what the message says, and check again"
    return Error(problem.what, hint=fix[0].upper() + fix[1:], obj=problem.database, id=number)


def _message(survey: "Survey", row: "Row") -> CheckMessage:
    finding = row.finding
    kind, number, what = _KINDS[finding.status]
    facts = [f"{finding.label} {what} {row.progress}".rstrip(), f"schema {survey.schema}"]
    facts += [row.migration] if row.migration else []
    if finding.status in (Status.DIFFERENT, Status.LEFTOVER, Status.UNDECLARED):
        definitions = {"found": finding.found, "wanted": finding.wanted}
        facts += [f"{word}: {fact}" for word, fact in definitions.items() if fact]
    facts += [finding.note] if finding.status is Status.UNFINISHED and finding.note else []
    text = f"{facts[0]} ({'; '.join(facts[1:])})"
    return kind(text, hint=_hint(survey.database, row), obj=survey.database, id=f"{TAG}.{number}")


def _hint(alias: str, row: "Row") -> str:
    from ..drift.reading import command

    if row.finding.status is Status.BUILDING:
        return "Wait until it is built; then check again."
    if row.is_repairable():
        return f"Run {command(alias)} --repair"
    if row.is_repairable(replacing=True):
        return f"{row.finding.fix}\nOr run {command(alias)} --repair --replace".lstrip("\n")
    return row.finding.fix or f"See {command(alias)}"
