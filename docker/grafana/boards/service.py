"""Service: does it keep what was promised, what does it do, where does the time go, how near is it to its limits?"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from boards.parts import (
    HALF,
    LOW_IS_BAD,
    QUARTER,
    Query,
    above,
    board,
    figure,
    graph,
    heat,
    variable,
)
from boards.queries import HOT, JOB, mean, quantile, rate, share, total

REQUESTS = "ctr_request_duration_seconds"
STAGES = "ctr_stage_duration_seconds"
BURN = 'job_slo:ctr_burn:ratio_{window}{{job=~"$job", slo=~".+"}}'


def service() -> builders.Dashboard:
    """The board `ctr-service`."""
    jobs = variable("job", "Job", "label_values(ctr_workers, job)")
    arms = variable("arm", "Arm", f"label_values({REQUESTS}_count{{{JOB}}}, arm)")
    made = board(
        "ctr-service",
        "CTR service",
        "Whether predictions are answered, how fast, and how near the service is to its limits.",
        [jobs, arms],
    )
    for add in (_now, _promise, _traffic, _latency, _limits, _events):
        add(made)
    return made


def _now(made: builders.Dashboard) -> None:
    made.with_row(builders.Row("Now"))
    made.with_panel(
        figure(
            "Ready",
            "Processes' scrapes that say a student answers. Fewer than targets: read /readyz of the one that is not.",
            "short",
            Query(total("ctr_ready", JOB), "ready"),
            steps=LOW_IS_BAD,
        )
    )
    made.with_panel(
        figure(
            "Requests",
            "Answered predictions per second, refused and failed ones included.",
            "reqps",
            Query(rate(f"{REQUESTS}_count", JOB, HOT), "requests"),
        )
    )
    made.with_panel(
        figure(
            "Candidates",
            "Candidates scored per second by models of this job: the work, whatever the size of requests.",
            "cps",
            Query(rate("ctr_candidates_total", JOB), "candidates"),
        )
    )
    made.with_panel(
        figure(
            "p99",
            "99 of 100 predictions of every arm are answered within this, from the first byte of the head. "
            "Above 10 ms: see Stages for where the time goes.",
            "s",
            Query(quantile(0.99, f"{REQUESTS}", JOB, HOT), "p99"),
            steps=above(0.0075, 0.01),
        )
    )
    made.with_panel(
        figure(
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
    )
    made.with_panel(
        figure(
            "Alerts",
            "Alerts that fire now. Each has a runbook in docs/operator.md under its own name.",
            "short",
            Query('count(ALERTS{alertstate="firing"}) or vector(0)', "firing"),
            steps=above(0.5, 3),
        )
    )


def _promise(made: builders.Dashboard) -> None:
    made.with_row(builders.Row("What was promised: 99.9 % without 5xx, 99 % within 10 ms"))
    for window, name, red in (("1h", "an hour", 14.4), ("6h", "six hours", 6.0)):
        made.with_panel(
            graph(
                f"Budget burnt, over {name}",
                "How many times faster than allowed the error budget is used up: 1 uses it up exactly in the time it is "
                f"for, {red:g} pages. Empty while there is no traffic. The objectives stand in rules/recording.yml.",
                "short",
                Query(BURN.format(window=window), "{{slo}}"),
                width=QUARTER,
                steps=above(1, red),
            )
        )
    made.with_panel(
        graph(
            "Budget left, of the last day",
            "What a day's error budget has left; below 0 the day has broken its promise, stop risky changes.",
            "percentunit",
            Query(f"1 - {BURN.format(window='1d')}", "{{slo}}"),
            width=QUARTER,
            bottom=None,
            top=1,
        )
    )
    made.with_panel(
        graph(
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
    )


def _traffic(made: builders.Dashboard) -> None:
    made.with_row(builders.Row("Traffic"))
    for title, label, description in (
        (
            "Requests by route",
            "route",
            "Requests per second by the template of their route; paths that match none are `unmatched`.",
        ),
        (
            "Requests by status",
            "status_class",
            "A rise of 4xx is a client's fault, of 5xx the service's; the log has each by its request id.",
        ),
        (
            "Requests by arm",
            "arm",
            "Requests per second by the arm that was to answer; `none` is what no arm answers, such as /metrics.",
        ),
    ):
        made.with_panel(
            graph(
                title,
                description,
                "reqps",
                Query(rate(f"{REQUESTS}_count", JOB, by=label), f"{{{{{label}}}}}"),
                width=QUARTER,
                stacked=label != "route",
            )
        )
    made.with_panel(
        graph(
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
    )


def _latency(made: builders.Dashboard) -> None:
    made.with_row(builders.Row("Latency"))
    picked = (JOB, HOT, 'arm=~"$arm"')
    for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99")):
        made.with_panel(
            graph(
                f"{name} by arm",
                "Of whole requests, from the first byte of the head to the end of the answer. A teacher of another service "
                "has the network in it.",
                "s",
                Query(quantile(q, REQUESTS, *picked, by="job, arm"), "{{arm}} ({{job}})"),
                steps=above(0.0075, 0.01) if q == 0.99 else (),  # noqa: PLR2004 - the quantile of the promise
            )
        )
    made.with_panel(
        heat(
            "How long requests take",
            "Requests per second by duration. Two bands are two kinds of requests: by arm, or by size.",
            "s",
            Query(rate(f"{REQUESTS}_bucket", *picked, by="le"), "{{le}}"),
        )
    )
    made.with_panel(
        graph(
            "Stages: mean of each",
            "Where an answered prediction spends its time: receive is the client and the network, queue the wait for a "
            "thread, infer the model (or the other service). Summed up, the stages are the request.",
            "s",
            Query(mean(STAGES, JOB, 'arm=~"$arm"', by="stage, arm"), "{{stage}} · {{arm}}"),
            width=HALF,
            stacked=True,
        )
    )


def _limits(made: builders.Dashboard) -> None:
    made.with_row(builders.Row("Limits"))
    panels = (
        (
            "CPUs in use",
            "Processor time per second, beside the CPUs there are (dashed by name `there are`). Near them, latency rises: "
            "add workers, cores or replicas.",
            "short",
            (
                Query(rate("ctr_cpu_seconds_total", JOB, by="job, process"), "{{process}} ({{job}})"),
                Query(total("ctr_effective_cpus", JOB, by="job"), "there are ({{job}})"),
            ),
        ),
        (
            "Event loop's lag",
            "How late the event loop wakes (p99): whatever holds it up delays every request of that worker. Below "
            "1 ms it is the timer; above 20 ms look for large batches (CTR_INLINE_MULTIPLICATIONS).",
            "s",
            (Query(quantile(0.99, "ctr_event_loop_lag_seconds", JOB, by="job"), "{{job}}"),),
        ),
        (
            "In flight, and waiting",
            "Requests that are being answered, and candidates that wait for a thread. Growing without end: more "
            "comes than can be answered.",
            "short",
            (
                Query(total("ctr_inflight", JOB, by="job"), "requests ({{job}})"),
                Query(total("ctr_queue_candidates", JOB, by="job, arm"), "candidates for {{arm}} ({{job}})"),
            ),
        ),
        (
            "Turned away",
            "Requests to a model refused (busy: as many wait as may) or given up (deadline), per second. An experiment's "
            "are answered by the default model instead.",
            "reqps",
            (Query(rate("ctr_shed_total", JOB, by="reason"), "{{reason}}"),),
        ),
        (
            "Memory",
            "Physical memory of workers and their shadows' children; pages they share are counted for each. It must not rise "
            "for ever.",
            "bytes",
            (Query(total("ctr_resident_memory_bytes", JOB, by="job, process"), "{{process}} ({{job}})"),),
        ),
        (
            "Workers",
            "Processes that answer, beside those asked for (CTR_WORKERS). Fewer: they die at start, the log has why.",
            "short",
            (
                Query(total("ctr_workers", JOB, by="job"), "there are ({{job}})"),
                Query(total("ctr_workers_wanted", JOB, by="job"), "asked for ({{job}})"),
            ),
        ),
    )
    for title, description, unit, queries in panels:
        made.with_panel(graph(title, description, unit, *queries))


def _events(made: builders.Dashboard) -> None:
    made.with_row(builders.Row("Events: exposures, answers and feedback on their way to the store"))
    made.with_panel(
        graph(
            "Feedback by result",
            "Events per second. accepted: stored, durably; late: after the attribution window; refused: a foreign token; "
            "failed: the store did not take it, and the client was told so.",
            "cps",
            Query(rate("ctr_feedback_total", JOB, by="result"), "{{result}}"),
            stacked=True,
        )
    )
    made.with_panel(
        graph(
            "Waiting to be stored",
            "Records in the writers' queues; at 100,000 in one worker exposures are dropped. Rising: the store is slow, full "
            "or away.",
            "short",
            Query(total("ctr_events_queued", JOB, by="job"), "{{job}}"),
            steps=above(25_000, 50_000),
        )
    )
    made.with_panel(
        graph(
            "Dropped",
            "Records per second that were not stored because too many waited. Any loss is in the report, and above 0.1 % it "
            "makes an experiment invalid.",
            "cps",
            Query(rate("ctr_events_dropped_total", JOB, by="kind"), "{{kind}}"),
        )
    )
