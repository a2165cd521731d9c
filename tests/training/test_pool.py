"""Tasks in processes: what is begun when, and what becomes of the rest when one fails."""

from functools import partial
from pathlib import Path

from training.pool import Ended, Task, carry_out, ready


def write(path: Path, *needed: Path) -> str:
    missing = [each.name for each in needed if not each.exists()]
    if missing:
        raise ValueError(f"begun before {missing}")
    path.touch()
    return path.name


def fail(path: Path) -> str:
    raise ValueError(f"{path.name} cannot be done")


def test_a_task_is_begun_when_all_it_needs_is_done_and_what_needs_a_failed_one_never(tmp_path: Path) -> None:
    a, b, c, d, e = (tmp_path / name for name in "abcde")
    tasks = {
        "d": Task(call=partial(write, d, c), needs=("c", "before")),
        "c": Task(call=partial(write, c, a, b), needs=("a", "b")),
        "a": Task(call=partial(write, a)),
        "b": Task(call=partial(write, b)),
        "e": Task(call=partial(fail, e)),
        "f": Task(call=partial(write, tmp_path / "f"), needs=("a", "e")),
        "g": Task(call=partial(write, tmp_path / "g"), needs=("f",)),
    }
    ended = {each.name: each for each in carry_out(tasks, 2, {"before"})}
    assert {name: each.result for name, each in ended.items() if not each.failure} == {n: n for n in "abcd"}
    assert ended["e"] == Ended(name="e", result=None, failure="e cannot be done")
    assert ended["f"].failure == "needs e, which failed"
    assert ended["g"].failure == "needs f, which failed"
    assert not (tmp_path / "f").exists()


def test_only_tasks_whose_needs_are_all_met_are_ready() -> None:
    tasks = {"a": Task(call=str), "b": Task(call=str, needs=("a",)), "c": Task(call=str, needs=("a", "x"))}
    assert ready(tasks, set()) == ["a"]
    assert ready(tasks, {"a"}) == ["a", "b"]
    assert ready(tasks, {"a", "x"}) == ["a", "b", "c"]
