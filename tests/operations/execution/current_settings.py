"""Read the settings of the session that the operations may change."""

from tests.operations import scratch_schema

SETTINGS = (
    "lock_timeout",
    "statement_timeout",
    "transaction_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "client_connection_check_interval",
    "application_name",
    "search_path",
)


def current_settings() -> dict[str, str]:
    """Each that this server knows."""
    known = "SELECT name FROM pg_catalog.pg_settings WHERE name = ANY(%s)"
    return {
        name: scratch_schema.value(f"SHOW {name}")
        for (name,) in scratch_schema.rows(known, [list(SETTINGS)])
    }
