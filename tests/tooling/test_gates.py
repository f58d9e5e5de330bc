"""What infra/ runs verify_schema by: Kubernetes, the rules for Prometheus, the documented steps."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from signals.operations.drift.prometheus import _HELP
from signals.operations.management.arguments import ExitCode
from tests.tooling.test_compose import SECRETS, render

INFRA = Path(__file__).resolve().parents[2] / "infra"
CONTRACT = yaml.safe_load((INFRA / "kubernetes-contract.yaml").read_text())
JOB, CRON, WORKER, PULLER = yaml.safe_load_all((INFRA / "kubernetes.yaml").read_text())


def containers(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    pod = job["template"]["spec"]
    yield from pod.get("initContainers", ())
    yield from pod["containers"]


def parse(words: list[str]) -> dict[str, Any]:
    """The command line, as the command's own parser takes it."""
    assert words[:2] == ["python", "manage.py"]
    name = words[2]
    command = load_command_class(get_commands()[name], name)
    return vars(command.create_parser("manage.py", name).parse_args(words[3:]))


def test_the_workers_of_kubernetes_watch_for_all_that_is_due() -> None:
    (worker,) = containers(WORKER["spec"])
    options = parse(worker["command"])
    assert (options["watch"], options["limit"], options["json"]) == (60, None, True)
    (port,) = worker["ports"]
    assert options["metrics"] == ("0.0.0.0", port["containerPort"])  # noqa: S104 - within the pod
    probe = worker["livenessProbe"]["exec"]["command"][-1]
    assert parse(probe.partition(" ||")[0].split())["check"] is True
    assert worker["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_pullers_of_kubernetes_watch_the_chains() -> None:
    (puller,) = containers(PULLER["spec"])
    options = parse(puller["command"])
    assert (options["watch"], options["json"]) == (120, True)
    (port,) = puller["ports"]
    assert options["metrics"] == ("0.0.0.0", port["containerPort"])  # noqa: S104 - within the pod
    probe = puller["livenessProbe"]["exec"]["command"][-1]
    assert parse(probe.partition(" ||")[0].split())["check"] is True
    assert puller["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize(
    "job", [JOB["spec"], CRON["spec"]["jobTemplate"]["spec"]], ids=["Job", "CronJob"]
)
def test_a_job_of_kubernetes_runs_commands_that_exist_and_knows_their_exit_codes(
    job: dict[str, Any],
) -> None:
    pod = job["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # which podFailurePolicy asks for
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["containerName"] in {each["name"] for each in pod["containers"]}
    codes = {ExitCode.FINDINGS, ExitCode.USAGE, ExitCode.CONFIGURATION}
    assert set(rule["onExitCodes"]["values"]) == codes
    for each in containers(job):
        parse(each["command"])
        assert each["image"] == render(SECRETS)["services"]["api"]["image"]
        assert each["securityContext"]["readOnlyRootFilesystem"] is True
    *_, last = containers(job)
    assert last["command"][2] == "verify_schema"


def test_the_gate_migrates_before_it_verifies() -> None:
    assert [each["command"][2] for each in containers(JOB["spec"])] == ["migrate", "verify_schema"]
    assert parse(next(containers(JOB["spec"]))["command"])["phase"] == "expand"
    uid = JOB["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
    assert f"--uid {uid} " in (INFRA / "Dockerfile").read_text()


def test_the_job_after_the_rollout_contracts() -> None:
    (only,) = containers(CONTRACT["spec"])
    options = parse(only["command"])
    assert (options["phase"], options["after"]) == ("contract", 60)
    first = next(containers(JOB["spec"]))
    assert (only["image"], only["securityContext"]) == (first["image"], first["securityContext"])
    (rule,) = CONTRACT["spec"]["podFailurePolicy"]["rules"]
    codes = {ExitCode.FINDINGS, ExitCode.USAGE, ExitCode.CONFIGURATION}
    assert set(rule["onExitCodes"]["values"]) == codes


def test_the_rules_ask_for_metrics_that_are_written() -> None:
    group, *_ = yaml.safe_load((INFRA / "prometheus-rules.yml").read_text())["groups"]
    asked = set()
    for rule in group["rules"]:
        assert {"alert", "expr", "labels", "annotations"} <= set(rule)
        found = re.findall(r"convergent_migrations_(\w+)", rule["expr"])
        assert found, rule["expr"]
        asked |= set(found)
    assert asked == {"clean", "run_success", "run_timestamp_seconds"}
    assert asked <= set(_HELP)


def test_the_watch_of_compose_writes_where_it_may() -> None:
    service = render(SECRETS)["services"]["schema"]
    (line,) = re.findall(r"python manage\.py .*", service["command"][2])
    file = Path(parse(line.split())["prometheus"])
    (volume,) = service["volumes"]
    target = volume["target"] if isinstance(volume, dict) else volume.partition(":")[2]
    assert str(file.parent) == target
    assert f"install --directory --owner signals {target}\n" in (INFRA / "Dockerfile").read_text()


def test_the_documented_gate_is_a_line_for_a_shell() -> None:
    text = (INFRA / "README.md").read_text()
    lines = re.findall(r"^.* (python manage\.py verify_schema.*)$", text, re.MULTILINE)
    for line in lines:
        parse(line.split())
    assert any(line.endswith("verify_schema") for line in lines)
    for name in ("kubernetes.yaml", "kubernetes-contract.yaml", "prometheus-rules.yml"):
        assert f"({name})" in text
