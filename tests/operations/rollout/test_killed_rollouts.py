"""A rollout whose `migrate` is killed at drawn points of both phases, while both releases work.

The ordinary run kills six times, at the same points each time; this kills 54 times at new ones:

    NIGHTLY=1 make test ARGS="tests/operations/rollout"

The seed stands in the names of the tests; KILL_SEED=… draws its points again.
"""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmarks.rollout.releases import running
from tests.operations.rollout.stops import Stops, stopping
from tests.operations.rollout.two_releases import Rollout, assert_no_error

NIGHTLY = "NIGHTLY" in os.environ
KILLS = 3  # of each phase, in one rollout
ROLLOUTS = 9 if NIGHTLY else 1
# The workers of one run draw the same.
DRAWN = os.environ.get("PYTEST_XDIST_TESTRUNUID", secrets.token_hex(4))[:8]
SEED = os.environ.get("KILL_SEED") or (DRAWN if NIGHTLY else "0017")
PHASES = ("expand", "contract")


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase that nobody disturbs: the points that it passes, and the catalog afterwards."""

    points: int
    catalog: list[tuple[Any, ...]]


@pytest.fixture
def undisturbed(new_rollout: Callable[[Path], Rollout], releases: Path) -> dict[str, Phase]:
    rollout, found = new_rollout(releases), {}
    with stopping(rollout.database) as stops:
        for phase in PHASES:
            before = stops.passed()
            rollout.migrate("new", "-v0", "--phase", phase)
            found[phase] = Phase(stops.passed() - before, rollout.catalog())
    return found


@pytest.mark.parametrize("number", range(ROLLOUTS), ids=lambda each: f"KILL_SEED={SEED}, {each}")
def test_killed_anywhere_it_goes_on_and_no_release_meets_an_error(
    undisturbed: dict[str, Phase], rollout: Rollout, number: int
) -> None:
    dice = Random(f"{SEED} {number}")  # noqa: S311 - draws are no secret
    url = rollout.database.url
    with stopping(rollout.database) as stops, running(rollout.folder, "old", url) as old:
        migrate_and_kill(rollout, stops, undisturbed, "expand", dice)
        assert_no_error(old)
        with running(rollout.folder, "new", url) as new:
            assert_no_error(old, new)
            old.stop()
            migrate_and_kill(rollout, stops, undisturbed, "contract", dice)
            assert_no_error(new)


def migrate_and_kill(
    rollout: Rollout, stops: Stops, undisturbed: dict[str, Phase], phase: str, dice: Random
) -> None:
    """Kill the run of the phase several times, begin it again each time, and let the last one end."""
    wanted = undisturbed[phase]
    end = stops.passed() + wanted.points
    for left in range(KILLS, 0, -1):
        passed = stops.passed()
        point = passed + dice.randint(1, max(1, (end - passed) // left))
        with_backend = dice.random() < 1 / 2
        said = f"KILL_SEED={SEED}: {phase}, {point} of {end}, with its backend: {with_backend}"
        print(said)  # noqa: T201 - shown with a failure
        stops.choose(point)
        with rollout.migrating("--phase", phase) as process:
            stops.kill_at(point, process, with_backend=with_backend)
    rollout.migrate("new", "-v0", "--phase", phase)
    assert rollout.catalog() == wanted.catalog
