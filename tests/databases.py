"""New databases on the server that the tests run on."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlencode

import psycopg
from django.db import connection
from psycopg import sql


@contextmanager
def new_database() -> Iterator[str]:
    """The DATABASE_URL of an empty database; it is dropped in the end, whoever is still in it."""
    params = connection.get_connection_params()
    address = {name: str(params[name]) for name in ("host", "port") if params.get(name)}
    # libpq takes a plus sign for itself, not for a space.
    place = urlencode(address, quote_via=quote)
    user = quote(str(params.get("user", "")), safe="")
    if params.get("password"):
        user += ":" + quote(str(params["password"]), safe="")
    name = f"test_new_{secrets.token_hex(4)}"

    def url(database: str) -> str:
        return f"postgresql://{user}@/{database}?{place}"

    identifier = sql.Identifier(name)
    with psycopg.connect(url("postgres"), autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(identifier))
        try:
            yield url(name)
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))
