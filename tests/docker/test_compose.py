"""compose.yaml as it stands: a valid project whose containers are pinned, bounded, unprivileged and watched."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.experiment.document import read_toml
from service.settings import Settings
from training.config import load

DOCKER = Path(__file__).parents[2] / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOT = {"trainer", "secrets"}
OWN = "kd-dagfm-serving/"
every = pytest.mark.parametrize("name", SERVICES)


def test_the_project_is_valid() -> None:
    check = Path(sys.executable).with_name("check-jsonschema")
    command = [check, "--builtin-schema", "vendor.compose-spec", DOCKER / "compose.yaml"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


@every
def test_the_image_is_pinned_to_one_release(name: str) -> None:
    repository, _, tag = SERVICES[name]["image"].partition(":")
    assert repository
    # PostgreSQL's releases have two numbers.
    assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-[a-z]+)?", tag)
    assert tag.count(".") == (1 if repository == "postgres" else 2)


@every
def test_it_says_how_it_is_or_it_ends(name: str) -> None:
    service = SERVICES[name]
    if name in ONE_SHOT:
        assert service["restart"] == "no"
        waiting = [other for other in SERVICES.values() if name in other.get("depends_on", {})]
        assert waiting
        assert all(other["depends_on"][name]["condition"] == "service_completed_successfully" for other in waiting)
    else:
        assert service["restart"] == "unless-stopped"
        assert {"test", "interval", "timeout", "start_period", "retries"} <= service["healthcheck"].keys()


@every
def test_whoever_depends_on_another_waits_until_it_is_healthy_or_has_ended(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        ended = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
        assert how == {"condition": ended}
        assert set(SERVICES[other].get("profiles", ())) <= set(SERVICES[name].get("profiles", ()))


@every
def test_it_may_not_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid", "devices"} & service.keys()
    if name == "postgres":  # its entry point makes the volume its own and stops being root
        assert set(service["cap_add"]) == {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
        return
    assert "cap_add" not in service
    if not service["image"].startswith(OWN):  # ours say so themselves
        assert re.fullmatch(r"[1-9]\d*:\d+", service["user"])


@every
def test_it_has_bounds(name: str) -> None:
    service = SERVICES[name]
    assert 0 < service["cpus"] <= 1
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["pids_limit"] <= 256
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert name in ONE_SHOT or service["stop_grace_period"]


@every
def test_no_password_stands_in_it(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search("PASSWORD|TOKEN|SECRET|KEY", variable):
            assert value is None or value.startswith("/secrets/"), variable
    assert not re.search(r"://\w+:[^$/@]+@", str(SERVICES[name]))


@every
def test_its_ports_are_this_machines_alone_unless_somebody_says_otherwise(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert re.fullmatch(r"\$\{BIND_ADDRESS:-127\.0\.0\.1\}:(\d+):\1", port)


@every
def test_what_is_mounted_is_there_and_every_volume_is_declared(name: str) -> None:
    for mount in SERVICES[name].get("volumes", ()):
        source = re.sub(r"^\$\{\w+:-(.*?)\}", r"\1", mount).partition(":")[0]
        if not source.startswith("./"):
            assert source in COMPOSE["volumes"]
        else:
            assert (DOCKER / source).exists()
            assert mount.endswith(":ro")


@every
def test_the_service_knows_every_setting_it_is_given(name: str) -> None:
    service = SERVICES[name]
    given = {key for key in service.get("environment", {}) if key.startswith("CTR_")}
    if service["image"].startswith(OWN + "service"):
        assert given <= {f"CTR_{field.upper()}" for field in Settings.model_fields}


@every
def test_its_program_is_not_the_first_process_which_would_be_deaf_while_it_starts(name: str) -> None:
    assert SERVICES[name]["init"] is True


def test_student_and_teacher_are_one_image_and_the_teacher_gives_way() -> None:
    student, teacher = SERVICES["student"], SERVICES["teacher"]
    assert student["image"] == teacher["image"]
    assert student["cpu_shares"] > teacher["cpu_shares"]
    assert "ports" not in teacher


def test_nothing_but_the_profiles_is_left_out_of_a_plain_start() -> None:
    profiles = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}
    postgres = {name: ["postgres"] for name in ("secrets", "postgres", "replica-1", "replica-2", "nginx")}
    assert profiles == {**postgres, "locust": ["load"]}


def test_the_experiment_can_be_answered_by_the_arms_there_are() -> None:
    document = read_toml((DOCKER / "experiment.toml").read_text())
    arms = SERVICES["student"]["environment"]["CTR_ARMS"]
    assert document.models().keys() == {"student", *yaml.safe_load(arms)}
    assert document.shadow.share > 0


def test_a_project_without_data_trains_on_few_generated_clicks() -> None:
    config = load(DOCKER / "training.toml")
    assert config.data.name == "synthetic"
    assert config.data.options.model_dump()["rows"] <= 200_000


def test_a_post_that_may_not_be_repeated_is_not_retried_by_the_proxy() -> None:
    conf = (DOCKER / "nginx" / "nginx.conf").read_text()
    [(paths, inside)] = re.findall(r"location ~ (\S+) \{(.*?)\n        \}", conf, re.DOTALL)
    assert conf.count("non_idempotent") == inside.count("non_idempotent") == 1
    for path in ("/predict", "/student/predict", "/teacher/predict", "/feedback", "/v2/models/student/infer"):
        assert re.search(paths, path)
    for path in ("/experiment", "/experiment/kill", "/models/student/reload", "/models/student/rollback"):
        assert not re.search(paths, path)
