"""The files of an encoder: schema.json, vocabulary.json and, if there are items, catalogue.npz.

The same three stand in a bundle and in the folder of prepared training data: what trained is what serves.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from service.bundle.catalogue import Catalogue
from service.bundle.encoder import Encoder, Ids
from service.bundle.errors import BundleError
from service.bundle.fields import Schema
from service.bundle.vocabulary import Vocabulary

SCHEMA = "schema.json"
VOCABULARY = "vocabulary.json"
CATALOGUE = "catalogue.npz"


def encoder_files(encoder: Encoder, catalogue: Catalogue | None) -> dict[str, bytes]:
    """File name → content."""
    vocabularies = {name: list(vocabulary.values) for name, vocabulary in encoder.vocabularies.items()}
    files = {
        SCHEMA: json_bytes(encoder.schema.to_json(), indent=2),
        VOCABULARY: json_bytes(vocabularies),
    }
    if catalogue is not None:
        files[CATALOGUE] = _catalogue_bytes(catalogue)
    return files


def read_encoder_files(contents: Mapping[str, bytes]) -> tuple[Encoder, Catalogue | None]:
    """Inverse of `encoder_files`; raises BundleError naming the file."""
    schema = Schema.from_json(parse_json(SCHEMA, contents[SCHEMA]))
    encoder = Encoder(schema, _vocabularies(parse_json(VOCABULARY, contents[VOCABULARY])))
    if CATALOGUE not in contents:
        return encoder, None
    catalogue = _catalogue(contents[CATALOGUE])
    check_ids(CATALOGUE, catalogue.candidate_ids_IF, encoder.sizes[len(schema.context) :])
    return encoder, catalogue


def check_ids(file: str, ids_NF: Ids, sizes: Sequence[int]) -> None:
    """Every stored id must lie inside its field's table: outside, it would read another field's embedding."""
    if ids_NF.shape[1:] != (len(sizes),) or (ids_NF < 0).any() or (ids_NF >= np.array(sizes)).any():
        raise BundleError(f"{file}: ids of shape {ids_NF.shape} do not fit tables of {list(sizes)} ids")


def parse_json(file: str, content: bytes) -> dict[str, Any]:
    """The JSON object in `content`; raises BundleError naming `file`."""
    try:
        parsed = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{file}: not JSON ({error}); export again") from error
    if not isinstance(parsed, dict):
        raise BundleError(f"{file}: got a JSON {type(parsed).__name__}, expected an object; export again")
    return parsed


def json_bytes(value: object, indent: int | None = None) -> bytes:
    """UTF-8 JSON with a final newline; NaN and infinity are refused."""
    return (json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent) + "\n").encode()


def _vocabularies(described: Mapping[str, Any]) -> dict[str, Vocabulary]:
    for name, values in described.items():
        if not isinstance(values, list):
            raise BundleError(f"{VOCABULARY}: {name!r} is a {type(values).__name__}, expected a list of values")
    return {name: _vocabulary(name, values) for name, values in described.items()}


def _vocabulary(name: str, values: list[Any]) -> Vocabulary:
    try:
        return Vocabulary(tuple(values))
    except BundleError as error:
        raise BundleError(f"{VOCABULARY}: {name!r}: {error}") from error


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def _catalogue_bytes(catalogue: Catalogue) -> bytes:
    items = np.array(catalogue.items, dtype=np.str_)
    if tuple(items.tolist()) != catalogue.items:
        raise BundleError(f"{CATALOGUE}: an item ends in NUL, which numpy cuts off; expected items without it")
    buffer = io.BytesIO()
    np.savez(buffer, items=items, candidate_ids_IF=catalogue.candidate_ids_IF)
    return buffer.getvalue()


def _catalogue(content: bytes) -> Catalogue:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            items, ids = archive["items"], archive["candidate_ids_IF"]
    except Exception as error:  # numpy and zipfile raise many kinds, all meaning "not this format"
        raise BundleError(f"{CATALOGUE}: not readable: {error}; expected arrays items, candidate_ids_IF") from error
    if (items.dtype.kind, items.ndim) != ("U", 1) or ids.dtype != np.int32:
        found = f"items {items.dtype} {items.shape} and ids {ids.dtype}"
        raise BundleError(f"{CATALOGUE}: found {found}, expected a list of text and int32")
    return Catalogue(items.tolist(), ids)
