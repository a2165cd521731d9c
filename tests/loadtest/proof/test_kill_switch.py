"""The proof itself on a real service: it must be able to find what it looks for."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import closing
from pathlib import Path

import pytest

from loadtest.proof.asking import CONNECTIONS, Asker, document, put
from loadtest.proof.kill_switch import connections_of, throw
from loadtest.traffic.serve import Wanted, experiment_service
from service.experiment.assignment import Assigner
from service.experiment.document import read_toml

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="connections are found through /proc")


@pytest.mark.long
def test_two_workers_give_every_unit_its_specified_arm_until_the_switch_is_thrown(
    bundles: Path, tmp_path: Path
) -> None:
    asker, names = Asker(bundles / "student"), [f"unit-{number}" for number in range(100)]
    wanted = Wanted(student=bundles / "student", experiment=document(), workers=2)
    with experiment_service(wanted, tmp_path) as served:
        arms = asyncio.run(asker.arms(served, names))
        switch = asyncio.run(throw(served, asker, 2))
        with pytest.raises(RuntimeError, match=r"PUT /experiment: got 422, expected 200: .*phase"):
            asyncio.run(put(served, document(phase=1)))
        killed = asyncio.run(asker.arms(served, names))
    assigner = Assigner(read_toml(document()))
    assert arms == {name: assigner.assign(name, {}).arm for name in names}
    assert set(killed.values()) == {"student"}
    assert sum(switch.connections) == CONNECTIONS
    assert min(switch.connections) > 0
    assert switch.answers > 0


def test_connections_to_a_port_are_counted_by_process() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        assert connections_of(os.getpid(), port) == 0
        with closing(socket.create_connection(("127.0.0.1", port))) as _client, closing(listener.accept()[0]):
            assert connections_of(os.getpid(), port) == 1
        assert connections_of(os.getpid(), port) == 0
