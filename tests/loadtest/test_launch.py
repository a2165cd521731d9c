from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from loadtest.bench.wrk import LoadError
from loadtest.launch import cpu_s, launched, without_settings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="taskset and /proc")
SAYS = "print('serving it on http://127.0.0.1:1234', flush=True); import time; time.sleep(60)"


def test_a_server_is_on_its_core_and_ends_with_the_measurement() -> None:
    core = min(os.sched_getaffinity(0))
    with launched(("-c", SAYS), os.environ, core=core) as endpoint:
        assert endpoint.url == "http://127.0.0.1:1234"
        assert os.sched_getaffinity(endpoint.pid) == {core}
        assert endpoint.cpu_seconds() >= 0
    with pytest.raises(ProcessLookupError):
        os.kill(endpoint.pid, 0)


def test_a_server_that_does_not_start_has_its_last_words_in_the_error(tmp_path: Path) -> None:
    dies = ("-c", "raise SystemExit('no bundle here')")
    with (
        pytest.raises(LoadError, match=r"teacher said 'nothing', expected where it serves: no bundle here"),
        launched(dies, os.environ, name="teacher", log=tmp_path / "log"),
    ):
        pass


def test_cpu_time_is_the_process_s_own_and_nobody_has_none() -> None:
    before, used = cpu_s(os.getpid()), os.times()
    assert before == pytest.approx(used.user + used.system, abs=0.1)
    assert cpu_s(2**22 + 1) == 0


def test_a_server_s_environment_has_only_the_settings_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTR_PORT", "1")
    assert "CTR_PORT" not in without_settings()
    assert without_settings()["PATH"] == os.environ["PATH"]
