"""Serving another version without a restart: what CURRENT names is loaded beside what answers, proved, then swapped in.

Whoever exports, rolls back or copies a version changes one file, CURRENT, and every worker and replica that sees it
follows within `POLL_S` and the time of loading; the routes of `service.api.bundles` do it at once in the worker that
is asked. A version that is refused is not tried again until CURRENT changes or somebody asks for it; what answered goes
on. The price of loading beside traffic is the interpreter lock, which a parser of vocabularies holds for milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from service.bundle import BundleError, checked_version, current_version, make_current, previous_version
from service.models import LoadedModel, LoadError
from service.state import State

POLL_S = 1.0
"""Seconds between two looks at CURRENT."""

TURN_S = 0.0005
"""Seconds for which the loading thread may keep the interpreter lock while a request waits for it; a call into C that
does not let go of it, such as a parser's, keeps it longer all the same."""

logger = logging.getLogger(__name__)


class NoBundleError(Exception):
    """An arm is served from no bundle here, or from one version's directory; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Swapped:
    """What became of an arm."""

    arm: str
    before: str | None
    """The model that answered before, `name@version`; None if none did."""
    model: str
    """The model that answers now."""

    @property
    def changed(self) -> bool:
        """Whether they differ."""
        return self.before != self.model


class Follower:
    """Keeps the arms of one process at the versions that their bundles name.

    Args:
        state: whose arms.
        changed: awaited after every swap.
    """

    def __init__(self, state: State, changed: Callable[[], Awaitable[None]]) -> None:
        self._state = state
        self._changed = changed
        self._one_at_a_time = asyncio.Lock()
        self._refused: dict[str, str] = {}
        """Arm → the version of it that was refused last."""

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """While inside, every CURRENT is followed."""
        for name, path in self._state.bundles.items():
            if name not in self._state.arms:
                self._refuse(name, await asyncio.to_thread(_current_or_none, path))
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def reload(self, name: str) -> Swapped:
        """Serve the version that CURRENT names, tried again if it was refused before.

        Raises:
            NoBundleError: there is no such arm here, or nothing to follow.
            LoadError: the bundle was refused; what answered goes on.
        """
        async with self._one_at_a_time:
            root = self._root(name)
            return await self._serve(name, root, await asyncio.to_thread(_current, root))

    async def rollback(self, name: str, version: str | None = None) -> Swapped:
        """Serve the version that was current before, or `version`, here and wherever the bundle is followed.

        It is loaded and proved here first: CURRENT never names a version that this process refused.

        Raises:
            NoBundleError: there is no such arm here, or nothing to follow.
            BundleError: there is no such version, it was refused (LoadError), or CURRENT cannot be written.
        """
        async with self._one_at_a_time:
            root = self._root(name)
            wanted = await asyncio.to_thread(_checked, root, version)
            model = await self._read(name, root / wanted)
            before = await asyncio.to_thread(make_current, root, wanted)
            logger.warning("%s: %s is current now instead of %s, as was asked", root, wanted, before)
            return await self._install(name, model)

    def _root(self, name: str) -> Path:
        path = self._state.bundles.get(name)
        if path is None:
            known = ", ".join(self._state.bundles)
            raise NoBundleError(f"{name[:80]!r} is served from no bundle here, expected one of {known}")
        return path

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            for name, path in self._state.bundles.items():
                with suppress(LoadError):  # it was logged, counted and is a reason; what answered goes on
                    await self._follow(name, path)

    async def _follow(self, name: str, path: Path) -> None:
        version = await asyncio.to_thread(_current_or_none, path)
        if version is None or version in (self._version(name), self._refused.get(name)):
            return
        async with self._one_at_a_time:
            if version != self._version(name):  # nobody was quicker
                await self._serve(name, path, version)

    def _version(self, name: str) -> str | None:
        arm = self._state.arms.get(name)
        return None if arm is None else arm.model.bundle.manifest.version

    async def _serve(self, name: str, root: Path, version: str) -> Swapped:
        served = self._state.arms.get(name)
        if served is not None and version == self._version(name):
            self._state.reasons.pop(name, None)
            return Swapped(name, served.model.name, served.model.name)
        return await self._install(name, await self._read(name, root / version))

    async def _read(self, name: str, directory: Path) -> LoadedModel:
        try:
            return await asyncio.to_thread(_in_short_turns, self._state.read, name, directory)
        except LoadError as error:
            self._refuse(name, directory.name)
            served = self._version(name)
            stays = "" if served is None else f"; version {served} goes on answering"
            self._state.reasons[name] = f"{error}{stays}"
            raise

    async def _install(self, name: str, model: LoadedModel) -> Swapped:
        served = self._state.arms.get(name)
        before = None if served is None else served.model.name
        self._state.install(name, model)
        self._refused.pop(name, None)
        logger.warning("%s: %s answers now instead of %s", name, model.name, before)
        await self._changed()
        return Swapped(name, before, model.name)

    def _refuse(self, name: str, version: str | None) -> None:
        if version is not None:
            self._refused[name] = version


def _in_short_turns(read: Callable[[str, Path], LoadedModel], name: str, directory: Path) -> LoadedModel:
    """What `read` returns; whoever waits for the interpreter lock meanwhile gets it ten times sooner than usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(TURN_S)
    try:
        return read(name, directory)
    finally:
        sys.setswitchinterval(usual)


def _current(root: Path) -> str:
    version = current_version(root)
    if version is None:
        raise NoBundleError(f"{root} has no CURRENT to follow: it is one version's directory, or nothing is there yet")
    return version


def _current_or_none(path: Path) -> str | None:
    """CURRENT if it can be read now; a folder on a network may be away for a while."""
    with suppress(BundleError, OSError):
        return current_version(path)
    return None


def _checked(root: Path, version: str | None) -> str:
    _current(root)
    return previous_version(root) if version is None else checked_version(root, version)
