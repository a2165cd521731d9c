"""Where our server's time goes, by its own metrics: sums and counts of ctr_stage_duration_seconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

FAMILY = "ctr_stage_duration_seconds"
_ARM = "student"


@dataclass(frozen=True)
class StageSums:
    """Stage → seconds and count, since the server started."""

    seconds: Mapping[str, float]
    counts: Mapping[str, float]


def read_stages(metrics: str) -> StageSums:
    """The student's stages in Prometheus' text format; empty for a server that has none."""
    sums: dict[str, dict[str, float]] = defaultdict(dict)
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples if family.name == FAMILY else ():
            if sample.labels.get("arm") == _ARM:
                sums[sample.name.removeprefix(f"{FAMILY}_")][sample.labels["stage"]] = sample.value
    return StageSums(sums["sum"], sums["count"])


def microseconds_between(before: StageSums, after: StageSums) -> dict[str, float]:
    """Stage → mean microseconds per answered request between two readings, stages that did not run left out.

    `queue` runs for some requests only; its mean is over all of them, so that the stages of one request add up.
    """
    answered = after.counts.get("respond", 0.0) - before.counts.get("respond", 0.0)
    spent = {stage: seconds - before.seconds.get(stage, 0.0) for stage, seconds in after.seconds.items()}
    return {stage: seconds / answered * 1e6 for stage, seconds in spent.items() if seconds > 0 and answered > 0}
