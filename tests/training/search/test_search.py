"""A search over fine-tuning: three points, one of which diverges, with the test rows taken away."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.training.conftest import tiny_config
from training.checkpoint import load_tensors
from training.config import Config, ConfigError, from_dict, load
from training.distill import distill
from training.finetune import finetune
from training.progress import console
from training.run import Run
from training.search.command import Search, _Pace
from training.search.grid import Axis, points_of
from training.search.plan import jobs_of, point_of
from training.search.results import Result, best_of, search_table
from training.search.work import Ended, seconds_of, train_all
from training.teach import teach

SHORT: dict[str, Any] = {"max_epochs": 1, "patience": 1}
SMALL = {"rows": 2_000}
BASE = tiny_config("base", data=SMALL, teach=SHORT, distill=SHORT, finetune=SHORT)
RATES = Axis(("finetune.learning_rate",), (1e-3, 1e-2, 1e38))

NARROWER = Axis(RATES.keys, RATES.values[:2])


def search_in(root: Path, **changes: Any) -> Search:
    return replace(Search(base=BASE, axes=(RATES,), root=root, source=None), **changes)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Result]]:
    """A search that was carried out; its test rows were deleted before anything was trained."""
    root = tmp_path_factory.mktemp("search")
    for chosen, config in points_of(BASE, (RATES,)):
        point_of(root, chosen, config, source=None, until="finetune")
    test_rows = list(root.glob("data/*/test_*.npy"))
    assert test_rows
    for path in test_rows:
        path.unlink()
    return root, search_in(root).run()


@pytest.fixture
def root(searched: tuple[Path, list[Result]]) -> Path:
    return searched[0]


@pytest.fixture
def found(searched: tuple[Path, list[Result]]) -> list[Result]:
    return searched[1]


def lines(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "results.jsonl").read_text().splitlines()]


def test_every_point_is_told_with_the_metrics_of_its_last_phase(root: Path, found: list[Result]) -> None:
    assert [line["set"]["finetune.learning_rate"] for line in lines(root)] == [1e-3, 1e-2, 1e38]
    for line, result in zip(lines(root)[:2], found, strict=False):
        _, meta = load_tensors(root / line["run"] / "finetune" / "model.safetensors")
        assert line["validation"] == {"auc": meta["validation_auc"], "log_loss": meta["validation_log_loss"]}
        assert line["validation"] == result.validation
        assert line["seconds"] > 0


def test_a_point_gives_the_figures_of_a_run_of_its_own(found: list[Result], tmp_path: Path) -> None:
    run = Run.open(
        tmp_path, tiny_config("own", data=SMALL, teach=SHORT, distill=SHORT, finetune={**SHORT, "learning_rate": 1e-2})
    )
    run.prepare(None)
    own = finetune(run, distill(run, teach(run)))
    assert found[1].validation == {"auc": own.meta["validation_auc"], "log_loss": own.meta["validation_log_loss"]}


def test_phases_before_the_first_changed_key_are_trained_once(root: Path) -> None:
    phases = [path.name.partition("-")[0] for path in (root / "phases").iterdir()]
    assert sorted(phases) == ["distill", "finetune", "finetune", "finetune", "teach"]
    teachers = {(path / "teach").resolve() for path in (root / "points").iterdir()}
    assert len(teachers) == 1


def test_a_point_that_diverges_is_told_and_the_rest_goes_on(root: Path, found: list[Result]) -> None:
    assert "epoch 0" in found[2].failure
    assert lines(root)[2]["failure"] == found[2].failure
    assert (found[0].failure, found[1].failure) == ("", "")


def test_the_best_configuration_is_written_and_differs_from_the_base_in_what_was_searched(
    root: Path, found: list[Result]
) -> None:
    best = max(found[:2], key=lambda result: result.validation["auc"])
    rate = best.point.chosen["finetune.learning_rate"]
    expected = BASE.to_dict()
    expected["finetune"]["learning_rate"] = rate
    expected["run"]["name"] = "base-best"
    assert load(root / "best.toml") == from_dict(expected, "expected")


def test_the_search_is_drawn(root: Path) -> None:
    assert (root / "results.png").read_bytes().startswith(b"\x89PNG")


def shared(axis: Axis, tmp_path: Path) -> dict[str, int]:
    """How many distinct jobs of each phase two points of an axis have."""
    points = [
        point_of(tmp_path, chosen, config, source=None, until="finetune") for chosen, config in points_of(BASE, (axis,))
    ]
    phases = [job.phase for job in jobs_of(points).values()]
    return {phase: phases.count(phase) for phase in ("teach", "distill", "finetune")}


SHARED = [
    (Axis(("finetune.weight_decay",), (0.0, 1.0)), (1, 1, 2)),
    (Axis(("distill.click_weight",), (0.0, 1.0)), (1, 2, 2)),
    (Axis(("student.layers",), (1, 3)), (1, 2, 2)),
    (Axis(("teach.learning_rate",), (1.0, 2.0)), (2, 2, 2)),
    (Axis(("teacher.layers",), (1, 3)), (2, 2, 2)),
    (Axis(("run.seed",), (1, 2)), (2, 2, 2)),
    (Axis(("data.min_count",), (1, 2)), (2, 2, 2)),
]


@pytest.mark.parametrize(("axis", "counts"), SHARED, ids=lambda value: value.name if isinstance(value, Axis) else "")
def test_points_share_the_phases_that_their_keys_do_not_touch(
    axis: Axis, counts: tuple[int, int, int], tmp_path: Path
) -> None:
    assert tuple(shared(axis, tmp_path).values()) == counts


def test_a_job_waits_for_what_it_needs_and_is_unfinished_before_it_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = point_of(tmp_path, {}, BASE, source=None, until="distill")
    teach_job, distill_job = jobs_of([point]).values()
    assert (teach_job.needs, distill_job.needs) == (None, teach_job.name)
    assert seconds_of(teach_job) is None
    given: dict[str, Any] = {}
    monkeypatch.setattr("training.search.work.carry_out", lambda tasks, *_: given.update(tasks) or [])
    assert list(train_all(jobs_of([point]), 1)) == []
    assert {name: task.needs for name, task in given.items()} == {
        teach_job.name: (),
        distill_job.name: (teach_job.name,),
    }


def taught_by(teachers: list[dict[str, Any]], **distill_keys: Any) -> Config:
    """The base with several teachers and no fine-tuning."""
    sections = BASE.to_dict()
    given = {key: sections[key] for key in ("data", "student", "teach")}
    run = {**sections["run"], "finetune": False}
    distill_section = {**sections["distill"], "embeddings": "own", **distill_keys}
    return from_dict({**given, "run": run, "teachers": teachers, "distill": distill_section}, "several")


CROSS = {"model": "crossnet", "embedding_size": 4, "layers": 1}
TWO = [{"name": name, **CROSS} for name in ("a", "b")]


def test_teachers_are_one_job_and_their_logits_are_every_points(tmp_path: Path) -> None:
    axis = Axis(("distill.click_weight",), (0.0, 1.0))
    base = taught_by(TWO)
    search = search_in(tmp_path, base=base, axes=(axis,))
    assert search.judged == "distill"
    points = [point_of(tmp_path, *each, source=None, until=search.judged) for each in points_of(base, (axis,))]
    assert [job.phase for job in jobs_of(points).values()] == ["teach", "distill", "distill"]
    for name in ("teach-a", "teach-b", "teacher_logits"):
        assert len({(point.run.directory / name).resolve() for point in points}) == 1


def test_teachers_that_learn_along_are_no_job(tmp_path: Path) -> None:
    point = point_of(tmp_path, {}, taught_by(TWO, scheme="co_train"), source=None, until="distill")
    assert [job.phase for job in jobs_of([point]).values()] == ["distill"]


UNJUDGED: list[tuple[Config, dict[str, Any], str]] = [
    (BASE, {"metric": "logit_gap"}, "finetune has no logit_gap"),
    (taught_by(TWO), {"until": "teach"}, "2 models of stage teach, expected one"),
    (taught_by(TWO), {"until": "finetune"}, "no model of stage finetune, expected one"),
    (taught_by(TWO, train_on_validation=True, select="distillation_loss"), {}, "validation would judge what it taught"),
]


@pytest.mark.parametrize(("base", "changes", "message"), UNJUDGED)
def test_what_validation_cannot_judge_is_refused_before_anything_is_prepared(
    base: Config, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    axis = Axis(("distill.click_weight",), (0.0, 1.0))
    with pytest.raises(ConfigError, match=rf"grid point distill.click_weight=0.0: .*{message}"):
        search_in(tmp_path / "none", base=base, axes=(axis,), **changes).run()
    assert not (tmp_path / "none").exists()


def test_the_lowest_log_loss_is_the_best_and_failures_stand_last(found: list[Result]) -> None:
    best = best_of(found, "log_loss")
    assert best is not None
    assert best.validation["log_loss"] == min(result.validation["log_loss"] for result in found[:2])
    assert best_of(found[2:], "auc") is None
    table = search_table(found, "log_loss", "title")
    with console.capture() as captured:
        console.print(table)
    words = [line.split() for line in captured.get().splitlines() if line.strip()]
    assert words[-1][:2] == ["1e+38", "failed"]
    assert "best" in words[-3]


def test_the_time_left_is_that_of_the_finished_phases_of_the_same_kind(found: list[Result]) -> None:
    jobs = jobs_of([result.point for result in found])
    pace = _Pace(jobs, 2)
    assert pace.left() is None
    ended = [Ended(job=job, seconds=0.0) for job in jobs.values() if seconds_of(job) is not None]
    assert len(ended) == 4
    for each in ended[:2]:
        pace.add(each)
    assert pace.left() is None, "no fine-tuning has ended"
    pace.add(ended[2])
    finetuned = seconds_of(ended[2].job)
    assert finetuned is not None
    assert pace.left() == pytest.approx(2 * finetuned / 2), "two are left, trained two at a time"


def test_a_finished_search_tells_its_points_without_training(
    root: Path, found: list[Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.search.work.carry_out", lambda *_: pytest.fail("something was trained"))
    assert [each.validation for each in search_in(root, axes=(NARROWER,)).run()] == [
        each.validation for each in found[:2]
    ]


def test_a_search_that_lost_a_point_trains_that_alone_and_finds_the_same(root: Path, found: list[Result]) -> None:
    lost = found[0].point.run
    (lost.directory / "finetune" / "model.safetensors").unlink()
    (root / "phases" / found[0].point.jobs[-1] / "seconds.json").unlink()
    kept = {path: path.stat().st_mtime_ns for path in (root / "phases").glob("*/*/model.safetensors")}
    assert len(kept) == 3
    again = search_in(root, axes=(NARROWER,)).run()
    assert [result.validation for result in again] == [result.validation for result in found[:2]]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
