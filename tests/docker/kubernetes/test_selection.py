"""Who finds, reaches, scales and protects which pods: selectors, ports and policies against the pods themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

Object = dict[str, Any]
ROOT = Path(__file__).parents[3] / "docker" / "kubernetes"
RANKING, OPERATORS, MONITORING, NOBODY = "ranking", "operators", "monitoring", "whoever"


def labels_of(objects: list[Object]) -> dict[str, str]:
    [deployment] = [o for o in objects if o["kind"] == "Deployment"]
    labels: dict[str, str] = deployment["spec"]["template"]["metadata"]["labels"]
    return labels


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """As Kubernetes reads a label selector; an empty one selects everything."""
    expressions = selector.get("matchExpressions", [])
    assert all(expression["operator"] == "In" for expression in expressions)
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(expression["key"]) in expression["values"] for expression in expressions
    )


def selectors(objects: list[Object]) -> dict[str, Object]:
    """Every selector of pods in an overlay, by what it belongs to."""
    found: dict[str, Object] = {}
    for o in objects:
        name = f"{o['kind']} {o['metadata']['name']}"
        if o["kind"] == "Service":
            found[name] = {"matchLabels": o["spec"]["selector"]}
        elif o["kind"] in {"Deployment", "PodDisruptionBudget"}:
            found[name] = o["spec"]["selector"]
        elif o["kind"] == "NetworkPolicy":
            found[name] = o["spec"]["podSelector"]
        if o["kind"] == "Deployment":
            for i, spread in enumerate(o["spec"]["template"]["spec"]["topologySpreadConstraints"]):
                found[f"{name} spread {i}"] = spread["labelSelector"]
    return found


def test_every_selector_finds_the_pods_of_its_overlay_and_no_others(all_rendered: dict[str, list[Object]]) -> None:
    for name, objects in all_rendered.items():
        found = selectors(objects)
        assert len(found) >= 6
        for what, selector in found.items():
            selected = [other for other, its in all_rendered.items() if selects(selector, labels_of(its))]
            assert selected == [name], what


def test_the_autoscaler_has_a_target_and_room_for_a_node_to_be_drained(
    overlay: list[Object], one: Callable[..., Any]
) -> None:
    scaler, deployment = one(overlay, "HorizontalPodAutoscaler")["spec"], one(overlay, "Deployment")
    assert scaler["scaleTargetRef"] == {
        "apiVersion": deployment["apiVersion"],
        "kind": "Deployment",
        "name": deployment["metadata"]["name"],
    }
    assert scaler["minReplicas"] < scaler["maxReplicas"]
    assert one(overlay, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_the_student_and_its_teacher_have_two_replicas_at_least(
    all_rendered: dict[str, list[Object]], one: Callable[..., Any]
) -> None:
    least = {name: one(o, "HorizontalPodAutoscaler")["spec"]["minReplicas"] for name, o in all_rendered.items()}
    assert least == {"student": 2, "teacher": 2, "canary": 1}


def test_pods_are_added_when_each_worker_is_busy_for_six_tenths_of_its_time(
    overlay: list[Object], one: Callable[..., Any]
) -> None:
    metrics = one(overlay, "HorizontalPodAutoscaler")["spec"]["metrics"]
    [pods] = [metric["pods"] for metric in metrics if metric["type"] == "Pods"]
    [container] = one(overlay, "Deployment")["spec"]["template"]["spec"]["containers"]
    workers = int(container["resources"]["limits"]["cpu"])
    assert pods["target"] == {"type": "AverageValue", "averageValue": f"{600 * workers}m"}
    values = yaml.safe_load((ROOT / "monitoring" / "prometheus-adapter.yaml").read_text())
    assert pods["metric"]["name"] in {rule["name"]["as"] for rule in values["rules"]["custom"]}
    assert [metric["resource"]["name"] for metric in metrics if metric["type"] == "Resource"] == ["cpu"]


def test_without_an_adapter_the_processor_alone_is_asked(
    render_with: Callable[..., Any], one: Callable[..., Any]
) -> None:
    metrics = one(render_with("student", "without-adapter"), "HorizontalPodAutoscaler")["spec"]["metrics"]
    assert [metric["type"] for metric in metrics] == ["Resource"]


def admitted(policy: Object, ports: dict[str, int]) -> set[tuple[str, int]]:
    """Who → which port: a namespace by its access label, or a pod of the same namespace by its name."""
    found: set[tuple[str, int]] = set()
    for rule in policy["spec"]["ingress"]:
        assert rule["from"]
        assert rule["ports"]
        for peer in rule["from"]:
            [who] = peer
            for access in (RANKING, OPERATORS, MONITORING, NOBODY):
                if who == "namespaceSelector" and selects(peer[who], {"kd-dagfm/access": access}):
                    found |= {(access, ports[port["port"]]) for port in rule["ports"]}
            for name in ("student", "teacher", "canary", "another"):
                own = {"app.kubernetes.io/name": name, "app.kubernetes.io/component": "predictor"}
                if who == "podSelector" and selects(peer[who], own):
                    found |= {(f"pod {name}", ports[port["port"]]) for port in rule["ports"]}
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("student", {(MONITORING, 8000), (RANKING, 8000), (OPERATORS, 8001)}),
        ("teacher", {(MONITORING, 8000), ("pod student", 8000)}),
        ("canary", {(MONITORING, 8000), ("pod student", 8000)}),
    ],
)
def test_admin_commands_are_reached_by_operators_alone_and_other_models_by_the_student(
    all_rendered: dict[str, list[Object]], one: Callable[..., Any], name: str, expected: set[tuple[str, int]]
) -> None:
    policy = one(all_rendered[name], "NetworkPolicy")
    [container] = one(all_rendered[name], "Deployment")["spec"]["template"]["spec"]["containers"]
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert admitted(policy, {port["name"]: port["containerPort"] for port in container["ports"]}) == expected


def test_the_port_the_policy_guards_is_the_one_the_admin_token_is_bound_to(
    all_rendered: dict[str, list[Object]], one: Callable[..., Any]
) -> None:
    for name, objects in all_rendered.items():
        [container] = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
        variables = {variable["name"]: variable.get("value") for variable in container["env"]}
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert str(ports["http"]) == variables["CTR_PORT"]
        if name == "student":
            assert str(ports["admin"]) == variables["CTR_ADMIN_PORT"]
        else:
            assert "CTR_ADMIN_TOKEN" not in variables  # then nobody can change anything


def test_the_ranking_layers_service_does_not_offer_the_admin_port(all_rendered: dict[str, list[Object]]) -> None:
    services = {o["metadata"]["name"]: o for o in all_rendered["student"] if o["kind"] == "Service"}
    offered = {name: [port["targetPort"] for port in o["spec"]["ports"]] for name, o in services.items()}
    assert offered == {"kd-dagfm-student": ["http"], "kd-dagfm-admin-student": ["admin"]}


def test_the_arms_of_the_student_are_the_services_of_the_other_overlays(
    all_rendered: dict[str, list[Object]], one: Callable[..., Any]
) -> None:
    [container] = one(all_rendered["student"], "Deployment")["spec"]["template"]["spec"]["containers"]
    variables = {variable["name"]: variable.get("value") for variable in container["env"]}
    for arm, url in json.loads(variables["CTR_ARMS"]).items():
        service = one(all_rendered[arm], "Service")
        [port] = service["spec"]["ports"]
        assert (urlsplit(url).hostname, urlsplit(url).port) == (service["metadata"]["name"], port["port"])
        assert urlsplit(url).path == "/student/predict"
