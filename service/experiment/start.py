"""Starts what experiments need, in the order in which they need it, and stops it the other way round."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from service.events.retention import Retention
from service.events.sql import SqlStore
from service.events.store import EventStore, StoreError
from service.events.urls import open_store
from service.events.writer import EventLog
from service.experiment.document import Document, DocumentError, read_toml
from service.experiment.live import Current, Live
from service.experiment.metrics import ExperimentMetrics
from service.experiment.model_facts import ModelFacts, note_models
from service.experiment.remote_facts import noting
from service.experiment.running import Running
from service.settings import Settings
from service.state import State

logger = logging.getLogger(__name__)


@asynccontextmanager
async def experiments(state: State, metrics: ExperimentMetrics) -> AsyncIterator[Running | None]:
    """While inside, experiments run; None where the settings keep no events, or the store cannot be opened.

    A store that cannot be opened, or a first document that is refused, is logged and kept as a reason: predictions
    are answered without it.
    """
    settings = state.settings
    if not settings.events:
        yield None
        return
    async with AsyncExitStack() as stack:
        try:
            running = await _start(state, metrics, stack)
        except (StoreError, DocumentError, OSError) as error:
            logger.error("no experiments: %s", " ".join(str(error).split()))  # noqa: TRY400 - the message is the reason; a trace adds none
            state.reasons["experiments"] = " ".join(str(error).split())
            yield None
            return
        yield running


async def _start(state: State, metrics: ExperimentMetrics, stack: AsyncExitStack) -> Running:
    settings = state.settings
    store = open_store(settings.events, attribution_ms=settings.attribution_ms)
    stack.callback(store.close)
    if settings.retention_days is not None:
        stack.enter_context(Retention(store, settings.retention_days).running())
    log = EventLog(store, dropped=metrics.dropped)
    log.start()
    stack.callback(log.close)
    live = _live(store, state, metrics)
    await stack.enter_async_context(live.watching())
    await stack.enter_async_context(noting(state.remotes.values(), store))
    return Running(
        live=live,
        log=log,
        unit_key=store.unit_key(),
        remotes=state.remotes,
        metrics=metrics,
        signer=state.signer,
        note_models=lambda: _note(store, state),
    )


def _note(store: SqlStore, state: State) -> None:
    """Keep what a report needs to know of the models; a store that is away is told with the next model."""
    try:
        note_models(store, _facts(state))
    except StoreError:
        logger.exception("the facts of the models were not stored, reports will lack the cost of new ones")


def _facts(state: State) -> dict[str, ModelFacts]:
    """What a report cannot know from answers: what a candidate costs each model."""
    models = (arm.model for arm in state.arms.values())
    return {
        model.name: ModelFacts(flops_effective=model.flops.effective, flops_executed=model.flops.executed)
        for model in models
    }


def _live(store: EventStore, state: State, metrics: ExperimentMetrics) -> Live:
    def note(current: Current) -> None:
        metrics.revision.set(current.revision)
        metrics.prepare(current.document)
        shadow = current.document.shadow
        state.shadow.configure(shadow.share, shadow.models)

    live = Live(store, lambda: (state.answering, list(state.arms)), note)
    live.start(first_document(state.settings))
    return live


def first_document(settings: Settings) -> Document | None:
    """The document in the file that the settings name; raises DocumentError or OSError."""
    path = settings.experiment
    if path is None:
        return None
    try:
        return read_toml(path.read_text())
    except DocumentError as error:
        raise DocumentError(f"CTR_EXPERIMENT: {path}: {error.field}", error.got, error.expected) from None
