"""The standard streams of a process whose parent has closed them."""

import os
import sys


def open_closed_streams() -> None:
    """Occupy the numbers of closed streams, so that no file or socket gets them.

    Writing to a standard output that was closed raises OSError afterwards, as any output that nobody takes;
    what would go to a closed standard error is lost.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR if number == 2 else os.O_RDONLY)  # noqa: PLR2004 - stderr
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
