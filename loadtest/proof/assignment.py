"""Proof of the hash (T2): a million ids fall evenly, and independently under every salt; what an assignment costs.

python -m loadtest.proof.assignment
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from statistics import median
from timeit import repeat
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from scipy.stats import chi2_contingency, chisquare

from loadtest.proof.checks import Check, show
from service.experiment.assignment import Assigner, bucket
from service.experiment.document import BUCKETS, check
from training.progress import console

SALTS = ("ranking", "ranking.holdout", "a.1.in", "a.1.arm", "a.2.in", "a.2.arm", "b.1.in", "b.1.arm")
"""Of a layer, and of two experiments, one of them in two phases: everything that is ever hashed."""
LEAST_P = 1e-4
BANDS = 20
"""Of two salts' buckets, in the table whose independence is tested."""
MOST_US = 20.0
CALLS = 20_000


def buckets_of(salt: str, ids: int) -> npt.NDArray[np.int64]:
    """Buckets [ids] of the units user0, user1, …"""
    return np.fromiter((bucket(salt, f"user{number}") for number in range(ids)), np.int64, ids)


def p_of_uniformity(buckets_N: npt.NDArray[np.int64]) -> float:
    """Of a chi-square test over all 10,000 buckets."""
    return float(chisquare(np.bincount(buckets_N, minlength=BUCKETS)).pvalue)


def p_of_independence(first_N: npt.NDArray[np.int64], second_N: npt.NDArray[np.int64]) -> float:
    """Of a chi-square test over BANDS x BANDS bands of both."""
    width = BUCKETS // BANDS
    cells = np.bincount(first_N // width * BANDS + second_N // width, minlength=BANDS * BANDS)
    return float(chi2_contingency(cells.reshape(BANDS, BANDS)).pvalue)


def microseconds() -> float:
    """Of one assignment that draws holdout, layer, ramp and arm: the median of several runs."""
    arms = [{"name": "control", "weight": 5000, "model": "student"}, {"name": "treatment", "weight": 5000}]
    document = check({"layer": {"holdout": 1.0}, "experiments": [{"name": "a", "arms": arms, "ramp": 50.0}]})
    assign = Assigner(document).assign
    return median(repeat(lambda: assign("user-12345", {}), number=CALLS, repeat=7)) / CALLS * 1e6


def main(
    *,
    ids: Annotated[int, typer.Option(help="Units that are hashed under every salt.")] = 1_000_000,
    out: Annotated[Path, typer.Option(help="JSON file of the figures.")] = Path("build/proof/assignment.json"),
) -> None:
    """Measure, print target, found, met."""
    with console.status(f"hashing {ids:,} ids under {len(SALTS)} salts"):
        drawn = {salt: buckets_of(salt, ids) for salt in SALTS}
    uniform = min(p_of_uniformity(buckets_N) for buckets_N in drawn.values())
    independent = min(p_of_independence(drawn[one], drawn[other]) for one, other in combinations(SALTS, 2))
    pairs = len(SALTS) * (len(SALTS) - 1) // 2
    took_us = microseconds()
    least = f"p > {LEAST_P:g}"
    checks = [
        Check(what=f"uniform, {len(SALTS)} salts", target=least, found=f"{uniform:.4f}", met=uniform > LEAST_P),
        Check(what=f"independent, {pairs} pairs", target=least, found=f"{independent:.4f}", met=independent > LEAST_P),
        Check(what="one assignment", target=f"{MOST_US:g} µs", found=f"{took_us:.1f} µs", met=took_us <= MOST_US),
    ]
    raise typer.Exit(show(f"The hash, {ids:,} ids", checks, out))


if __name__ == "__main__":
    typer.run(main)
