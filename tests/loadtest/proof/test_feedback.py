from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from loadtest.proof.feedback import Load, cli, sync_ms


def test_a_load_states_its_rate_and_percentiles() -> None:
    load = Load(name="x", events=500, seconds=2.0, waited_ms=[float(i) for i in range(101)])
    assert (load.rate, load.percentile_ms(50), load.percentile_ms(99)) == (250.0, 50.0, 99.0)


def test_syncing_takes_time(tmp_path: Path) -> None:
    assert sync_ms(tmp_path) > 0


def test_every_load_is_measured_on_a_real_service_and_all_of_it_is_stored(tmp_path: Path) -> None:
    where = ["--directory", str(tmp_path), "--out", str(tmp_path / "found.json")]
    result = CliRunner().invoke(cli, ["--seconds", "0.3", "--rate", "600", *where])
    for expected in ("100 a post", "one a post", "both, 600/s", "one sync of the disk"):
        assert expected in result.output
    *_timed, stored = json.loads((tmp_path / "found.json").read_text())
    assert stored["what"] == "posts acknowledged and stored"
    assert stored["met"]
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]
