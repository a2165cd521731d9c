"""`python -m boards [DIRECTORY]`: write every board as JSON, to ../dashboards of this package unless told otherwise."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from boards.cost import cost
from boards.experiment import experiment
from boards.model import model
from boards.service import service

BOARDS: tuple[Callable[[], Dashboard], ...] = (service, experiment, model, cost)
WHERE = Path(__file__).parents[1] / "dashboards"


def main(directory: Path) -> None:
    """Write every board into a directory, each as its uid."""
    for make in BOARDS:
        made = make().build()
        (directory / f"{made.uid}.json").write_text(JSONEncoder(sort_keys=True, indent=2).encode(made) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else WHERE)
