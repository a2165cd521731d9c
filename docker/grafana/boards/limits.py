"""The last rows of the board `ctr-service`: how near the service is to its limits, and what waits to be stored."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from boards.parts import Panel, Query, above, graph, row
from boards.queries import JOB, quantile, rate, total


def limits(made: builders.Dashboard) -> None:
    """Add the row of what runs out first."""
    row(made, "Limits", _processor(), _lag(), _waiting(), _turned_away(), _memory(), _workers())


def _processor() -> Panel:
    return graph(
        "CPUs in use",
        "Processor time per second, beside the CPUs there are. Near them, latency rises: add workers, cores or "
        "replicas.",
        "short",
        Query(rate("ctr_cpu_seconds_total", JOB, by="job, process"), "{{process}} ({{job}})"),
        Query(total("ctr_effective_cpus", JOB, by="job"), "there are ({{job}})"),
    )


def _lag() -> Panel:
    return graph(
        "Event loop's lag",
        "How late the event loop wakes (p99): whatever holds it up delays every request of that worker. Below 1 ms it "
        "is the timer; above 20 ms look for large batches (CTR_INLINE_MULTIPLICATIONS).",
        "s",
        Query(quantile(0.99, "ctr_event_loop_lag_seconds", JOB, by="job"), "{{job}}"),
        steps=above(0.005, 0.02),
    )


def _waiting() -> Panel:
    return graph(
        "In flight, and waiting",
        "Requests that are being answered, and candidates that wait for a thread. Growing without end: more comes than "
        "can be answered.",
        "short",
        Query(total("ctr_inflight", JOB, by="job"), "requests ({{job}})"),
        Query(total("ctr_queue_candidates", JOB, by="job, arm"), "candidates for {{arm}} ({{job}})"),
    )


def _turned_away() -> Panel:
    return graph(
        "Turned away",
        "Requests to a model refused (busy: as many wait as may) or given up (deadline), per second. An experiment's "
        "are answered by the default model instead.",
        "reqps",
        Query(rate("ctr_shed_total", JOB, by="reason"), "{{reason}}"),
    )


def _memory() -> Panel:
    return graph(
        "Memory",
        "Physical memory of workers and their shadows' children; pages they share are counted for each. It must not "
        "rise for ever.",
        "bytes",
        Query(total("ctr_resident_memory_bytes", JOB, by="job, process"), "{{process}} ({{job}})"),
    )


def _workers() -> Panel:
    return graph(
        "Workers",
        "Processes that answer, beside those asked for (CTR_WORKERS). Fewer: they die at start, the log has why.",
        "short",
        Query(total("ctr_workers", JOB, by="job"), "there are ({{job}})"),
        Query(total("ctr_workers_wanted", JOB, by="job"), "asked for ({{job}})"),
    )


def events(made: builders.Dashboard) -> None:
    """Add the row of what is on its way to the store."""
    row(
        made,
        "Events: exposures, answers and feedback on their way to the store",
        _feedback_by_result(),
        _waiting_to_be_stored(),
        _dropped(),
    )


def _feedback_by_result() -> Panel:
    return graph(
        "Feedback by result",
        "Events per second. accepted: stored, durably; late: after the attribution window; refused: a foreign token; "
        "failed: the store did not take it, and the client was told so.",
        "cps",
        Query(rate("ctr_feedback_total", JOB, by="result"), "{{result}}"),
        stacked=True,
    )


def _waiting_to_be_stored() -> Panel:
    return graph(
        "Waiting to be stored",
        "Records in the writers' queues; at 100,000 in one worker exposures are dropped. Rising: the store is slow, "
        "full or away.",
        "short",
        Query(total("ctr_events_queued", JOB, by="job"), "{{job}}"),
        steps=above(25_000, 50_000),
    )


def _dropped() -> Panel:
    return graph(
        "Dropped",
        "Records per second that were not stored because too many waited. Any loss is in the report, and above 0.1 % "
        "it makes an experiment invalid.",
        "cps",
        Query(rate("ctr_events_dropped_total", JOB, by="kind"), "{{kind}}"),
    )
