"""Where the shadow of a database may live: the server of a URL, its own server, or an embedded one."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from ..catalog.databases import DatabaseFacts, database_facts
from ..drift.records import Unreadable
from ..errors import one_line
from ..execution.settings import is_pooled
from ..execution.shadow_database import shadow_database
from .addresses import connection_of_url, place_of
from .embedded import NotStarted, embedded_programs, embedded_server, major_version

_WHEEL = "django-convergent-migrations"

_WITHIN_C = {"datcollate": "C", "datctype": "C", "datlocprovider": "c"}


class NoPlace(Unreadable):
    """There is no server on which the shadow can be made; the text has the three ways to give one."""

    def __init__(self, reasons: list[str], major: int) -> None:
        ways = (
            "--shadow-url with the address of a server of the same version whose role may create databases; "
            "ALTER ROLE … CREATEDB on this server; "
            f"or pip install '{_WHEEL}[embedded]', if that is PostgreSQL {major}"
        )
        text = f"no place for a shadow: {'; '.join(reasons)} (use one of: {ways})"
        super().__init__(text, is_misconfigured=True)


@contextmanager
def shadow_of(
    connection: BaseDatabaseWrapper, judged: str, path: str, url: str = ""
) -> Iterator[BaseDatabaseWrapper]:
    """Yield a connection to an empty database with the alias of this one; drop that database in every case.

    judged: the schema that is judged, which the new database gets. path: its search_path, as SQL. url: names
    a server, if the shadow is not to be on this one.

    Raise NoPlace if no server is to be had, and WrongAddress for a wrong URL.
    """
    major = server_major(connection)
    with ExitStack() as stack:
        if url:
            yield _at_url(stack, connection, judged, path, url)
            return
        reasons: list[str] = []
        for way in (_at_own_server, _at_embedded):
            shadow = way(stack, connection, judged, path, reasons)
            if shadow is not None:
                yield shadow
                return
        raise NoPlace(reasons, major)


def server_major(connection: BaseDatabaseWrapper) -> int:
    """Return the major version of the connection's server."""
    return int(connection.pg_version) // 10_000  # type: ignore[attr-defined] # PostgreSQL's alone


def _at_url(
    stack: ExitStack, connection: BaseDatabaseWrapper, judged: str, path: str, url: str
) -> BaseDatabaseWrapper:
    server = connection_of_url(url, "--shadow-url", connection)
    stack.callback(server.close)
    major, own = server_major(server), server_major(connection)
    if major != own:
        raise NoPlace([f"--shadow-url leads to PostgreSQL {major}, not {own}"], own)
    facts = database_facts(server)
    if not facts.may_create:
        reason = f"the role of --shadow-url may not create databases ({place_of(server)})"
        raise NoPlace([reason], own)
    return stack.enter_context(shadow_database(server, facts, judged, path))


def _at_own_server(
    stack: ExitStack, connection: BaseDatabaseWrapper, judged: str, path: str, reasons: list[str]
) -> BaseDatabaseWrapper | None:
    facts = database_facts(connection)
    if not facts.may_create:
        reasons.append("the role may not create databases here")
    elif is_pooled(connection):
        reasons.append("the connection goes through a pooler, which knows no new database")
    else:
        try:
            return stack.enter_context(shadow_database(connection, facts, judged, path))
        except Error as error:
            reasons.append(f"the server made no database ({one_line(error)})")
    return None


def _at_embedded(
    stack: ExitStack, connection: BaseDatabaseWrapper, judged: str, path: str, reasons: list[str]
) -> BaseDatabaseWrapper | None:
    programs = embedded_programs()
    if programs is None:
        reasons.append("the extra embedded is not installed")
        return None
    major, own = major_version(programs), server_major(connection)
    if major != own:
        what = f"is {major}, and the server {own}" if major else "cannot be run"
        reasons.append(f"the embedded PostgreSQL {what}")
        return None
    try:
        folder = stack.enter_context(embedded_server(programs))
    except NotStarted as error:
        reasons.append(f"the embedded PostgreSQL was not started: {error}")
        return None
    url = f"postgresql://postgres@/postgres?host={folder}"
    server = connection_of_url(url, "the address", connection)
    stack.callback(server.close)
    facts = DatabaseFacts("UTF8", may_create=True, locale=_WITHIN_C)
    return stack.enter_context(shadow_database(server, facts, judged, path))
