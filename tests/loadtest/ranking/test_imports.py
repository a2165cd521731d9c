"""The container that runs locust has the service's packages and locust, and nothing of training."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
ABSENT = ("torch", "polars", "onnx", "onnxruntime", "safetensors", "matplotlib", "training", "export")
IMPORT_ALONE = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {ABSENT!r}:
            raise ImportError(f"{{name}} is not in the container")

sys.meta_path.insert(0, Blocked())
import loadtest.locustfile
print(loadtest.locustfile.RankingUser.__name__)
"""


def test_the_locustfile_needs_nothing_of_the_training_stack() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", IMPORT_ALONE], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.stdout == "RankingUser\n", ended.stderr
