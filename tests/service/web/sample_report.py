"""A report as GET /experiment/report?format=json gives it, with figures of one's choice."""

from __future__ import annotations

from typing import Any

START_MS = 1_790_000_000_000
HOUR_MS = 3_600_000
LOOKS = 28


def sample_report(verdict: str = "ship", *, alarm: bool = False) -> dict[str, Any]:
    """Fourteen days of an experiment `rank` of teacher (control) and student (treatment)."""
    return {
        "schema": 1,
        "generated_at": "2026-09-22T12:00:00+00:00",
        "plan": {
            "mode": "ab",
            "goal": "non_inferiority",
            "margin": 0.01,
            "alpha": 0.05,
            "power": 0.8,
            "planned_units": 120_000,
        },
        "verdict": {
            "verdict": verdict,
            "treatment": None if verdict in {"invalid", "inconclusive"} else "student",
            "reasons": [{"code": f"because_{verdict}", "text": f"What the data says is {verdict}.", "treatment": None}],
            "rule": "anytime",
            "more_units": 41_000 if verdict == "inconclusive" else None,
            "by_treatment": {"student": verdict},
        },
        "arms": [
            _arm("teacher", "control", units=61_204, ctr=0.10287, flops=20_394.0, p50=812.0, p99=4_930.0),
            _arm("student", "treatment", units=60_871, ctr=0.10361, flops=517.6, p50=471.0, p99=1_355.0),
        ],
        "improvements": [
            {
                "treatment": "student",
                "click_users": _measured(0.0007, (-0.004, 0.0054)),
                "ctr": _measured(0.0072, (0.0011, 0.0133)),
                "flops": _measured(0.9746),
                "latency_p50": _measured(0.42, (0.41, 0.43)),
                "latency_p99": _measured(0.725, (0.71, 0.74)),
            }
        ],
        "comparisons": [
            {
                "treatment": "student",
                "verdict": verdict,
                "primary": _effect(0.0072, 0.0031, 0.02),
                "difference": None,
                "cuped": {
                    "lift": _effect(0.0069, 0.0024, 0.01),
                    "theta": 0.6,
                    "variance_reduction": 0.4,
                    "covered": 0.8,
                },
                "cupac": None,
                "guardrails": _guardrails(),
                "over_time": [_look(i) for i in range(LOOKS)],
                "missing": None,
            }
        ],
        "srm": {
            "counts": {"teacher": 61_204, "student": 60_871},
            "shares": {"teacher": 0.5, "student": 0.5},
            "chi2_p": 0.00002 if alarm else 0.34,
            "sequential_p": 0.0004 if alarm else 1.0,
            "alarm_below": 0.001,
            "alarm": alarm,
            "diagnosis": {
                "finding": "capture" if alarm else "none",
                "text": "Answers of the student are missing on 22 September." if alarm else "Nothing deviates.",
                "deviations": [],
                "recomputed": None,
                "answered": {"teacher": 1.0, "student": 0.999},
                "fallback": {"teacher": 0.0, "student": 0.0},
                "models": {},
            },
        },
        "quality": [],
        "shadow": [],
        "provenance": {
            "experiment": "rank",
            "phase": 1,
            "revisions": [{"revision": 1, "ts_ms": START_MS, "action": "start", "reason": ""}],
            "config_hash": "0123456789abcdef",
            "from_ms": START_MS,
            "until_ms": START_MS + LOOKS * 12 * HOUR_MS,
            "units": 122_075,
            "requests": 731_422,
            "answered": 731_420,
            "impressions": 7_302_118,
            "clicks": 753_904,
            "strays": 3,
            "reasons": {"assigned": 731_422, "ramp": 10_022, "forced": 4},
            "losses": 0,
            "exposure_loss": 0.0,
            "multi_arm_units": 0,
            "multi_arm_share": 0.0,
            "mixed_models": {},
        },
    }


def _arm(arm: str, role: str, *, units: int, ctr: float, flops: float, p50: float, p99: float) -> dict[str, Any]:
    return {
        "arm": arm,
        "role": role,
        "models": [f"tiny-{arm}@v1"],
        "share": 0.5,
        "units": units,
        "requests": units * 6,
        "impressions": units * 60,
        "clicks": round(units * 60 * ctr),
        "click_users": units // 2,
        "ctr": _measured(ctr, (ctr - 0.0006, ctr + 0.0006)),
        "flops_effective": flops * 1.5,
        "flops_executed": flops,
        "latency_p50_us": _measured(p50, (p50 - 2, p50 + 2)),
        "latency_p99_us": _measured(p99, (p99 - 40, p99 + 55)),
    }


def _measured(value: float, interval: tuple[float, float] | None = None) -> dict[str, Any]:
    return {"value": value, "n": 122_075, "method": "delta method, units", "interval": interval}


def _effect(estimate: float, se: float, p: float) -> dict[str, Any]:
    return {
        "metric": "ctr",
        "scale": "lift",
        "estimate": estimate,
        "se": se,
        "n": 122_075,
        "method": "delta method",
        "fixed": (estimate - 1.96 * se, estimate + 1.96 * se),
        "anytime": (estimate - 2.9 * se, estimate + 2.9 * se),
        "p": p,
        "p_anytime": 3 * p,
        "p_holm": p,
        "p_anytime_holm": 3 * p,
    }


def _guardrails() -> list[dict[str, Any]]:
    missing = "no probabilities are stored: CTR_LOG_PROBABILITIES is off"
    shared = {"n": 731_422, "method": "units resampled", "deteriorated": False, "breached": False}
    latency = {
        "treatment_value": 1_355.0,
        "control_value": 4_930.0,
        "harm": -0.725,
        "fixed": (-0.74, -0.71),
        "anytime": (-0.76, -0.69),
    }
    errors = {
        "treatment_value": 0.0011,
        "control_value": 0.0,
        "harm": 0.0011,
        "fixed": (0.00105, 0.00115),
        "anytime": (0.001, 0.0013),
    }
    nothing = {"treatment_value": None, "control_value": None, "harm": None, "fixed": None, "anytime": None}
    return [
        {
            "metric": "latency_p99",
            "scale": "lift",
            "margin": 0.1,
            "outcome": "pass",
            "missing": None,
            **latency,
            **shared,
        },
        {
            "metric": "error_rate",
            "scale": "difference",
            "margin": 0.001,
            "outcome": "fail",
            "missing": None,
            **errors,
            **shared,
        },
        {
            "metric": "log_loss",
            "scale": "lift",
            "margin": 0.005,
            "outcome": "unmeasured",
            "missing": missing,
            **nothing,
            **shared,
        },
    ]


def _look(i: int) -> dict[str, Any]:
    se = 0.0031 * (LOOKS / (i + 1)) ** 0.5
    estimate = 0.0072 + se * (0.9 if i % 3 else -0.7) * (1 - i / (LOOKS - 1))
    open_yet = i == 0
    return {
        "ts_ms": START_MS + i * 12 * HOUR_MS,
        "n": 122_075 * (i + 1) // LOOKS,
        "estimate": estimate,
        "fixed": (estimate - 1.96 * se, estimate + 1.96 * se),
        "anytime": None if open_yet else (estimate - 2.9 * se, estimate + 2.9 * se),
        "p_anytime": None if open_yet else 0.06,
        "srm_p": 1.0,
    }
