"""What a candidate costs the models of other services: asked of them, since answers do not say it.

A service of the same kind tells it at /models. One that does not is left in peace: a report then has no cost for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from service.events.sql import SqlStore
from service.events.store import StoreError
from service.experiment.model_facts import ModelFacts, note_models
from service.remote import Remote, RemoteError

RETRY_S = 5.0
"""Seconds between two questions to a service that has not answered yet."""
RENEW_S = 60.0
"""Seconds after which it is asked again: it may serve another version by then."""

logger = logging.getLogger(__name__)


@asynccontextmanager
async def noting(remotes: Iterable[Remote], store: SqlStore) -> AsyncIterator[None]:
    """While inside, the facts of the models of other services are kept in the store as they become known."""
    tasks = [asyncio.create_task(_note_again_and_again(remote, store)) for remote in remotes]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


def facts_in(described: Any) -> dict[str, ModelFacts]:
    """`name@version` → facts, of every arm in the answer of /models; nothing of what is not as expected."""
    found: dict[str, ModelFacts] = {}
    arms = described.get("arms") if isinstance(described, Mapping) else None
    for arm in arms.values() if isinstance(arms, Mapping) else ():
        with suppress(KeyError, TypeError, ValueError):
            flops = arm["flops"]
            facts = ModelFacts(flops_effective=float(flops["effective"]), flops_executed=float(flops["executed"]))
            found[str(arm["model"])] = facts
    return found


async def _note_again_and_again(remote: Remote, store: SqlStore) -> None:
    known: dict[str, ModelFacts] = {}
    while True:
        try:
            found = facts_in(await remote.models())
            if found.items() - known.items():
                await asyncio.to_thread(note_models, store, found)
                known |= found
        except (RemoteError, StoreError) as error:
            logger.debug("%s: the cost of its models is not known: %s", remote.name, error)
        await asyncio.sleep(RENEW_S if known else RETRY_S)
