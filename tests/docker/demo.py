"""What `compose.yaml` starts, without containers: a student with an experiment, a teacher, the watch, Prometheus.

Each is a process of its own on a port of its own. Prometheus runs on the committed configuration and rules; only
addresses and intervals are others.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import yaml

from tests.docker.programs import PROMETHEUS, free_port, needed, running, serving

EXPERIMENT = """
[shadow]
share = 1.0

[[experiments]]
name = "rank"

[[experiments.arms]]
name = "teacher"
weight = 5000

[[experiments.arms]]
name = "student"
weight = 5000
"""
EVERY = "500ms"


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Where everything is."""

    student: str
    teacher: str
    watch: str
    prometheus: str

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The samples of an expression now; fails on an error."""
        answer = httpx.post(f"{self.prometheus}/api/v1/query", data={"query": expr}, timeout=20)
        assert answer.status_code == httpx.codes.OK, f"{expr}: {answer.text}"
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def label_values(self, metric: str, label: str) -> list[str]:
        """The values of a label, as a dashboard's variable asks for them."""
        url = f"{self.prometheus}/api/v1/label/{label}/values"
        answer = httpx.get(url, params={"match[]": metric}, timeout=20)
        assert answer.status_code == httpx.codes.OK, answer.text
        values: list[str] = answer.json()["data"]
        return values

    def ask(self, requests: int, seed: int) -> None:
        """Predictions for so many units, some of them unknown, and what they did with the first candidates."""
        rng = random.Random(seed)  # noqa: S311 - traffic, no secret
        with httpx.Client(timeout=20) as client:
            for number in range(requests):
                context = {"user": f"u{rng.randrange(25)}", "hour": rng.randrange(24)}  # five users of 25 are unknown
                items = [f"i{rng.randrange(10)}" for _ in range(rng.choice((3, 10, 30)))]
                body = {"context": context, "items": items, "unit": f"{seed}-{number}"}
                answered = client.post(f"{self.student}/predict", json=body).raise_for_status().json()
                events = [
                    {
                        "request_id": answered["request_id"],
                        "position": position,
                        "type": rng.choice(("click", "impression")),
                    }
                    for position in range(3)
                ]
                client.post(f"{self.student}/feedback", json={"events": events}).raise_for_status()


@contextmanager
def demo(bundles: Path, directory: Path) -> Iterator[Demo]:
    """While inside, everything runs."""
    prometheus = needed("prometheus")
    ports = {name: free_port() for name in ("student", "teacher", "watch", "prometheus")}
    events = f"sqlite:{directory}/events.sqlite3"
    experiment = directory / "experiment.toml"
    experiment.write_text(EXPERIMENT)
    with ExitStack() as stack:
        teacher = stack.enter_context(
            serving(
                directory / "teacher.log",
                port=ports["teacher"],
                student_bundle=str(bundles / "teacher"),
                teacher_bundle=str(directory / "none"),
                events="",
            )
        )
        student = stack.enter_context(
            serving(
                directory / "student.log",
                port=ports["student"],
                student_bundle=str(bundles / "student"),
                arms=orjson.dumps({"teacher": f"{teacher}/student/predict"}).decode(),
                events=events,
                experiment=str(experiment),
                workers="2",
            )
        )
        watch = f"http://127.0.0.1:{ports['watch']}"
        command = [sys.executable, "-m", "service.experiment", "watch", "--metrics-port", str(ports["watch"])]
        stack.enter_context(
            running([*command, "--events", events, "--every", "0.5"], f"{watch}/metrics", directory / "watch.log")
        )
        url = f"http://127.0.0.1:{ports['prometheus']}"
        config = configured(directory, ports)
        command = [prometheus, f"--config.file={config}", f"--storage.tsdb.path={directory}/data"]
        command.append(f"--web.listen-address=127.0.0.1:{ports['prometheus']}")
        stack.enter_context(running(command, f"{url}/-/ready", directory / "prometheus.log"))
        yield Demo(student=student, teacher=teacher, watch=watch, prometheus=url)


def configured(directory: Path, ports: dict[str, int]) -> Path:
    """The committed configuration and rules in `directory`, with other addresses and shorter intervals."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY}
    config["scrape_configs"] = [
        {"job_name": job["job_name"], "static_configs": [{"targets": [f"127.0.0.1:{ports[job['job_name']]}"]}]}
        for job in config["scrape_configs"]
    ]
    (directory / "rules").mkdir()
    for path in (PROMETHEUS / "rules").glob("*.yml"):
        rules = yaml.safe_load(path.read_text())
        for group in rules["groups"]:
            group["interval"] = EVERY
        (directory / "rules" / path.name).write_text(yaml.safe_dump(rules))
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path
