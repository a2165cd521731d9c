from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from loadtest.proof.compose.__main__ import prove
from loadtest.proof.compose.project import Project


def test_every_step_that_cannot_be_taken_is_a_target_missed_and_the_others_are_still_taken(tmp_path: Path) -> None:
    project = Project([sys.executable, "-c", "import sys; sys.exit('no project is up')"])
    checks = asyncio.run(prove(project, 100, 1, tmp_path))
    assert [check.what for check in checks] == [
        "as it is",
        "dashboards, after 1 s of load",
        "the teacher is killed",
        "a replica is killed",
        "bad input",
        "down and up",
    ]
    assert not any(check.met for check in checks)
    assert all("no project is up" in check.found for check in (*checks[:4], checks[5]))
