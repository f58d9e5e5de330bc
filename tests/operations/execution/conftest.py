"""What the operations say while they run: the log, and the lines on stderr."""

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from signals.operations.execution import progress
from tests.operations.log_listeners import LoggedLines
from tests.postgres.polling import wait_until


class ShownLines:
    """What has come to stdout and stderr so far."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self.capture, self.text, self.out = capture, "", ""

    def read(self) -> str:
        out, err = self.capture.readouterr()
        self.text, self.out = self.text + err, self.out + out
        return self.text

    def until(self, pattern: str) -> None:
        try:
            wait_until(lambda: re.search(pattern, self.read()), f"shown: {pattern}")
        except AssertionError as error:
            raise AssertionError(f"{error}, but {self.text}") from None


@pytest.fixture
def logged_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoggedLines]:
    logger, lines = logging.getLogger("convergent_migrations"), LoggedLines()
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    logger.manager._clear_cache()  # type: ignore[attr-defined]
    logger.addHandler(lines)
    yield lines
    logger.removeHandler(lines)
    monkeypatch.undo()
    logger.manager._clear_cache()  # type: ignore[attr-defined]


@pytest.fixture
def shown_lines(capsys: pytest.CaptureFixture[str]) -> ShownLines:
    return ShownLines(capsys)


@pytest.fixture
def steps_are_long_soon(short_waits: None, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Watch steps, and show their progress, after a tenth of a second."""
    monkeypatch.setattr(progress, "LONG_STEP", 0.1)
    settings.CONVERGENT_MIGRATIONS = {**settings.CONVERGENT_MIGRATIONS, "PROGRESS_INTERVAL": 0.2}
