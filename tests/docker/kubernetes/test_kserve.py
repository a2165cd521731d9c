"""The runtime of KServe. Its schemas come in no package: what of it is a pod is checked as a pod, the rest by what
KServe's documentation asks of a runtime.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer

from service.__main__ import cli
from service.app import create_app
from service.bundle.manifest import FORMAT_VERSION
from service.settings import PREFIX, Settings, read_settings

Object = dict[str, Any]
ROOT = Path(__file__).parents[3] / "docker" / "kubernetes"
OF_KSERVE = {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "model"}
RUNTIME = {"supportedModelFormats", "protocolVersions", "multiModel", "containers", "volumes"}


@pytest.fixture(scope="module")
def runtime(render: Callable[[Path], list[Object]], one: Callable[..., Any]) -> Object:
    found: Object = one(render(ROOT / "kserve"), "ServingRuntime")
    return found


@pytest.fixture(scope="module")
def predictor(render: Callable[[Path], list[Object]], one: Callable[..., Any]) -> Object:
    found: Object = one(render(ROOT / "kserve"), "InferenceService")["spec"]["predictor"]
    return found


def as_pod(spec: Object) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}


def test_what_they_say_of_pods_is_valid(runtime: Object, predictor: Object) -> None:
    assert set(runtime["spec"]) <= RUNTIME
    of_pods = {key: value for key, value in predictor.items() if key not in OF_KSERVE}
    pod = {**{key: runtime["spec"][key] for key in ("containers", "volumes")}, **of_pods}
    kubernetes_validate.validate(as_pod(pod), "1.30", strict=True)
    assert pod["enableServiceLinks"] is False
    [container] = pod["containers"]
    assert container["name"] == "kserve-container"
    assert container["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["image"] == "kd-dagfm-serving/service:0.1.0"


def test_the_service_finds_its_runtime_and_asks_it_by_the_protocol_it_speaks(
    runtime: Object, predictor: Object
) -> None:
    model, spec = predictor["model"], runtime["spec"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert spec["protocolVersions"] == [model["protocolVersion"]] == ["v2"]
    [supported] = spec["supportedModelFormats"]
    assert supported == {**model["modelFormat"], "autoSelect": True}
    assert model["modelFormat"]["version"] == str(FORMAT_VERSION)
    assert 1 <= predictor["minReplicas"] < predictor["maxReplicas"]
    assert (predictor["scaleMetric"], predictor["scaleTarget"]) == ("cpu", 70)
    assert len(model["storageUri"].split("/")) == 5  # scheme, bucket, bundle, version


def test_it_serves_what_kserve_has_downloaded_on_the_port_it_names(
    runtime: Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    [container] = runtime["spec"]["containers"]
    assert container["command"] == ["python", "-m", "service", "serve"]
    serve = typer.main.get_command(cli).commands["serve"]  # type: ignore[attr-defined]
    given = serve.make_context("serve", list(container["args"])).params
    for variable in container["env"]:
        assert variable["name"].removeprefix(PREFIX).lower() in Settings.model_fields
        monkeypatch.setenv(variable["name"], variable["value"])
    settings = read_settings(**given)
    assert settings.student_bundle == Path("/mnt/models")
    assert settings.port == container["ports"][0]["containerPort"] == 8080


def test_its_probes_are_the_protocols_own(runtime: Object) -> None:
    [container] = runtime["spec"]["containers"]
    paths = set(create_app(Settings(events="")).openapi()["paths"])
    asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: get["path"] for name, get in asked.items()} == {
        "startup": "/v2/health/live",
        "liveness": "/v2/health/live",
        "readiness": "/v2/health/ready",
    }
    assert {get["path"] for get in asked.values()} <= paths
    assert {get["port"] for get in asked.values()} == {8080}
