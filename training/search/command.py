"""A search from its grid to its files: plan, train, tell, choose."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.config import Config, ConfigError
from training.progress import console
from training.run import Run
from training.search.grid import Axis, points_of, spelt
from training.search.picture import draw_search
from training.search.plan import Job, Point, jobs_of, point_of, stages_of
from training.search.results import Result, best_of, result_of, write_best, write_lines
from training.search.work import Ended, seconds_of, train_all


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is searched, and what decides.

    Attributes:
        base: the configuration that the grid departs from.
        axes: of the grid.
        root: folder of the search.
        source: raw data.
        until: the stage whose validation metrics count, the last if none is named; later ones are not trained.
        metric: on validation, decides.
        processes: points trained at a time, one thread each.
    """

    base: Config
    axes: Sequence[Axis]
    root: Path
    source: Path | None
    until: str | None = None
    metric: str = "auc"
    processes: int = 1

    def run(self) -> list[Result]:
        """Train every point that is not finished; results in the grid's order, files written.

        Raises:
            ConfigError: a point is no configuration, or its last phase has no such metric; nothing was trained.
        """
        found = list(points_of(self.base, self.axes))
        for chosen, config in found:
            self._check(f"grid point {spelt(chosen)}", config)
        points = [point_of(self.root, *each, source=self.source, until=self.judged) for each in found]
        jobs = jobs_of(points)
        console.print(
            f"{len(points)} points, {len(jobs)} phases to train instead of {sum(len(point.jobs) for point in points)}",
            highlight=False,
        )
        pace, failures = _Pace(jobs, self.processes), dict[str, str]()
        results: dict[str, Result] = {}
        for ended in train_all(jobs, self.processes):
            pace.add(ended)
            if ended.failure:
                failures[ended.job.name] = ended.failure
            for point in points:
                name = spelt(point.chosen)
                if point.jobs[-1] == ended.job.name:
                    results[name] = self._result(point, jobs, failures)
                    self._tell(results, results[name], len(points), pace)
                    write_lines(self.root, _in_order(points, results))
        self._finish(_in_order(points, results))
        return _in_order(points, results)

    @property
    def judged(self) -> str:
        """The stage whose validation metrics count."""
        return self.until or list(stages_of(Run(self.root, self.base)))[-1]

    def _check(self, where: str, config: Config) -> None:
        """Raise ConfigError unless validation can judge the stage."""
        stages = stages_of(Run(self.root, config))
        if len(stages.get(self.judged, ())) != 1:
            got = f"{len(stages[self.judged])} models" if self.judged in stages else "no model"
            raise ConfigError(f"{where}: {got} of stage {self.judged}, expected one that can be judged; name another")
        if self.metric == "logit_gap" and self.judged != "distill":
            raise ConfigError(f"{where}: {self.judged} has no logit_gap; select auc or log_loss, or stop at distill")
        if config.distill.train_on_validation:
            raise ConfigError(f"{where}: [distill] train_on_validation is true: validation would judge what it taught")

    def _result(self, point: Point, jobs: Mapping[str, Job], failures: Mapping[str, str]) -> Result:
        reason = next((failures[name] for name in point.jobs if name in failures), "")
        if reason:
            return Result(point=point, validation={}, epoch=-1, seconds=0.0, failure=reason)
        return result_of(
            point, stages_of(point.run)[self.judged][0], sum(seconds_of(jobs[name]) or 0.0 for name in point.jobs)
        )

    def _tell(self, results: Mapping[str, Result], result: Result, total: int, pace: _Pace) -> None:
        best = best_of(list(results.values()), self.metric)
        mark = " *" if result is best else ""
        told = f"failed: {result.failure}" if result.failure else f"{result.validation[self.metric]:.5f}{mark}"
        console.print(
            f"{len(results)}/{total} {spelt(result.point.chosen)}: {self.metric} {told}; {pace.words()}",
            highlight=False,
            markup=False,
        )

    def _finish(self, results: Sequence[Result]) -> None:
        best = best_of(results, self.metric)
        if best is None:
            return
        title = f"{self.base.run.name}: {len(results)} points, {self.judged}, chosen on validation"
        draw_search(results, self.metric, self.root / "results.png", title=title)
        write_best(self.root, best, f"{self.base.run.name}-best")


def _in_order(points: Sequence[Point], results: Mapping[str, Result]) -> list[Result]:
    """The results there are, in the grid's order."""
    return [results[name] for point in points if (name := spelt(point.chosen)) in results]


@dataclass
class _Pace:
    """How long the rest will take: every job that is left as the mean of the finished ones of its phase."""

    jobs: Mapping[str, Job]
    processes: int
    began: float = field(default_factory=time.monotonic)
    ended: set[str] = field(default_factory=set)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, ended: Ended) -> None:
        """One job more."""
        self.ended.add(ended.job.name)
        took = seconds_of(ended.job)
        if took is not None:
            self.seconds.setdefault(ended.job.phase, []).append(took)

    def left(self) -> float | None:
        """Seconds; None while a phase that is left has not ended once."""
        phases = [job.phase for name, job in self.jobs.items() if name not in self.ended]
        if any(phase not in self.seconds for phase in phases):
            return None
        return sum(statistics.fmean(self.seconds[phase]) for phase in phases) / self.processes

    def words(self) -> str:
        """Time spent and time left."""
        spent, left = time.monotonic() - self.began, self.left()
        if left is None:
            return f"{_spelt(spent)} so far"
        return f"{_spelt(spent)} of about {_spelt(spent + left)}, {_spelt(left)} left"


def _spelt(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
