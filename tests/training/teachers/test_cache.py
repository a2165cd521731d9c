from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from training.checkpoint import CheckpointError
from training.data.batches import TensorRows
from training.models.base import CTRModel
from training.teachers.base import ModelTeacher
from training.teachers.cache import CachedTeacher

DATA = "d" * 64


class Counted(ModelTeacher):
    """Counts the rows it is asked about."""

    asked = 0

    def score(self, ids_NF: Tensor) -> Tensor:
        self.asked += len(ids_NF)
        return super().score(ids_NF)


@pytest.fixture
def ids(few_rows: Callable[[int, int], TensorRows]) -> Tensor:
    return few_rows(40, 0).ids_NF


@pytest.fixture
def teacher(small_model: Callable[..., CTRModel]) -> Counted:
    return Counted("t", small_model("crossnet", 0), "a" * 64)


def test_logits_are_computed_once_and_read_back_to_the_last_bit(teacher: Counted, ids: Tensor, tmp_path: Path) -> None:
    first_N = CachedTeacher(teacher, tmp_path / "kept", DATA).logits("train", ids)
    again_N = CachedTeacher(teacher, tmp_path / "kept", DATA).logits("train", ids)
    assert teacher.asked == 40
    assert again_N.dtype == torch.float32
    assert torch.equal(first_N, again_N)
    assert torch.equal(first_N, teacher.score(ids))


def test_parts_data_and_teachers_have_files_of_their_own(teacher: Counted, tmp_path: Path) -> None:
    other = Counted("t", teacher.model, "b" * 64)
    paths = {
        CachedTeacher(who, tmp_path, data).path(part)
        for who in (teacher, other)
        for data in (DATA, "e" * 64)
        for part in ("train", "validation")
    }
    assert len(paths) == 8


def test_logits_of_another_teacher_are_refused_with_both_digests(teacher: Counted, ids: Tensor, tmp_path: Path) -> None:
    mine = CachedTeacher(teacher, tmp_path, DATA)
    other = CachedTeacher(Counted("t", teacher.model, "b" * 64), tmp_path, DATA)
    mine.logits("train", ids)
    mine.path("train").rename(other.path("train"))
    with pytest.raises(CheckpointError, match=f"logits of teacher {'a' * 64}, expected those of teacher {'b' * 64}"):
        other.logits("train", ids)


def test_logits_of_other_data_are_refused_with_both_digests(teacher: Counted, ids: Tensor, tmp_path: Path) -> None:
    mine, other = CachedTeacher(teacher, tmp_path, DATA), CachedTeacher(teacher, tmp_path, "e" * 64)
    mine.logits("train", ids)
    mine.path("train").rename(other.path("train"))
    with pytest.raises(CheckpointError, match=f"logits of data {DATA}, expected those of data {'e' * 64}"):
        other.logits("train", ids)


def test_a_damaged_file_is_made_again(teacher: Counted, ids: Tensor, tmp_path: Path) -> None:
    kept = CachedTeacher(teacher, tmp_path, DATA)
    whole_N = kept.logits("train", ids)
    kept.path("train").write_bytes(kept.path("train").read_bytes()[:-7])
    assert torch.equal(kept.logits("train", ids), whole_N)
    assert teacher.asked == 80
    kept.logits("train", ids)
    assert teacher.asked == 80


def test_other_rows_than_those_of_the_file_are_refused(teacher: Counted, ids: Tensor, tmp_path: Path) -> None:
    kept = CachedTeacher(teacher, tmp_path, DATA)
    kept.logits("train", ids)
    with pytest.raises(CheckpointError, match="40 logits, train has 39 rows"):
        kept.logits("train", ids[:-1])


def test_rows_of_no_part_are_never_kept(teacher: Counted, ids: Tensor, tmp_path: Path) -> None:
    CachedTeacher(teacher, tmp_path, DATA).score(ids)
    assert not list(tmp_path.iterdir())


def test_a_teacher_without_a_digest_cannot_be_kept(teacher: Counted, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'t' has no digest"):
        CachedTeacher(ModelTeacher("t", teacher.model), tmp_path, DATA)
