"""The models that a shadow asks: bundles that it loads itself, and other services that it asks by URL.

Both read the request's own body, so the two models need not have the same fields, and both say how long they took.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import NamedTuple, Protocol

from service.api.answers import Probabilities
from service.api.problems import ProblemError
from service.api.requests import decode
from service.bundle import BundleError, current_version
from service.models import LoadedModel, LoadError, load_model
from service.remote import Remote, RemoteAnswer, RemoteError, is_url
from service.scoring import OnnxScorer
from service.shadow.brief import Limits
from service.shadow.message import Offer
from service.shadow.tally import Failure

BY_ID = frozenset({"context_ids", "candidate_ids"})
"""Keys of a request under which ids stand instead of values."""
_FAILURES = {
    "timeout": Failure.TIMEOUT,
    "unreachable": Failure.UNREACHABLE,
    "refused": Failure.REFUSED,
    "malformed": Failure.MALFORMED,
}
"""What a RemoteError's reason is counted as."""


class ShadowError(Exception):
    """The other model has no probabilities for a request.

    Attributes:
        failure: why, as it is counted.
    """

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


class Scored(NamedTuple):
    """What the other model says."""

    model: str
    """`name@version`."""
    probabilities_N: Probabilities
    seconds: float
    """From the body to the probabilities."""


class OtherModel(Protocol):
    """A model to compare with."""

    def score(self, offer: Offer) -> Scored:
        """Probabilities of the same candidates; raises ShadowError."""
        ...

    def outdated(self) -> bool:
        """Whether it should be opened anew, because another version is served now."""
        ...


def open_model(name: str, source: str, limits: Limits) -> OtherModel:
    """The model at a bundle's directory or a URL.

    Raises:
        ShadowError: the bundle is refused.
    """
    if is_url(source):
        return RemoteModel(name, source, limits.timeout_s)
    path = Path(source)
    try:
        model = load_model(path, scorer_factory=OnnxScorer, max_candidates=limits.max_candidates, wanted=limits.wanted)
    except LoadError as error:
        raise ShadowError(Failure.NOT_LOADED, str(error)) from error
    return LocalModel(model, path)


class LocalModel:
    """A bundle, scored in this process; its embedding table is mapped, so all who serve it share one copy."""

    def __init__(self, model: LoadedModel, path: Path) -> None:
        self._model = model
        self._path = path

    def outdated(self) -> bool:
        """Whether the bundle's CURRENT names another version."""
        with suppress(BundleError, OSError):
            version = current_version(self._path)
            return version is not None and version != self._model.bundle.manifest.version
        return False

    def score(self, offer: Offer) -> Scored:
        """Probabilities of the same candidates; raises ShadowError."""
        started = perf_counter()
        model = self._model
        try:
            request = decode(offer.body)
            if BY_ID & request.keys() and offer.primary.ids != model.ids_digest:
                raise ShadowError(Failure.FORM, f"{model.name} has other vocabularies than {offer.primary.version}")
            encoded = model.reader.encode(request)
            logits_N = model.scorer.score(encoded.context_ids, encoded.candidate_ids)
            probabilities_N = model.probabilities(logits_N)
        except ProblemError as problem:
            raise ShadowError(Failure.REFUSED, f"{model.name}: {problem}") from problem
        return Scored(model.name, probabilities_N, perf_counter() - started)


class RemoteModel:
    """Another service, asked one request at a time: what comes faster is dropped, and a slow service not made slower.

    Args:
        name: what the settings call it.
        url: of its predict path.
        timeout_s: seconds within which it must have answered.
    """

    def __init__(self, name: str, url: str, timeout_s: float) -> None:
        self._remote = Remote(name, url, timeout_ms=timeout_s * 1e3, max_waiting=1)
        self._loop = asyncio.Runner()
        self._loop.run(self._remote.open())

    def outdated(self) -> bool:
        """Never: the other service sees to it."""
        return False

    def score(self, offer: Offer) -> Scored:
        """Probabilities of the same candidates; raises ShadowError."""
        started = perf_counter()
        try:
            found = self._loop.run(self._ask(offer))
        except RemoteError as error:
            raise ShadowError(_FAILURES.get(error.reason, Failure.INTERNAL), str(error)) from error
        return Scored(found.model, found.probabilities, perf_counter() - started)

    async def _ask(self, offer: Offer) -> RemoteAnswer:
        await asyncio.sleep(0)  # a kept connection that the other side has closed since is noticed here
        return await self._remote.ask(offer.body, len(offer.probabilities_N), offer.request_id)
