"""What a person at a terminal sees of a long pass."""

from time import monotonic
from typing import Any

import pytest

from signals.chain.passing import Progress
from signals.management import pull_progress
from signals.management.pull_progress import PullProgress, progress_text


def test_it_tells_tokens_blocks_logs_rate_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    progress = Progress("ethereum", begun=0.0)
    monkeypatch.setattr("signals.chain.passing.monotonic", lambda: 20.0)
    progress.tokens, progress.pulled, progress.logs = 12, 3, 40_000
    progress.blocks, progress.blocks_left = 100_000, 50_000
    assert progress_text(progress) == (
        "ethereum, 3 of 12 tokens, 50,000 blocks left, 40,000 logs (2,000/s), 10 s left"
    )


@pytest.mark.parametrize(
    ("quiet", "age", "shows"), [(False, 2.0, True), (False, 0.5, False), (True, 2.0, False)]
)
def test_it_is_shown_once_a_pass_is_long(
    quiet: bool, age: float, shows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(
        "signals.management.progress.Display.show", lambda _, *what: shown.append(what)
    )
    monkeypatch.setattr(pull_progress, "progress_text", lambda _: "so far")
    progress = Progress("ethereum", blocks=1, blocks_left=3, begun=monotonic() - age)
    with PullProgress(quiet=quiet) as bar:
        bar.advance(progress)
    assert shown == ([("so far", 0.25)] if shows else [])
