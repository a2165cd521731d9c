"""`python -m export.once`: bundles where there are none, nothing where there are, nothing half-made to be served."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w
import typer

from export.once import ARMS, STOPPED, holds_anything, main, without_bundle
from service.bundle import read_bundle
from tests.export.test_main import CONFIG


@pytest.fixture(autouse=True)
def own_handler() -> Iterator[None]:
    """`main` takes SIGTERM to itself; here it is given back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(tomli_w.dumps(CONFIG))
    return path


def stop_while_teaching(bundles: Path, runs: Path, config: Path) -> int:
    """Exit status of a process that is told to stop once its teacher is trained."""
    where = ("--bundles", str(bundles), "--runs", str(runs), "--config", str(config))
    with subprocess.Popen([sys.executable, "-m", "export.once", *where], stderr=subprocess.DEVNULL) as process:
        while not (runs / "tiny" / "teach" / "model.safetensors").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.terminate()
    return process.returncode


def test_stopped_it_leaves_nothing_to_serve_started_again_it_goes_on_and_a_third_time_it_leaves_all_alone(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundles, runs = tmp_path / "bundles", tmp_path / "runs"
    assert stop_while_teaching(bundles, runs, config) == STOPPED
    assert without_bundle(bundles, ARMS) == ["teacher", "student"]
    (tmp_path / "data").mkdir()
    main(bundles=bundles, runs=runs, data=tmp_path / "data", config=config)
    assert "teach done before" in capsys.readouterr().err
    made = {path: path.stat().st_mtime_ns for path in bundles.rglob("*")}
    assert [read_bundle(bundles / arm).manifest.name for arm in ARMS] == ["tiny-crossnet", "tiny-dagfm_outer"]
    main(bundles=bundles, runs=runs, data=tmp_path / "data", config=config)
    assert "nothing to do" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in bundles.rglob("*")} == made


def test_data_that_cannot_be_read_is_one_line_and_no_bundle(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data.zip").write_bytes(b"no archive")
    with pytest.raises(typer.Exit) as ended:
        main(bundles=tmp_path / "bundles", runs=tmp_path / "runs", data=tmp_path / "data.zip", config=config)
    assert ended.value.exit_code == 2
    said = capsys.readouterr().err
    assert "error: " in said
    assert "data.zip" in said
    assert not (tmp_path / "bundles").exists()


def test_a_version_that_is_none_is_one_line_and_nothing_is_trained(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "CURRENT").write_text("../elsewhere\n")
    with pytest.raises(typer.Exit):
        main(bundles=tmp_path, runs=tmp_path / "runs", config=config)
    assert "error: " in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_bundle_that_is_missing_alone_is_missing(tmp_path: Path) -> None:
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "CURRENT").write_text("v1\n")
    assert without_bundle(tmp_path, ARMS) == ["student"]


def test_an_empty_folder_holds_no_data_and_one_with_a_file_does(tmp_path: Path) -> None:
    assert not holds_anything(tmp_path / "nowhere")
    assert not holds_anything(tmp_path)
    (tmp_path / "ratings.dat").touch()
    assert holds_anything(tmp_path)
    assert holds_anything(tmp_path / "ratings.dat")
