import json
from pathlib import Path

from training.checkpoint import save_model
from training.data.prepare import Prepared
from training.models.registry import build
from training.reproduce.latencies import latencies
from training.study.store import Store


def test_what_was_measured_on_a_busy_machine_is_measured_again_on_a_quiet_one(
    prepared: Prepared, tmp_path: Path
) -> None:
    model = build("fm", {"embedding_size": 2}, prepared.encoder.sizes)
    path = tmp_path / "model.safetensors"
    save_model(path, model, prepared, {})
    store, checkpoints = Store(tmp_path, prepared), {"FM": str(path)}
    kept = {"FM": {"checkpoint": str(path), "us": {"200": 1e9}, "load": 2.0}}
    (tmp_path / "latencies.json").write_text(json.dumps(kept))
    assert latencies(store, checkpoints, load=1.9) == kept
    quiet = latencies(store, checkpoints, load=0.1)
    assert 0 < quiet["FM"]["us"]["200"] < 1e6
    assert quiet["FM"]["load"] == 0.1
    assert latencies(store, checkpoints, load=0.0) == quiet == json.loads((tmp_path / "latencies.json").read_text())
