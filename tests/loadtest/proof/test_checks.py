from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from loadtest.proof.checks import Check, show

GOOD = Check(what="units moved", target="0", found="0", met=True)
BAD = Check(what="kill switch", target="<= 1 s", found="3 s", met=False)


def test_every_target_stands_beside_what_was_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show("proof", [GOOD], tmp_path / "made" / "proof.json") == 0
    assert show("proof", [GOOD, BAD], tmp_path / "proof.json") == 1
    said = capsys.readouterr().out
    for word in ("units moved", "kill switch", "<= 1 s", "3 s", "yes", "no"):
        assert word in said
    assert orjson.loads((tmp_path / "proof.json").read_bytes())[1]["met"] is False
