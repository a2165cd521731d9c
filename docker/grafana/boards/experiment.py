"""Experiment: do the arms hold what they should, what do units do, is it harm, and do the two models agree?"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from boards.parts import (
    AMBER,
    GREEN,
    HALF,
    QUARTER,
    RED,
    Panel,
    Query,
    Step,
    above,
    board,
    figure,
    graph,
    row,
    rows_of,
    variable,
)
from boards.queries import JOB, largest, quantile, rate, share
from boards.shadow import shadow

RUN = 'experiment=~"$experiment"'
ASSIGNED = 'reason="assigned"'
REQUESTS = "ctr_request_duration_seconds"


def experiment() -> builders.Dashboard:
    """The board `ctr-experiment`."""
    made = board(
        "ctr-experiment",
        "CTR experiment",
        "An experiment while it runs. What decides is its report (python -m service report); this shows where it "
        "stands.",
        [
            variable("job", "Job", "label_values(ctr_experiment_revision, job)"),
            variable("experiment", "Experiment", 'label_values(ctr_exposures_total{experiment!=""}, experiment)'),
        ],
    )
    for add in (_standing, _effect, _traffic, _health, shadow):
        add(made)
    return made


def _standing(made: builders.Dashboard) -> None:
    row(
        made,
        "Where it stands, as the watch sees it",
        _verdict(),
        _sample_ratio_p(),
        _units(),
        _fallbacks(),
    )


def _verdict() -> Panel:
    return rows_of(
        "Verdict",
        "What the report would say now: ship, keep, stop_harm (the watch throws the switch itself), inconclusive, or "
        "invalid (a person must look).",
        Query(f"ctr_experiment_verdict{{{RUN}}} == 1", "is"),
        hide=("instance", "job", "is"),
        width=HALF,
    ).height(4)


def _sample_ratio_p() -> Panel:
    return figure(
        "Sample ratio: p",
        "Sequential p-value of the arms' sizes against their weights. Below 0.001 the arms are not what was promised: "
        "the experiment is invalid, find out why before anything else.",
        "short",
        Query(f"min(ctr_srm_p_value{{{RUN}}})", "p"),
        steps=(Step(None, RED), Step(0.001, AMBER), Step(0.01, GREEN)),
        decimals=4,
    )


def _units() -> Panel:
    return figure(
        "Units",
        "Units exposed, all arms together.",
        "short",
        Query(f"sum(ctr_experiment_units{{{RUN}}})", "units"),
    )


def _fallbacks() -> Panel:
    return figure(
        "Fallbacks",
        "Share of assigned requests that the default model answered because the arm's own could not. Above 0.5 % the "
        "arm is not what it claims to be.",
        "percentunit",
        Query(
            share(rate("ctr_fallbacks_total", JOB), rate("ctr_exposures_total", JOB, RUN, ASSIGNED)),
            "fallbacks",
        ),
        steps=above(0.001, 0.005),
        decimals=2,
    )


def _effect(made: builders.Dashboard) -> None:
    row(
        made,
        "What units do",
        _click_through_rate_by_arm(),
        _lift_of_ctr_against_the_control(),
        _feedback_by_type(),
    )


def _click_through_rate_by_arm() -> Panel:
    return graph(
        "Click-through rate by arm",
        "Clicks over impressions since the phase began, of feedback joined to its exposure. No interval: see the lift.",
        "percentunit",
        Query(largest("ctr_click_through_ratio", RUN, by="experiment, arm"), "{{arm}}"),
        bottom=None,
    )


def _lift_of_ctr_against_the_control() -> Panel:
    return graph(
        "Lift of CTR against the control",
        "Relative change with the interval that holds at every look: it may be read at any time. Wholly above 0 is "
        "better, wholly below worse; while 0 is inside, nothing is known.",
        "percentunit",
        Query(largest("ctr_lift_ratio", RUN, by="experiment, arm, end"), "{{arm}}: {{end}}"),
        bottom=None,
    )


def _feedback_by_type() -> Panel:
    return graph(
        "Feedback by type",
        "Impressions and clicks taken in per second. None: nobody posts to /feedback, and no effect can be found.",
        "cps",
        Query(rate("ctr_feedback_total", JOB, 'result=~"accepted|late|unknown"', by="type"), "{{type}}"),
    )


def _traffic(made: builders.Dashboard) -> None:
    row(
        made,
        "Who gets what",
        _exposures_by_arm(),
        _share_of_each_arm(),
        _requests_by_reason(),
        _units_by_arm(),
    )


def _exposures_by_arm() -> Panel:
    return graph(
        "Exposures by arm",
        "Requests per second by the arm that their unit was given, analysed ones only.",
        "reqps",
        Query(rate("ctr_exposures_total", JOB, RUN, ASSIGNED, by="arm"), "{{arm}}"),
        width=QUARTER,
        stacked=True,
    )


def _share_of_each_arm() -> Panel:
    return graph(
        "Share of each arm",
        "Of analysed requests. Requests, not units: a busy unit moves it, so the test is the sample ratio's.",
        "percentunit",
        Query(
            f"{rate('ctr_exposures_total', JOB, RUN, ASSIGNED, by='arm')} / ignoring (arm) group_left () "
            f"({rate('ctr_exposures_total', JOB, RUN, ASSIGNED)} > 0)",
            "{{arm}}",
        ),
        width=QUARTER,
        top=1,
    )


def _requests_by_reason() -> Panel:
    return graph(
        "Requests by reason",
        "Why requests got their arm: assigned ones are analysed, every other reason is left out (no unit, a holdout, a "
        "forced arm, a thrown switch).",
        "reqps",
        Query(rate("ctr_exposures_total", JOB, by="reason"), "{{reason}}"),
        width=QUARTER,
        stacked=True,
    )


def _units_by_arm() -> Panel:
    return graph(
        "Units by arm",
        "Units exposed since the phase began; the sample ratio is about these.",
        "short",
        Query(largest("ctr_experiment_units", RUN, by="experiment, arm"), "{{arm}}"),
        width=QUARTER,
    )


def _health(made: builders.Dashboard) -> None:
    row(
        made,
        "Guardrails",
        _p99_by_arm(),
        _errors_by_arm(),
        _fallbacks_by_reason(),
        _revision_in_force(),
    )


def _p99_by_arm() -> Panel:
    return graph(
        "p99 by arm",
        "Of POST /predict by arm, fallbacks included: what its units wait.",
        "s",
        Query(quantile(0.99, REQUESTS, JOB, 'route="/predict"', by="arm"), "{{arm}}"),
        width=QUARTER,
    )


def _errors_by_arm() -> Panel:
    return graph(
        "Errors by arm",
        "Share of /predict answered with 5xx.",
        "percentunit",
        Query(
            share(
                rate(f"{REQUESTS}_count", JOB, 'route="/predict"', 'status_class="5xx"', by="arm"),
                rate(f"{REQUESTS}_count", JOB, 'route="/predict"', by="arm"),
            ),
            "{{arm}}",
        ),
        width=QUARTER,
    )


def _fallbacks_by_reason() -> Panel:
    return graph(
        "Fallbacks by reason",
        "Per second. timeout and busy: the arm is too slow for its traffic; unreachable: it is down; refused, "
        "malformed: it serves another model than this service expects.",
        "reqps",
        Query(rate("ctr_fallbacks_total", JOB, by="arm, reason"), "{{arm}}: {{reason}}"),
        width=QUARTER,
    )


def _revision_in_force() -> Panel:
    return graph(
        "Revision in force",
        "Of the experiments' document, by instance. Instances that differ for more than a second do not share a store, "
        "or cannot read it.",
        "short",
        Query(largest("ctr_experiment_revision", JOB, by="instance") + " > 0", "{{instance}}"),
        width=QUARTER,
    )
