"""The options of verify_schema that judge a database by another one, and what they ask for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.backends.base.base import BaseDatabaseWrapper

from ..drift.records import Unreadable, judged_migrations, readable_records
from ..drift.rows import Survey
from ..shadow.addresses import WrongAddress
from ..shadow.judging import (
    Replayed,
    ShadowRequest,
    judged_by_other,
    judged_by_shadow,
    of_app,
    other_database,
    replayed,
)
from .arguments import ExitCode

_BY_ANOTHER = ("shadow", "against", "fingerprint")
_OF_SHADOW = ("shadow_url", "shadow_fresh")
_NOT_WITH = ("schemas", "app_label")  # an app or schemas may be judged by their shadows alone


def add_shadow_arguments(parser: CommandParser) -> None:
    """Add the options --shadow, --against, --fingerprint and those that go with them."""
    parser.add_argument(
        "--shadow",
        action="store_true",
        help="replay the recorded migrations into an empty database, and compare all objects with it",
    )
    parser.add_argument(
        "--shadow-url",
        default="",
        metavar="URL",
        help="the server for the shadow, by default that of the database, or an embedded PostgreSQL",
    )
    parser.add_argument(
        "--shadow-fresh", action="store_true", help="replay though the last replay is kept"
    )
    parser.add_argument(
        "--shadow-ignore",
        action="append",
        default=[],
        metavar="PATTERN",
        help="leave out differences whose kind and name match, as 'trigger audit_*'; may be repeated",
    )
    parser.add_argument(
        "--with-grants", action="store_true", help="compare privileges and default privileges too"
    )
    parser.add_argument(
        "--against",
        default="",
        metavar="DATABASE",
        help="judge by another database, an alias or a URL, in the place of the migrations",
    )
    parser.add_argument(
        "--fingerprint",
        action="store_true",
        help="print one hash of the schema, which is equal where the schema is",
    )


def refuse_shadow_contradictions(options: dict[str, Any]) -> None:
    """Raise CommandError for options of a comparison with another database that do not go together."""
    asked = [name for name in _BY_ANOTHER if options[name]]
    if len(asked) > 1:
        _refuse(f"{' and '.join(map(_word, asked))} exclude each other")
    for name in _OF_SHADOW:
        if options[name] and not options["shadow"]:
            _refuse(f"{_word(name)} goes with --shadow")
    if options["shadow_ignore"] and not (options["shadow"] or options["against"]):
        _refuse("--shadow-ignore goes with --shadow or --against")
    if options["with_grants"] and not asked:
        _refuse("--with-grants goes with --shadow, --against or --fingerprint")
    if options["shadow"] and options["migration_name"]:
        _refuse(
            "--shadow judges what all migrations make, and not one migration (name the app alone)"
        )
    for name in _NOT_WITH:
        if asked and not options["shadow"] and options[name]:
            what = "an app" if name == "app_label" else _word(name)
            _refuse(f"{_word(asked[0])} judges one whole schema, and not {what}")
    if options["fingerprint"] and (options["repair"] or options["sql"]):
        _refuse("--fingerprint judges nothing that could be repaired")


class JudgedByAnother:
    """Surveys a database by what the options name; a wrong URL is a CommandError.

    The shadow is replayed once for all schemas in which the same migrations are recorded, however often they
    are surveyed.
    """

    def __init__(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> None:
        self._connection = connection
        self._against: str = options["against"]
        self._request = ShadowRequest(
            url=options["shadow_url"],
            fresh=options["shadow_fresh"],
            grants=options["with_grants"],
            ignored=tuple(options["shadow_ignore"]),
        )
        self._app_label: str | None = options["app_label"]
        self._replayed: dict[tuple[tuple[str, str], ...], Replayed] = {}

    def against(self) -> Survey:
        """Return the survey by the other database."""
        with (
            _wrong_address_as_usage(),
            other_database(self._connection, self._against) as other,
        ):
            return judged_by_other(self._connection, other, self._request)

    def shadow(self, ordinary: Survey, connection: BaseDatabaseWrapper | None = None) -> Survey:
        """Return the ordinary survey of all apps with what the shadow shows, or of that the app's rows alone.

        connection: that of a job, which is in the schema of the survey, and takes what was replayed before.
        """
        own = connection or self._connection
        recorded = judged_migrations(own, readable_records(own))
        with _wrong_address_as_usage():
            if recorded not in self._replayed:
                if own is not self._connection:
                    raise Unreadable("migrations were applied meanwhile (run again)")
                # Another schema with the same migrations has the same objects under its own name.
                self._replayed[recorded] = replayed(own, self._request)
            shadow = self._replayed[recorded]
            judged = judged_by_shadow(own, ordinary, shadow, self._request)
        return judged if self._app_label is None else of_app(judged, self._app_label, shadow)


@contextmanager
def _wrong_address_as_usage() -> Iterator[None]:
    try:
        yield
    except WrongAddress as error:
        raise CommandError(str(error), returncode=ExitCode.USAGE) from None


def _word(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _refuse(text: str) -> None:
    raise CommandError(text, returncode=ExitCode.USAGE)
