"""Checkpoints: one safetensors file each, tensors and JSON together, replaced in one step. No pickle anywhere.

The JSON stands in the file's own metadata, so weights and what they mean can never come from two different moments.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from training.data.prepare import Prepared
from training.models.base import CTRModel
from training.models.registry import build

_META = "kd_dagfm"


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, or belongs to other data."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write tensors and `meta` to `path`; the old file stays until the new one is whole and on disk."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
        save_file(plain, temporary, metadata={_META: json.dumps(meta)})
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and meta of `path`; raises CheckpointError if it is not whole."""
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads((file.metadata() or {})[_META])
            return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118 - not a mapping
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: not found; run the phase that writes it first") from error
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a whole checkpoint of this project ({error}); remove it and run its phase again"
        ) from error


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained model and what is known of it."""

    model: CTRModel
    meta: Mapping[str, Any]
    """phase, config, data and schema digests, validation metrics, epochs."""
    digest: str
    """SHA-256 of the checkpoint file."""


def save_model(path: Path, model: CTRModel, prepared: Prepared, meta: Mapping[str, Any]) -> None:
    """Write a model with what is needed to build it again."""
    described = {
        **meta,
        "model": model.name,
        "options": model.options.model_dump(),
        "data_digest": prepared.digest,
        "schema_digest": prepared.encoder.schema.digest,
    }
    save_tensors(path, model.state_dict(), described)


def load_model(path: Path, prepared: Prepared) -> Trained:
    """Rebuild the model of `path` for these data.

    Raises:
        CheckpointError: not there, damaged, or trained on other data: both digests are named.
    """
    tensors, meta = load_tensors(path)
    if meta.get("data_digest") != prepared.digest:
        raise CheckpointError(
            f"{path}: trained on data {meta.get('data_digest')}, {prepared.directory} holds {prepared.digest}; "
            "prepare the same data, or remove the phase's folder and train again"
        )
    try:
        model = build(meta["model"], meta["options"], prepared.encoder.sizes)
        model.load_state_dict(tensors)
    except (KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path}: not the model it names ({error}); remove it and train again") from error
    return Trained(model=model.eval(), meta=meta, digest=hashlib.sha256(path.read_bytes()).hexdigest())
