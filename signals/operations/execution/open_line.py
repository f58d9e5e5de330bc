"""The line that `migrate` has begun with "Applying ..." and will end with its OK."""

import logging
import os
import sys
from typing import Any


class OpenLine(logging.Filter):
    """Ends the line before something else is printed, where both come to the same terminal or log.

    As a filter of the logger it sees each record before this is printed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stream: Any = None

    def begin(self, stream: Any) -> None:
        """Remember that a line was begun on the stream, if that leads to where stderr does."""
        place = _place_of(stream)
        self._stream = stream if place and place == _place_of(sys.stderr) else None

    def end(self) -> None:
        """Forget the line, which was ended."""
        self._stream = None

    def leave(self) -> None:
        """Begin a new line, if one is open."""
        if self._stream is not None:
            self._stream.write("\n")
            self._stream.flush()
            self._stream = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave the line, and let the record pass."""
        self.leave()
        return True


def _place_of(stream: Any) -> tuple[int, int] | None:
    """Return the device and inode of the stream's file; None if it has none."""
    try:
        found = os.fstat(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


open_line = OpenLine()
"""That of this process, in which one `migrate` runs at a time."""
