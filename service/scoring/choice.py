"""Which scorer answers: the native one if it is wanted, can be built and agrees with the reference, else the reference.

The reference is onnxruntime on the graph, itself proved on the golden requests. The native scorer must meet the golden
logits and the reference's logits on random requests that cover every remainder of its blocks.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.bundle import PADDING_ID, UNKNOWN_ID, Bundle, BundleError, Golden, Ids
from service.scoring.native_scorer import NativeScorer, NotBuiltError
from service.scoring.scorer import Scorer, prove

Wanted = Literal["auto", "native", "onnxruntime"]
Result = Literal["chosen", "not_wanted", "no_weights", "not_built", "refused"]

RANDOM_SIZES = (1, 2, 15, 16, 17, 257)
"""Candidates of the random requests: whole blocks, blocks with a remainder, one candidate alone."""

_KINDS = 8
"""Of so many random ids one each is padding, unknown and the last of its table."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The scorer that answers, and how that came about."""

    scorer: Scorer
    result: Result
    """What became of the native scorer."""
    reason: str
    """The same for people."""


def choose_scorer(reference: Scorer, bundle: Bundle, wanted: Wanted) -> Choice:
    """The native scorer where it may answer, otherwise `reference`.

    Raises:
        BundleError: `native` is wanted, the bundle has weights, and the native scorer cannot answer.
    """
    if bundle.weights is None or bundle.embedding is None:
        reason = f"the bundle has no weights.npz: a {bundle.manifest.architecture} runs as a graph"
        return Choice(scorer=reference, result="no_weights", reason=reason)
    if wanted == "onnxruntime":
        return Choice(scorer=reference, result="not_wanted", reason="CTR_SCORER is onnxruntime")
    try:
        native = NativeScorer(bundle.weights, bundle.embedding, bundle.encoder.sizes, len(bundle.schema.context))
        gap = agree(native, reference, bundle)
    except (BundleError, NotBuiltError) as error:
        return _fallen_back(reference, bundle, wanted, error)
    reason = f"{native.level}, within {gap:.2g} of {reference.name} on golden and random requests"
    return Choice(scorer=native, result="chosen", reason=reason)


def agree(scorer: Scorer, reference: Scorer, bundle: Bundle) -> float:
    """Largest gap of `scorer` to the golden logits and to the reference's logits on random requests.

    Raises:
        BundleError: it exceeds the tolerance, or a run failed.
    """
    golden_gap = prove(scorer, bundle.golden)
    requests = list(random_requests(bundle.encoder.sizes, len(bundle.schema.context)))
    contexts_GF = np.concatenate([context_ids for context_ids, _candidates in requests])
    candidates = [candidate_ids for _context, candidate_ids in requests]
    logits = [reference.score(*request) for request in requests]
    try:
        return max(golden_gap, prove(scorer, Golden.of(contexts_GF, candidates, logits)))
    except BundleError as error:
        raise BundleError(f"random requests scored by {reference.name}, as if they were golden: {error}") from error


def random_requests(sizes: list[int], context_fields: int) -> Iterator[tuple[Ids, Ids]]:
    """Contexts [1, Fc] and candidates [N, Ff] of every size: ids of the whole table, its ends, padding and unknown."""
    generator = np.random.default_rng(0)
    last_F = np.array(sizes, np.int32) - 1
    for rows in RANDOM_SIZES:
        shape = (rows + 1, len(sizes))
        ids_NF = generator.integers(0, sizes, shape).astype(np.int32)
        kind_NF = generator.integers(0, _KINDS, shape)
        for kind, edge_F in enumerate((np.full_like(last_F, PADDING_ID), np.full_like(last_F, UNKNOWN_ID), last_F)):
            np.copyto(ids_NF, np.minimum(edge_F, last_F), where=kind_NF == kind)
        yield ids_NF[:1, :context_fields], np.ascontiguousarray(ids_NF[1:, context_fields:])


def _fallen_back(reference: Scorer, bundle: Bundle, wanted: Wanted, error: Exception) -> Choice:
    """The reference with the reason, logged; the error itself where nothing but native would do."""
    if wanted == "native":
        raise BundleError(f"CTR_SCORER is native, and the native scorer cannot answer: {error}") from error
    result: Result = "not_built" if isinstance(error, NotBuiltError) else "refused"
    logger.warning("%s: %s answers, not the native scorer: %s", bundle.manifest.model, reference.name, error)
    return Choice(scorer=reference, result=result, reason=" ".join(str(error).split()))
