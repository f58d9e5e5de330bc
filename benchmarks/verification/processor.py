"""The processor time that a process has used, which other load of the machine changes less than the clock."""

import os
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


def seconds_of(pid: int) -> float | None:
    """Return the seconds that a process of this machine has used; None if Linux does not tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / _TICKS


def seconds_since(before: float | None, pid: int) -> float | None:
    """Return the seconds that the process has used since it had used `before`."""
    now = seconds_of(pid)
    return None if before is None or now is None else now - before
