"""The names that the library uses: its own, and those of the probe and of a replacement."""

from django.db.backends.utils import names_digest

NAME = "convergent_migrations"
"""The name of the app, its logger, checks, cache and sessions, however the package is imported."""

PACKAGE: str = __name__.rpartition(".")[0]
"""The package's import path here, which migrations contain."""

MAX_NAME_BYTES = 63  # PostgreSQL's NAMEDATALEN - 1

# Characters at which Django or the driver breaks, in names of indexes and constraints, of columns and tables.
IN_NAMES, IN_COLUMNS = '"%', '"%$'

PROBE_TABLE = f"{NAME}_probe"
PROBE = f'"pg_temp"."{PROBE_TABLE}"'


def why_unusable(name: str, forbidden: str) -> str:
    """Return why Django, the driver or psql breaks at a name that has one of the characters; '' if none does.

    None may have a character that ends the line, because Django prints names in comments of a script.
    """
    if any(not each.isprintable() for each in name):
        return "has a character that cannot be printed, as the end of a line is"
    found = next((each for each in name if each in forbidden), "")
    return f"has the character {found}, at which Django breaks" if found else ""


def is_cut(name: str) -> bool:
    """Return whether PostgreSQL would cut the name off."""
    return len(name.encode()) > MAX_NAME_BYTES


def shortened(name: str) -> str:
    """Return the name if it fits into 63 bytes, else its beginning and a digest.

    Django's own shortening counts characters instead of bytes.
    """
    if not is_cut(name):
        return name
    digest = names_digest(name, length=8)
    return f"{name.encode()[: MAX_NAME_BYTES - 9].decode(errors='ignore')}_{digest}"


def successor(name: str) -> str:
    """Return the name under which the replacement for `name` is built."""
    return shortened(f"{name}_{NAME}_new")


def predecessor(name: str) -> str:
    """Return the name that a replaced object has until it is dropped."""
    return shortened(f"{name}_{NAME}_old")
