"""Model health: what is served, are its probabilities right, has what it sees changed?"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from boards.parts import (
    ANY_IS_BAD,
    HALF,
    Panel,
    Query,
    above,
    around,
    board,
    figure,
    graph,
    heat,
    row,
    rows_of,
    variable,
)
from boards.queries import JOB, per_candidate, rate, share, total

MODEL = 'model=~"$model"'


def model() -> builders.Dashboard:
    """The board `ctr-model`."""
    made = board(
        "ctr-model",
        "CTR model health",
        "What is served, whether its probabilities are right, and whether what it sees has changed.",
        [
            variable("job", "Job", "label_values(ctr_model_info, job)"),
            variable("model", "Model", f"label_values(ctr_model_info{{{JOB}}}, model)"),
        ],
    )
    for add in (_served, _quality, _drift, _inputs):
        add(made)
    return made


def _served(made: builders.Dashboard) -> None:
    row(
        made,
        "What is served",
        _models(),
        _bundles_refused(),
        _answers_not_finite(),
        _slow_scorers(),
    )


def _models() -> Panel:
    return rows_of(
        "Models",
        "Every model being served: its version, the scorer that answers, its multiplications per candidate (executed "
        "by the scorer, needed by the equations) and candidates per second.",
        Query(f"max by (job, model, version) (ctr_model_info{{{JOB}, {MODEL}}} == 1)", "served"),
        Query(f"max by (job, model, scorer) (ctr_scorer_info{{{JOB}, {MODEL}}} == 1)", "answers"),
        Query(per_candidate(JOB, MODEL, 'kind="executed"', by="job, model"), "executed"),
        Query(per_candidate(JOB, MODEL, 'kind="effective"', by="job, model"), "needed"),
        Query(rate("ctr_candidates_total", JOB, MODEL, by="job, model"), "candidates/s"),
        hide=("Value #A", "Value #B"),
        width=HALF,
    ).height(6)


def _bundles_refused() -> Panel:
    return figure(
        "Bundles refused",
        "Since the processes started. A refused student leaves the service unready or the version before in place; the "
        "log and /readyz say what is wrong with it.",
        "short",
        Query(total("ctr_model_loads_total", JOB, 'result="refused"'), "refused"),
        steps=ANY_IS_BAD,
    ).height(6)


def _answers_not_finite() -> Panel:
    return figure(
        "Answers not finite",
        "Predictions refused in the last hour because a logit was NaN or infinite. None is ever fine: roll back, then "
        "look at the weights.",
        "short",
        Query(f"sum(increase(ctr_not_finite_total{{{JOB}, {MODEL}}}[1h]))", "refused"),
        steps=ANY_IS_BAD,
    ).height(6)


def _slow_scorers() -> Panel:
    return figure(
        "Slow scorers",
        "Models that have weights for the native scorer but are answered by onnxruntime, because it was not built here "
        "or did not agree. Several times slower; the log has the reason.",
        "short",
        Query(total("ctr_native_scorer_total", JOB, 'result=~"not_built|refused"') + " or vector(0)", "slow"),
        steps=ANY_IS_BAD,
    ).height(6)


def _quality(made: builders.Dashboard) -> None:
    row(
        made,
        "Are its probabilities right? From feedback, as the watch sees it",
        _calibration(),
        _normalized_entropy(),
        _auc(),
    )


def _calibration() -> Panel:
    return graph(
        "Calibration",
        "Sum of probabilities over clicks, of each arm's own impressions. Above 1 it promises too many clicks: bids "
        "and thresholds built on it are off by as much. Calibrate again when the whole interval is away from 1.",
        "short",
        Query(f"ctr_calibration_ratio{{{MODEL}}}", "{{arm}} · {{model}}"),
        Query(f"ctr_calibration_bound_ratio{{{MODEL}}}", "{{arm}} · {{end}}"),
        steps=around(0.9, 1.1),
        bottom=None,
    )


def _normalized_entropy() -> Panel:
    return graph(
        "Normalized entropy",
        "Log loss over that of always answering the arm's own CTR: below 1 the model knows something. Arms compare "
        "only while their CTRs are alike.",
        "short",
        Query(f"ctr_normalized_entropy{{{MODEL}}}", "{{arm}} · {{model}}"),
        steps=above(0.97, 1.0),
        bottom=None,
    )


def _auc() -> Panel:
    return graph(
        "AUC",
        "How often a clicked impression has the higher probability of two. Online it is below the test set's: what is "
        "shown was chosen by the model. A fall against its own past is what counts.",
        "short",
        Query(f"ctr_auc{{{MODEL}}}", "{{arm}} · {{model}}"),
        bottom=0.5,
        top=1,
    )


def _drift(made: builders.Dashboard) -> None:
    row(
        made,
        "What it answers",
        _answered_probabilities(),
        _mean_probability(),
        _drift_of_probabilities(),
    )


def _answered_probabilities() -> Panel:
    return heat(
        "Answered probabilities",
        "Candidates per second by probability. A band that moves or narrows: other traffic, a field gone missing, or "
        "another version.",
        "percentunit",
        Query(rate("ctr_score_bucket", JOB, MODEL, by="le"), "{{le}}"),
    )


def _mean_probability() -> Panel:
    return graph(
        "Mean probability",
        "Of all candidates a model scored. Student and teacher need not agree here unless they score the same "
        "candidates: the shadow's do.",
        "percentunit",
        Query(
            share(rate("ctr_score_sum", JOB, MODEL, by="model"), rate("ctr_score_count", JOB, MODEL, by="model")),
            "{{model}}",
        ),
        width=6,
    )


def _drift_of_probabilities() -> Panel:
    return graph(
        "Drift of probabilities",
        "Largest gap of the distribution of the last five minutes to that of the last day (Kolmogorov-Smirnov): 0 is "
        "the same, 1 nothing in common. Above 0.2 for half an hour it is an alert.",
        "short",
        Query(f"job_model:ctr_score_drift:ks{{{JOB}, {MODEL}}}", "{{model}} ({{job}})"),
        width=6,
        steps=above(0.1, 0.2),
        top=1,
    )


def _inputs(made: builders.Dashboard) -> None:
    row(
        made,
        "What it sees",
        _unknown_values_by_field(),
        _unknown_values(),
        _contexts_remembered(),
    )


def _unknown_values_by_field() -> Panel:
    return graph(
        "Unknown values by field",
        "Values outside the vocabulary per candidate scored, which the model answers for as id 1. New items and users "
        "make it rise slowly until the next training; a jump is an upstream change.",
        "percentunit",
        Query(f"job_field:ctr_oov:per_candidate_5m{{{JOB}}}", "{{field}} ({{job}})"),
        width=HALF,
    )


def _unknown_values() -> Panel:
    return graph(
        "Unknown values",
        "The same in values per second.",
        "cps",
        Query(rate("ctr_oov_total", JOB, by="field"), "{{field}}"),
        width=6,
        stacked=True,
    )


def _contexts_remembered() -> Panel:
    return graph(
        "Contexts remembered",
        "Contexts asked of the cache per second, by whether it had them. All 0 while CTR_CONTEXT_CACHE is 0, which is "
        "the default.",
        "cps",
        Query(rate("ctr_context_cache_total", JOB, by="result"), "{{result}}"),
        width=6,
        stacked=True,
    )
