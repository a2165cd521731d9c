"""`python -m service.health [URL]`: the service's own word on itself, as an exit status; what a container asks.

A slim image has no curl. Imports nothing but the standard library, and of it no more than one request needs, because a
container asks every few seconds.
"""

from __future__ import annotations

import sys
from contextlib import closing
from http.client import HTTPConnection, HTTPException

LIVE, READY = "/healthz", "/readyz"
DEFAULT = "127.0.0.1:8000"
TIMEOUT_S = 2.0
_OK = 200
_SHOWN = 300


def problem(url: str, path: str = READY, timeout_s: float = TIMEOUT_S) -> str | None:
    """Why the service is not alive or not ready, on one line; None if it is.

    Args:
        url: `host:port` or `http://host:port`, an IPv6 host in brackets; a path of its own is asked instead of `path`.
        path: LIVE or READY.
        timeout_s: seconds to wait for the connection, and for each piece of the answer.
    """
    host_and_port, _, own = url.removeprefix("http://").partition("/")
    path = f"/{own}" if own else path
    try:
        with closing(HTTPConnection(host_and_port, timeout=timeout_s)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            said = " ".join(answer.read().decode(errors="replace").split())[:_SHOWN]
    except (OSError, HTTPException, ValueError) as error:
        return f"{host_and_port}{path}: {type(error).__name__}: {error}"
    return None if answer.status == _OK else f"{host_and_port}{path}: HTTP {answer.status}: {said}"


def main(arguments: list[str]) -> int:
    """0 when all is well, else 1 with one line on standard error."""
    urls = [argument for argument in arguments if argument != "--live"]
    found = problem((urls or [DEFAULT])[0], LIVE if "--live" in arguments else READY)
    if found is not None:
        sys.stderr.write(f"error: {found}\n")
    return int(found is not None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
