"""The shadow's row of the board `ctr-experiment`: both models on the same candidates, one of them never returned."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from boards.parts import QUARTER, Panel, Query, graph, row
from boards.queries import JOB, mean, quantile, rate, share


def shadow(made: builders.Dashboard) -> None:
    """Add the row."""
    row(
        made,
        "Shadow: both models on the same candidates, one of them never returned",
        _offers_by_result(),
        _gap_of_probabilities(),
        _agreement_on_the_order(),
        _p50_of_both_models(),
    )


def _offers_by_result() -> Panel:
    return graph(
        "Offers by result",
        "Requests per second handed to the shadow. dropped: it cannot keep up, lower the share; error: the other model "
        "has no answer.",
        "reqps",
        Query(rate("ctr_shadow_total", JOB, by="result"), "{{result}}"),
        width=QUARTER,
        stacked=True,
    )


def _gap_of_probabilities() -> Panel:
    return graph(
        "Gap of probabilities",
        "Absolute difference of a candidate's two probabilities. A step is a new version, or a bundle that is not the "
        "one that was distilled.",
        "percentunit",
        Query(quantile(0.5, "ctr_shadow_abs_diff", JOB), "p50"),
        Query(quantile(0.95, "ctr_shadow_abs_diff", JOB), "p95"),
        width=QUARTER,
    )


def _agreement_on_the_order() -> Panel:
    return graph(
        "Agreement on the order",
        "Kendall's tau-b of all candidates (its median: what may be negative has no sum), and means over requests of "
        "the overlap of the first ten, of rank-biased overlap, and of how often the first candidate is the same.",
        "short",
        Query(quantile(0.5, "ctr_shadow_kendall_tau", JOB), "Kendall's tau-b, median"),
        Query(mean("ctr_shadow_top_k_overlap", JOB), "first ten"),
        Query(mean("ctr_shadow_rank_biased_overlap", JOB), "rank-biased overlap"),
        Query(
            "1 - " + share(rate("ctr_shadow_top_1_flips_total", JOB), rate("ctr_shadow_total", JOB, 'result="ok"')),
            "same first",
        ),
        width=QUARTER,
        bottom=None,
        top=1,
    )


def _p50_of_both_models() -> Panel:
    return graph(
        "p50 of both models",
        "Time each took for a request that both scored: the fairest comparison of latencies there is.",
        "s",
        Query(quantile(0.5, "ctr_shadow_latency_seconds", JOB, by="model"), "{{model}}"),
        width=QUARTER,
    )
