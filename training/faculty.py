"""Faculty: the teachers of a run, each made from what its configuration names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch

from training.checkpoint import Trained, load_model
from training.config_teachers import BundleSource, ColumnSource, OnnxSource, OwnSource, RunSource, TeacherConfig
from training.data.prepare import Prepared
from training.models.base import CTRModel
from training.models.registry import build
from training.sections import ConfigError
from training.teachers.base import ModelTeacher, Teacher
from training.teachers.column import ColumnTeacher
from training.teachers.graph import GraphTeacher


def fresh(teacher: TeacherConfig, prepared: Prepared) -> CTRModel:
    """A teacher's model before training; torch's generator is seeded with the teacher's seed."""
    if teacher.model is None or not isinstance(teacher.source, OwnSource) or teacher.source.seed is None:
        raise ConfigError(f"teacher {teacher.name!r} comes from elsewhere; there is nothing to train")
    torch.manual_seed(teacher.source.seed)
    return build(teacher.model.name, teacher.model.options.model_dump(), prepared.encoder.sizes)


def finished(teacher: TeacherConfig, prepared: Prepared, taught: Mapping[str, Trained]) -> Teacher:
    """A teacher that is not to learn any more; `taught` are the run's own, by name.

    Raises:
        CheckpointError: another run's model is not there, or was trained on other data: both digests are named.
        ConfigError: a graph of another schema: both digests are named; or not a graph we can use.
        DataError: the data have no such column.
        BundleError: the bundle is damaged.
    """
    source = teacher.source
    match source:
        case OwnSource():
            return ModelTeacher.of(teacher.name, taught[teacher.name], teacher.fold)
        case RunSource():
            path = source.run / source.phase / "model.safetensors"
            return ModelTeacher.of(teacher.name, load_model(path, prepared))
        case BundleSource():
            return GraphTeacher(teacher.name, source.bundle, prepared.encoder)
        case OnnxSource():
            return GraphTeacher(teacher.name, source.onnx, prepared.encoder, source.output)
        case ColumnSource():
            return ColumnTeacher(teacher.name, prepared, source.column)


def untrained_digest(teacher: TeacherConfig) -> str:
    """What stands for a teacher that learns along in the lineage of its student: its description's digest."""
    return hashlib.sha256(repr(sorted(teacher.to_dict().items())).encode()).hexdigest()
