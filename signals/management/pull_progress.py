"""The bar of a long pass of pull_features on a terminal."""

import logging
from contextlib import suppress

from signals.chain.passing import Progress
from signals.management.progress import LoggedDisplay
from signals.operations.execution.progress import LONG_STEP

logger = logging.getLogger("signals.chain")


class PullProgress(LoggedDisplay):
    """Shows on stderr how far a pass is on a chain, once it has taken longer than LONG_STEP seconds."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__("pull_features", logger)
        self._quiet = quiet

    def advance(self, progress: Progress) -> None:
        """Show how far the pass is."""
        if self._quiet or progress.seconds < LONG_STEP:
            return
        with self.lock, suppress(OSError):  # a terminal that is gone ends no pass
            self.display().show(progress_text(progress), _share(progress))


def progress_text(progress: Progress) -> str:
    """Return tokens, blocks, logs, their rate, and the time left for the tokens that are being read."""
    parts = [
        progress.chain,
        f"{progress.pulled} of {progress.tokens} tokens",
        f"{progress.blocks_left:,} blocks left",
        f"{progress.logs:,} logs ({progress.logs / progress.seconds:,.0f}/s)",
    ]
    if progress.blocks and progress.blocks_left:
        left = progress.blocks_left * progress.seconds / progress.blocks
        parts.append(f"{left:,.0f} s left")
    return ", ".join(parts)


def _share(progress: Progress) -> float | None:
    whole = progress.blocks + progress.blocks_left
    return progress.blocks / whole if whole else None
