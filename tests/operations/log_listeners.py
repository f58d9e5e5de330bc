"""Listen to what the operations log while they run."""

import logging
from typing import Any, Self

from tests.postgres.polling import wait_until


class LoggedLines(logging.Handler):
    """Keep what the operations log."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        if record.levelno >= logging.WARNING:
            self.warnings.append(record.getMessage())

    def until(self, text: str) -> str:
        def found() -> str:
            return next((line for line in self.lines if text in line), "")

        try:
            return str(wait_until(found, f"logged: {text}"))
        except AssertionError as error:
            raise AssertionError(f"{error}, but {self.lines}") from None


class CallAtWait(logging.Handler):
    """Call back when the operation logs its wait number `after`."""

    def __init__(self, after: int, callback: Any) -> None:
        super().__init__()
        self.after, self.callback, self.lines = after, callback, []  # type: ignore[var-annotated]

    def emit(self, record: logging.LogRecord) -> None:
        if "waiting for" in record.getMessage():
            self.lines.append(record.getMessage())
            if len(self.lines) == self.after:
                self.callback()

    def __enter__(self) -> Self:
        logging.getLogger("convergent_migrations").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("convergent_migrations").removeHandler(self)
