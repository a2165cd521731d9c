from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from service.cpus import effective_cpus
from service.experiment.metrics import FALLBACKS
from service.metrics import LOAD_REFUSALS, PROBABILITIES, SECONDS, Metrics, ProbabilityHistogram

if TYPE_CHECKING:
    from tests.conftest import Client, OpenClient

BODY = {"context": {"user": "u3", "hour": 13}, "items": ["i0", "i1", "i2"]}


def families(client: Client) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(client.get("/metrics").text)}


def test_the_scrape_has_every_metric_of_the_contract(client: Client) -> None:
    client.post("/predict", json=BODY)
    found = families(client)
    assert set(found) >= {
        "ctr_request_duration_seconds",
        "ctr_stage_duration_seconds",
        "ctr_candidates",
        "ctr_model_flops",
        "ctr_model_flops_per_candidate",
        "ctr_model_info",
        "ctr_model_loads",
        "ctr_inflight",
        "ctr_oov",
        "ctr_score",
        "ctr_shed",
        "ctr_queue_candidates",
        "ctr_event_loop_lag_seconds",
        "ctr_cpu_seconds",
        "ctr_resident_memory_bytes",
        "ctr_ready",
        "ctr_workers_wanted",
        "process_resident_memory_bytes",
    }
    labels = {name: set(found[name].samples[0].labels) - {"le"} for name in found if found[name].samples}
    assert labels["ctr_request_duration_seconds"] == {"route", "arm", "status_class"}
    assert labels["ctr_stage_duration_seconds"] == {"stage", "arm"}
    assert labels["ctr_model_info"] == {"model", "version", "sha"}
    assert labels["ctr_model_flops_per_candidate"] == {"model", "kind"}
    assert labels["ctr_model_loads"] == {"result", "reason"}
    assert labels["ctr_oov"] == {"field"}
    assert labels["ctr_score"] == {"model"}


def test_durations_are_counted_from_a_quarter_of_a_millisecond() -> None:
    assert SECONDS[0] == 0.00025
    assert list(SECONDS) == sorted(set(SECONDS))
    assert len(SECONDS) == 18


def test_a_prediction_counts_candidates_multiplications_and_probabilities(open_client: OpenClient) -> None:
    client = open_client()
    probabilities = client.post("/predict", json=BODY).json()["probabilities"]
    model = "tiny-student@v1"
    assert client.metric("ctr_candidates_total", model=model) == 3
    assert client.metric("ctr_model_flops_total", model=model) == 300
    assert client.metric("ctr_score_count", model=model) == 3
    assert client.metric("ctr_score_sum", model=model) == pytest.approx(sum(probabilities), rel=1e-6)
    assert client.metric("ctr_model_flops_per_candidate", model=model, kind="executed") == 100
    assert client.metric("ctr_model_flops_per_candidate", model=model, kind="effective") == 50
    assert client.metric("ctr_model_loads_total", result="ok", reason="none") == 2
    client.get("/metrics")  # publishes how long bodies took to arrive
    for stage, count in {"receive": 1, "decode": 1, "encode": 1, "queue": 0, "infer": 1, "respond": 1}.items():
        assert client.metric("ctr_stage_duration_seconds_count", stage=stage, arm="student") == count


def test_a_refused_request_counts_no_candidates(open_client: OpenClient) -> None:
    client = open_client()
    client.post("/predict", json={**BODY, "items": ["nope"]})
    assert client.metric("ctr_candidates_total", model="tiny-student@v1") == 0
    labels = {"route": "/predict", "arm": "student", "status_class": "4xx"}
    assert client.metric("ctr_request_duration_seconds_count", **labels) == 1


def test_the_model_info_names_the_digest_of_the_graph(client: Client) -> None:
    sha = client.get("/models").json()["arms"]["student"]["sha256"]
    assert client.metric("ctr_model_info", model="tiny-student@v1", version="v1", sha=sha) == 1


def test_hostile_paths_add_no_series(open_client: OpenClient) -> None:
    """Route labels are templates, so a thousand paths are one series."""
    client = open_client()
    client.get("/first")
    before = len(client.get("/metrics").text.splitlines())
    for i in range(1000):
        client.get(f"/x{i}/{i}")
    client.get("/metrics")
    after = client.get("/metrics").text.splitlines()
    assert len(after) - before <= 2 * 25
    assert (
        client.metric("ctr_request_duration_seconds_count", route="unmatched", arm="none", status_class="4xx") == 1001
    )


def test_bulk_counting_is_what_counting_one_by_one_gives() -> None:
    """Bucket k holds what is at or below bound k, bounds themselves included, as Prometheus has it."""
    histogram = ProbabilityHistogram()
    histogram.add_model("m@1")
    rng = np.random.default_rng(3)
    bounds = np.array(PROBABILITIES, np.float32)
    neighbours = np.nextafter(bounds, np.float32([[0], [1]])).ravel()
    batches = [rng.random(500).astype(np.float32), bounds, neighbours, np.array([0.0, 0.5], np.float32)]
    for batch in batches:
        histogram.observe("m@1", batch)
        histogram.collect()  # a scrape in between counts nothing twice
    (family,) = histogram.collect()
    everything = np.concatenate(batches).astype(np.float64)
    for bound in PROBABILITIES:
        (sample,) = [s for s in family.samples if s.labels.get("le") == str(bound)]
        assert sample.value == int((everything <= bound).sum())
    values = {sample.name: sample.value for sample in family.samples}
    assert values["ctr_score_count"] == len(everything)
    assert values["ctr_score_sum"] == pytest.approx(float(everything.sum()), rel=1e-5)


def test_no_series_says_when_another_was_created(client: Client) -> None:
    client.post("/predict", json=BODY)
    assert "_created" not in client.get("/metrics").text


def test_one_process_counts_itself_and_its_cpus(client: Client) -> None:
    assert client.metric("ctr_workers") == 1
    assert client.metric("ctr_effective_cpus") == effective_cpus()


def test_a_timer_is_resolved_once() -> None:
    metrics = Metrics()
    assert metrics.request_timer("/predict", "student", "2xx") is metrics.request_timer("/predict", "student", "2xx")


def test_feedback_and_refused_predictions_have_no_stage_of_being_received(open_client: OpenClient) -> None:
    client = open_client()
    client.post("/predict", json={**BODY, "items": ["nope"]})
    client.post("/feedback", json={})
    samples = families(client)["ctr_stage_duration_seconds"].samples
    assert not [sample for sample in samples if sample.labels["stage"] == "receive"]


def test_rare_counters_stand_at_0_before_their_first_event(open_client: OpenClient) -> None:
    """A counter that begins at 1 was never seen to rise: no rate and no alert would have it."""
    found = families(open_client())
    loads = {(sample.labels["result"], sample.labels["reason"]) for sample in found["ctr_model_loads"].samples}
    assert loads == {("ok", "none"), *(("refused", reason) for reason in LOAD_REFUSALS)}
    assert {sample.labels["reason"]: sample.value for sample in found["ctr_shed"].samples} == {"busy": 0, "deadline": 0}
    kinds = {sample.labels["kind"]: sample.value for sample in found["ctr_events_dropped"].samples}
    assert kinds == {"exposure": 0, "answer": 0, "shadow": 0}
    assert {sample.labels["result"] for sample in found["ctr_forced_arms"].samples} == {"ok", "refused"}


def test_an_experiments_arms_have_their_timers_and_fallbacks_before_the_first_request(
    open_client: OpenClient, tmp_path: Path
) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(
        """
        [[experiments]]
        name = "rank"
        [[experiments.arms]]
        name = "old"
        model = "teacher"
        weight = 5000
        [[experiments.arms]]
        name = "new"
        model = "student"
        weight = 5000
        """
    )
    found = families(open_client(events=f"sqlite:{tmp_path}/events.sqlite3", experiment=path))
    timed = {sample.labels["arm"] for sample in found["ctr_request_duration_seconds"].samples}
    assert timed >= {"old", "new"}
    fallbacks = {(sample.labels["arm"], sample.labels["reason"]) for sample in found["ctr_fallbacks"].samples}
    assert fallbacks == {("old", reason) for reason in FALLBACKS}


def test_ready_and_workers_wanted_say_what_they_are_named_for(open_client: OpenClient, tmp_path: Path) -> None:
    client = open_client(workers=3)
    assert client.metric("ctr_workers_wanted") == 3
    assert client.metric("ctr_ready") == 1
    assert open_client(student_bundle=tmp_path).metric("ctr_ready") == 0
