"""What the README says is done here: its blocks run against a real server over a bundle with MovieLens's fields."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from export.pack import pack
from service.settings import Settings
from training.config import from_dict, load
from training.data import movielens
from training.data.movielens import Counts
from training.data.prepare import prepare
from training.models.registry import model_class, names
from training.run import Run
from training.teach import teach

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
SHELL = [block for language, block in BLOCKS if language == "sh"]
PYTHON = [block for language, block in BLOCKS if language == "python"]
URL = "http://127.0.0.1:8000"
ENVIRONMENT = {**os.environ, "CTR_ADMIN_TOKEN": "as the README's reader has set it"}


def write_archive(folder: Path) -> None:
    """An archive of MovieLens's form: 50 users who each rate every one of 30 movies."""
    folder.mkdir()
    users = [f"{user}::{'MF'[user % 2]}::25::{user % 21}::9411{user % 10}" for user in range(1, 51)]
    movies = [f"{movie}::Movie {movie} ({1970 + movie})::Drama" for movie in range(1, 31)]
    ratings = [f"{u}::{m}::{1 + (u * m) % 5}::97830{u:02d}{m:02d}" for u in range(1, 51) for m in range(1, 31)]
    for name, lines in (("users", users), ("movies", movies), ("ratings", ratings)):
        (folder / f"{name}.dat").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of `python -m service serve`; the README's requests do not depend on what the model is."""
    root = tmp_path_factory.mktemp("docs")
    write_archive(root / "ml-1m")
    config = load(ROOT / "training/configs/movielens.toml").to_dict()
    config["teach"]["max_epochs"] = 1
    run = Run.open(root / "runs", from_dict(config, "docs"))
    prepared = prepare(
        movielens.read(root / "ml-1m", expected=Counts(ratings=1500, users=50, movies=30)), run.directory / "data"
    )
    for arm in ("student", "teacher"):
        pack(teach(run), prepared, name=f"docs-{arm}", metrics={}, root=root / "bundles" / arm)
    bundles = [f"--{arm}-bundle={root}/bundles/{arm}" for arm in ("student", "teacher")]
    command = [sys.executable, "-m", "service", "serve", "--port", "0", *bundles]
    environment = {**ENVIRONMENT, "CTR_EVENTS": f"sqlite:{root}/events.sqlite3"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        served_at = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
        assert served_at is not None
        yield served_at.group()
        server.terminate()


def run_block(command: list[str]) -> str:
    finished = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=ENVIRONMENT)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("block", [block for block in SHELL if "/predict" in block])
def test_every_request_of_the_readme_is_answered(url: str, block: str) -> None:
    answer = json.loads(run_block(["bash", "-ec", block.replace(URL, url)]))
    assert answer.get("arm") in {"student", "teacher"}, answer
    assert all(0 < probability < 1 for probability in answer["probabilities"])


def test_the_other_shell_lines_of_the_readme_answer_too(url: str) -> None:
    blocks = [block for block in SHELL if not re.search("/predict|/feedback|-X PUT", block)]
    lines = [line for block in blocks for line in block.strip().split("\n")]
    assert len(lines) == 3
    for line in lines:
        found = run_block(["bash", "-ec", line.replace("curl -s", "curl -sf").replace(URL, url)])
        assert "ready" in found or "docs-student" in found


@pytest.mark.parametrize("block", [block for block in SHELL if "-X PUT" in block])
def test_the_experiments_of_the_readme_come_into_force(url: str, block: str) -> None:
    answer = json.loads(run_block(["bash", "-ec", block.replace(URL, url).replace("curl -s", "curl -sf")]))
    assert answer == {"revision": 1}


@pytest.mark.parametrize("block", [block for block in SHELL if "/feedback" in block])
def test_the_feedback_of_the_readme_is_stored(url: str, block: str) -> None:
    answer = json.loads(run_block(["bash", "-ec", block.replace(URL, url).replace("curl -s", "curl -sf")]))
    assert answer["results"] == ["unknown", "unknown"]


@pytest.mark.parametrize("block", PYTHON)
def test_the_python_of_the_readme_runs(url: str, block: str) -> None:
    probabilities = json.loads(run_block([sys.executable, "-c", block.replace(URL, url)]))
    assert len(probabilities) == 3


def test_the_routes_of_the_readme_are_the_routes_of_the_service(url: str) -> None:
    openapi = json.loads(run_block(["curl", "-sf", f"{url}/openapi.json"]))
    routes = {
        path
        for row in re.findall(r"^\| `(?:GET|POST) .*?\|", README, flags=re.MULTILINE)
        for path in re.findall(r"/[\w/.{}]*", row)
    }
    assert routes - {"/openapi.json"} == set(openapi["paths"])


def test_the_two_commands_stand_first_and_exist() -> None:
    assert BLOCKS[0][0] == "console"
    assert re.findall(r"^\$ (make \w+)", BLOCKS[0][1], flags=re.MULTILINE) == ["make serve", "make test"]


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", README)) <= targets


def test_every_configuration_stands_in_the_readme_and_the_other_way_round() -> None:
    named = set(re.findall(r"^\| `([\w-]+\.toml)`", README, flags=re.MULTILINE))
    assert named == {path.name for path in (ROOT / "training/configs").glob("*.toml")}


def test_the_answer_shown_has_the_keys_of_a_real_one(url: str) -> None:
    shown = next(block for language, block in BLOCKS if language == "json")
    block = next(block for block in SHELL if "/predict" in block)
    answer = json.loads(run_block(["bash", "-ec", block.replace(URL, url)]))
    assert list(json.loads(shown)) == list(answer)


def test_every_setting_and_every_option_of_a_model_is_described() -> None:
    described = {"Settings": Settings, **{name: model_class(name).Options for name in names()}}
    bare = [
        f"{owner}.{name}"
        for owner, model in described.items()
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert bare == []


def test_decisions_are_numbered_and_complete() -> None:
    records = re.split(r"^## ", (ROOT / "DECISIONS.md").read_text(), flags=re.MULTILINE)[1:]
    assert [int(record.split(".")[0]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        for part in ("**Context.**", "**Decision.**", "**Consequences.**"):
            assert part in record, record.split("\n")[0]
