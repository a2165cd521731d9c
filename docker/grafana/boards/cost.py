"""Student against teacher: what a prediction takes of each in time, multiplications, processor time and money."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from boards.parts import GREEN, QUARTER, Query, Step, board, figure, graph, variable
from boards.queries import largest, quantile, rate, share

STUDENT, TEACHER = 'job=~"$student"', 'job=~"$teacher"'
BOTH = 'job=~"$student|$teacher"'
OWN = 'stage="infer", arm="student"'
"""What a job's own model computes: whatever it serves, it calls its student."""
INFER = "ctr_stage_duration_seconds"
PER_MILLION = "job:ctr_cpu_seconds_per_million_candidates:rate5m"


def cost() -> builders.Dashboard:
    """The board `ctr-cost`."""
    price = (
        builders.TextBoxVariable("price")
        .label("Price of a CPU hour")
        .description("In whatever currency; money is shown in it.")
        .default_value("0.04")
    )
    made = board(
        "ctr-cost",
        "CTR student against teacher",
        "The same traffic answered by two models in processes of their own: latency, multiplications, processor time, money.",
        [
            variable("student", "Student's job", 'label_values(ctr_workers{job=~"student.*"}, job)', several=False),
            variable("teacher", "Teacher's job", 'label_values(ctr_workers{job=~"teacher.*"}, job)', several=False),
        ],
    ).with_variable(price)
    for add in (_headline, _latency, _flops, _processor, _money):
        add(made)
    return made


def _times(better: str, worse: str) -> str:
    return f"({worse}) / ({better})"


def _headline(made: builders.Dashboard) -> None:
    made.with_row(builders.Row("How many times cheaper the student is"))
    per_candidate = {
        job: largest("ctr_model_flops_per_candidate", job, 'kind="executed"') for job in (STUDENT, TEACHER)
    }
    per_second = {
        job: share(rate("ctr_stage_duration_seconds_sum", job, OWN), rate("ctr_candidates_total", job))
        for job in (STUDENT, TEACHER)
    }
    panels = (
        (
            "Model's time",
            "Seconds of scoring per candidate, teacher's over student's. Above 1 the student is faster.",
            _times(per_second[STUDENT], per_second[TEACHER]),
        ),
        (
            "Multiplications",
            "Executed per candidate, teacher's over student's, at the size of request the bundles were exported for.",
            _times(per_candidate[STUDENT], per_candidate[TEACHER]),
        ),
        (
            "Processor time",
            "CPU seconds per candidate of the whole process, HTTP and JSON included, teacher's over student's. The "
            "student's also assigns, logs and passes requests on, so this understates it.",
            _times(f"sum({PER_MILLION}{{{STUDENT}}})", f"sum({PER_MILLION}{{{TEACHER}}})"),
        ),
    )
    for title, description, expr in panels:
        made.with_panel(
            figure(
                title, description, "short", Query(expr, "times"), steps=(Step(None, GREEN),), width=QUARTER, decimals=1
            )
        )
    made.with_panel(
        figure(
            "Multiplications saved",
            "Of those that the teacher would have executed for the candidates that the student scored.",
            "percentunit",
            Query("ctr:flops_saved:ratio", "saved"),
            width=QUARTER,
            decimals=1,
        )
    )


def _latency(made: builders.Dashboard) -> None:
    made.with_row(builders.Row("Latency"))
    for q, name in ((0.5, "p50"), (0.99, "p99")):
        made.with_panel(
            graph(
                f"Model's {name}",
                "Time in the scorer for one request. Sizes of requests must be alike to compare: see candidates per request.",
                "s",
                Query(quantile(q, INFER, BOTH, OWN, by="job"), "{{job}}"),
                width=QUARTER,
                log=True,
            )
        )
    made.with_panel(
        graph(
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
    )
    made.with_panel(
        graph(
            "Candidates per request",
            "What makes the panels beside this one comparable.",
            "short",
            Query(
                share(rate("ctr_candidates_total", BOTH, by="job"), rate(f"{INFER}_count", BOTH, OWN, by="job")),
                "{{job}}",
            ),
            width=QUARTER,
        )
    )


def _flops(made: builders.Dashboard) -> None:
    made.with_row(builders.Row("Multiplications (a multiply-add counts once)"))
    made.with_panel(
        graph(
            "Per candidate",
            "Executed: what the scorer runs at the size of request the bundle was exported for. Effective: what the model's "
            "equations need for a full row, the honest figure to compare architectures by.",
            "short",
            Query(
                largest("ctr_model_flops_per_candidate", BOTH, by="job, model, kind"), "{{job}} · {{model}}: {{kind}}"
            ),
            log=True,
        )
    )
    made.with_panel(
        graph(
            "Per second",
            "Executed for answered predictions.",
            "short",
            Query(rate("ctr_model_flops_total", BOTH, by="job, model"), "{{job}} · {{model}}"),
            log=True,
        )
    )
    made.with_panel(
        graph(
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
    )


def _processor(made: builders.Dashboard) -> None:
    made.with_row(builders.Row("Processor time"))
    panels = (
        (
            "CPU seconds per million candidates",
            "Of workers, everything included but the shadow. What capacity is planned by: "
            "candidates per second times this, over a million, is cores.",
            "s",
            f"{PER_MILLION}{{{BOTH}}}",
        ),
        (
            "Candidates per CPU second",
            "The same the other way round: what one core answers, when it does nothing else.",
            "cps",
            f"1e6 / ({PER_MILLION}{{{BOTH}}} > 0)",
        ),
        ("CPUs in use", "By each job, its shadow included.", "short", rate("ctr_cpu_seconds_total", BOTH, by="job")),
    )
    for title, description, unit, expr in panels:
        made.with_panel(graph(title, description, unit, Query(expr, "{{job}}")))


def _money(made: builders.Dashboard) -> None:
    made.with_row(builders.Row("Money, at the price of a CPU hour above"))
    made.with_panel(
        graph(
            "A million candidates cost",
            "Processor time actually used; a machine that idles costs the same. In the currency of the price.",
            "short",
            Query(f"{PER_MILLION}{{{BOTH}}} / 3600 * $price", "{{job}}"),
            width=12,
            log=True,
        )
    )
    made.with_panel(
        graph(
            "A month of this traffic costs",
            "If every candidate were scored by the one or by the other, at the rate of both jobs together now: what the "
            "student saves is the gap.",
            "short",
            Query(
                f"{PER_MILLION}{{{BOTH}}} / 3600 * $price * 30 * 86400 / 1e6 * "
                f"scalar({rate('ctr_candidates_total', BOTH)})",
                "all by {{job}}",
            ),
            width=12,
            log=True,
        )
    )
