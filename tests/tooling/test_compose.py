"""infra/docker-compose.yml, as the client of this machine renders it, or else as YAML says it."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from tests.deadline import DEADLINE

INFRA = Path(__file__).resolve().parents[2] / "infra"
FILE = INFRA / "docker-compose.yml"
SECRETS = {
    "POSTGRES_PASSWORD": "p@ss/word:%41",
    "SECRET_KEY": "k" * 50,
    "ALLOWED_HOSTS": "signals.example.org",
}
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::([-?])([^}]*))?\}")


class MissingError(Exception):
    """A required variable is not set."""


def client() -> list[str]:
    """The command of a Docker client that has compose; empty where there is none."""
    docker = shutil.which("docker")
    if docker is None:
        return []
    probe = subprocess.run([docker, "compose", "version"], capture_output=True, check=False)
    return [docker, "compose"] if probe.returncode == 0 else []


def render(variables: dict[str, str]) -> dict[str, Any]:
    """The configuration with its variables filled in."""
    return by_client(variables) if client() else by_hand(variables)


def by_client(variables: dict[str, str]) -> dict[str, Any]:
    result = subprocess.run(
        [*client(), "--env-file", os.devnull, "-f", FILE, "config", "--format", "json"],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise MissingError(result.stderr)
    config: dict[str, Any] = json.loads(result.stdout)
    return config


def by_hand(variables: dict[str, str]) -> dict[str, Any]:
    def value(match: re.Match[str]) -> str:
        name, kind, text = match.groups()
        if variables.get(name):
            return variables[name]
        if kind == "?":
            raise MissingError(f"{name}: {text}")
        return text or ""

    def filled(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: filled(child) for key, child in node.items()}
        if isinstance(node, list):
            return [filled(child) for child in node]
        return VARIABLE.sub(value, node) if isinstance(node, str) else node

    config = filled(yaml.safe_load(FILE.read_text()))
    return {key: node for key, node in config.items() if not key.startswith("x-")}


def test_there_are_a_database_an_api_a_worker_and_a_watch() -> None:
    """A client leaves out the puller, which has a profile."""
    services = render(SECRETS)["services"]
    assert set(services) - {"puller"} == {"db", "api", "worker", "schema"}
    assert services["db"]["image"] == "postgres:16"
    assert services["api"]["image"] == services["worker"]["image"]
    assert services["api"]["environment"] == services["worker"]["environment"]


def test_the_application_gets_its_settings_and_changes_no_state_unless_told() -> None:
    environment = render(SECRETS)["services"]["worker"]["environment"]
    assert environment["DATABASE_URL"] == "postgresql://signals@db:5432/signals"
    assert environment["PGPASSWORD"] == SECRETS["POSTGRES_PASSWORD"]
    assert environment["SECRET_KEY"] == SECRETS["SECRET_KEY"]
    assert (environment["DEBUG"], environment["ONCHAIN_RULES"]) == ("off", "off")
    told = render({**SECRETS, "ONCHAIN_RULES": "on"})["services"]["worker"]["environment"]
    assert told["ONCHAIN_RULES"] == "on"


@pytest.mark.parametrize("name", SECRETS)
def test_a_missing_secret_stops_it_by_name(name: str) -> None:
    others = {key: value for key, value in SECRETS.items() if key != name}
    with pytest.raises(MissingError, match=name):
        render(others)


def test_the_application_waits_for_the_database_and_has_no_more_rights_than_it_needs() -> None:
    services = render(SECRETS)["services"]
    for name in ("api", "worker", "schema"):
        service = services[name]
        assert service["depends_on"]["db"]["condition"] == "service_healthy"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    assert "pg_isready" in services["db"]["healthcheck"]["test"]
    assert "ports" not in services["db"]


def test_the_api_listens_for_the_proxy_on_this_host_only() -> None:
    (port,) = render(SECRETS)["services"]["api"]["ports"]
    text = (
        port if isinstance(port, str) else f"{port['host_ip']}:{port['published']}:{port['target']}"
    )
    assert text == "127.0.0.1:8000:8000"


def test_the_worker_watches_for_all_that_is_due() -> None:
    python, manage, name, *words = yaml.safe_load(FILE.read_text())["services"]["worker"]["command"]
    assert (python, manage) == ("python", "manage.py")
    options = load_command_class("signals", name).create_parser(manage, name).parse_args(words)
    assert (options.watch, options.limit, options.json) == (60, None, True)
    assert options.metrics == ("0.0.0.0", 9101)  # noqa: S104 - within the network of compose


def test_the_puller_watches_where_it_is_asked_for_and_alone_knows_the_nodes() -> None:
    services = yaml.safe_load(FILE.read_text())["services"]
    python, manage, name, *words = services["puller"]["command"]
    assert (python, manage, services["puller"]["profiles"]) == ("python", "manage.py", ["pull"])
    options = load_command_class("signals", name).create_parser(manage, name).parse_args(words)
    assert (options.watch, options.json) == (120, True)
    assert options.metrics == ("0.0.0.0", 9102)  # noqa: S104 - within the network of compose
    knowing = {name for name, each in services.items() if "ONCHAIN_RPC_URL" in str(each)}
    assert knowing == {"puller"}
    shared = services["worker"]["environment"].items()
    assert shared <= services["puller"]["environment"].items()


@pytest.mark.parametrize(
    ("service", "command"), [("worker", "verify_signal"), ("puller", "pull_features")]
)
@pytest.mark.parametrize(("ended", "healthy"), [(0, True), (1, True), (4, False), (6, False)])
def test_a_worker_is_healthy_unless_it_is_stuck(
    service: str, command: str, ended: int, healthy: bool
) -> None:
    kind, probe = yaml.safe_load(FILE.read_text())["services"][service]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    check = f"python manage.py {command} --check"
    assert check in probe
    script = probe.replace("$$", "$").replace(check, f"(exit {ended})")
    assert (subprocess.run(["/bin/sh", "-c", script], check=False).returncode == 0) is healthy


def test_the_watch_is_healthy_as_long_as_verify_schema_ends_with_0(tmp_path: Path) -> None:
    service = yaml.safe_load(FILE.read_text())["services"]["schema"]
    code = tmp_path / "exit_code"
    script = service["command"][2].replace("$$", "$").replace("/tmp/exit_code", str(code))  # noqa: S108
    command = "python manage.py verify_schema --prometheus /metrics/schema.prom"
    assert command in script
    kind, *probe = service["healthcheck"]["test"]
    assert (kind, probe[-1]) == ("CMD", "/tmp/exit_code")  # noqa: S108 - the container's own
    script = script.replace("sleep 300", "echo ran; sleep 1")
    for ended, healthy in ((0, 0), (1, 1), (10, 1)):
        shell = ["/bin/sh", "-c", script.replace(command, f"(exit {ended})")]
        with subprocess.Popen(shell, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ran\n"
            assert subprocess.run([*probe[:-1], code], check=False).returncode == healthy
            process.terminate()
            assert process.wait(timeout=DEADLINE) == 0


def test_the_image_is_built_from_files_that_exist() -> None:
    build = yaml.safe_load(FILE.read_text())["services"]["api"]["build"]
    context = (INFRA / build["context"]).resolve()
    dockerfile = (context / build["dockerfile"]).read_text()
    for line in dockerfile.splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            *sources, _ = line.split()[1:]
            assert all((context / source).exists() for source in sources), line


def test_the_documented_commands_name_services_and_commands_that_exist() -> None:
    lines = [
        line
        for line in (INFRA / "README.md").read_text().splitlines()
        if line.startswith("docker compose -f infra/docker-compose.yml run ")
    ]
    for words in map(str.split, lines):
        at = words.index("manage.py")
        assert words[at - 2] in {"api", "worker"}
        assert words[at + 1] in get_commands(), f"{words[at + 1]} is no command of manage.py"
    shown = "\n".join(lines)
    assert "manage.py migrate\n" in shown
    assert "manage.py verify_schema signals 0012\n" in shown
    assert "-e ONCHAIN_RULES=off worker python manage.py verify_signal\n" in shown
