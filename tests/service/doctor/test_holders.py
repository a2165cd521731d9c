from __future__ import annotations

import os
import socket

from service.doctor.holders import holders


def test_who_listens_holds_a_port_and_who_is_connected_does_not() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as connected,
    ):
        [holder] = holders(listening.getsockname()[1])
        assert holder.startswith(f"{os.getpid()} (")
        assert holders(connected.getsockname()[1]) == []
