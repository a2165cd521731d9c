"""Service: does it keep what was promised, what does it do, where does the time go, how near is it to its limits?"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from boards.limits import events, limits
from boards.parts import (
    HALF,
    LOW_IS_BAD,
    QUARTER,
    Panel,
    Query,
    Steps,
    above,
    board,
    figure,
    graph,
    heat,
    row,
    variable,
)
from boards.queries import HOT, JOB, mean, quantile, rate, share, total

REQUESTS = "ctr_request_duration_seconds"
STAGES = "ctr_stage_duration_seconds"
PICKED = (JOB, HOT, 'arm=~"$arm"')
BURN = 'job_slo:ctr_burn:ratio_{window}{{job=~"$job", slo=~".+"}}'


def service() -> builders.Dashboard:
    """The board `ctr-service`."""
    jobs = variable("job", "Job", "label_values(ctr_workers, job)", first="student")
    arms = variable("arm", "Arm", f"label_values({REQUESTS}_count{{{JOB}}}, arm)")
    made = board(
        "ctr-service",
        "CTR service",
        "Whether predictions are answered, how fast, and how near the service is to its limits.",
        [jobs, arms],
    )
    for add in (_now, _promise, _traffic, _latency, limits, events):
        add(made)
    return made


def _now(made: builders.Dashboard) -> None:
    row(
        made,
        "Now",
        _ready(),
        _requests(),
        _candidates(),
        _p99(),
        _errors(),
        _alerts(),
    )


def _ready() -> Panel:
    return figure(
        "Ready",
        "Processes' scrapes that say a student answers. Fewer than targets: read /readyz of the one that is not.",
        "short",
        Query(total("ctr_ready", JOB), "ready"),
        steps=LOW_IS_BAD,
    )


def _requests() -> Panel:
    return figure(
        "Requests",
        "Answered predictions per second, refused and failed ones included.",
        "reqps",
        Query(rate(f"{REQUESTS}_count", JOB, HOT), "requests"),
    )


def _candidates() -> Panel:
    return figure(
        "Candidates",
        "Candidates scored per second by models of this job: the work, whatever the size of requests.",
        "cps",
        Query(rate("ctr_candidates_total", JOB), "candidates"),
    )


def _p99() -> Panel:
    return figure(
        "p99",
        "99 of 100 predictions of every arm are answered within this, from the first byte of the head. Above 10 ms: "
        "see Stages for where the time goes.",
        "s",
        Query(quantile(0.99, f"{REQUESTS}", JOB, HOT), "p99"),
        steps=above(0.0075, 0.01),
    )


def _errors() -> Panel:
    return figure(
        "Errors",
        "Share of predictions answered with 5xx. Above 0.1 % the promise of availability is being broken.",
        "percentunit",
        Query(
            share(rate(f"{REQUESTS}_count", JOB, HOT, 'status_class="5xx"'), rate(f"{REQUESTS}_count", JOB, HOT)),
            "errors",
        ),
        steps=above(0.0005, 0.001),
        decimals=3,
    )


def _alerts() -> Panel:
    return figure(
        "Alerts",
        "Alerts that fire now. Each has a runbook in docs/operator.md under its own name.",
        "short",
        Query('count(ALERTS{alertstate="firing"}) or vector(0)', "firing"),
        steps=above(0.5, 3),
    )


def _promise(made: builders.Dashboard) -> None:
    row(
        made,
        "What was promised: 99.9 % without 5xx, 99 % within 10 ms",
        _burnt("1h", "an hour", 14.4),
        _burnt("6h", "six hours", 6.0),
        _budget_left_of_the_last_day(),
        _errors_by_route(),
    )


def _budget_left_of_the_last_day() -> Panel:
    return graph(
        "Budget left, of the last day",
        "What a day's error budget has left; below 0 the day has broken its promise, stop risky changes.",
        "percentunit",
        Query(f"1 - {BURN.format(window='1d')}", "{{slo}}"),
        width=QUARTER,
        bottom=None,
        top=1,
    )


def _errors_by_route() -> Panel:
    return graph(
        "Errors by route",
        "Share of each path's requests answered with 5xx. /teacher/predict has a deadline of its own: its 504s are no "
        "breach of the promise.",
        "percentunit",
        Query(
            share(
                rate(f"{REQUESTS}_count", JOB, HOT, 'status_class="5xx"', by="route"),
                rate(f"{REQUESTS}_count", JOB, HOT, by="route"),
            ),
            "{{route}}",
        ),
        width=QUARTER,
    )


def _burnt(window: str, name: str, red: float) -> Panel:
    return graph(
        f"Budget burnt, over {name}",
        "How many times faster than allowed the error budget is used up: 1 uses it up exactly in the time it is "
        f"for, {red:g} pages. Empty while there is no traffic. The objectives stand in rules/recording.yml.",
        "none",
        Query(BURN.format(window=window), "{{slo}}"),
        width=QUARTER,
        steps=above(1, red),
    )


def _traffic(made: builders.Dashboard) -> None:
    row(
        made,
        "Traffic",
        _requests_by(
            "route",
            "Requests per second by the template of their route, those that are asked; paths that match none are "
            "`unmatched`.",
        ),
        _requests_by(
            "status_class",
            "A rise of 4xx is a client's fault, of 5xx the service's; the log has each by its request id.",
        ),
        _requests_by("arm", "By the arm that was to answer; `none` is what no arm answers, such as /metrics."),
        _candidates_per_request(),
    )


def _candidates_per_request() -> Panel:
    return graph(
        "Candidates per request",
        "How large requests are. Latency and cost follow it: compare before you compare latencies.",
        "short",
        Query(
            share(
                rate("ctr_candidates_total", JOB, by="job"),
                rate(f"{STAGES}_count", JOB, 'stage="decode"', by="job"),
            ),
            "{{job}}",
        ),
        width=QUARTER,
    )


def _requests_by(label: str, description: str) -> Panel:
    title = f"Requests by {label.partition('_')[0]}"
    expr = rate(f"{REQUESTS}_count", JOB, by=label) + (" > 0" if label == "route" else "")
    query = Query(expr, f"{{{{{label}}}}}")
    return graph(title, description, "reqps", query, width=QUARTER, stacked=label != "route")


def _latency(made: builders.Dashboard) -> None:
    row(
        made,
        "Latency",
        _quantile(0.5, "p50"),
        _quantile(0.95, "p95"),
        _quantile(0.99, "p99", above(0.0075, 0.01)),
        _how_long_requests_take(),
        _stages_mean_of_each(),
    )


def _how_long_requests_take() -> Panel:
    return heat(
        "How long requests take",
        "Requests per second by duration. Two bands are two kinds of requests: by arm, or by size.",
        "s",
        Query(rate(f"{REQUESTS}_bucket", *PICKED, by="le"), "{{le}}"),
    )


def _stages_mean_of_each() -> Panel:
    return graph(
        "Stages: mean of each",
        "Where an answered prediction spends its time: receive is the client and the network, queue the wait for a "
        "thread, infer the model (or the other service). Summed up, the stages are the request.",
        "s",
        Query(mean(STAGES, JOB, 'arm=~"$arm"', by="stage, arm"), "{{stage}} · {{arm}}"),
        width=HALF,
        stacked=True,
    )


def _quantile(q: float, name: str, steps: Steps = ()) -> Panel:
    return graph(
        f"{name} by arm",
        "Of whole requests, from the first byte of the head to the end of the answer. A teacher of another service has "
        "the network in it.",
        "s",
        Query(quantile(q, REQUESTS, *PICKED, by="job, arm"), "{{arm}} ({{job}})"),
        steps=steps,
    )
