"""Formats log records: a line of text, or of JSON if LOG_FORMAT says so."""

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final

_STANDARD: Final = {
    *vars(logging.makeLogRecord({})),
    "message",
    "asctime",
}


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object: time, level, logger, message, and the fields of `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object on one line."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)
