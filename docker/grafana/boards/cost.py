"""Student against teacher: what a prediction takes of each in time, multiplications, processor time and money."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from boards.parts import (
    HALF,
    QUARTER,
    Panel,
    Query,
    board,
    figure,
    graph,
    row,
    variable,
)
from boards.queries import per_candidate, quantile, rate, share

STUDENT, TEACHER = 'job=~"$student"', 'job=~"$teacher"'
BOTH = 'job=~"$student|$teacher"'
OWN = 'stage="infer", arm="student"'
"""What a job's own model computes: whatever it serves, it calls its student."""
EXECUTED = 'kind="executed"'
INFER = "ctr_stage_duration_seconds"
SCORER = "job:ctr_scorer_seconds_per_million_candidates:rate5m"
PER_MILLION = "job:ctr_cpu_seconds_per_million_candidates:rate5m"
PRICE = "scalar(ctr:cpu_hour_price)"
"""Of an hour of one CPU; a rule, so that one place says it and every board asks for the same."""


def cost() -> builders.Dashboard:
    """The board `ctr-cost`."""
    made = board(
        "ctr-cost",
        "CTR student against teacher",
        "The same traffic answered by two models in processes of their own: latency, multiplications, processor time, "
        "money.",
        [
            variable("student", "Student's job", 'label_values(ctr_workers{job=~"student.*"}, job)', several=False),
            variable("teacher", "Teacher's job", 'label_values(ctr_workers{job=~"teacher.*"}, job)', several=False),
        ],
    )
    for add in (_headline, _latency, _flops, _processor, _money):
        add(made)
    return made


def _headline(made: builders.Dashboard) -> None:
    seconds = [f"sum({SCORER}{{{job}}})" for job in (TEACHER, STUDENT)]
    multiplications = [f"max({per_candidate(job, EXECUTED, by='job')})" for job in (TEACHER, STUDENT)]
    processor = [f"sum({PER_MILLION}{{{job}}})" for job in (TEACHER, STUDENT)]
    row(
        made,
        "How many times cheaper the student is",
        _times(
            "Model's time",
            "Seconds of scoring per candidate, teacher's over student's. Above 1 the student is faster.",
            seconds,
        ),
        _times(
            "Multiplications",
            "Executed per candidate, teacher's over student's, at the size of request the bundles were exported for.",
            multiplications,
        ),
        _times(
            "Processor time",
            "CPU seconds per candidate of the whole process, HTTP and JSON included, teacher's over student's. The "
            "student's also assigns, logs and passes requests on, so this understates it.",
            processor,
        ),
        _multiplications_saved(),
    )


def _multiplications_saved() -> Panel:
    return figure(
        "Multiplications saved",
        "Of those that the teacher would have executed for the candidates that the student scored.",
        "percentunit",
        Query("ctr:flops_saved:ratio", "saved"),
        width=QUARTER,
        decimals=1,
    )


def _times(title: str, description: str, teacher_and_student: list[str]) -> Panel:
    teacher, student = teacher_and_student
    return figure(title, description, "none", Query(f"({teacher}) / ({student})", "times"), width=QUARTER, decimals=1)


def _latency(made: builders.Dashboard) -> None:
    row(
        made,
        "Latency",
        _model_time(0.5, "p50"),
        _model_time(0.99, "p99"),
        _whole_requests_p99(),
        _candidates_per_request(),
    )


def _whole_requests_p99() -> Panel:
    return graph(
        "Whole requests: p99",
        "Of each job's own predict path, HTTP and JSON included.",
        "s",
        Query(
            quantile(
                0.99,
                "ctr_request_duration_seconds",
                BOTH,
                'arm="student"',
                'route=~"/predict|/student/predict"',
                by="job",
            ),
            "{{job}}",
        ),
        width=QUARTER,
        log=True,
    )


def _candidates_per_request() -> Panel:
    return graph(
        "Candidates per request",
        "What makes the panels beside this one comparable.",
        "short",
        Query(
            share(rate("ctr_candidates_total", BOTH, by="job"), rate(f"{INFER}_count", BOTH, OWN, by="job")),
            "{{job}}",
        ),
        width=QUARTER,
    )


def _model_time(q: float, name: str) -> Panel:
    return graph(
        f"Model's {name}",
        "Time in the scorer for one request. Sizes of requests must be alike to compare: see candidates per request.",
        "s",
        Query(quantile(q, INFER, BOTH, OWN, by="job"), "{{job}}"),
        width=QUARTER,
        log=True,
    )


def _flops(made: builders.Dashboard) -> None:
    row(
        made,
        "Multiplications (a multiply-add counts once)",
        _per_candidate(),
        _per_second(),
        _executed_per_candidate_as_asked(),
    )


def _per_candidate() -> Panel:
    return graph(
        "Per candidate",
        "Executed: what the scorer runs at the size of request the bundle was exported for. Effective: what the "
        "model's equations need for a full row, the honest figure to compare architectures by.",
        "short",
        Query(per_candidate(BOTH, by="job, model, kind"), "{{job}} · {{model}}: {{kind}}"),
        log=True,
    )


def _per_second() -> Panel:
    return graph(
        "Per second",
        "Executed for answered predictions.",
        "short",
        Query(rate("ctr_model_flops_total", BOTH, by="job, model"), "{{job}} · {{model}}"),
        log=True,
    )


def _executed_per_candidate_as_asked() -> Panel:
    return graph(
        "Executed per candidate, as asked",
        "At the sizes of the requests that come: small requests share the context's part among fewer candidates.",
        "short",
        Query(
            share(
                rate("ctr_model_flops_total", BOTH, by="job, model"),
                rate("ctr_candidates_total", BOTH, by="job, model"),
            ),
            "{{job}} · {{model}}",
        ),
        log=True,
    )


def _processor(made: builders.Dashboard) -> None:
    row(
        made,
        "Processor time",
        _scorers_seconds(),
        _cpu_seconds_per_million_candidates(),
        _candidates_per_cpu_second(),
    )


def _cpu_seconds_per_million_candidates() -> Panel:
    return graph(
        "CPU seconds per million candidates",
        "Of workers, everything included but the shadow; of the student also what it does for requests that it passes "
        "on. What capacity is planned by: candidates per second times this, over a million, is cores.",
        "s",
        Query(f"{PER_MILLION}{{{BOTH}}}", "{{job}}"),
    )


def _candidates_per_cpu_second() -> Panel:
    return graph(
        "Candidates per CPU second",
        "The same the other way round: what one core answers when it does nothing else.",
        "cps",
        Query(f"1e6 / ({PER_MILLION}{{{BOTH}}} > 0)", "{{job}}"),
    )


def _scorers_seconds() -> Panel:
    return graph(
        "Scorer's seconds per million candidates",
        "The model alone, without HTTP, JSON and logs: where student and teacher differ. Measured by the clock, so "
        "that a crowded machine shows more.",
        "s",
        Query(f"{SCORER}{{{BOTH}}}", "{{job}}"),
        log=True,
    )


def _money(made: builders.Dashboard) -> None:
    row(
        made,
        "Money, at the price of a CPU hour in the recording rules",
        _a_million_candidates_cost(),
        _a_month_of_this_traffic_costs(),
    )


def _a_million_candidates_cost() -> Panel:
    return graph(
        "A million candidates cost",
        "Processor time actually used, in the currency of the price; a machine that idles costs the same. The "
        "student's process also passes on the teacher's requests, logs and takes feedback.",
        "none",
        Query(f"{SCORER}{{{BOTH}}} / 3600 * {PRICE}", "{{job}}: scorer"),
        Query(f"{PER_MILLION}{{{BOTH}}} / 3600 * {PRICE}", "{{job}}: whole process"),
        width=HALF,
        log=True,
    )


def _a_month_of_this_traffic_costs() -> Panel:
    return graph(
        "A month of this traffic costs",
        "If the one or the other scored every candidate that both score now, scorer alone: what surrounds it costs the "
        "same for either. What the student saves is the gap.",
        "none",
        Query(
            f"{SCORER}{{{BOTH}}} / 3600 * {PRICE} * 30 * 86400 / 1e6 * scalar({rate('ctr_candidates_total', BOTH)})",
            "all by {{job}}",
        ),
        width=HALF,
        log=True,
    )
