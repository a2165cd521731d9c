"""PromQL that several boards use.

Counters that may not have happened yet stand at 0 from the start of the service, so that a sum over them is 0 and not
nothing; `or vector(0)` stands only where nothing to count and a count of nothing are the same.
"""

from __future__ import annotations

WINDOW = "$__rate_interval"
HOT = 'route=~"/predict|/student/predict|/teacher/predict|/v2/.*/infer"'
"""Paths that answer predictions."""
JOB = 'job=~"$job"'


def rate(metric: str, *matchers: str, by: str = "") -> str:
    """Events per second of a counter, summed over what `by` does not name."""
    return f"sum{_by(by)} (rate({metric}{_matching(matchers)}[{WINDOW}]))"


def quantile(q: float, metric: str, *matchers: str, by: str = "") -> str:
    """A quantile of a histogram's observations, of everything that `by` does not tell apart together."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({q}, {rate(f'{metric}_bucket', *matchers, by=labels)})"


def mean(metric: str, *matchers: str, by: str = "") -> str:
    """The mean of a histogram's observations."""
    return share(rate(f"{metric}_sum", *matchers, by=by), rate(f"{metric}_count", *matchers, by=by))


def share(part: str, whole: str) -> str:
    """A part of a whole; nothing while there is no whole, rather than a quotient that means nothing."""
    return f"{part} / ({whole} > 0)"


def total(metric: str, *matchers: str, by: str = "") -> str:
    """A gauge summed over instances."""
    return f"sum{_by(by)} ({metric}{_matching(matchers)})"


def largest(metric: str, *matchers: str, by: str = "") -> str:
    """The largest of a gauge over instances: what they all say alike is said once."""
    return f"max{_by(by)} ({metric}{_matching(matchers)})"


def per_candidate(*matchers: str, by: str) -> str:
    """Multiplications per candidate, of the models that are served now and not of those that were."""
    metric = f"ctr_model_flops_per_candidate{_matching(matchers)}"
    return f"max by ({by}) ({metric} and on (job, instance, model) (ctr_model_info == 1))"


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""


def _matching(matchers: tuple[str, ...]) -> str:
    return "{" + ", ".join(matchers) + "}" if matchers else ""
