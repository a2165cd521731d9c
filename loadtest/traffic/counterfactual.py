"""What the other arms would have shown: the same request asked of every arm's model.

Where the arms of an experiment share one model they rank alike, and nothing need be asked. Otherwise a share of the
requests is asked again, through the path of a model's own or as a forced arm; neither is an exposure that counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loadtest.traffic.client import Prediction, ServiceClient
from loadtest.traffic.draws import Stream, uniforms
from service.experiment.document import Arm

OWN_PATHS = ("student", "teacher")
"""Models with a predict path of their own, which takes no token and leaves no exposure."""


class Counterfactual:
    """Asks on behalf of the arms that a unit is not in.

    Args:
        client: of the service.
        share: of the requests, where arms have different models.
        seed: decides which.
    """

    def __init__(self, client: ServiceClient, share: float, seed: int) -> None:
        self._client, self._share, self._seed = client, share, seed

    async def answers(
        self, visit: int, request: Mapping[str, Any], own: Prediction, arms: Sequence[Arm]
    ) -> dict[str, list[float]]:
        """Arm → probabilities [N] of this request; of every arm or, where it is not asked or fails, of none."""
        if len({arm.answered_by for arm in arms}) == 1:
            return {arm.name: own.probabilities for arm in arms}
        if uniforms(Stream.COUNTERFACTUAL, self._seed, visit)[0] >= self._share:
            return {}
        found = {}
        for arm in arms:
            given = own.probabilities if arm.name == own.arm else await self._as_in(arm, request)
            if given is None:
                return {}
            found[arm.name] = given
        return found

    async def _as_in(self, arm: Arm, request: Mapping[str, Any]) -> list[float] | None:
        asked = {**request, "request_id": f"{request['request_id']}-as-{arm.name}"}
        if arm.answered_by in OWN_PATHS:
            return await self._client.probabilities(f"/{arm.answered_by}/predict", asked)
        answer = await self._client.predict(asked, arm=arm.name)
        return None if answer is None else answer.probabilities
