"""`python -m loadtest.picture`: the picture of the live page that the README shows, made of a real experiment.

Starts a service with student, teacher and shadow, has users come whose true click probabilities are known, lets a
headless Chromium look on from the first request, and keeps what it sees at the end.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadtest.traffic.run import Crowd, run
from loadtest.traffic.serve import Wanted, experiment_service
from loadtest.traffic.simulate import Plan
from service.bundle import replace_file
from training.progress import console

if TYPE_CHECKING:
    from playwright.sync_api import Page

EXPERIMENT = """\
[[experiments]]
name = "student-vs-teacher"
arms = [{ name = "teacher", weight = 5000 }, { name = "student", weight = 5000 }]

[experiments.analysis]
goal = "non_inferiority"
margin = 0.05

[shadow]
share = 0.2
"""
WIDTH, HEIGHT = 1280, 1440
LAST_LOOK_MS = 6000
"""Milliseconds after the last request in which the page asks for the report once more."""
OPTIONS = ["--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb"]


def main(
    student_bundle: Annotated[Path, typer.Option()] = Path("bundles/student"),
    teacher_bundle: Annotated[Path, typer.Option()] = Path("bundles/teacher"),
    requests: Annotated[int, typer.Option(min=1, help="Of users, while the page looks on.")] = 20_000,
    out: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("docs/images/dashboard.png"),
) -> None:
    """Make the picture; some 40 seconds."""
    wanted = Wanted(student=student_bundle, teacher=teacher_bundle, experiment=EXPERIMENT)
    crowd = Crowd(bundle=student_bundle, users=5000)
    plan = Plan(requests=requests, seed=1, shown=10, concurrency=16, treatment="student")
    with (
        tempfile.TemporaryDirectory(prefix="picture-") as folder,
        experiment_service(wanted, Path(folder)) as served,
        _page(served.url) as page,
    ):
        traffic = threading.Thread(target=run, args=(served.url, crowd, plan))
        traffic.start()
        while traffic.is_alive():
            page.wait_for_timeout(250)
        page.wait_for_timeout(LAST_LOOK_MS)
        out.parent.mkdir(parents=True, exist_ok=True)
        replace_file(out, page.screenshot())
    console.print(f"wrote {out}", highlight=False)


@contextmanager
def _page(url: str) -> Iterator[Page]:
    """The live page in a browser of its own."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a dependency of development alone

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise typer.BadParameter("no chromium on the PATH; install one to make pictures")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=OPTIONS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, reduced_motion="reduce")
        page.goto(url)
        yield page
        browser.close()


if __name__ == "__main__":
    typer.run(main)
