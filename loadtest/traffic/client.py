"""What a ranking layer sends: predictions one by one, feedback in bulk. Counts every answer, keeps every latency."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple

import aiohttp
import orjson

OK, ALL_REFUSED = 200, 403
TIMEOUT_S = 30.0
_SHOWN_ERRORS = 5
RESULTS = ("accepted", "duplicates", "late", "unknown", "refused")
"""What a service may say became of feedback."""


class Prediction(NamedTuple):
    """An answer of POST /predict, as far as a ranking layer needs it."""

    arm: str
    model: str
    fallback: bool
    probabilities: list[float]
    token: str | None


@dataclass(kw_only=True, slots=True)
class Said:
    """What the service answered over a run."""

    errors: Counter[str] = field(default_factory=Counter)
    """Path and status, or what went wrong below HTTP → how often."""
    details: list[str] = field(default_factory=list)
    """The first few error bodies."""
    feedback: Counter[str] = field(default_factory=Counter)
    """Result of a feedback event → how many."""
    predict_s: list[float] = field(default_factory=list)
    """Seconds from sending a prediction to its answer."""
    feedback_s: list[float] = field(default_factory=list)
    """Seconds from sending feedback to its acknowledgement."""


class ServiceClient:
    """Asks one service; every failure is counted and answered with None.

    Args:
        session: with the service's URL as its base.
        bearer: admin token for forced arms, None without one.
    """

    def __init__(self, session: aiohttp.ClientSession, bearer: str | None = None) -> None:
        self.said = Said()
        self._session = session
        self._bearer = bearer

    async def document(self) -> Mapping[str, Any] | None:
        """The document that experiments run under; None where the service has none."""
        async with self._session.get("/experiment") as answer:
            if answer.status != OK:
                return None
            document: Mapping[str, Any] = orjson.loads(await answer.read())["document"]
            return document

    async def predict(self, request: Mapping[str, Any], *, arm: str | None = None) -> Prediction | None:
        """The answer to a request; `arm` forces one, which takes the admin token and is no exposure to analyse."""
        headers = {"X-Arm": arm, "Authorization": f"Bearer {self._bearer}"} if arm is not None else {}
        started = perf_counter()
        answer = await self._post("/predict", orjson.dumps(request), "application/json", headers)
        if answer is None:
            return None
        if arm is None:
            self.said.predict_s.append(perf_counter() - started)
        return Prediction(
            answer["arm"], answer["model"], answer["fallback"], answer["probabilities"], answer.get("token")
        )

    async def probabilities(self, path: str, request: Mapping[str, Any]) -> list[float] | None:
        """What the model behind another predict path gives the same candidates; never an exposure."""
        answer = await self._post(path, orjson.dumps(request), "application/json", {})
        return None if answer is None else answer["probabilities"]

    async def feedback(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Send events as NDJSON and count what became of each; a service that refuses every one answers 403."""
        body = b"\n".join(map(orjson.dumps, events))
        started = perf_counter()
        answer = await self._post("/feedback", body, "application/x-ndjson", {}, but=ALL_REFUSED)
        if answer is not None:
            self.said.feedback_s.append(perf_counter() - started)
            counted = answer if "accepted" in answer else {"refused": len(events)}
            self.said.feedback.update({result: counted.get(result, 0) for result in RESULTS})

    async def _post(self, path: str, body: bytes, media_type: str, headers: Mapping[str, str], *, but: int = OK) -> Any:
        """The decoded answer; None, and a failure counted, unless its status is 200 or the one in `but`."""
        try:
            async with self._session.post(path, data=body, headers={"Content-Type": media_type, **headers}) as answer:
                content = await answer.read()
        except (TimeoutError, aiohttp.ClientError) as error:
            self._failed(f"{path}: {type(error).__name__}", str(error))
            return None
        if answer.status not in {OK, but}:
            self._failed(f"{path}: {answer.status}", content.decode(errors="replace"))
            return None
        return orjson.loads(content)

    def _failed(self, what: str, detail: str) -> None:
        self.said.errors[what] += 1
        if len(self.said.details) < _SHOWN_ERRORS:
            self.said.details.append(f"{what}: {detail:.300}")
