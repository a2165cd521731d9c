"""Every rendered object against the schemas of the Kubernetes versions it is for, unknown keys refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import kubernetes_validate
import pytest

VERSIONS = ("1.30", "1.34", kubernetes_validate.latest_version())
"""From the first that sleeps before it stops without a command, to the newest whose schema is known."""
COMPONENTS = ("bundle-from-image", "bundle-from-volume", "without-adapter")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_what_its_schema_says(overlay: list[dict[str, Any]], version: str) -> None:
    assert len(overlay) >= 7
    for described in overlay:
        kubernetes_validate.validate(described, version, strict=True)


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_leaves_valid_objects(render_with: Callable[..., Any], component: str) -> None:
    for described in render_with("student", component):
        kubernetes_validate.validate(described, VERSIONS[-1], strict=True)


def test_the_schemas_refuse_a_misspelt_key(overlay: list[dict[str, Any]], one: Callable[..., Any]) -> None:
    deployment = copy.deepcopy(one(overlay, "Deployment"))
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)


def test_no_two_overlays_write_the_same_object(all_rendered: dict[str, list[dict[str, Any]]]) -> None:
    names = [(o["kind"], o["metadata"]["name"]) for objects in all_rendered.values() for o in objects]
    assert len(names) == len(set(names))
