"""What the containers are told, against the service that is told it: settings, commands, experiments, secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from service.__main__ import cli
from service.bundle import read_bundle
from service.experiment.document import check_change, check_models, read_toml
from service.settings import PREFIX, Settings, read_settings

Object = dict[str, Any]
ROOT = Path(__file__).parents[3] / "docker" / "kubernetes"
SECRETS = {"CTR_ADMIN_TOKEN", "CTR_TOKEN_KEY"}
COMMANDS = typer.main.get_command(cli).commands  # type: ignore[attr-defined]


def containers(objects: list[Object]) -> list[Object]:
    [deployment] = [o for o in objects if o["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    found: list[Object] = pod["containers"] + pod.get("initContainers", [])
    return found


def bundle_map(objects: list[Object]) -> dict[str, str]:
    """The ConfigMap that the fetching container has its variables from."""
    [fetching] = [container for container in containers(objects) if container["name"] == "bundle"]
    name = fetching["envFrom"][0]["configMapRef"]["name"]
    [data] = [o["data"] for o in objects if o["kind"] == "ConfigMap" and o["metadata"]["name"] == name]
    found: dict[str, str] = data
    return found


def expanded(container: Object, variables: dict[str, str]) -> list[str]:
    """The command as Kubernetes starts it."""
    words = [*container["command"], *container.get("args", [])]
    return [re.sub(r"\$\((\w+)\)", lambda match: variables[match[1]], word) for word in words]


def parse(words: list[str]) -> Any:
    """The context that the command line of the service makes of words; raises a usage error."""
    assert words[:3] == ["python", "-m", "service"]
    return COMMANDS[words[3]].make_context(words[3], list(words[4:]))


def test_every_command_is_one_the_service_understands(overlay: list[Object]) -> None:
    parsed = {}
    for container in containers(overlay):
        variables = bundle_map(overlay) if container["name"] == "bundle" else {}
        words = expanded(container, variables)
        parsed[container["name"]] = (words[3], parse(words).params)
    assert parsed["service"][0] == "serve"
    command, given = parsed["bundle"]
    assert command == "fetch"
    assert given["version"] == bundle_map(overlay)["BUNDLE_VERSION"]
    [served] = [variable for variable in containers(overlay)[0]["env"] if variable["name"] == "CTR_STUDENT_BUNDLE"]
    assert str(given["directory"]) == served["value"]


def test_every_variable_is_a_setting_with_a_value_it_can_take(
    overlay: list[Object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(variable)
    given = containers(overlay)[0]["env"]
    for variable in given:
        assert variable["name"].removeprefix(PREFIX).lower() in Settings.model_fields
        monkeypatch.setenv(variable["name"], variable.get("value", "from a secret"))
    settings = read_settings()
    assert (settings.host, settings.port) == ("0.0.0.0", 8000)  # noqa: S104 - compared, not bound
    assert len(given) == len({variable["name"] for variable in given})


def test_every_variable_in_any_manifest_is_a_setting() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    named = {word for path in ROOT.rglob("*.*") for word in re.findall(r"CTR_[A-Z_]+", path.read_text())}
    assert {"CTR_ADMIN_TOKEN", "CTR_EXPERIMENT"} < named
    assert named <= known


def test_secrets_are_references(all_rendered: dict[str, list[Object]]) -> None:
    for name, objects in all_rendered.items():
        assert "Secret" not in {o["kind"] for o in objects}
        for variable in containers(objects)[0]["env"]:
            if variable["name"] in SECRETS or (variable["name"] == "CTR_EVENTS" and name == "student"):
                assert set(variable) == {"name", "valueFrom"}
                assert variable["valueFrom"]["secretKeyRef"]["name"] == "student"
    for path in ROOT.rglob("*.*"):
        assert not re.search(r"postgresql://\w|Bearer \w|password", path.read_text()), path


def test_the_experiments_of_student_and_canary_are_documents_that_can_follow_each_other() -> None:
    first = read_toml((ROOT / "overlays" / "student" / "experiment.toml").read_text())
    second = read_toml((ROOT / "overlays" / "canary" / "experiment.toml").read_text())
    for document in (first, second):
        check_models(document, ["student", "teacher", "canary"], ["student"])
    check_change(first, second)
    check_change(second, first)
    [canary] = [experiment for experiment in second.experiments if experiment.name == "canary"]
    [(start, end)] = canary.ranges
    [share] = [arm.weight / 10_000 for arm in canary.arms if arm.name == "canary"]
    assert (end - start) / 10_000 * canary.ramp / 100 * share == pytest.approx(0.01)


def test_the_mounted_experiment_is_the_one_the_setting_names(all_rendered: dict[str, list[Object]]) -> None:
    service, *_ = containers(all_rendered["student"])
    [setting] = [variable["value"] for variable in service["env"] if variable["name"] == "CTR_EXPERIMENT"]
    [mount] = [mount for mount in service["volumeMounts"] if mount["name"] == "experiment"]
    [data] = [
        o["data"]
        for o in all_rendered["student"]
        if o["kind"] == "ConfigMap" and o["metadata"]["name"] == "experiment-student"
    ]
    assert setting == f"{mount['mountPath']}/{next(iter(data))}"
    assert read_toml(data["experiment.toml"]).default == "student"


def test_another_version_is_another_pod_template(all_rendered: dict[str, list[Object]]) -> None:
    """Kustomize writes a digest of the content into the name, so that a change rolls out and can be undone."""
    for name, objects in all_rendered.items():
        [fetching] = [container for container in containers(objects) if container["name"] == "bundle"]
        assert re.fullmatch(rf"bundle-{name}-[a-z0-9]{{10}}", fetching["envFrom"][0]["configMapRef"]["name"])


@pytest.mark.parametrize("component", [None, "bundle-from-image"])
def test_the_fetching_command_makes_the_bundle_the_service_is_told_to_serve(
    all_rendered: dict[str, list[Object]],
    render_with: Callable[..., Any],
    bundles: Path,
    tmp_path: Path,
    component: str | None,
) -> None:
    """The rendered command is run, with a store on this disk and the pod's volume in a folder."""
    objects = all_rendered["student"] if component is None else render_with("student", component)
    [fetching] = [container for container in containers(objects) if container["name"] == "bundle"]
    variables = bundle_map(objects) | {"BUNDLE_VERSION": "v1"}
    here = {variables["BUNDLE_URL"]: (bundles / "student").as_uri(), "file:///bundle": (bundles / "student").as_uri()}
    words = [here.get(word, word) for word in expanded(fetching, variables)]
    words = [re.sub("^/bundles/", f"{tmp_path}/volume/", word) for word in words]
    done = CliRunner().invoke(cli, words[3:])
    assert done.exit_code == 0, done.output
    assert read_bundle(tmp_path / "volume" / "student").manifest.version == "v1"


def test_a_bundle_in_an_image_needs_no_store(render_with: Callable[..., Any]) -> None:
    [fetching] = [c for c in containers(render_with("student", "bundle-from-image")) if c["name"] == "bundle"]
    assert fetching["image"] == "kd-dagfm-serving/bundle:0.1.0"
    assert fetching["args"][0] == "file:///bundle"
    assert "COPY ${BUNDLE} /bundle\n" in (ROOT / "bundle.Dockerfile").read_text()


def test_a_bundle_on_a_volume_is_mounted_and_not_fetched(
    render_with: Callable[..., Any], one: Callable[..., Any]
) -> None:
    pod = one(render_with("student", "bundle-from-volume"), "Deployment")["spec"]["template"]["spec"]
    assert not pod.get("initContainers")
    [volume] = [volume for volume in pod["volumes"] if volume["name"] == "bundles"]
    assert volume == {"name": "bundles", "persistentVolumeClaim": {"claimName": "bundles", "readOnly": True}}


def test_every_file_is_part_of_a_kustomization_or_says_what_it_is_for() -> None:
    listed: set[Path] = set()
    for path in ROOT.rglob("kustomization.yaml"):
        text = yaml.safe_load(path.read_text())
        names = [name for name in text.get("resources", []) if name.endswith(".yaml")]
        names += [patch["path"] for patch in text.get("patches", []) if "path" in patch]
        names += [name for made in text.get("configMapGenerator", []) for name in made.get("files", [])]
        listed |= {path, *(path.parent / name for name in names)}
    others = {str(path.relative_to(ROOT)) for path in ROOT.rglob("*.*") if path.is_file() and path not in listed}
    assert others == {"bundle.Dockerfile", "monitoring/prometheus-adapter.yaml", "overlays/canary/experiment.toml"}
