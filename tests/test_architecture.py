"""The arrows of the tree, proved by running things rather than by reading them."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
TRAINING_STACK = ("torch", "polars", "onnx", "onnxscript", "safetensors", "matplotlib", "training", "export")

IMPORT_SERVICE_ALONE = f"""
import importlib, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {TRAINING_STACK!r}:
            raise ImportError(f"{{name}} is not part of the service's install")

sys.meta_path.insert(0, Blocked())
import service
for module in pkgutil.walk_packages(service.__path__, "service."):
    importlib.import_module(module.name)
print(sum(name.startswith("service") for name in sys.modules))
"""

IMPORT_BUNDLE_ALONE = """
import sys
import service.bundle
files = {name.split(".")[0]: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
installed = {name for name, file in files.items() if "site-packages" in file}
print(sorted(name for name in installed if name != "numpy" and not name.startswith(("_", "__editable__"))))
"""


def run(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def test_every_module_of_the_service_imports_with_the_training_stack_blocked() -> None:
    assert int(run(IMPORT_SERVICE_ALONE)) > 25


def test_the_bundle_contract_needs_numpy_and_nothing_else() -> None:
    assert run(IMPORT_BUNDLE_ALONE) == "[]"


def test_the_base_install_names_nothing_of_the_training_stack() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {requirement.split(">")[0].split("=")[0].split("[")[0] for requirement in project["dependencies"]}
    assert named.isdisjoint(TRAINING_STACK)
    assert "onnxruntime" in named


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    named = {requirement.split(">")[0].split("=")[0].split("[")[0].lower() for group in groups for requirement in group}
    locked = {
        line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "requirements.lock").read_text().splitlines()
    }
    assert named - {project["name"]} - locked == set()


def test_no_python_package_hides_under_tests() -> None:
    """An __init__.py there makes `import service` find the tests instead."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []
