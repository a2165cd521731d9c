"""`python -m loadtest.bench.batching_app`: /predict with item ids, requests scored each or collected into one run.

Requests of one run have different contexts, so it takes full rows; a request that is alone is scored as the service
would. Decoding and answering are the service's own.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import perf_counter
from typing import Annotated

import numpy as np
import typer
from starlette.types import ASGIApp, Receive, Scope, Send

from loadtest.bench.apps import RowsModel, read_body, send_json, serve
from loadtest.bench.bundles import native_scorer, onnx_scorer
from service.api.answers import answer, probabilities_of
from service.api.requests import EncodedRequest, RequestReader
from service.bundle import Bundle, read_bundle
from service.scoring import Logits, NativeScorer, OnnxScorer, Scorer

MAX_CANDIDATES = 5000
_Waiting = list[tuple[EncodedRequest, asyncio.Future[Logits]]]


class Batcher:
    """Collects the requests of a window and scores them in one run.

    A timer of the event loop would round a window to whole milliseconds, so the window is waited for by asking the
    loop again and again, which goes on reading requests in between.

    Args:
        alone: scores a request that is alone in its window.
        together: scores the rows of several.
        window_s: seconds from a request to the run; 0 for no longer than the requests that are there already take
            to be read, None to score every request by itself at once.
    """

    def __init__(self, alone: Scorer, together: RowsModel, window_s: float | None) -> None:
        self._alone = alone
        self._together = together
        self._window_s = window_s
        self._waiting: _Waiting = []
        self._due = 0.0

    async def score(self, request: EncodedRequest) -> Logits:
        """Logits [N] of one request."""
        if self._window_s is None:
            return self._alone.score(request.context_ids, request.candidate_ids)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Logits] = loop.create_future()
        self._waiting.append((request, future))
        if len(self._waiting) == 1:
            self._due = perf_counter() + self._window_s
            loop.call_soon(self._run_when_due)
        return await future

    def _run_when_due(self) -> None:
        if perf_counter() < self._due:
            asyncio.get_running_loop().call_soon(self._run_when_due)
            return
        collected, self._waiting = self._waiting, []
        try:
            self._run(collected)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer of everyone who waits
            for _request, future in collected:
                future.set_exception(error)

    def _run(self, collected: _Waiting) -> None:
        if len(collected) == 1:
            request, future = collected[0]
            future.set_result(self._alone.score(request.context_ids, request.candidate_ids))
            return
        sizes = [len(request.candidate_ids) for request, _future in collected]
        contexts_NF = np.repeat(np.concatenate([request.context_ids for request, _future in collected]), sizes, axis=0)
        candidates_NF = np.concatenate([request.candidate_ids for request, _future in collected])
        logits_N = self._together.logits(np.hstack([contexts_NF, candidates_NF]))
        for (_request, future), part_N in zip(collected, np.split(logits_N, np.cumsum(sizes)[:-1]), strict=True):
            future.set_result(part_N)


def batching(bundle: Bundle, graph: Path, scorer: str, window_s: float | None) -> ASGIApp:
    """Raw ASGI over a bundle: the JSON of /predict in and out."""
    reader = RequestReader(bundle.encoder, bundle.catalogue, MAX_CANDIDATES)
    batcher = Batcher(scorer_of(bundle, scorer), RowsModel(graph), window_s)
    calibration, model = bundle.manifest.calibration, bundle.manifest.model

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        logits_N = await batcher.score(reader.read(await read_body(receive)))
        probabilities_N = probabilities_of(logits_N, calibration)
        content = answer(
            request_id="bench", arm="student", model=model, probabilities_N=probabilities_N, fallback=False
        )
        await send_json(send, content)

    return app


def scorer_of(bundle: Bundle, name: str) -> Scorer:
    """The scorer of this name; raises ValueError for another name, and for native where it is not built."""
    if name == OnnxScorer.name:
        return onnx_scorer(bundle)
    native = native_scorer(bundle)
    if name != NativeScorer.name or native is None:
        raise ValueError(f"got scorer {name!r}, expected onnxruntime, or native where it is built")
    return native


def main(
    bundle: Annotated[Path, typer.Option(help="Root of the bundle.")],
    graph: Annotated[Path, typer.Option(help="The graph of full rows.")],
    scorer: Annotated[str, typer.Option(help="native or onnxruntime, for a request alone.")],
    window_us: Annotated[float | None, typer.Option(help="Microseconds to collect; none to score each.")] = None,
) -> None:
    """Serve until stopped."""
    app = batching(read_bundle(bundle), graph, scorer, None if window_us is None else window_us / 1e6)
    serve(app, "batching", lifespan="off")


if __name__ == "__main__":
    typer.run(main)
