"""How good each arm's probabilities are, on the impressions it made itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from service.experiment.report.arrays import Phase
from service.experiment.report.guarding import labelled
from service.experiment.report.schema_arms import Measured
from service.experiment.report.schema_checks import Bin, CalibrationErrorView, CalibrationView, QualityRow
from service.experiment.statistics.auc import Ranking, auc, gauc
from service.experiment.statistics.calibration_error import CalibrationError, calibration_error
from service.experiment.statistics.effect import student_quantile
from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.quality import Calibration, calibration, losses, normalized_entropy
from service.experiment.statistics.ratio import RatioSums, ratio

_T = TypeVar("_T")


def quality_row(phase: Phase, arm: int, alpha: float) -> QualityRow:
    """Log loss, NE, calibration, ECE, AUC and GAUC of an arm, an index into the phase's."""
    known_I = labelled(phase, arm)
    p_I, y_I, unit_I = phase.rows.probability_I[known_I], phase.rows.clicked_I[known_I], phase.unit_I[known_I]
    missing: list[str] = []

    def known(question: Callable[[], _T]) -> _T | None:
        try:
            return question()
        except StatisticsError as error:
            missing.append(str(error))
            return None

    found = known(lambda: calibration(p_I, y_I, unit_I, alpha=alpha))
    error = known(lambda: calibration_error(p_I, y_I))
    ranked = known(lambda: auc(p_I, y_I, unit_I, alpha=alpha))
    ranked_within = known(lambda: gauc(p_I, y_I, unit_I, alpha=alpha))
    return QualityRow(
        arm=phase.arms[arm],
        impressions=len(p_I),
        clicks=int(y_I.sum()),
        log_loss=known(lambda: _log_loss(RatioSums.of_rows(unit_I, losses(p_I, y_I)), alpha)),
        normalized_entropy=known(lambda: normalized_entropy(p_I, y_I)),
        calibration=None if found is None else _calibration(found),
        ece=None if error is None else _calibration_error(error),
        auc=None if ranked is None else _ranking(ranked, "AUC, DeLong's variance clustered by unit"),
        gauc=None if ranked_within is None else _ranking(ranked_within, "AUC within units, weighted by impressions"),
        missing=tuple(dict.fromkeys(missing)),
    )


def _log_loss(sums: RatioSums, alpha: float) -> Measured:
    value, variance, units = ratio(sums)
    half = student_quantile(units - 1, alpha) * variance**0.5
    return Measured(
        value=value, n=units, method="mean over impressions, clustered by unit", interval=(value - half, value + half)
    )


def _calibration(found: Calibration) -> CalibrationView:
    return CalibrationView(
        ratio=found.ratio,
        interval=found.interval,
        null_band=found.null_band,
        within_null=found.within_null,
        expected=found.expected,
        clicks=found.clicks,
    )


def _calibration_error(found: CalibrationError) -> CalibrationErrorView:
    bins_B3 = zip(found.predicted_B.tolist(), found.observed_B.tolist(), found.impressions_B.tolist(), strict=True)
    return CalibrationErrorView(
        value=found.value,
        null_mean=found.null_mean,
        null_p95=found.null_p95,
        p=found.p,
        bins=tuple(Bin(predicted=predicted, observed=observed, n=n) for predicted, observed, n in bins_B3),
    )


def _ranking(found: Ranking, method: str) -> Measured:
    return Measured(value=found.value, n=found.units, method=method, interval=found.interval)
