"""A loaded model: a bundle that was read, proved on its golden requests and on its raw example, and warmed up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from service.api.answers import Probabilities, answer, probabilities_of
from service.api.contexts import ContextCache
from service.api.problems import ProblemError
from service.api.requests import RequestReader
from service.api.v2.requests import InferReader
from service.bundle import Bundle, BundleError, Field, Flops, Ids, read_bundle
from service.bundle.encoder_files import CATALOGUE, SCHEMA, VOCABULARY
from service.scoring import (
    TOLERANCE,
    Choice,
    Logits,
    Scorer,
    ScorerFactory,
    Wanted,
    agree,
    by_size,
    choose_scorer,
    graph_scorers,
    prove,
)
from service.scoring.multiplications import executed_flops


class LoadError(BundleError):
    """A bundle was refused.

    Attributes:
        reason: the step that refused it: read, graph, golden, scorer or example.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedModel:
    """One model, ready to answer."""

    bundle: Bundle
    reader: RequestReader
    infer_reader: InferReader
    logit_gap: float
    """Largest gap to the trained model's logits over the golden requests."""
    choice: Choice
    """Which scorer answers and why."""
    flops: Flops
    """Multiplications of the scorer that answers."""

    @property
    def reads_as(self) -> tuple[str | None, ...]:
        """Equal for two models that turn every request into the same ids."""
        return tuple(self.bundle.manifest.files.get(name) for name in (SCHEMA, VOCABULARY, CATALOGUE))

    @property
    def scorer(self) -> Scorer:
        """What answers."""
        return self.choice.scorer

    @property
    def name(self) -> str:
        """`name@version`."""
        return self.bundle.manifest.model

    @property
    def ids_digest(self) -> str:
        """Of schema and vocabularies: models that share it share their ids."""
        files = self.bundle.manifest.files
        return files[SCHEMA][:16] + files[VOCABULARY][:16]

    def probabilities(self, logits_N: Logits) -> Probabilities:
        """Calibrated probabilities [N] of logits [N]; raises ProblemError when one is not finite."""
        return probabilities_of(logits_N, self.bundle.manifest.calibration)


def load_model(
    path: Path,
    *,
    scorer_factory: ScorerFactory,
    max_candidates: int,
    wanted: Wanted = "auto",
    contexts: ContextCache | None = None,
) -> LoadedModel:
    """Read, check and warm up the bundle at `path`.

    Args:
        path: a bundle's root or version.
        scorer_factory: what runs its graphs: the reference, and the answering scorer unless the native one may be.
        max_candidates: most candidates a request may send.
        wanted: the setting CTR_SCORER.
        contexts: what remembers encoded contexts, None to encode each.

    Raises:
        LoadError: whatever is wrong with it, on one line, and the step that found it.
    """
    reason = "read"
    try:
        bundle = read_bundle(path)
        reason = "graph"
        graphs = graph_scorers(bundle, scorer_factory)
        reason = "golden"
        prove(graphs[0], bundle.golden)
        for small in graphs[1:]:
            agree(small, graphs[0], bundle)
        reference = by_size(graphs, bundle.manifest.graph.small_up_to)
        reason = "scorer"
        choice = choose_scorer(reference, bundle, wanted)
        logit_gap = prove(choice.scorer, bundle.golden)
        reader = RequestReader(bundle.encoder, bundle.catalogue, max_candidates, contexts)
        infer_reader = InferReader(bundle.encoder, max_candidates)
        model = LoadedModel(
            bundle=bundle,
            reader=reader,
            infer_reader=infer_reader,
            logit_gap=logit_gap,
            choice=choice,
            flops=executed_flops(bundle, choice),
        )
        reason = "example"
        _prove_example(model)
    except BundleError as error:
        message = str(error)
    except Exception as error:  # noqa: BLE001 - a bundle is input: whatever it breaks, the process lives and says so
        message = f"{path}: {type(error).__name__}: {error}; export again"
    else:
        _warm_up(model)
        return model
    raise LoadError(reason, " ".join(message.split()))


def example_requests(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """A bundle's example as a request of each form: columns, rows, ids, and items where the bundle has a catalogue."""
    context, columns = bundle.example["context"], bundle.example["candidates"]
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    context_ids_1F = bundle.encoder.encode_context(context)
    candidate_ids_NF = bundle.encoder.encode(bundle.schema.candidate, columns)
    forms = {
        "columns": {"context": context, "candidates": columns},
        "rows": {"context": context, "candidates": rows},
        "ids": {
            "context_ids": _by_field(bundle.schema.context, context_ids_1F[0]),
            "candidate_ids": _by_field(bundle.schema.candidate, candidate_ids_NF.T),
        },
    }
    if bundle.example.get("items"):
        forms["items"] = {"context": context, "items": bundle.example["items"]}
    return {name: {"unit": "user-42", **form} for name, form in forms.items()}


def _by_field(fields: Sequence[Field], ids: Ids) -> dict[str, Any]:
    return {field.name: values for field, values in zip(fields, ids.tolist(), strict=True)}


def _prove_example(model: LoadedModel) -> None:
    """Answer every form of the raw example, body to body; raise BundleError if one is refused or off."""
    expected_N = np.array(model.bundle.example["probabilities"], np.float64)
    for form, request in example_requests(model.bundle).items():
        try:
            got_N = _answered(model, orjson.dumps(request))
        except ProblemError as problem:
            raise BundleError(f"example.json: as {form}: {problem}; export again") from problem
        gap = np.abs(got_N - expected_N).max() if got_N.shape == expected_N.shape else np.inf
        if not gap <= TOLERANCE:
            raise BundleError(
                f"example.json: as {form}: got probabilities {got_N.tolist()!s:.200}, expected "
                f"{expected_N.tolist()!s:.200} within {TOLERANCE:g}; export again"
            )


def _answered(model: LoadedModel, body: bytes) -> Probabilities:
    """Probabilities [N] as the answer to `body` states them."""
    request = model.reader.read(body)
    probabilities_N = model.probabilities(model.scorer.score(request.context_ids, request.candidate_ids))
    content = answer(
        request_id="example", arm="example", model=model.name, probabilities_N=probabilities_N, fallback=False
    )
    return np.array(orjson.loads(content)["probabilities"])


def _warm_up(model: LoadedModel) -> None:
    """Score the smallest and the largest golden request: later ones find memory and caches ready."""
    requests = sorted(model.bundle.golden, key=lambda request: len(request.candidate_ids))
    for request in (requests[0], requests[-1]):
        model.scorer.score(request.context_ids, request.candidate_ids)
        model.scorer.score(request.context_ids, request.candidate_ids[:1])
