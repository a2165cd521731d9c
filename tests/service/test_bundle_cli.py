from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.__main__ import cli
from service.bundle import Bundle, current_version, write_bundle


@pytest.fixture
def root(bundle: Bundle, tmp_path: Path) -> Path:
    for version in ("v1", "v2"):
        manifest = dataclasses.replace(
            bundle.manifest, version=version, lineage={"exported_at": f"2026-11-2{version[1]}"}
        )
        write_bundle(tmp_path, dataclasses.replace(bundle, manifest=manifest))
    return tmp_path


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["bundle", *map(str, arguments)])
    return result.exit_code, result.output


def test_every_version_is_listed_with_what_is_served(root: Path) -> None:
    (root / "v1" / "manifest.json").write_text("{")
    code, text = run("list", root)
    assert code == 0
    lines = {line.split()[1]: line for line in text.splitlines() if line.startswith("│")}
    assert "previous" in lines["v1"]
    assert "unreadable" in lines["v1"]
    assert all(word in lines["v2"] for word in ("current", "2026-11-22", "fm", "0.7500"))


def test_rolling_back_and_using_a_version_change_what_is_served(root: Path) -> None:
    assert run("rollback", root)[0] == 0
    assert current_version(root) == "v1"
    code, text = run("use", root, "v2")
    assert (code, current_version(root)) == (0, "v2")
    assert "v2 is current, it was v1" in text


def test_a_damaged_version_is_not_made_current(root: Path) -> None:
    (root / "v1" / "model.onnx").write_bytes(b"cut short")
    code, text = run("rollback", root)
    assert (code, current_version(root)) == (1, "v2")
    assert "sha256" in text
    assert len(text.strip().splitlines()) == 1


@pytest.mark.parametrize(("command", "words"), [(["use", "v9"], "expected one of v1, v2"), (["list"], "no version")])
def test_what_is_not_there_is_said_on_one_line(root: Path, command: list[str], words: str) -> None:
    name, *rest = command
    code, text = run(name, root if rest else root / "empty", *rest)
    assert code == 1
    assert words in text
