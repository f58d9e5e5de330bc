"""What the image does, done here with its files, its commands and the variables of compose."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.deadline import DEADLINE

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "infra/Dockerfile").read_text()
ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "DEBUG": "off",
    "ALLOWED_HOSTS": "signals.example.org",
    "SECRET_KEY": "k" * 50,
    "DATABASE_URL": "postgresql://signals@db.invalid:5432/signals",
    "PYTHONDONTWRITEBYTECODE": "1",
}
TLS = {"X-Forwarded-Proto": "https"}  # as the proxy says it


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """/srv of the image, with the static files collected by the Dockerfile's own command."""
    folder = tmp_path_factory.mktemp("srv")
    for path in ("manage.py", "infra/healthcheck.py"):
        shutil.copy(ROOT / path, folder)
    left_out = shutil.ignore_patterns("__pycache__", "demo")
    for path in ("project", "signals"):
        shutil.copytree(ROOT / path, folder / path, ignore=left_out)
    (collect,) = re.findall(
        r"^RUN SECRET_KEY=\S+ (python manage\.py .*)$", DOCKERFILE, re.MULTILINE
    )
    environment = {**ENVIRONMENT, "SECRET_KEY": "for-this-step-only"}
    del environment["ALLOWED_HOSTS"], environment["DATABASE_URL"]
    subprocess.run(collect.split(), cwd=folder, env=environment, check=True, capture_output=True)
    return folder


@pytest.fixture
def port(files: Path, tmp_path: Path) -> Iterator[int]:
    """The api, started by the image's CMD on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (text,) = re.findall(r"^CMD (\[.*?\])$", DOCKERFILE, re.MULTILINE | re.DOTALL)
    command = [
        {"0.0.0.0:8000": f"127.0.0.1:{port}", "/dev/shm": str(tmp_path)}.get(word, word)  # noqa: S108 - replaced
        for word in json.loads(text.replace("\\\n", ""))
    ]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=files, env=ENVIRONMENT, stdout=output, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + DEADLINE
        while healthcheck(files, port) != 0:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
        yield port
        process.terminate()
        assert process.wait(timeout=DEADLINE) == 0, log.read_text()


def healthcheck(files: Path, port: int) -> int:
    command = [sys.executable, "healthcheck.py", str(port)]
    return subprocess.run(
        command, cwd=files, env=ENVIRONMENT, stderr=subprocess.DEVNULL, check=False
    ).returncode


def get(port: int, path: str, headers: Mapping[str, str] = MappingProxyType({})) -> tuple[int, str]:
    """The status of the answer, and its text or the place that it redirects to."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection.request("GET", path, headers={"Host": "signals.example.org", **headers})
    with closing(connection), connection.getresponse() as response:
        return response.status, response.getheader("Location") or response.read().decode()


def test_the_api_answers_and_serves_its_own_static_files(files: Path, port: int) -> None:
    status, page = get(port, "/admin/login/", TLS)
    assert status == 200
    (style,) = re.findall(r'href="(/static/admin/css/base\.[0-9a-f]+\.css)"', page)
    assert get(port, style, TLS)[0] == 200


def test_a_browser_that_came_without_tls_is_sent_to_https(port: int) -> None:
    assert get(port, "/admin/login/") == (301, "https://signals.example.org/admin/login/")


def test_the_healthcheck_says_when_nobody_answers(files: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    assert healthcheck(files, free) == 1


def test_the_image_does_not_run_as_root_and_leaves_the_demo_out() -> None:
    assert re.search(r"^USER signals$", DOCKERFILE, re.MULTILINE)
    ignored = (ROOT / "infra/Dockerfile.dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    assert "project/demo" in ignored
