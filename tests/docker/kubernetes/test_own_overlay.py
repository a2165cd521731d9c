"""An overlay that somebody lays over ours, as the guide says: their registry, namespace, store and version."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3] / "docker" / "kubernetes"


@pytest.fixture
def theirs(render: Callable[[Path], list[dict[str, Any]]], tmp_path: Path) -> list[dict[str, Any]]:
    described = {
        "namespace": "ctr",
        "resources": [os.path.relpath(ROOT / "overlays" / "student", tmp_path)],
        "images": [{"name": "kd-dagfm-serving/service", "newName": "registry.test/service", "newTag": "1.2.3"}],
        "configMapGenerator": [
            {
                "name": "bundle-student",
                "behavior": "merge",
                "literals": ["BUNDLE_URL=s3://theirs/student", "BUNDLE_VERSION=0123456789ab"],
            }
        ],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(described))
    return render(tmp_path)


def test_their_image_runs_in_both_containers(theirs: list[dict[str, Any]], one: Callable[..., Any]) -> None:
    pod = one(theirs, "Deployment")["spec"]["template"]["spec"]
    images = {container["image"] for container in pod["containers"] + pod["initContainers"]}
    assert images == {"registry.test/service:1.2.3"}


def test_their_bundle_is_the_one_fetched(theirs: list[dict[str, Any]], one: Callable[..., Any]) -> None:
    pod = one(theirs, "Deployment")["spec"]["template"]["spec"]
    [fetching] = pod["initContainers"]
    given = one(theirs, "ConfigMap", fetching["envFrom"][0]["configMapRef"]["name"])
    assert given["data"] == {"BUNDLE_URL": "s3://theirs/student", "BUNDLE_VERSION": "0123456789ab"}


def test_everything_is_in_their_namespace(theirs: list[dict[str, Any]]) -> None:
    assert {described["metadata"].get("namespace") for described in theirs} == {"ctr"}
