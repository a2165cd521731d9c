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
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import yaml

from tests.docker.programs import PROMETHEUS, answers, free_port, needed, service, started, until

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
    client: httpx.Client

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The samples of an expression now; fails on an error."""
        answer = self.client.post(f"{self.prometheus}/api/v1/query", data={"query": expr})
        assert answer.status_code == httpx.codes.OK, f"{expr}: {answer.text}"
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def label_values(self, metric: str, label: str) -> list[str]:
        """The values of a label, as a dashboard's variable asks for them."""
        url = f"{self.prometheus}/api/v1/label/{label}/values"
        answer = self.client.get(url, params={"match[]": metric})
        assert answer.status_code == httpx.codes.OK, answer.text
        values: list[str] = answer.json()["data"]
        return values

    def ask(self, requests: int, seed: int) -> None:
        """Predictions for so many units, some of them unknown, and what they did with the first candidates."""
        rng = random.Random(seed)  # noqa: S311 - traffic, no secret
        for number in range(requests):
            context = {"user": f"u{rng.randrange(25)}", "hour": rng.randrange(24)}  # five users of 25 are unknown
            items = [f"i{rng.randrange(10)}" for _ in range(rng.choice((3, 10, 30)))]
            body = {"context": context, "items": items, "unit": f"{seed}-{number}"}
            answered = self.client.post(f"{self.student}/predict", json=body).raise_for_status().json()
            events = [
                {
                    "request_id": answered["request_id"],
                    "position": position,
                    "type": rng.choice(("click", "impression")),
                }
                for position in range(3)
            ]
            self.client.post(f"{self.student}/feedback", json={"events": events}).raise_for_status()


@contextmanager
def demo(bundles: Path, directory: Path) -> Iterator[Demo]:
    """While inside, everything runs and is ready."""
    needed("prometheus")
    ports = {name: free_port() for name in ("student", "teacher", "watch", "prometheus")}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    commands = {
        "teacher": _teacher(ports["teacher"], bundles),
        "student": _student(ports["student"], bundles, directory, urls["teacher"]),
        "prometheus": _prometheus(ports, directory),
        "watch": _watch(ports["watch"], directory),
    }
    ready = {"teacher": "/readyz", "student": "/readyz", "prometheus": "/-/ready", "watch": "/metrics"}
    processes = {}
    with ExitStack() as stack, httpx.Client(timeout=20) as client:
        for name, (command, environment) in commands.items():
            if name == "watch":  # the store it looks at is the student's
                until(lambda: answers(f"{urls['student']}/readyz"), "the student", processes["student"])
            log = directory / f"{name}.log"
            processes[name] = stack.enter_context(started(command, log, **environment))
        for name, path in ready.items():
            url = f"{urls[name]}{path}"
            until(partial(answers, url), f"{name} at {url}, see {directory}/{name}.log", processes[name])
        yield Demo(client=client, **urls)


Command = tuple[list[str], dict[str, str]]


def _teacher(port: int, bundles: Path) -> Command:
    return service(port, student_bundle=str(bundles / "teacher"), teacher_bundle=str(bundles / "none"), events="")


def _student(port: int, bundles: Path, directory: Path, teacher: str) -> Command:
    """Two workers, so that every figure is right for several."""
    experiment = directory / "experiment.toml"
    experiment.write_text(EXPERIMENT)
    return service(
        port,
        student_bundle=str(bundles / "student"),
        arms=orjson.dumps({"teacher": f"{teacher}/student/predict"}).decode(),
        events=f"sqlite:{directory}/events.sqlite3",
        experiment=str(experiment),
        workers="2",
    )


def _watch(port: int, directory: Path) -> Command:
    command = [sys.executable, "-m", "service.experiment", "watch", "--metrics-port", str(port), "--every", "0.5"]
    return command, {"CTR_EVENTS": f"sqlite:{directory}/events.sqlite3"}


def _prometheus(ports: dict[str, int], directory: Path) -> Command:
    config = configured(directory, ports)
    address = f"--web.listen-address=127.0.0.1:{ports['prometheus']}"
    return ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory}/data", address], {}


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
