"""What holds of every pod, whichever overlay it is of: how it starts, ends, and what it may do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from service.app import create_app
from service.settings import Settings

Object = dict[str, Any]


@pytest.fixture
def service(pod: Object) -> Object:
    """The container that serves."""
    [container] = pod["containers"]
    found: Object = container
    return found


def test_probes_ask_routes_of_the_service_on_a_port_it_has(service: Object) -> None:
    paths = set(create_app(Settings(events="")).openapi()["paths"])
    ports = {port["name"] for port in service["ports"]}
    asked = {name: service[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: get["path"] for name, get in asked.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }
    assert {get["path"] for get in asked.values()} <= paths
    assert {get["port"] for get in asked.values()} <= ports


def test_loading_may_take_longer_than_hanging(service: Object) -> None:
    startup, liveness = service["startupProbe"], service["livenessProbe"]
    loading_s = startup["periodSeconds"] * startup["failureThreshold"]
    hanging_s = liveness["periodSeconds"] * liveness["failureThreshold"]
    assert loading_s >= 120
    assert 15 <= hanging_s < loading_s


def test_a_pod_ends_after_nobody_sends_to_it_and_what_is_in_flight_is_answered(pod: Object, service: Object) -> None:
    sleep_s = service["lifecycle"]["preStop"]["sleep"]["seconds"]
    unready_s = service["readinessProbe"]["periodSeconds"] * service["readinessProbe"]["failureThreshold"]
    drain_s = Settings(events="").teacher_timeout_ms / 1000
    assert sleep_s > 2 * unready_s
    assert pod["terminationGracePeriodSeconds"] > sleep_s + 10 * drain_s


def test_no_replica_is_given_up_before_its_successor_is_ready(overlay: list[Object], one: Callable[..., Any]) -> None:
    deployment = one(overlay, "Deployment")["spec"]
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert "replicas" not in deployment  # the autoscaler's


def test_pods_meet_the_restricted_pod_security_standard(pod: Object) -> None:
    """kubernetes.io/docs/concepts/security/pod-security-standards, "restricted", point by point."""
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] >= 10_000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    for volume in pod["volumes"]:
        assert set(volume) - {"name"} <= {"configMap", "emptyDir", "persistentVolumeClaim", "secret", "projected"}
    for container in pod["containers"] + pod["initContainers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }


def test_what_is_written_has_a_place_and_the_bundle_cannot_be_changed_by_the_service(
    pod: Object, service: Object
) -> None:
    mounts = {mount["mountPath"]: mount for mount in service["volumeMounts"]}
    assert mounts["/bundles"]["readOnly"] is True
    assert "readOnly" not in mounts["/tmp"]  # noqa: S108 - the container's
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert set(volumes) == {mount["name"] for mount in service["volumeMounts"]}
    assert all("sizeLimit" in volume["emptyDir"] for volume in volumes.values() if "emptyDir" in volume)


def test_workers_have_whole_cpus_of_their_own(pod: Object, service: Object) -> None:
    """The quota is the request, so `auto` starts as many workers as the scheduler has reserved CPUs."""
    assert service["resources"]["limits"] == service["resources"]["requests"]
    assert service["resources"]["limits"]["cpu"].isdigit()
    assert {"name": "CTR_WORKERS", "value": "auto"} in service["env"]
    for container in pod["initContainers"]:
        assert {"cpu", "memory"} == set(container["resources"]["limits"]) == set(container["resources"]["requests"])


def test_variables_made_of_service_names_do_not_reach_the_settings(pod: Object) -> None:
    assert pod["enableServiceLinks"] is False


def test_replicas_are_spread_over_nodes_and_zones(pod: Object) -> None:
    keys = [spread["topologyKey"] for spread in pod["topologySpreadConstraints"]]
    assert keys == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]


def test_images_are_pinned(pod: Object) -> None:
    for container in pod["containers"] + pod["initContainers"]:
        assert re.fullmatch(r"[a-z./-]+:\d+\.\d+\.\d+", container["image"])


def test_the_api_of_kubernetes_is_out_of_reach(pod: Object, overlay: list[Object], one: Callable[..., Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    account = one(overlay, "ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    assert account["metadata"]["name"] == pod["serviceAccountName"]
