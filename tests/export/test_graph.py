"""What leaves the exporter: the same bytes wherever it ran, and nothing of the machine it ran on."""

import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import torch

from export.forms import FullRows
from export.graph import OPSET, to_onnx
from training.models.registry import build

ROOT = Path(__file__).parents[2]
SIZES = [7, 5, 4]

DIGEST_OF_AN_EXPORT = """
import hashlib, torch
from export.forms import serving_forms
from export.graph import to_onnx
from training.models.registry import build
torch.manual_seed(0)
model = build("dagfm_outer", {"embedding_size": 4, "layers": 2}, [7, 5, 4])
for name, form in serving_forms(model, 2).items():
    print(name, hashlib.sha256(to_onnx(form, 2, 1)).hexdigest())
"""


def exported() -> onnx.ModelProto:
    torch.manual_seed(0)
    model = build("crossnet", {"embedding_size": 4, "layers": 2}, SIZES).eval()
    return onnx.load_from_string(to_onnx(FullRows(model), 2, 1))


def test_a_graph_carries_no_path_of_the_exporting_machine() -> None:
    content = exported().SerializeToString()
    assert str(ROOT).encode() not in content
    assert b".py" not in content


def test_the_same_weights_give_the_same_bytes_from_another_folder(tmp_path: Path) -> None:
    """A bundle's version is a digest of its graph: it must not depend on where the project was checked out."""
    for package in ("export", "training", "service"):
        shutil.copytree(ROOT / package, tmp_path / package)
    digests = [
        subprocess.run(
            [sys.executable, "-c", DIGEST_OF_AN_EXPORT], cwd=folder, capture_output=True, text=True, check=True
        ).stdout
        for folder in (ROOT, tmp_path)
    ]
    assert digests[0] == digests[1]


def test_the_graph_has_one_dynamic_axis_and_the_pinned_opset() -> None:
    model = exported()
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in model.graph.input
    }
    assert shapes["context_ids"] == [1, 2]
    assert isinstance(shapes["candidate_ids"][0], str)
    assert shapes["candidate_ids"][1] == 1
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", OPSET)]
