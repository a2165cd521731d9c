import subprocess
import sys
from collections.abc import Iterator
from math import inf
from pathlib import Path

import numpy as np
import orjson
import pytest

from loadtest.proof import simulations
from loadtest.proof.finding import Finding
from loadtest.proof.oracles import agreement
from loadtest.proof.population import CORRELATION, Population
from service.experiment.statistics.effect import Effect
from service.experiment.statistics.power import design_effect
from service.experiment.statistics.ratio import RatioSums, ratio

FEW = 300
"""Simulations: a share of 5 % is then known to 1.3 points, and tolerances here are three times that."""


def steps(count: int) -> Iterator[int]:
    """No bar."""
    return iter(range(count))


@pytest.fixture(scope="module")
def aa() -> list[Finding]:
    return simulations.no_effect(FEW, steps)


def test_an_aa_is_called_as_often_as_alpha_says_and_peeking_does_not_matter_to_the_anytime_interval(
    aa: list[Finding],
) -> None:
    fixed, _, anytime, peeking, _ = (finding.found for finding in aa)
    assert fixed == pytest.approx(0.05, abs=0.04)
    assert anytime <= 0.05
    assert peeking > 0.25


def test_a_binomial_variance_and_a_misprinted_bound_are_caught(aa: list[Finding]) -> None:
    """Reference section 1.4: 23.2 % and 82.6 %."""
    _, binomial, _, _, misprint = (finding.found for finding in aa)
    assert binomial == pytest.approx(0.232, abs=0.075)
    assert misprint == pytest.approx(0.826, abs=0.08)


def test_the_proof_fails_if_the_service_uses_the_misprinted_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    def misprinted(effect: Effect, *, planned: float) -> tuple[float, float]:
        assert planned == simulations.PLANNED
        half = simulations._misprinted(effect)
        return effect.estimate - half, effect.estimate + half

    monkeypatch.setattr(simulations, "anytime_interval", misprinted)
    assert simulations.no_effect(20, steps)[2].met is False


def test_the_proof_fails_if_the_service_takes_impressions_for_independent(monkeypatch: pytest.MonkeyPatch) -> None:
    right = simulations.absolute_effect

    def independent(treatment: RatioSums, control: RatioSums, *, alpha: float = 0.05) -> Effect:
        alone = [RatioSums(int(d), m, d, m, d, m) for _, m, d, _, _, _ in (treatment, control)]
        return right(alone[0], alone[1], alpha=alpha)

    monkeypatch.setattr(simulations, "absolute_effect", independent)
    assert simulations.no_effect(100, steps)[0].met is False


def test_a_fair_split_is_called_less_than_once_in_a_thousand() -> None:
    sequential, chi_square = simulations.fair_split(20_000, steps)
    assert sequential.met
    assert chi_square.found > 0.004


def test_planned_units_have_the_planned_power() -> None:
    for finding in simulations.planned_effect(2 * FEW, steps):
        assert finding.found == pytest.approx(0.8, abs=0.07)


def test_cuped_saves_the_squared_correlation() -> None:
    saved, promised, called = simulations.same_units_before(2000, steps)
    assert abs(saved.found) < 0.04
    assert abs(promised.found) < 0.02
    assert called.found == pytest.approx(0.05, abs=0.02)


def test_the_oracles_agree() -> None:
    findings = agreement(3, steps)
    assert len(findings) == 5
    assert all(finding.met for finding in findings)
    assert all(finding.found >= 0 for finding in findings)


def test_the_population_is_what_it_says() -> None:
    """Its two ways of drawing agree with each other and with what is known of it."""
    population, generator = Population.of(0.05), np.random.default_rng(0)
    assert population.probability_P @ population.clicks_P / (population.probability_P @ population.impressions_P) == (
        pytest.approx(0.05, rel=1e-6)
    )
    drawn = population.sums(generator, 10**8)
    one_by_one = RatioSums.of(*population.units(generator, (200_000,)))
    assert ratio(drawn).value == pytest.approx(0.05, rel=1e-3)
    assert ratio(one_by_one).value == pytest.approx(0.05, rel=0.02)
    # 1 + (E[d²] / E[d] - 1)·correlation, d geometric with mean 10
    assert design_effect(drawn) == pytest.approx(1 + 18 * CORRELATION, rel=5e-3)
    assert design_effect(one_by_one) == pytest.approx(design_effect(drawn), rel=0.03)


def test_a_finding_knows_whether_it_lies_where_it_should() -> None:
    inside = Finding(target="T", what="", found=0.05, low=0.04, high=0.06)
    assert (inside.met, inside.wanted, inside.shown(inside.found)) == (True, "4 % to 6 %", "5 %")
    assert Finding(target="T", what="", found=0.07, high=0.06).met is False
    assert Finding(target="T", what="", found=inf, contrast=True).met is None


@pytest.mark.long
def test_the_command_prints_a_table_and_writes_the_findings(tmp_path: Path) -> None:
    path = tmp_path / "findings.json"
    command = [
        sys.executable,
        "-m",
        "loadtest.proof.statistics",
        "--quick",
        "--simulations",
        "100",
        "--out",
        str(path),
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    written = orjson.loads(path.read_bytes())
    assert {check["what"].split()[0] for check in written if check["met"] is not None} == {"T3", "T4", "T5", "p99"}
    assert all(check["what"].split(",")[0].strip() in told for check in written)
