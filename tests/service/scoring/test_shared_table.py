"""One table on disk, one in memory: for the graph, for the native scorer, for every process that serves the bundle."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.bundle import (
    DATA_AT,
    Bundle,
    BundleError,
    EmbeddingTable,
    Encoder,
    Golden,
    Vocabulary,
    Weights,
    read_bundle,
    write_bundle,
)
from service.scoring import OnnxScorer

DIMENSION = 1024
USERS = 20_000

SERVE = """
import json, re, sys
from pathlib import Path
import numpy as np
from service.bundle import read_bundle
from service.scoring import NativeScorer, OnnxScorer

def memory(key):
    # kB by this key: of the table's mapping, and of everything else
    of_table = of_others = 0
    for part in re.split(r"\\n(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text()):
        kilobytes = int((re.search(rf"^{key}: +([0-9]+)", part, re.M) or [0, 0])[1])
        if "embedding.npy" in part.partition("\\n")[0]:
            of_table += kilobytes
        else:
            of_others += kilobytes
    return of_table, of_others

def status(key):
    return int(re.search(rf"^{key}:\\s+([0-9]+)", Path("/proc/self/status").read_text(), re.M)[1])

before = memory("Private_Dirty")[1]
bundle = read_bundle(Path(sys.argv[1]))
context_fields = len(bundle.schema.context)
scorers = [OnnxScorer(bundle.model_onnx, bundle.embedding) for _ in range(2)]
scorers.append(NativeScorer(bundle.weights, bundle.embedding, bundle.encoder.sizes, context_fields))
for scorer in scorers:
    scorer.score(bundle.golden.requests[0].context_ids, bundle.golden.requests[0].candidate_ids)
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps({
    "rss": memory("Rss")[0], "pss": memory("Pss")[0], "grown": memory("Private_Dirty")[1] - before,
    "given_back": status("VmHWM") - status("VmRSS"),
}), flush=True)
sys.stdin.readline()
"""


def sum_graph(table: onnx.TensorProto, candidate_fields: int) -> bytes:
    """A logit is the sum of the candidate fields' embeddings, ids taken for rows; the table is where `table` says."""
    nodes = [
        helper.make_node("Gather", [table.name, "candidate_ids"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axes"], ["logits"], keepdims=0),
    ]
    inputs = [
        helper.make_tensor_value_info("context_ids", TensorProto.INT32, [1, None]),
        helper.make_tensor_value_info("candidate_ids", TensorProto.INT32, ["N", candidate_fields]),
    ]
    if table.data_location == TensorProto.EXTERNAL:
        inputs.append(helper.make_tensor_value_info(table.name, table.data_type, table.dims))
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N"])]
    held = [table, numpy_helper.from_array(np.array([1, 2]), "axes")]
    graph = helper.make_graph(nodes, "sum", inputs, outputs, held)
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    return content


def reference(shape: tuple[int, int], location: str = "embedding.npy") -> onnx.TensorProto:
    """A table that stands in a file."""
    tensor = TensorProto(name="embedding.npy", data_type=TensorProto.FLOAT, dims=shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", DATA_AT), ("length", 4 * shape[0] * shape[1])):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


@pytest.fixture(scope="module")
def large_path(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a table of 80 MB; its graph and its weights are two models, which no one here compares."""
    users = Vocabulary(tuple(f"u{i}" for i in range(USERS)))
    encoder = Encoder(bundle.schema, {**bundle.encoder.vocabularies, "user": users})
    fields, rows = len(encoder.sizes), sum(encoder.sizes)
    random = np.random.default_rng(0)
    edges = (1, fields, fields, DIMENSION)
    large = dataclasses.replace(
        bundle,
        encoder=encoder,
        golden=Golden(bundle.golden.requests[:1]),
        model_onnx=sum_graph(reference((rows, DIMENSION)), fields - len(bundle.schema.context)),
        embedding=EmbeddingTable(rows_VD=random.random((rows, DIMENSION), np.float32)),
        weights=Weights(
            connection_FF=np.eye(fields, dtype=np.float32),
            p_LFFD=random.random(edges, np.float32),
            q_LFFD=random.random(edges, np.float32),
            readout_TF=np.ones((2, fields), np.float32),
            bias_1=np.zeros(1, np.float32),
        ),
    )
    return write_bundle(tmp_path_factory.mktemp("large"), large)


@contextmanager
def serving(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that reads the bundle at `path`, makes two sessions and a native scorer, and waits."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SERVE, str(path)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def say(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="memory by mapping is told by Linux alone")
def test_two_processes_with_three_scorers_each_hold_the_table_once(large_path: Path) -> None:
    """Its pages are resident in both and count half in each; what a process has for itself stays below a quarter of
    it, and so does what it had for a moment while loading.
    """
    table_kb = (large_path / "embedding.npy").stat().st_size // 1024
    with serving(large_path) as one, serving(large_path) as other:
        assert [line(process) for process in (one, other)] == ["ready\n"] * 2
        for process in (one, other):
            say(process)
        for found in [json.loads(line(process)) for process in (one, other)]:
            assert found["rss"] >= table_kb - 4
            assert found["pss"] <= 0.6 * found["rss"]
            assert found["grown"] < table_kb / 4
            assert found["given_back"] < table_kb / 4


def test_onnxruntime_alone_runs_a_bundle_from_its_directory(large_path: Path) -> None:
    bundle = read_bundle(large_path)
    assert bundle.embedding is not None
    session = onnxruntime.InferenceSession(large_path / "model.onnx", providers=["CPUExecutionProvider"])
    request = bundle.golden.requests[0]
    feeds = {"context_ids": request.context_ids, "candidate_ids": request.candidate_ids}
    (logits_N,) = session.run(["logits"], feeds)
    expected_N = bundle.embedding.rows_VD[request.candidate_ids].sum((1, 2))
    np.testing.assert_allclose(logits_N, expected_N, rtol=1e-5)


@pytest.mark.parametrize("shape", [(7, 4), (8, 5), (32, 1)])
def test_a_table_of_another_shape_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(BundleError, match=r"model\.onnx: refers to .*\[8, 4\].*the bundle has .*export again"):
        OnnxScorer(sum_graph(reference((8, 4)), 3), EmbeddingTable(rows_VD=np.ones(shape, np.float32)))


def test_a_table_that_the_graph_does_not_name_is_refused() -> None:
    held = numpy_helper.from_array(np.ones((8, 4), np.float32), "table")
    with pytest.raises(BundleError, match=r"model\.onnx: refers to {}, the bundle has {'embedding\.npy'"):
        OnnxScorer(sum_graph(held, 3), EmbeddingTable(rows_VD=np.ones((8, 4), np.float32)))


@pytest.mark.parametrize("location", ["embedding.npy", "./embedding.npy", "../here/embedding.npy", "{}/embedding.npy"])
def test_a_file_that_was_not_handed_over_is_never_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    """Not even one of the right size in the working directory: nobody has checked it."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "embedding.npy").write_bytes(bytes(DATA_AT + 4 * 8 * 4))
    monkeypatch.chdir(tmp_path / "here")
    graph = sum_graph(reference((8, 4), location.format(tmp_path / "here")), 3)
    with pytest.raises(BundleError, match=r"model\.onnx: onnxruntime refuses it: .*[Ee]xternal"):
        OnnxScorer(graph)
