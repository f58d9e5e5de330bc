"""Texts that the server can always send, whatever bytes are stored."""


def readable(expression: str) -> str:
    """Return SQL for a text in which, in a database of encoding SQL_ASCII, other bytes than ASCII are ` ? `.

    Such a database stores any bytes, and refuses to send those that are not valid in the client's encoding.
    No name of a chain and no address has a space within, so what cannot be read is never taken for another.
    """
    return (
        "CASE WHEN pg_catalog.getdatabaseencoding() = 'SQL_ASCII' "
        rf"THEN pg_catalog.regexp_replace({expression}, '[\u0080-\u00ff]', ' ? ', 'g') "
        f"ELSE {expression} END"
    )
