"""The kinds of action, and what each does to a signal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from signals.choices import SignalEventType


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of action that changes signals.

    `title` names it on buttons, and `permission` is the one on Signal that it needs. `verb` says what happens
    to a number of signals. `condition` is SQL for the chosen signals that it is about.
    """

    type: SignalEventType
    title: str
    permission: str
    verb: str
    condition: str = "true"


RECHECK: Final = Kind(
    SignalEventType.RECHECK, "Verify again now", "reverify_signal", "verified again"
)
OVERRIDE: Final = Kind(
    SignalEventType.OVERRIDE, "Override the state", "override_state", "set by hand"
)
REVIVE: Final = Kind(
    *(SignalEventType.REVIVE, "Revive dead ones", "reverify_signal", "revived", "is_dead")
)
KINDS: Final[Mapping[str, Kind]] = {each.type.value: each for each in (RECHECK, OVERRIDE, REVIVE)}
