from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.doctor import settings
from service.doctor.finding import Status

if TYPE_CHECKING:
    from tests.service.doctor.conftest import Examined

GOOD = '[[experiments]]\nname = "a"\narms = [{name = "student", weight = 5000}, {name = "v2", weight = 5000}]\n'


def test_variables_are_shown_but_no_secret(examined: Examined) -> None:
    environment = {
        "CTR_PORT": "9000",
        "CTR_ADMIN_TOKEN": "let me in",
        "CTR_TOKEN_KEY": "k1",
        "CTR_EVENTS": "postgresql://me:pass@h/d",
        "CTR_RUNS": "elsewhere",
        "PATH": "/bin",
    }
    found = {name: finding.found for name, finding in examined(settings.variables, environment=environment).items()}
    assert found == {
        "CTR_PORT": "9000",
        "CTR_ADMIN_TOKEN": "set, not shown",
        "CTR_TOKEN_KEY": "set, not shown",
        "CTR_EVENTS": "postgresql://me:***@h/d",
        "CTR_RUNS": "elsewhere (of training and export, not read here)",
    }
    assert examined(settings.variables)["variables"].status is Status.OK


def test_a_good_document_is_named(examined: Examined, tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text(GOOD)
    found = examined(settings.experiment, experiment=tmp_path / "e.toml", arms={"v2": "bundles/v2"})
    finding = found["first experiments"]
    assert finding.status is Status.OK
    assert finding.found.endswith("e.toml: a")
    assert examined(settings.experiment)["first experiments"].status is Status.OK


@pytest.mark.parametrize(("text", "said"), [("x = [", "expected TOML"), (GOOD, "got v2"), (None, "No such file")])
def test_a_document_that_could_not_be_in_force_is_a_problem(
    examined: Examined, tmp_path: Path, text: str | None, said: str
) -> None:
    if text is not None:
        (tmp_path / "e.toml").write_text(text)
    finding = examined(settings.experiment, experiment=tmp_path / "e.toml")["first experiments"]
    assert finding.status is Status.PROBLEM
    assert said in finding.found
