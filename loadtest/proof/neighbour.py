"""Works as a shadow does, on its core and with its priority, and has nothing to do with any service.

    python -m loadtest.proof.neighbour --bundle bundles/teacher --core 1

What a service loses beside it, it loses to the machine: to caches, memory and power that two cores share.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from service.models import example_requests, load_model
from service.scoring import OnnxScorer
from service.shadow.compare import compare


def main(
    *,
    bundle: Annotated[Path, typer.Option(help="Of the model that the shadow would score with.")],
    core: Annotated[int, typer.Option(help="Where it works.")],
    candidates: Annotated[int, typer.Option(help="Candidates of a request.")] = 200,
) -> None:
    """Score and compare for ever."""
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    model = load_model(bundle, scorer_factory=OnnxScorer, max_candidates=candidates)
    columns = example_requests(model.bundle)["columns"]
    columns["candidates"] = {
        name: [values[position % len(values)] for position in range(candidates)]
        for name, values in columns["candidates"].items()
    }
    typer.echo("working")
    while True:
        encoded = model.reader.encode(columns)
        probabilities_N = model.probabilities(model.scorer.score(encoded.context_ids, encoded.candidate_ids))
        compare(probabilities_N, probabilities_N[::-1].copy())


if __name__ == "__main__":
    typer.run(main)
