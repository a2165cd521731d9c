"""`python -m loadtest.traffic`: users with a known taste on a running service, or on one started for the purpose."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import aiohttp
import orjson
import typer

from loadtest.traffic.misbehaviour import Misbehaviour
from loadtest.traffic.run import Crowd, Run, run
from loadtest.traffic.serve import EXPERIMENT, Served, Wanted, experiment_service, report
from loadtest.traffic.simulate import Plan
from loadtest.traffic.summary import as_json, faults, tables
from service.bundle import BundleError, replace_file
from training.progress import console, results


def main(  # noqa: PLR0917 - each is an option, given by its name
    url: Annotated[str, typer.Option(help="A running service.")] = "http://127.0.0.1:8000",
    bundle: Annotated[Path, typer.Option(help="Its student's bundle, for fields and items.")] = Path("bundles/student"),
    users: Annotated[int, typer.Option(min=1)] = 2000,
    requests: Annotated[int, typer.Option(min=1)] = 20_000,
    days: Annotated[int, typer.Option(min=1, help="Stretches of the run in which users return.")] = 7,
    candidates: Annotated[int, typer.Option(min=1, help="Of a request.")] = 50,
    shown: Annotated[int, typer.Option(min=1, help="Of an answer, the best first.")] = 10,
    lift: Annotated[float, typer.Option(min=-1, max=1, help="Relative, of every click in the treatment arm.")] = 0.0,
    treatment: Annotated[str, typer.Option(help="Name of the treatment arm.")] = "treatment",
    control: Annotated[str, typer.Option(help="Name of the arm to compare with.")] = "control",
    truth_from: Annotated[str | None, typer.Option(help="Predict path of the model that knows relevance.")] = None,
    counterfactual: Annotated[float, typer.Option(min=0, max=1, help="Share also asked of the other arm.")] = 0.1,
    duplicates: Annotated[float, typer.Option(min=0, max=1, help="Share of events sent twice.")] = 0.0,
    late: Annotated[float, typer.Option(min=0, max=1, help="Share of requests with late feedback.")] = 0.0,
    unknown: Annotated[float, typer.Option(min=0, max=1, help="Clicks for nobody's request, per request.")] = 0.0,
    forged: Annotated[float, typer.Option(min=0, max=1, help="Clicks with a forged token, per request.")] = 0.0,
    attribution_s: Annotated[float | None, typer.Option(help="Attribution window that late feedback misses.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Users on the site at once.")] = 16,
    seed: Annotated[int, typer.Option(help="The same seed gives the same users, visits and clicks.")] = 1,
    error_budget: Annotated[float, typer.Option(min=0, max=1, help="Share of visits that may fail.")] = 0.001,
    out: Annotated[Path, typer.Option(help="Where truth.json goes.")] = Path("build/traffic"),
    *,
    serve: Annotated[bool, typer.Option("--serve", help="Start a service, and print the report at the end.")] = False,
    teacher_bundle: Annotated[Path | None, typer.Option(help="With --serve.")] = None,
    experiment: Annotated[Path | None, typer.Option(help="TOML, with --serve; A/A arms without.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="With --serve.")] = 1,
    tokens: Annotated[bool, typer.Option("--tokens", help="Sign answers, with --serve.")] = False,
) -> None:
    """Drive traffic through /predict and /feedback; exit with 1 when the service did not do as it should."""
    try:
        misbehaviour = Misbehaviour(duplicates=duplicates, late=late, unknown=unknown, forged=forged)
        plan = Plan(
            requests=requests,
            seed=seed,
            shown=shown,
            concurrency=concurrency,
            lift=lift,
            treatment=treatment,
            truth_path=truth_from,
            counterfactual=counterfactual,
            misbehaviour=misbehaviour,
            attribution_s=_window(late, attribution_s),
        )
        crowd = Crowd(bundle=bundle, users=users, days=days, candidates=candidates)
        toml = EXPERIMENT if experiment is None else experiment.read_text()
        wanted = Wanted(
            student=bundle,
            teacher=teacher_bundle,
            experiment=toml,
            workers=workers,
            tokens=tokens,
            attribution_s=attribution_s,
        )
        ran = _drive(url, wanted if serve else None, crowd, plan, control=control, out=out)
    except (BundleError, RuntimeError, OSError, aiohttp.ClientError, ValueError) as error:
        _stop(str(error) or type(error).__name__)
    found = faults(ran, error_budget)
    for line in [*found, *(ran.said.details if found else ())]:
        typer.echo(f"error: {line}", err=True)
    raise typer.Exit(1 if found else 0)


def _drive(url: str, wanted: Wanted | None, crowd: Crowd, plan: Plan, *, control: str, out: Path) -> Run:
    """One run and what it says; on a service of its own, the report too."""
    with _service(url, wanted) as (where, served):
        ran = run(where, crowd, plan)
        for table in tables(ran):
            results.print(table)
        out.mkdir(parents=True, exist_ok=True)
        truth = out / "truth.json"
        replace_file(truth, orjson.dumps(as_json(ran, plan, control), option=orjson.OPT_INDENT_2))
        console.print(f"wrote {truth}", highlight=False)
        if served is not None:
            typer.echo(report(served))
    return ran


@contextmanager
def _service(url: str, wanted: Wanted | None) -> Iterator[tuple[str, Served | None]]:
    """Where to send traffic: a service that runs already, or one that runs as long as this."""
    if wanted is None:
        yield url, None
        return
    with tempfile.TemporaryDirectory(prefix="traffic-") as folder, experiment_service(wanted, Path(folder)) as served:
        yield served.url, served


def _window(late: float, attribution_s: float | None) -> float:
    if late and attribution_s is None:
        raise ValueError("--late: got no --attribution-s, expected the seconds of CTR_ATTRIBUTION_HOURS to wait out")
    return attribution_s or 0.0


def _stop(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
