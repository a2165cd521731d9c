"""The load of the compose proof, on a real service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from loadtest.proof.asking import document
from loadtest.proof.checks import Check
from loadtest.proof.compose.basics import closed
from loadtest.proof.compose.load import Asked, Load, client, under_load
from loadtest.proof.serving import free_port
from loadtest.traffic.serve import Served, Wanted, experiment_service


@pytest.fixture(scope="module")
def served(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    wanted = Wanted(student=bundles / "student", experiment=document())
    with experiment_service(wanted, tmp_path_factory.mktemp("served")) as service:
        yield service


async def loaded(url: str, asked_at: str, requests: int) -> Load:
    """The load of some users on `url` until so many were answered or not."""
    async with client(asked_at) as session:
        asked = await Asked.of(session)
    async with client(url) as session:
        load = Load(session, asked, feedback=True)
        async with under_load(load, users=3, pace_s=0):
            while len(load.outcomes) < requests:  # noqa: ASYNC110 - a load has no event for it
                await asyncio.sleep(0.01)
    return load


def test_every_request_is_answered_with_the_arm_that_was_computed_and_all_feedback_is_taken(served: Served) -> None:
    load = asyncio.run(loaded(served.url, served.url, 60))
    assert not any(one.failed for one in load.outcomes)
    assert {one.arm for one in load.outcomes} == {"control", "treatment"}
    assert all(one.answer["arm"] == one.arm for one in load.outcomes)
    assert len({one.request_id for one in load.outcomes}) == len(load.outcomes)
    assert load.accepted == load.sent > 0


def test_requests_to_nobody_have_failed_and_the_load_goes_on(served: Served) -> None:
    load = asyncio.run(loaded(f"http://127.0.0.1:{free_port()}", served.url, 10))
    assert all(one.failed and one.status == 0 for one in load.outcomes)
    assert load.sent == 0


def test_the_kill_switch_is_closed_to_who_bears_no_token_and_an_open_one_is_told(served: Served) -> None:
    async def asked(headers: dict[str, str]) -> Check:
        async with aiohttp.ClientSession(served.url, headers=headers) as session:
            return await closed(session)

    assert asyncio.run(asked({})).met
    assert not asyncio.run(asked({"Authorization": f"Bearer {served.admin_token}"})).met


def test_a_mistake_of_the_load_itself_is_not_swallowed(served: Served) -> None:
    async def broken() -> None:
        async with client(served.url) as session:
            load = Load(session, Asked(context={}, items=[], assigner=None))  # type: ignore[arg-type]
            async with under_load(load, users=1):
                await asyncio.sleep(0.2)

    with pytest.raises(AttributeError):
        asyncio.run(broken())
