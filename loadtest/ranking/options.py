"""Options of the locustfile, on locust's command line and in its web page, and what they mean.

    python -m loadtest.ranking.options

prints them; `locust --help` knows locust's own alone.
Each has an environment variable `LOAD_` + its name; `CTR_` is the service's, which refuses what it does not know.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from loadtest.ranking.budget import Budget
from loadtest.ranking.prepared import Traffic
from loadtest.ranking.stages import CONSTANT, POISSON, Stage, default_stages, parse_stages
from loadtest.ranking.watch import Limits

OPEN, CLOSED = "open", "closed"
PREFIX = "LOAD_"
DEFAULT_PATH = "/predict"
PORT = 80


class Site(NamedTuple):
    """Where the service is."""

    host: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run."""

    site: Site
    path: str
    loop: str
    stages: tuple[Stage, ...]
    connections: int
    """Users of an open loop, each of which has one."""
    arrivals: str
    think_s: float
    """Mean seconds between an answer and the user's next request in a closed loop."""
    timeout_s: float
    traffic: Traffic
    budget: Budget
    limits: Limits
    report: str
    """Folder for our report; empty for none."""
    server_pid: int | None

    @property
    def users(self) -> int:
        """Most users at a time."""
        return self.connections if self.loop == OPEN else round(max(stage.load for stage in self.stages))


class Option(NamedTuple):
    """One option of the command line."""

    name: str
    default: Any
    what: str
    kind: type = float
    choices: tuple[str, ...] | None = None


_TRAFFIC, _BUDGET, _LIMITS = Traffic(), Budget(), Limits()
OPTIONS = (
    Option(
        "loop",
        OPEN,
        "open: requests come whatever became of others; closed: -u users wait and think",
        str,
        (OPEN, CLOSED),
    ),
    Option("rate", 50.0, "Requests per second of an open loop without --stages."),
    Option(
        "stages",
        "",
        "NAME:SECONDS@LOAD, ... in requests/s (open) or users (closed); warm-up* is not measured",
        str,
    ),
    Option("warm-up-s", 5.0, "Seconds before measuring begins, without --stages; -t is what follows."),
    Option("connections", 64, "Connections of an open loop; when all wait for answers, requests begin late.", int),
    Option(
        "arrivals",
        CONSTANT,
        "Gaps of an open loop: equal, or exponential as of independent users.",
        str,
        (CONSTANT, POISSON),
    ),
    Option("think-s", 1.0, "Mean think time of a closed loop, exponential."),
    Option("predict-path", DEFAULT_PATH, "Where predictions are asked for.", str),
    Option("timeout-s", 10.0, "A request without an answer by then, or not sent by then, has failed."),
    Option("prepared", _TRAFFIC.requests, "Requests made ahead and sent in turn.", int),
    Option("population", _TRAFFIC.users, "Users who ask, a few of them often.", int),
    Option("candidates", _TRAFFIC.candidates, "Median candidates of a request, log-normal."),
    Option("candidates-sigma", _TRAFFIC.sigma, "Standard deviation of their logarithm; 0 for all alike."),
    Option("candidates-most", _TRAFFIC.most, "Candidates of the largest request.", int),
    Option("pages", _TRAFFIC.pages, "Mean requests of a session, which share unit and context."),
    Option("feedback", _TRAFFIC.feedback, "Share of requests whose impressions and clicks are sent back."),
    Option("shown", _TRAFFIC.shown, "Candidates that the user sees.", int),
    Option("seed", _TRAFFIC.seed, "The same seed gives the same requests.", int),
    Option("p99-ms", 0.0, "Budget: p99 of every measured stage; 0 for any."),
    Option("error-ratio", _BUDGET.error_ratio, "Budget: share of failed requests of every measured stage."),
    Option("own-cores", _LIMITS.cores, "Share of a core the generator may take; more makes a stage no result."),
    Option("own-lag-ms", _LIMITS.lag_ms, "Lag of the generator's event loop (p99) that makes a stage no result."),
    Option("report", "", "Folder for report.html, stages.csv and figures.json; empty for none.", str),
    Option("server-pid", 0, "Process of the service on this machine, to report its CPU; 0 for none.", int),
)


def add_options(parser: ArgumentParser) -> None:
    """Add every option to locust's parser, which takes environment variables too."""
    group = parser.add_argument_group("Ranking load")
    for option in OPTIONS:
        variable = PREFIX + option.name.upper().replace("-", "_")
        extra: dict[str, Any] = {"env_var": variable, "choices": option.choices}
        help_text = f"{option.what} [{option.default!r}]".replace("%", "%%")
        group.add_argument(f"--{option.name}", type=option.kind, default=option.default, help=help_text, **extra)


def site_of(url: str | None) -> Site:
    """Host and port of the service; raises ValueError for what is no http URL."""
    parts = urlsplit(url or "")
    if parts.scheme != "http" or not parts.hostname or parts.path not in {"", "/"}:
        raise ValueError(f"--host: got {url!r}, expected http://NAME[:PORT]; TLS ends at a proxy, ask behind it")
    return Site(parts.hostname, parts.port or PORT)


def plan_of(given: Namespace, host: str | None) -> Plan:
    """The run that was asked for; raises ValueError naming the option that makes no sense."""
    _check(given)
    load = given.rate if given.loop == OPEN else float(given.num_users or 1)
    seconds = float(given.run_time) if given.run_time else None
    stages = parse_stages(given.stages) if given.stages else default_stages(given.warm_up_s, seconds, load)
    return Plan(
        site=site_of(host),
        path=given.predict_path,
        loop=given.loop,
        stages=tuple(stages),
        connections=given.connections,
        arrivals=given.arrivals,
        think_s=given.think_s,
        timeout_s=given.timeout_s,
        traffic=Traffic(
            requests=given.prepared,
            users=given.population,
            candidates=given.candidates,
            sigma=given.candidates_sigma,
            most=given.candidates_most,
            pages=given.pages,
            feedback=given.feedback,
            shown=given.shown,
            seed=given.seed,
        ),
        budget=Budget(p99_ms=given.p99_ms or None, error_ratio=given.error_ratio),
        limits=Limits(cores=given.own_cores, lag_ms=given.own_lag_ms),
        report=given.report,
        server_pid=given.server_pid or None,
    )


def _check(given: Namespace) -> None:
    for name in ("rate", "timeout_s", "candidates", "own_cores", "own_lag_ms"):
        _at_least(given, name, 0.0, above=True)
    for name in ("connections", "prepared", "population", "candidates_most", "pages", "shown"):
        _at_least(given, name, 1)
    for name in ("candidates_sigma", "think_s", "warm_up_s", "p99_ms", "server_pid", "error_ratio", "feedback"):
        _at_least(given, name, 0)


def _at_least(given: Namespace, name: str, least: float, *, above: bool = False) -> None:
    got = getattr(given, name)
    if not (got > least if above else got >= least):
        expected = f"above {least:g}" if above else f"at least {least:g}"
        raise ValueError(f"--{name.replace('_', '-')}: got {got:g}, expected {expected}")


def main() -> None:
    """Print every option, with its environment variable."""
    from configargparse import ArgumentParser as Parser  # type: ignore[import-untyped] # noqa: PLC0415 - locust's own

    parser = Parser(
        prog="GEVENT_BACKEND=select locust -f loadtest/locustfile.py --host URL", usage="%(prog)s [options]"
    )
    add_options(parser)
    parser.print_help()


if __name__ == "__main__":
    main()
