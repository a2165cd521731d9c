"""Wire forms: one request in each form that a server takes, as the bytes that go over the connection.

Every form of a sample asks the same question, so every answer must hold the same probabilities. A form is data: one
that a server does not take is answered with 422 and reported, nothing else changes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from export.parity import random_ids
from service.bundle import FIRST_VALUE_ID, Bundle, Ids

BODIES = 64
"""Different requests per point, sent in turn: contexts and candidates of their own."""
INFER_PATH = "/v2/models/student/infer"
HEADER_LENGTH = "Inference-Header-Content-Length"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One context and N items of the catalogue, as ids and as raw values."""

    context_ids: Ids
    """[1, Fc]."""
    candidate_ids: Ids
    """[N, Ff]."""
    items: list[str]
    context_names: list[str]
    candidate_names: list[str]
    values: Mapping[str, Sequence[str]]
    """Field → its vocabulary's values."""

    @property
    def rows(self) -> Ids:
        """Full rows [N, F]."""
        return np.hstack([np.repeat(self.context_ids, len(self.candidate_ids), axis=0), self.candidate_ids])

    def context(self) -> dict[str, str]:
        """Field → value."""
        named = zip(self.context_names, self.context_ids[0].tolist(), strict=True)
        return {name: self.values[name][value_id - FIRST_VALUE_ID] for name, value_id in named}

    def columns(self) -> dict[str, list[str]]:
        """Candidate field → values."""
        named = zip(self.candidate_names, self.candidate_ids.T.tolist(), strict=True)
        return {name: [self.values[name][value_id - FIRST_VALUE_ID] for value_id in ids] for name, ids in named}


def make_samples(bundle: Bundle, candidates: int, count: int = BODIES) -> list[Sample]:
    """`count` samples of N candidates drawn from the catalogue, contexts of known values; the same on every call."""
    catalogue, schema = bundle.catalogue, bundle.schema
    if catalogue is None:
        raise ValueError("the bundle has no catalogue, expected one to draw candidates from")
    generator = np.random.default_rng(candidates)
    sizes = [size - FIRST_VALUE_ID for size in bundle.encoder.sizes[: len(schema.context)]]
    contexts_SF = random_ids(sizes, count, seed=candidates) + FIRST_VALUE_ID
    values = {name: vocabulary.values for name, vocabulary in bundle.encoder.vocabularies.items()}
    samples = []
    for context_F in contexts_SF:
        chosen_N = generator.integers(len(catalogue), size=candidates)
        sample = Sample(
            context_ids=context_F[None].astype(np.int32),
            candidate_ids=catalogue.candidate_ids_IF[chosen_N],
            items=[catalogue.items[item] for item in chosen_N.tolist()],
            context_names=[field.name for field in schema.context],
            candidate_names=[field.name for field in schema.candidate],
            values=values,
        )
        samples.append(sample)
    return samples


@dataclass(frozen=True)
class Message:
    """A body and the headers that belong to it."""

    body: bytes
    headers: Mapping[str, str]


Headers = Mapping[str, str]
"""Of an answer, names in lower case."""


@dataclass(frozen=True, kw_only=True)
class WireForm:
    """How a request is written and its answer read."""

    name: str
    path: str
    write: Callable[[Sample], Message]
    read: Callable[[Headers, bytes], list[float]]
    """Headers and body of a 200 → probabilities [N]."""

    def request(self, sample: Sample) -> bytes:
        """The whole HTTP/1.1 request."""
        message = self.write(sample)
        headers = {"Host": "localhost", **message.headers, "Content-Length": str(len(message.body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST {self.path} HTTP/1.1\r\n{head}\r\n".encode() + message.body


def _json(content: object) -> Message:
    return Message(orjson.dumps(content), {"Content-Type": "application/json"})


def _items(sample: Sample) -> Message:
    return _json({"context": sample.context(), "items": sample.items})


def _columns(sample: Sample) -> Message:
    return _json({"context": sample.context(), "candidates": sample.columns()})


def _rows(sample: Sample) -> Message:
    columns = sample.columns()
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return _json({"context": sample.context(), "candidates": rows})


def _id_columns(sample: Sample) -> Message:
    context = dict(zip(sample.context_names, sample.context_ids[0].tolist(), strict=True))
    candidates = dict(zip(sample.candidate_names, sample.candidate_ids.T.tolist(), strict=True))
    return _json({"context_ids": context, "candidate_ids": candidates})


def _tensor(name: str, ids_NF: Ids, **rest: object) -> dict[str, Any]:
    return {"name": name, "shape": list(ids_NF.shape), "datatype": "INT32", **rest}


def _infer_json(sample: Sample) -> Message:
    pairs = (("context_ids", sample.context_ids), ("candidate_ids", sample.candidate_ids))
    inputs = [_tensor(name, ids_NF, data=ids_NF.ravel().tolist()) for name, ids_NF in pairs]
    return _json({"inputs": inputs, "outputs": [{"name": "probabilities"}]})


def _infer_binary(sample: Sample) -> Message:
    pairs = (("context_ids", sample.context_ids), ("candidate_ids", sample.candidate_ids))
    inputs = [_tensor(name, ids_NF, parameters={"binary_data_size": ids_NF.nbytes}) for name, ids_NF in pairs]
    outputs = [{"name": "probabilities", "parameters": {"binary_data": True}}]
    header = orjson.dumps({"inputs": inputs, "outputs": outputs})
    raw = b"".join(ids_NF.astype("<i4").tobytes() for _name, ids_NF in pairs)
    return Message(header + raw, {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(header))})


def _read_member(_headers: Headers, body: bytes) -> list[float]:
    probabilities: list[float] = orjson.loads(body)["probabilities"]
    return probabilities


def _read_list(_headers: Headers, body: bytes) -> list[float]:
    probabilities: list[float] = orjson.loads(body)
    return probabilities


def _read_output(headers: Headers, body: bytes) -> list[float]:
    """The one output of an infer answer, in JSON or behind it as little-endian float32."""
    length = int(headers.get(HEADER_LENGTH.lower(), len(body)))
    output = orjson.loads(body[:length])["outputs"][0]
    if "data" in output:
        probabilities: list[float] = output["data"]
        return probabilities
    return list(struct.unpack(f"<{output['shape'][0]}f", body[length:]))


ITEM_IDS = WireForm(name="item ids", path="/predict", write=_items, read=_read_member)
ID_COLUMNS = WireForm(name="columns of ids", path="/predict", write=_id_columns, read=_read_member)
COLUMNS = WireForm(name="columns", path="/predict", write=_columns, read=_read_member)
ROWS = WireForm(name="rows", path="/predict", write=_rows, read=_read_member)
INFER_JSON = WireForm(name="v2 JSON", path=INFER_PATH, write=_infer_json, read=_read_output)
INFER_BINARY = WireForm(name="v2 binary", path=INFER_PATH, write=_infer_binary, read=_read_output)
OUR_FORMS = (ITEM_IDS, ID_COLUMNS, COLUMNS, ROWS, INFER_JSON, INFER_BINARY)

ID_ROWS = WireForm(name="rows of ids", path="/", write=lambda sample: _json(sample.rows.tolist()), read=_read_list)
"""Full rows [[id, …], …]: what the reference takes."""
TYPED_ROWS = WireForm(
    name="rows of ids", path="/predict", write=lambda sample: _json({"rows": sample.rows.tolist()}), read=_read_member
)
"""The same as a member of an object: what the tutorial takes."""
EMPTY = WireForm(name="unread", path="/", write=ID_ROWS.write, read=_read_list)
"""The reference's body, to a server that does not look at it."""
