"""A teacher in ONNX: a file from anywhere, or a bundle. onnxruntime runs it over our rows in batches.

Inputs are `context_ids` and `candidate_ids` as in our bundles, or one input [N, F] with all fields in schema order.
Where the context is one row ([1, Fc], as in a bundle), rows are grouped by it. The output is one logit or one
probability per row, as the configuration says: a file does not tell. A bundle's calibration is not applied: the student
learns the logit, and is calibrated itself when it is exported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from torch import Tensor

from service.bundle import Encoder, Ids, encoder_files, read_bundle
from service.bundle.versions import MANIFEST, resolve
from training.progress import steps
from training.sections import ConfigError
from training.teachers.base import Teacher

Output = Literal["logits", "probabilities"]

_BATCH = 4096
_INTEGERS: Mapping[str, type[np.generic]] = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}
_CONTEXT, _CANDIDATE = "context_ids", "candidate_ids"


class GraphTeacher(Teacher):
    """A model that onnxruntime runs. What it was trained on is not known: it counts as all rows.

    Args:
        name: names it in messages.
        path: an ONNX file, or a bundle: its version's folder, a root of versions, or a file in it.
        encoder: of our data; a file that names the digest of another schema is refused, and a bundle of other
            vocabularies.
        output: what the graph gives; a bundle's gives logits, whatever is said here.

    Raises:
        ConfigError: not a graph that onnxruntime runs, other inputs, or other ids than ours: both
            digests are named.
        BundleError: the bundle is damaged.
    """

    def __init__(self, name: str, path: Path, encoder: Encoder, output: Output = "logits") -> None:
        folder = _bundle_at(path)
        bundle = None if folder is None else read_bundle(folder)
        if bundle is None or folder is None:
            digest, self._session = _digest(name, path), _session(name, path)
            found = self._session.get_modelmeta().custom_metadata_map.get("schema_digest")
        else:  # read, and with that checked, whole
            digest, self._session = _files_digest(bundle.manifest.files), _session(name, folder / "model.onnx")
            found = bundle.manifest.schema_digest
        super().__init__(name, hashlib.sha256(f"{digest} {output}".encode()).hexdigest())
        self._output: Output = "logits" if bundle is not None else output
        schema = encoder.schema
        self._context = len(schema.context)
        _require_same(name, path, "schema", found, schema.digest)
        if bundle is not None:
            _require_same(name, path, "vocabularies", _vocabulary_digest(bundle.encoder), _vocabulary_digest(encoder))
        self._inputs = {each.name: each for each in self._session.get_inputs()}
        self._check_inputs(path, len(schema.fields))

    def score(self, ids_NF: Tensor) -> Tensor:
        """Logits float32 [N]."""
        ids = ids_NF.numpy()
        logits_N = np.empty(len(ids), np.float32)
        batches = list(self._batches(ids))
        if len(batches) == 1:
            logits_N[batches[0][0]] = self._run(batches[0][1])
            return torch.from_numpy(logits_N)
        with steps(f"teacher {self.name}", len(batches)) as step:
            for rows, feeds in batches:
                step(f"{len(ids):,} rows")
                logits_N[rows] = self._run(feeds)
        return torch.from_numpy(logits_N)

    def unseen(self, train: int, validation: int) -> Tensor:
        """None: nobody knows what it was trained on."""
        return torch.zeros(train + validation, dtype=torch.bool)

    def _batches(self, ids_NF: Ids) -> Iterator[tuple[npt.NDArray[np.int64], dict[str, Ids]]]:
        """Row numbers and what to feed for them."""
        everything = np.arange(len(ids_NF))
        if len(self._inputs) == 1:
            (name,) = self._inputs
            yield from ((rows, {name: ids_NF[rows]}) for rows in _cut(everything))
            return
        contexts, candidates = ids_NF[:, : self._context], ids_NF[:, self._context :]
        if self._inputs[_CONTEXT].shape[0] != 1:
            yield from ((rows, {_CONTEXT: contexts[rows], _CANDIDATE: candidates[rows]}) for rows in _cut(everything))
            return
        for group in _groups(contexts):
            for rows in _cut(group):
                yield rows, {_CONTEXT: contexts[rows[:1]], _CANDIDATE: candidates[rows]}

    def _run(self, feeds: Mapping[str, Ids]) -> npt.NDArray[np.float32]:
        typed = {name: ids.astype(_INTEGERS[self._inputs[name].type]) for name, ids in feeds.items()}
        rows = max(map(len, feeds.values()))
        values = np.asarray(self._session.run(None, typed)[0], np.float64)
        if values.size != rows:
            raise ConfigError(
                f"teacher {self.name!r}: {list(values.shape)} for {rows} rows; expected one number per row"
            )
        values = values.reshape(rows)
        if self._output == "logits":
            return values.astype(np.float32)
        if not ((values > 0) & (values < 1)).all():
            raise ConfigError(
                f"teacher {self.name!r}: probabilities from {values.min():g} to {values.max():g}, expected all of them "
                "strictly between 0 and 1; set output = 'logits' if that is what they are"
            )
        return (np.log(values) - np.log1p(-values)).astype(np.float32)

    def _check_inputs(self, path: Path, fields: int) -> None:
        expected = {_CONTEXT: self._context, _CANDIDATE: fields - self._context}
        if len(self._inputs) == 1:
            expected = dict.fromkeys(self._inputs, fields)
        found = {name: (each.type, each.shape) for name, each in self._inputs.items()}
        fits = found.keys() == expected.keys() and all(
            kind in _INTEGERS and len(shape) == 2 and (shape[1] == expected[name] or not isinstance(shape[1], int))  # noqa: PLR2004
            for name, (kind, shape) in found.items()
        )
        if not fits:
            raise ConfigError(
                f"teacher {self.name!r}: {path} has inputs {found}; expected int32 or int64 {_CONTEXT} "
                f"[1 or N, {self._context}] and {_CANDIDATE} [N, {fields - self._context}], or one input [N, {fields}]"
            )


def _bundle_at(path: Path) -> Path | None:
    """The folder of the bundle that the path is or lies in, if any; raises BundleError for a folder that is none."""
    if path.is_dir():
        return resolve(path)
    return path.parent if (path.parent / MANIFEST).exists() else None


def _require_same(name: str, path: Path, what: str, found: str | None, expected: str) -> None:
    """Raise ConfigError if the graph says what it was made for and that is something else."""
    if found not in {None, expected}:
        raise ConfigError(
            f"teacher {name!r}: {path} was made for {what} {found}, the data have {what} {expected}: its ids mean "
            "something else; give a teacher of the same data, or what it says of the rows as a column"
        )


def _vocabulary_digest(encoder: Encoder) -> str:
    return hashlib.sha256(encoder_files(encoder, None)["vocabulary.json"]).hexdigest()


def _files_digest(files: Mapping[str, str]) -> str:
    """SHA-256 of names and digests of files."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def _digest(name: str, path: Path) -> str:
    """SHA-256 of a file, and of the weights that exporters put beside it."""
    beside = path.with_name(f"{path.name}.data")
    try:
        contents = [path.read_bytes(), *([beside.read_bytes()] if beside.exists() else [])]
    except OSError as error:
        raise ConfigError(f"teacher {name!r}: {path}: {error.strerror}; expected an ONNX file or a bundle") from error
    return _files_digest({str(i): hashlib.sha256(content).hexdigest() for i, content in enumerate(contents)})


def _session(name: str, path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors only: they are raised anyway
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many kinds, all meaning "not a graph I can run"
        raise ConfigError(f"teacher {name!r}: onnxruntime refuses {path}: {error}") from error


def _cut(rows: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    return (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))


def _groups(contexts_NF: Ids) -> Iterator[npt.NDArray[np.int64]]:
    """Row numbers of equal contexts."""
    if contexts_NF.shape[1] == 0:
        yield np.arange(len(contexts_NF))
        return
    _, group_N = np.unique(contexts_NF, axis=0, return_inverse=True)
    order = np.argsort(group_N.ravel(), kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(group_N.ravel()[order])) + 1)
