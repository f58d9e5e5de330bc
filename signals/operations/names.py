"""The names that the library gives: its own, its probe's, and those of what a replacement leaves."""

from django.db.backends.utils import names_digest

NAME = "convergent_migrations"
"""Names the library wherever it is installed: its label, logger, checks, cache and sessions."""

PACKAGE: str = __name__.rpartition(".")[0]
"""The package as it is imported here, which migrations name."""

MAX_NAME_BYTES = 63  # of an object of PostgreSQL

PROBE_TABLE = f"{NAME}_probe"
PROBE = f'"pg_temp"."{PROBE_TABLE}"'


def shortened(name: str) -> str:
    """Return the name if it fits into 63 bytes, else its beginning and a digest; Django counts characters."""
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    digest = names_digest(name, length=8)
    return f"{name.encode()[: MAX_NAME_BYTES - 9].decode(errors='ignore')}_{digest}"


def successor(name: str) -> str:
    """Return the name under which a replacement is built before it takes the name."""
    return shortened(f"{name}_{NAME}_new")


def predecessor(name: str) -> str:
    """Return the name that what was replaced has until it is dropped."""
    return shortened(f"{name}_{NAME}_old")
